"""Figure 3: what is modulated, and by how many numbers: latent shifts, shifts, and shifts and scales.

Settings: `[set]` of {name, modality, data, cells, count, layers} and `[[kinds]]` of {name, modulation, widths, dims,
layers}. A network is fitted for each width, and each of `dims` if the kind is latent; layers are laid over those of the
set. The others have as many modulations as there are units: width times sine layers, and twice that with scales.
"""

import itertools
from pathlib import Path
from typing import Any

from common import About, Found, Piece, Run, command, finished, where

from functa_cli.config import overlay

ABOUT = About(
    "figure3",
    "Kinds of modulations against their number",
    "Figure 3",
    "shifts alone do as well as shifts and scales with half the numbers, and shifts that are a linear map of a latent "
    "vector hold more in as many numbers.",
    {
        "measured_on": "the test data of CelebA-HQ 64 x 64, with networks of width 512",
        "columns": ["256 modulations", "PSNR, dB"],
        "rows": [["latent shifts", 25.6], ["latent vector beside the coordinates", 23.0]],
    },
)
NAMES = {"latent": "latent shifts", "shift": "shifts", "shift+scale": "shifts and scales"}


def jobs(settings: dict[str, Any]) -> list[tuple[str, int, int, dict[str, Any]]]:
    """Kind, width, number of modulations and table of every network."""
    from cost import config_of

    found = []
    for kind in settings["kinds"]:
        for width, dim in itertools.product(kind["widths"], kind.get("dims", [0])):
            field = {"modulation": kind["modulation"], "width": width, **({"latent_dim": dim} if dim else {})}
            layers = overlay(settings["set"]["layers"], kind.get("layers", {}), {"field": field})
            one = {**settings["set"], "layers": layers}
            units = width * (config_of(one).field.depth - 1)
            size = {"latent": dim, "shift": units, "shift+scale": 2 * units}[kind["modulation"]]
            found.append((kind["modulation"], width, size, one))
    return found


def cost(settings: dict[str, Any]) -> list[Piece]:
    from cost import of_fit

    return [
        piece
        for kind, width, size, one in jobs(settings)
        for piece in of_fit(one, f"{NAMES[kind]}, {size}, width {width}")
    ]


def make(run: Run) -> Found:
    import numpy as np
    from plot import Line, Panel, write_svg

    from functa_cli.fit import fit

    one, found = run.settings["set"], {}
    for kind, width, size, chosen in jobs(run.settings):
        name = f"{kind}-{width}-{size}"
        out, data = str(run.work / f"{name}.zarr"), where(run, one.get("data"))
        told = finished(fit(data, out, modality=one["modality"], layers=[chosen["layers"]]), f"fit {name}")
        found[kind, width, size] = round(told["psnr_heldout"], 2)
    points = {
        kind: sorted((size, psnr) for (own, _, size), psnr in found.items() if own == kind)
        for kind in dict.fromkeys(kind for kind, _, _ in found)
    }
    by_width = {(kind, width): psnr for (kind, width, _), psnr in found.items() if kind != "latent"}
    both = [width for kind, width in by_width if kind == "shift" and ("shift+scale", width) in by_width]
    scales = float(np.mean([by_width["shift+scale", width] - by_width["shift", width] for width in both]))
    known = np.log([size for size, _ in points["latent"]]), [psnr for _, psnr in points["latent"]]
    inside = [(size, psnr) for size, psnr in points["shift"] if known[0][0] <= np.log(size) <= known[0][-1]]
    latent = float(np.mean([np.interp(np.log(size), *known) - psnr for size, psnr in inside]))
    lines = [Line(NAMES[kind], own, place) for place, (kind, own) in enumerate(points.items())]
    write_svg(Path(run.out, f"{ABOUT.name}.svg"), [Panel(one["name"], "modulations", "PSNR, dB", lines, log_x=True)], 1)
    return Found(
        ["modulations", "width", "their number", "PSNR, dB"],
        [[NAMES[kind], width, size, psnr] for (kind, width, size), psnr in found.items()],
        {"scales_beside_shifts": round(scales, 2), "latent_beside_shifts": round(latent, 2)},
        f"In the same network, scales beside shifts change PSNR on held-out data by {scales:+.1f} dB for twice the "
        f"numbers; for as many numbers, latent shifts stand {latent:+.1f} dB beside shifts of their own.",
        [
            f"Data: {one['name']} ({one['count']}); the paper has CelebA-HQ (30,000).",
            "Networks and steps are small. Those whose shifts are the modulations get few numbers only by being "
            "narrow, so width and number go together for them.",
            "The curves of the paper's figure could not be looked up where this was written; its two numbers are those "
            "of Table 1 and of its text.",
        ],
        f"{ABOUT.name}.svg",
        "PSNR on held-out data against the number of modulations, a line for each kind",
    )


main = command(ABOUT, make, cost)

if __name__ == "__main__":
    main()
