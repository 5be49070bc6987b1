"""Data of which a part is observed: what rules, masks and gaps in the files leave of each, as signals."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from functa_cli import basenet, observe, rules
from functa_cli.basenet import Network
from functa_cli.config import to_dict
from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import number_of
from functa_cli.masks import Masks
from functa_cli.modality import Shape, Source, by
from functa_cli.rules import VIEW
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
        """All points where they are no more than `most`, else as many, drawn with `seed` for the datum called `name`.

        Half of them come from where values are far from their mean, in proportion to the square of how far, so that
        the few occupied cells of a scan have their say; weights of importance sampling keep weighted means what they
        are over all points.
        """
        count = len(self.points)
        if count <= most:
            return self.signal
        features = self.signal.features
        far = ((features - features.mean(axis=0, dtype=np.float64)) ** 2).sum(axis=1) + 1e-12
        share = 0.5 / count + 0.5 * far / far.sum()
        rng = np.random.default_rng([seed, STREAM, number_of(name)])
        chosen = np.sort(rng.choice(count, most, p=share / share.sum()))
        coords, features, weights = (part[chosen] for part in self.signal)
        return Signal(coords, features, (weights / (count * share[chosen])).astype(np.float32))


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


def whose(store: Functaset) -> list[str]:
    """Names of the data that the rows of a functaset are of: several rows of one where they are samples."""
    several = store.attrs.get("impute", {}).get("samples", 1) > 1
    return [name.rpartition(SAMPLE)[0] for name in store.ids] if several else store.ids


def recorded(store: Functaset, network: Network, data: str | None) -> Partly:
    """What `functa impute` saw when it made `store`; `data`: where the data are now, None: where they were.

    Raises:
        ConfigError, DataError: the data or masks are not there any more.
    """
    asked = store.attrs["impute"]
    keys = ("observe", "mask", "seed")
    return Partly(
        network,
        data or asked["source"],
        options=asked["data"],
        geometry=store.geometry,
        **{key: asked[key] for key in keys},
    )


def matched(ids: Sequence[str], source: Source) -> list[int | None]:
    """Where the data called `ids` are in `source`: by name, or by their order where it knows no name of them."""
    place: dict[str, int] = {name: index for index, name in enumerate(source.ids)}
    if not any(name in place for name in ids) and len(ids) == len(source):
        return list(range(len(ids)))
    return [place.get(name) for name in ids]


class Again:
    """What was seen of the data that `functa impute` made a functaset from, to be put back into what it decodes to.

    `data`: where the data are now; None: where they were.

    Raises:
        ConfigError: the data are views, which decode has other cameras for. DataError: the functaset was not made so,
        or the data or masks are not there any more.
    """

    def __init__(self, store: Functaset, network: Network, data: str | None):
        asked = store.attrs.get("impute")
        if asked is None:
            raise DataError(
                f"{store.path!r} was not made by functa impute, so what was seen of its data is not known; "
                "leave --observed out"
            )
        if VIEW in network.modality.axes:
            raise ConfigError("--observed puts values back where they were seen, and decode has other views than these")
        self.partly = recorded(store, network, data)
        names = whose(store)
        place = {name: index for index, name in enumerate(self.partly.source.ids)}
        missing = [name for name in names if name not in place]
        if missing:
            raise DataError(f"{data or asked['source']!r} lacks {len(missing)} of the data, the first {missing[0]!r}")
        self.at, self.shapes = [place[name] for name in names], store.shapes

    def put(self, row: int, features: np.ndarray, shape: Shape) -> np.ndarray:
        """Features [n, c] of a row that is decoded at `shape`, with what was seen in their place.

        Raises:
            ConfigError: not the grid of the data. DataError: the datum cannot be read.
        """
        own = tuple(self.shapes[row].tolist())
        if shape != own:
            raise ConfigError(f"--observed puts values back on the grid of the data, {by(own)}; leave --resolution out")
        observed = self.partly.read(self.at[row])
        features = features.copy()
        features[observed.points] = observed.signal.features
        return features
