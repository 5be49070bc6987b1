"""Figure 2: how arrays and functa grow with resolution, and how networks do that are fitted to one datum alone.

Settings: `[[sets]]` of {name, modality, data, count, layers} (see table1.py), with `bytes`, what a cell of an array
takes, `sizes` of {label, cells, data}, where data are settings that reduce it, and `alone`: networks of `widths` and
`depth` are fitted for `steps` to the first datum at each size, and the smallest that reaches `target` dB is told.
"""

from pathlib import Path
from typing import Any

from common import About, Found, Piece, Run, command, encoded, finished, fitted, ships, short, where

from functa_cli.config import overlay

ABOUT = About(
    "figure2",
    "Size of functa and of arrays as resolution grows",
    "Figure 2 and Table 5",
    "the size of an array grows with its resolution to the power of its axes, that of a function far more slowly.",
    None,
)


def at(one: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    """The set reduced to a size."""
    return {**one, "cells": size["cells"], "layers": overlay(one.get("layers", {}), {"data": size["data"]})}


def lonely(one: dict[str, Any], size: dict[str, Any], width: int) -> dict[str, Any]:
    """A set of one datum at a size, and a network of `width` that has no modulations to fit."""
    alone = one["alone"]
    layers = {
        "data": {**size["data"], "limit": 1, "split": "none"},
        "field": {"modulation": "shift", "width": width, "depth": alone["depth"]},
        "inner": {"steps": 0},
        "outer": {"steps": alone["steps"], "batch": 1, "points": alone["points"], "curriculum": 0.0},
    }
    kept = {key: one[key] for key in ("name", "modality", "data") if key in one}
    return {**kept, "count": 1, "cells": size["cells"], "layers": layers}


def cost(settings: dict[str, Any]) -> list[Piece]:
    from cost import of_encode, of_fit

    pieces = []
    for one in settings["sets"]:
        pieces += of_fit(at(one, one["sizes"][-1]), one["name"])
        for size in one["sizes"]:
            what = f"{one['name']} of {size['label']}"
            pieces += of_encode(at({**one, "shipped": ships(one)}, size), what)
            every = [of_fit(lonely(one, size, width))[0].flops for width in one["alone"]["widths"]]
            pieces.append(Piece(f"fit one of {what} alone", sum(every)))
    return pieces


def alone(run: Run, one: dict[str, Any], size: dict[str, Any]) -> tuple[int | None, float]:
    """Numbers in the smallest network that holds the first datum alone at `target` dB, and PSNR of the best one."""
    import jax
    import numpy as np

    from functa_cli.basefile import read_base
    from functa_cli.fit import fit

    best = -np.inf
    for width in sorted(one["alone"]["widths"]):
        name = f"{one['modality']}-{size['cells']}-{width}"
        chosen, out = lonely(one, size, width), str(run.work / f"{name}-alone.zarr")
        data = where(run, one.get("data"))
        told = finished(fit(data, out, modality=one["modality"], layers=[chosen["layers"]]), f"fit {name} alone")
        best = max(best, told["psnr_heldout"])
        if told["psnr_heldout"] >= one["alone"]["target"]:
            return sum(leaf.size for leaf in jax.tree.leaves(read_base(out).theta["field"])), best
    return None, best


def weight(path: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def make(run: Run) -> Found:
    from plot import Line, Panel, write_svg

    from functa_cli.store import Functaset

    rows, panels, figures, sentences, shared = [], [], {}, [], []
    for one in run.settings["sets"]:
        base, target, found = fitted(run, one["modality"], at(one, one["sizes"][-1])), one["alone"]["target"], []
        for size in one["sizes"]:
            name = f"{one['modality']}-{size['cells']}"
            store, told = encoded(run, name, at(one, size), base)
            opened = Functaset.open(store)
            functum = weight(Path(store, "modulations")) / opened.n
            numbers, best = alone(run, one, size)
            array = size["cells"] * one["bytes"]
            found.append((size["cells"], array, functum, told["psnr"], numbers))
            sizes = [array, round(functum), round(array / functum, 2), round(told["psnr"], 2)]
            rows.append([one["name"], size["label"], *sizes, target, numbers, None if numbers else round(best, 2)])
        shared.append(f"{weight(Path(store, 'base')) / 1000:.0f} kB for {short(one)}")
        cells = [row[0] for row in found]
        lines = [Line("array", [(x, row[1]) for x, row in zip(cells, found)], 1)]
        lines.append(Line("functum, as stored", [(x, row[2]) for x, row in zip(cells, found)], 0))
        lonesome = [(x, 4 * row[4]) for x, row in zip(cells, found) if row[4]]
        lines += [Line("network for one datum alone", lonesome, 2, True)] if lonesome else []
        panels.append(Panel(one["name"], "cells of the array", "bytes", lines, log_x=True, log_y=True))
        key, (first, last) = short(one), (found[0], found[-1])
        figures |= {
            f"growth_array_{key}": round(last[1] / first[1], 2),
            f"growth_functum_{key}": round(last[2] / first[2], 2),
            f"psnr_change_{key}": round(last[3] - first[3], 2),
        }
        sentences.append(
            f"{one['name']}: the array grows {last[1] / first[1]:.0f}-fold, the functum {last[2] / first[2]:.2f}-fold "
            f"while its PSNR goes from {first[3]:.1f} to {last[3]:.1f} dB"
        )
        if first[4] and last[4]:
            figures[f"growth_alone_{key}"] = round(last[4] / first[4], 2)
            sentences[-1] += f", a network of its own that reaches {target:.0f} dB {last[4] / first[4]:.1f}-fold"
    write_svg(Path(run.out, f"{ABOUT.name}.svg"), panels)
    return Found(
        ["data", "size", "array, bytes", "functum, bytes", "array / functum", "PSNR, dB", "asked of one alone, dB",
         "numbers of a network for it alone", "best of those that do not reach it, dB"],
        rows,
        figures,
        "; ".join(sentences) + ".",
        [
            "Table 5 of the paper, the networks that it fitted to single data at each resolution, could not be looked "
            "up where this was written. What stands here is the smallest of a few widths that reaches a PSNR.",
            "Data: " + ", ".join(f"{one['name']} ({one['count']})" for one in run.settings["sets"]) + ", reduced from "
            "their own resolution, so finer grids than the data's are not looked at.",
            "A functum's bytes are those of the modulations in the store that functa encode wrote, over its data. The "
            f"network that all share comes once: {', '.join(shared)}. It was trained at the finest size.",
            "Arrays are counted uncompressed: a byte a colour and a cell of a shape, four bytes a temperature.",
            "Networks alone are fitted to the first datum only.",
        ],
        f"{ABOUT.name}.svg",
        "Bytes of arrays, of functa and of networks for one datum against the cells of the array",
    )  # fmt: skip


main = command(ABOUT, make, cost)

if __name__ == "__main__":
    main()
