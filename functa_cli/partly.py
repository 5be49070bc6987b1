"""Data of which a part is observed: what rules, masks and gaps in the files leave of each, as signals."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from functa_cli import basenet, observe, rules
from functa_cli.basenet import Network
from functa_cli.config import to_dict
from functa_cli.errors import DataError
from functa_cli.folder import number_of
from functa_cli.masks import Masks
from functa_cli.modality import Source
from functa_cli.signal import Signal
from functa_cli.store import Functaset

STREAM = 12  # of random numbers
SAMPLE = "#"  # between the name of a datum and the number of a completion of it


class Observed(NamedTuple):
    """What is seen of one datum."""

    index: int  # in the source
    points: np.ndarray  # int [m], numbers of cells of the whole grid
    signal: Signal  # at those points, all of weight > 0
    note: str | None  # a warning

    def some(self, most: int, seed: int, name: str) -> Signal:
        """At most `most` of the points, drawn with `seed` for the datum called `name`."""
        count = len(self.points)
        if count <= most:
            return self.signal
        rng = np.random.default_rng([seed, STREAM, number_of(name)])
        chosen = np.sort(rng.choice(count, most, replace=False))
        return Signal(*(part[chosen] for part in self.signal))


class Partly:
    """A source, and what is seen of its data.

    `observe`: rules (rules.py), all of which a point must meet; `mask`: a path (masks.py); `options`: nested settings
    of the modality's data. What is NaN in the files is unseen as well.

    Raises:
        ConfigError, DataError: a rule or mask that does not fit, or no data.
    """

    def __init__(
        self,
        network: Network,
        data: str,
        *,
        observe: Sequence[str] = (),
        mask: str | None = None,
        options: dict[str, Any] | None = None,
        seed: int = 0,
        geometry: dict[str, Any] | None = None,
    ):
        self.rules = [rules.parse(text, network.modality.axes) for text in observe]
        own = basenet.settings(network.config.modality, [{"data": options or {}}]).data
        self.source: Source = network.modality.open(data, own, seed=seed, geometry=geometry)
        self.source.gaps = True
        self.masks = None if mask is None else Masks(mask, self.source)
        self.seed = seed
        self.request = {"source": data, "observe": list(observe), "mask": mask, "data": to_dict(own), "seed": seed}

    def read(self, index: int) -> Observed:
        """What is seen of a datum; of a scene only the views that are seen are read.

        Raises:
            DataError: nothing is, or the datum, its mask or a rule is of no use; the text names the datum.
        """
        seen = observe.weights(self.rules, self.source, index, self.seed)
        if self.masks is not None:
            seen = seen * self.masks.weights(index)
        points = np.flatnonzero(seen)
        if not len(points):
            observe.check(seen, self.source.ids[index])
        signal = self.source.cells(index, points)
        seen[points] = signal.weights
        note = observe.check(seen, self.source.ids[index])
        kept = signal.weights > 0
        if not kept.all():
            points, signal = points[kept], Signal(*(part[kept] for part in signal))
        return Observed(index, points, signal, note)


def again(store: Functaset, network: Network, data: str | None) -> Partly:
    """What was seen of the data that the functaset was made from by functa impute; `data`: where they are now.

    Raises:
        DataError: it was not made so, or the data or masks are not there any more.
    """
    asked = store.attrs.get("impute")
    if asked is None:
        raise DataError(f"{store.path!r} was not made by functa impute, so nothing of its data is known to be unseen")
    return Partly(
        network,
        data or asked["source"],
        observe=asked["observe"],
        mask=asked["mask"],
        options=asked["data"],
        seed=asked["seed"],
        geometry=store.geometry,
    )


def whose(names: Iterable[str]) -> list[str]:
    """Names of the data that these completions are of."""
    return [name.rpartition(SAMPLE)[0] or name for name in names]
