"""Table 1: how well functa of 64 to 512 numbers hold pictures, shapes, fields and scenes, beside linear PCA.

Settings: `dims`, and `[[sets]]` of {name, modality, data, cells, count, layers}; layers are those of `functa fit`. With
shipped = true the network that ships with the package is taken, which has one dimension.
"""

from pathlib import Path
from typing import Any

from common import About, Found, Piece, Run, command, encoded, fitted, ships, short, where

from functa_cli.config import overlay

ABOUT = About(
    "table1",
    "Reconstruction quality against the number of modulations",
    "Table 1",
    "a few hundred modulations hold data of every kind to high fidelity, and more modulations hold them better.",
    {
        "measured_on": "the test data of its sets, with its networks of width 512 (PSNR in dB; shapes: voxel accuracy)",
        "columns": ["data", "64", "128", "256", "512", "1024"],
        "rows": [
            ["CelebA-HQ 64 x 64, PSNR", 21.6, 23.5, 25.6, 28.0, 30.7],
            ["ShapeNet chairs 64^3, voxel accuracy, %", 99.11, 99.28, 99.38, 99.46, 99.51],
            ["ShapeNet 10 classes 64^3, voxel accuracy, %", 99.30, 99.40, 99.44, 99.50, 99.55],
            ["SRN Cars 128 x 128, PSNR", 22.4, 23.0, 23.1, 23.2, 23.1],
            ["ERA5 181 x 360, PSNR", 43.2, 43.6, 43.8, 43.9, 44.0],
        ],
    },
)
COLUMNS = [
    "data", "modulations", "PSNR, dB", "on training data, dB", "PCA, dB", "voxel accuracy, %", "of PCA, %", "IoU",
    "of PCA",
]  # fmt: skip


def dimensions(settings: dict[str, Any], one: dict[str, Any]) -> list[int]:
    """Numbers of modulations that a set is measured with."""
    from cost import config_of

    return [config_of(one).field.latent_dim] if ships(one) else settings["dims"]


def sized(one: dict[str, Any], dim: int) -> dict[str, Any]:
    """A set with networks of `dim` modulations."""
    return one if ships(one) else {**one, "layers": overlay(one["layers"], {"field": {"latent_dim": dim}})}


def cost(settings: dict[str, Any]) -> list[Piece]:
    from cost import of_encode, of_fit

    pieces = []
    for one in settings["sets"]:
        for dim in dimensions(settings, one):
            what = f"{one['name']}, {dim}"
            pieces += [*of_fit(sized(one, dim), what), *of_encode(sized(one, dim), what)]
    return pieces


def measured(run: Run, one: dict[str, Any], dim: int) -> dict[str, dict[str, float]]:
    """Figures on test and training data of functa of `dim` numbers, of PCA, and of the mean or an empty scene."""
    from tests.benchmarks.modalities import rows

    name = f"{one['modality']}-{short(one)}-{dim}"
    chosen = sized(one, dim)
    store, _ = encoded(run, name, chosen, fitted(run, name, chosen))
    functa, train, *others = rows(store, where(run, one.get("data")))
    return {"functa": functa, "train": train, "baseline": others[0]}


def quality(row: dict[str, Any]) -> float:
    """PSNR, for scenes that of views which were not encoded."""
    return row.get("psnr_unseen", row.get("psnr"))


def rounded(value: float | None, digits: int, factor: float = 1.0) -> float | None:
    return None if value is None else round(factor * value, digits)


def make(run: Run) -> Found:
    from plot import Line, Panel, write_svg

    rows, panels, figures, sentences = [], [], {}, []
    for one in run.settings["sets"]:
        dims = dimensions(run.settings, one)
        found = {dim: measured(run, one, dim) for dim in dims}
        linear = one["modality"] != "scene"
        for dim, parts in found.items():
            functa, pca = parts["functa"], parts["baseline"] if linear else {}
            rows.append(
                [one["name"], dim, rounded(quality(functa), 2), rounded(quality(parts["train"]), 2)]
                + [rounded(pca.get("psnr"), 2)]
                + [rounded(part.get("accuracy"), 2, 100) for part in (functa, pca)]
                + [rounded(part.get("iou"), 3) for part in (functa, pca)]
            )
        lines = [Line("functa, test data", [(dim, quality(found[dim]["functa"])) for dim in dims], 0)]
        lines.append(Line("functa, training data", [(dim, quality(found[dim]["train"])) for dim in dims], 0, True))
        if linear:
            lines.append(Line("PCA of as many components", [(dim, found[dim]["baseline"]["psnr"]) for dim in dims], 1))
        panels.append(Panel(one["name"], "modulations", "PSNR, dB", lines, log_x=True))
        key, test = short(one), [quality(found[dim]["functa"]) for dim in dims]
        figures |= {f"psnr_{key}_{dim}": round(value, 2) for dim, value in zip(dims, test)}
        if len(dims) > 1:
            figures[f"gain_{key}"] = round(test[-1] - test[0], 2)
        sentences.append(f"{one['name']} {_told(dims, test)}")
        if linear:
            best = max(value - found[dim]["baseline"]["psnr"] for dim, value in zip(dims, test))
            sentences[-1] += f" (at best {best:+.1f} dB beside PCA)"
    write_svg(Path(run.out, f"{ABOUT.name}.svg"), panels)
    sample = any("data" not in one for one in run.settings["sets"])
    return Found(
        COLUMNS,
        rows,
        figures,
        f"PSNR on test data: {'; '.join(sentences)}.",
        [
            "Data: " + ", ".join(f"{one['name']} ({one['count']})" for one in run.settings["sets"]) + "; the paper has "
            "CelebA-HQ (30,000), ShapeNet with fifty copies of each training shape, SRN Cars and the global ERA5."
            + (" Those that ship with the package stand in for larger ones." if sample else ""),
            "Networks: " + ", ".join(network(one) for one in run.settings["sets"]) + "; the paper's have width 512.",
            "PCA is not in the paper. It has at most as many components as there are training data, less one.",
            "PSNR of scenes is that of views which were not encoded; PCA has no counterpart for them.",
        ],
        ABOUT.name + ".svg",
        f"PSNR against the number of modulations for {len(panels)} kinds of data, functa beside PCA",
    )


def _told(dims: list[int], test: list[float]) -> str:
    if len(dims) == 1:
        return f"{test[0]:.1f} dB with {dims[0]} modulations"
    return f"{test[0]:.1f} dB with {dims[0]} modulations, {test[-1]:.1f} dB with {dims[-1]}"


def network(one: dict[str, Any]) -> str:
    """What is told of a set's networks."""
    from cost import config_of

    config = config_of(one)
    if ships(one):
        return f"the one that ships, of width {config.field.width}, for {short(one)}"
    return (
        f"width {config.field.width}, depth {config.field.depth}, {config.outer.steps:,} steps of {config.outer.batch} "
        f"for {short(one)}"
    )


main = command(ABOUT, make, cost)

if __name__ == "__main__":
    main()
