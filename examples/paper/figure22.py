"""Figure 22: samples of a flow at several temperatures.

Settings: `temperatures`, `samples` at each, `shown` of them in the picture; `[prior]`, settings of functa fit --prior
flow; and `[[sets]]` as in heldout.py. A set may name a `functaset` in which there is a flow already, a store beside the
data; the flow's settings are then those that it was learned with.
"""

from typing import Any

import made
import numpy as np
from common import About, Found, Piece, Run, command, finished, stored
from heldout import network, picture
from strips import Cell, Strip, write_strips

from functa_cli import basenet, learned
from functa_cli.drawn import Request
from functa_cli.errors import ConfigError
from functa_cli.evaluate import assembled
from functa_cli.fit_prior import fit_prior
from functa_cli.merit import LEAST
from functa_cli.priornet import restore
from functa_cli.sample import sample
from functa_cli.store import Functaset

ABOUT = About(
    "figure22",
    "Samples of a flow at several temperatures",
    "Figure 22, appendix B",
    "samples of its flows at several temperatures, factors on the deviation of their noise.",
    None,
)
KIND = "flow"
COLUMNS = [
    "data", "temperature", "Fréchet distance", "floor", "spread, %", "to nearest training functum", "of held-out ones",
]  # fmt: skip


def cost(settings: dict[str, Any]) -> list[Piece]:
    from cost import config_of, evaluation, of_functaset, of_prior

    pieces = []
    for one in settings["sets"]:
        config = config_of(one)
        pieces += of_functaset(one)
        if "functaset" not in one:
            dim = config.field.latent_dim
            pieces += of_prior(KIND, [settings.get("prior", {})], dim, one.get("classes", 0))
        shown = settings["shown"] * len(settings["temperatures"])
        pieces.append(Piece(f"decode {one['name']}", shown * evaluation(config, one["cells"])))
    return pieces


def spread(samples: np.ndarray, train: np.ndarray) -> float:
    """Root of the total variance of samples against that of the training functa, in per cent."""
    return float(100 * np.sqrt(samples.var(axis=0).sum() / train.var(axis=0).sum()))


def make(run: Run) -> Found:
    rows, strips, figures, sentences, differs = [], [], {}, [], []
    temperatures, shown = run.settings["temperatures"], run.settings["shown"]
    for one in run.settings["sets"]:
        path = stored(run, one["modality"], one)
        if KIND not in learned.finished(path, "prior"):
            finished(fit_prior(path, kind=KIND, layers=[run.settings.get("prior", {})]), f"fit {one['name']} --prior")
        store = Functaset.open(path)
        of = basenet.restore(store.base)
        train = store.whole()[store.rows("train")]
        distances = {}
        for temperature in temperatures:
            out = str(run.work / f"{one['modality']}-{temperature:g}.zarr")
            request = Request(n=run.settings["samples"], prior=KIND, temperature=temperature)
            told = finished(sample(path, out, request), f"sample at {temperature:g}")
            if "frechet" not in told:
                few = len(store.rows("test"))
                raise ConfigError(f"{one['name']} have {few} held-out functa; a Fréchet distance needs {LEAST}")
            samples = Functaset.open(out)
            arrays = list(assembled(of, samples, range(shown)))
            cells = [Cell(picture(array, samples.geometry)) for array in arrays]
            strips.append(Strip(f"{one['name']}\ntemperature {temperature:g}", cells))
            wide = spread(samples.whole(), train)
            distances[temperature] = told["frechet"]
            rows.append(
                [one["name"], float(temperature)]
                + [round(told[name], 5) for name in ("frechet", "frechet_floor")]
                + [round(wide, 1)]
                + [round(told[name], 3) for name in ("distance_to_train", "distance_to_train_heldout")]
            )
            figures[f"frechet_{one['modality']}_{temperature:g}"] = round(told["frechet"], 5)
        best = min(distances, key=distances.__getitem__)
        each = ", ".join(f"{value:.2g} at {temperature:g}" for temperature, value in distances.items())
        sentences.append(f"{one['name']} {each}, least at {best:g}")
        differs.append(
            f"{one['name']}: a flow on {len(train)} functa of {train.shape[1]} numbers, "
            f"{told['frechet_size']} vectors on either side of a distance ({made.functaset(store)}, then "
            f"{made.prior(store, restore(store, KIND))}); {network(store.base)}."
        )
    picture_name = f"{ABOUT.name}.png"
    write_strips(run.out / picture_name, strips, size=104)
    return Found(
        COLUMNS,
        rows,
        figures,
        f"Fréchet distance of samples from held-out functa, by temperature: {'; '.join(sentences)}.",
        [
            *differs,
            "The same noise is scaled in each row of the picture, so columns belong together.",
            "The Fréchet distance is between modulations, not the FID of pictures; its floor is that of one half of "
            "the training functa from the other. Spread is the deviation of samples against that of training functa.",
        ],
        picture_name,
        "Rows of samples, one for each temperature: low ones are plain and alike, high ones varied and less sound",
    )


main = command(ABOUT, make, cost)

if __name__ == "__main__":
    main()
