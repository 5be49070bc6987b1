"""Figure 15: what changes in a functum when its modulations do. Noise on all of them, and one of them moved alone.

Settings: `steps`, inner steps; `noises`, deviations of noise and `moved`, how far one entry moves, both in deviations
of that entry over the data; `dims`, how many entries are moved in turn; and `[[sets]]` as in heldout.py.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from common import About, Found, Piece, Run, command
from heldout import Heldout, of_encodes, spread
from strips import Cell, Strip, write_strips

from functa_cli.metrics import psnr
from functa_cli.regrid import is_global

ABOUT = About(
    "figure15",
    "What changes when modulations are perturbed",
    "Figure 15, appendix B.1",
    "how a functum changes when its modulations are perturbed, all of them or one alone.",
    None,
)
SHOWN = {"most effect": 0.0, "upper quartile": 0.25, "median": 0.5, "least effect": 1.0}
COLUMNS = [
    "data", "data perturbed", "against the data, dB", "most effect, dB", "median, dB", "least effect, dB",
    "points of half the change, %",
]  # fmt: skip
MORE, LESS = np.array([178, 24, 43]), np.array([33, 102, 172])


def cost(settings: dict[str, Any]) -> list[Piece]:
    from cost import config_of, evaluation

    pieces = of_encodes(settings["sets"], [settings["steps"]])
    for one in settings["sets"]:
        decoded = one["count"] * (len(settings["noises"]) + 1) + settings["dims"]
        pieces.append(Piece(f"decode {one['name']}", decoded * evaluation(config_of(one), one["cells"])))
    return pieces


def change(before: np.ndarray, after: np.ndarray, geometry: Mapping[str, Any]) -> np.ndarray:
    """Picture of a difference of features [*shape, c]: red is more, blue less, as a share of the largest.

    Shapes are seen along z, y up; fields have north up.
    """
    values = (after - before).mean(axis=-1)
    if values.ndim == 3:
        values = values[0] if len(values) == 1 else values.mean(axis=2).T[::-1]
    if "latitude" in geometry:
        latitude, longitude = np.array(geometry["latitude"]), np.array(geometry["longitude"])
        values = values[np.argsort(-latitude)]
        if is_global(latitude, longitude):
            values = values[:, np.argsort((longitude + 180.0) % 360.0)]
    share = np.clip(values / max(float(np.abs(values).max()), 1e-12), -1.0, 1.0)[..., None]
    mixed = 255.0 + np.abs(share) * (np.where(share > 0, MORE, LESS) - 255.0)
    return np.rint(mixed).astype(np.uint8)


def concentration(before: np.ndarray, after: np.ndarray) -> float:
    """The share of points on which half of the squared change falls; 0.5 where it is the same everywhere."""
    squared = np.sort(((after - before) ** 2).mean(axis=-1).ravel())[::-1]
    return float(np.searchsorted(np.cumsum(squared), 0.5 * squared.sum()) + 1) / len(squared)


class Perturbed:
    """The functa of one set, and what they become."""

    def __init__(self, run: Run, one: Mapping[str, Any]):
        self.settings, self.kept = run.settings, Heldout(run, one)
        self.phi, self.mse, _ = self.kept.encoded(run.settings["steps"])
        self.deviation = self.phi.std(axis=0)
        self.own = [self.kept.features(row, phi) for row, phi in zip(self.kept.rows, self.phi)]

    def noisy(self, size: float) -> tuple[float, np.ndarray]:
        """PSNR between functa and those with noise of `size` on all entries; the features of the first of these."""
        rng = np.random.default_rng(0)
        found = []
        for row, phi in zip(self.kept.rows, self.phi):
            noise = rng.standard_normal(phi.shape).astype(np.float32)
            found.append(self.kept.features(row, phi + size * self.deviation * noise))
        mse = np.mean([np.mean((own - after) ** 2) for own, after in zip(self.own, found)])
        return float(psnr(mse)), found[0]

    def moved(self) -> list[np.ndarray]:
        """Features of the first datum with one entry moved, from the entry of most effect to that of least."""
        found, flat = [], self.phi[0].ravel()
        for entry in spread(flat.size, self.settings["dims"]):
            moved = flat.copy()
            moved[entry] += self.settings["moved"] * self.deviation.ravel()[entry]
            found.append(self.kept.features(self.kept.rows[0], moved.reshape(self.phi[0].shape)))
        return sorted(found, key=lambda after: -float(np.mean((after - self.own[0]) ** 2)))

    def picture(self, features: np.ndarray) -> np.ndarray:
        """Picture of features of the first datum."""
        geometry, channels = self.kept.source.geometry, features.shape[-1]
        array = self.kept.modality.assemble(geometry, features.reshape(-1, channels), features.shape[:-1])
        return self.kept.picture(array)


def make(run: Run) -> Found:
    noises, far = run.settings["noises"], run.settings["moved"]
    heads = ["functum", *(f"noise {size:g}" for size in noises)]
    first, second = [], []
    rows, figures, sentences, differs = [], {}, [], []
    for one in run.settings["sets"]:
        found = Perturbed(run, one)
        own = found.own[0]
        noisy = [found.noisy(size) for size in noises]
        cells = [Cell(found.picture(own)), *(Cell(found.picture(after), f"{value:.1f} dB") for value, after in noisy)]
        first.append(Strip(one["name"], cells, () if first else heads))
        moved = found.moved()
        near = [float(psnr(np.mean((after - own) ** 2))) for after in moved]
        half = [100 * concentration(own, after) for after in moved]
        chosen = [round(share * (len(moved) - 1)) for share in SHOWN.values()]
        above = [Cell(found.picture(own)), *(Cell(found.picture(moved[place])) for place in chosen)]
        below = [Cell(None)]
        for place in chosen:
            text = f"{near[place]:.1f} dB, half in {half[place]:.0f} %"
            below.append(Cell(change(own, moved[place], found.kept.source.geometry), text))
        second.append(Strip(one["name"], above, () if second else ["functum", *SHOWN]))
        second.append(Strip("change", below))
        middle, spread_of = float(np.median(near)), float(np.median(half))
        rows.append(
            [one["name"], len(found.kept.rows), round(float(psnr(found.mse.mean())), 2)]
            + [round(value, 2) for value, _ in noisy]
            + [round(near[0], 2), round(middle, 2), round(near[-1], 2), round(spread_of, 1)]
        )
        key = one["modality"]
        figures |= {f"psnr_{key}_noise_{size:g}": round(value, 2) for size, (value, _) in zip(noises, noisy)}
        figures |= {f"psnr_{key}_one": round(middle, 2), f"points_of_half_{key}": round(spread_of, 1)}
        sentences.append(
            f"{one['name']} {noisy[0][0]:.1f} dB with noise of {noises[0]:g} and {noisy[-1][0]:.1f} dB with "
            f"{noises[-1]:g} deviations on all modulations; one moved by {far:g} changes them to {middle:.1f} dB at "
            f"the median, half of it on {spread_of:.0f} % of the points"
        )
        differs.append(found.kept.told)
    picture = f"{ABOUT.name}.png"
    write_strips(run.out / picture, [*first, *second])
    return Found(
        [*COLUMNS[:3], *(f"noise {size:g}, dB" for size in noises), *COLUMNS[3:]],
        rows,
        figures,
        f"PSNR against the unperturbed functum: {'; '.join(sentences)}.",
        [
            *differs,
            "The sizes of noise, and how far one modulation is moved, are ours: in deviations of each over the data.",
            f"Of the modulations {run.settings['dims']} are moved in turn, on one datum of each kind. Half of the "
            "squared change would fall on 50 % of the points if it were the same everywhere.",
        ],
        picture,
        "Above, functa with growing noise on all modulations; below, with one modulation moved, and where that "
        "changes them: red is more, blue is less",
    )


main = command(ABOUT, make, cost)

if __name__ == "__main__":
    main()
