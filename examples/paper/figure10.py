"""Figures 10 and 23: ways from one datum to another among arrays, among modulations, and in the noise of a flow.

Settings: `steps`, the pictures of a way; and `[[sets]]` as in heldout.py, with `pair`, the ids of two data. Instead of
data to encode a set may name a `functaset`, a store beside the data; with a flow in it, ways in noise are shown too.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import made
import numpy as np
from common import About, Found, Piece, Run, command, finished, stored, where
from heldout import network, picture
from strips import Cell, Strip, write_strips

from functa_cli import basenet, learned
from functa_cli.drawn import Request
from functa_cli.errors import ConfigError, DataError
from functa_cli.evaluate import held, runner, viewed
from functa_cli.modality import Target
from functa_cli.pairs import originals
from functa_cli.priornet import bits
from functa_cli.priornet import restore as restored
from functa_cli.sample import sample
from functa_cli.store import Functaset

ABOUT = About(
    "figure10",
    "Ways from one datum to another",
    "Figures 10 and 23, section 4",
    "ways between two data in latent space, which change the one into the other.",
    None,
)
COLUMNS = ["data", "way", "contrast of edges, %", "undecided cells, %", "bits a dimension"]
FLOW = "flow"


class Way(NamedTuple):
    """What lies between two data."""

    name: str
    features: list[np.ndarray]  # [*shape, c] each
    phi: np.ndarray | None  # [steps, d]


def cost(settings: dict[str, Any]) -> list[Piece]:
    from cost import config_of, evaluation, of_functaset

    pieces = []
    for one in settings["sets"]:
        pieces += of_functaset(one)
        flops = 2 * settings["steps"] * evaluation(config_of(one), one["cells"])
        pieces.append(Piece(f"decode {one['name']}", flops))
    return pieces


class Ends:
    """Two data of a functaset, at the points of the first."""

    def __init__(self, run: Run, one: Mapping[str, Any]):
        self.path, self.steps, self.work = stored(run, one["modality"], one), run.settings["steps"], run.work
        self.store = Functaset.open(self.path)
        self.network = basenet.restore(self.store.base)
        ids, heldout = self.store.ids, self.store.rows("test")
        self.pair = tuple(one.get("pair", [ids[heldout[0]], ids[heldout[-1]]]))
        absent = [name for name in self.pair if name not in ids]
        if absent:
            raise ConfigError(f"the pair names {absent[0]!r}, which {self.path} does not hold; its first is {ids[0]!r}")
        self.rows = [ids.index(name) for name in self.pair]
        data = where(run, one.get("data"))
        found, note = originals(data, self.store, self.network, self.rows)
        if len(found) < len(self.rows):
            raise DataError(f"{self.path}: {note or 'its functa were not encoded from data'}")
        self.arrays = [found[row][0].features for row in self.rows]
        first = found[self.rows[0]]
        self.coords, self.shape, self.geometry = first[0].coords, first[1], first[2]
        options = self.network.modality.decode_options()
        target = self.network.modality.target(self.store.geometry, tuple(self.store.shapes[self.rows[0]]), "", options)
        seen = viewed(self.network, self.store, {0: Target(*target)})
        self.run = runner(seen.decoder, seen.theta)

    def among_arrays(self) -> Way:
        """The straight way between the measured arrays."""
        first, last = (array.reshape(*self.shape, -1) for array in self.arrays)
        return Way("arrays", [(1.0 - t) * first + t * last for t in np.linspace(0.0, 1.0, self.steps)], None)

    def among_functa(self, name: str, space: str) -> Way:
        """The way that functa sample finds in a space."""
        out = str(self.work / f"{self.network.config.modality}-{space}.zarr")
        request = Request(between=self.pair, steps=self.steps, space=space)  # ty: ignore[invalid-argument-type]
        finished(sample(self.path, out, request), f"sample {space}")
        phi, _ = Functaset.open(out).read(slice(None))
        n = len(self.coords)
        features = [self.run(one, held(self.coords), n, n).reshape(*self.shape, -1) for one in phi]
        return Way(name, features, phi.reshape(len(phi), -1))

    def picture(self, features: np.ndarray) -> np.ndarray:
        """Picture of features."""
        channels = features.shape[-1]
        array = self.network.modality.assemble(self.geometry, features.reshape(-1, channels), self.shape)
        return picture(array, self.geometry)


def edges(features: np.ndarray) -> float:
    """Mean squared difference of neighbouring points, over all axes that have any."""
    axes = [axis for axis, size in enumerate(features.shape[:-1]) if size > 1]
    return float(np.mean([np.mean(np.diff(features, axis=axis) ** 2) for axis in axes]))


def measured(ends: Ends, way: Way, surprise: Any) -> list[float | None]:
    """Figures of the middle: its edges against those of its ends, cells between, bits a dimension."""
    middle = way.features[len(way.features) // 2]
    contrast = 100 * np.sqrt(edges(middle) / np.mean([edges(way.features[0]), edges(way.features[-1])]))
    between = None
    if ends.network.config.modality == "voxel":
        between = round(100 * float(np.mean((middle > 0.2) & (middle < 0.8))), 2)
    told = None if surprise is None or way.phi is None else surprise(way.phi[len(way.phi) // 2])
    return [round(float(contrast), 1), between, told]


def surprise_of(ends: Ends) -> Any:
    """Bits a dimension of modulations [d] under the flow of the set; None where it has none."""
    if FLOW not in learned.finished(ends.path, "prior"):
        return None
    model = restored(ends.store, FLOW)

    def told(phi: np.ndarray) -> float:
        return round(bits(-float(model.log_prob(phi[None], np.array([-1]))[0]), phi.size), 2)

    return told


def make(run: Run) -> Found:
    rows, strips, figures, sentences, differs = [], [], {}, [], []
    heads = [f"{share:.2g}" for share in np.linspace(0.0, 1.0, run.settings["steps"])]
    for one in run.settings["sets"]:
        ends = Ends(run, one)
        surprise = surprise_of(ends)
        ways = [ends.among_arrays(), ends.among_functa("modulations", "modulation")]
        if surprise is not None:
            ways.append(ends.among_functa("noise of the flow", FLOW))
        contrasts, undecided = {}, {}
        for number, way in enumerate(ways):
            label = f"{one['name']}\n{way.name}"
            cells = [Cell(ends.picture(features)) for features in way.features]
            strips.append(Strip(label, cells, heads if number == 0 else ()))
            found = measured(ends, way, surprise)
            contrasts[way.name], undecided[way.name] = found[:2]
            rows.append([one["name"], way.name, *found])
            figures[f"contrast_{one['modality']}_{way.name.split()[0]}"] = found[0]
        sentence = f"{one['name']}: " + ", ".join(f"{value:.0f} % {name}" for name, value in contrasts.items())
        if None not in undecided.values():
            sentence += ", with " + ", ".join(f"{value:.1f}" for value in undecided.values()) + " % of cells undecided"
        sentences.append(sentence)
        differs.append(told(ends, one))
    picture_name = f"{ABOUT.name}.png"
    write_strips(run.out / picture_name, strips, size=112)
    return Found(
        COLUMNS,
        rows,
        figures,
        f"Contrast of edges in the middle of the way against that at its ends: {'; '.join(sentences)}.",
        [
            *differs,
            "The measures are ours, of one pair each. Where one array shows through another, edges have 71 % of their "
            "contrast (half of its square), and cells of shapes are undecided (between 0.2 and 0.8). Bits a dimension "
            "are those of the middle under the flow.",
            "In noise the way is an arc, for a straight line leaves the shell that noise lies in.",
        ],
        picture_name,
        "Rows of pictures from one held-out datum to another: mixed arrays show both at once, functa change from one "
        "into the other",
    )


def told(ends: Ends, one: Mapping[str, Any]) -> str:
    split = np.array(ends.store.split)[ends.rows]
    seen = "both held out" if (split == "test").all() else "not both held out"
    dim = ends.store.modulations.shape[1]
    how = made.functaset(ends.store)
    if FLOW in learned.finished(ends.path, "prior"):
        how += f", then {made.prior(ends.store, restored(ends.store, FLOW))}"
    return (
        f"{one['name']}: {ends.store.n} functa of {dim} numbers ({how}), the pair shown {seen}; "
        f"{network(ends.store.base)}."
    )


main = command(ABOUT, make, cost)

if __name__ == "__main__":
    main()
