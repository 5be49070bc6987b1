"""What completions are worth where the complete data are known: figures of seen points and of hidden ones."""

from typing import Any

import numpy as np

from functa_cli import basenet
from functa_cli.basenet import Network
from functa_cli.complete import Completer
from functa_cli.errors import DataError
from functa_cli.metrics import psnr
from functa_cli.modality import Source, by
from functa_cli.partly import Observed, Partly, matched
from functa_cli.signal import Signal
from functa_cli.store import Functaset

SIDES = ("seen", "hidden")
MOST = 1 << 18  # points of a side that are scored, evenly spread


class Truth:
    """The complete data of those that are completed: matched by name, or by their order where no name is known.

    Raises:
        DataError: they cannot be read, or do not fit.
    """

    def __init__(self, network: Network, partly: Partly, path: str, options: dict[str, Any], geometry: dict[str, Any]):
        own = basenet.settings(network.config.modality, [{"data": options}]).data
        self.source: Source = network.modality.open(path, own, seed=partly.seed, geometry=geometry)
        self.scores, ids = network.modality.scores, partly.source.ids
        found = matched(ids, self.source)
        missing = [name for name, at in zip(ids, found) if at is None]
        if missing:
            raise DataError(
                f"--truth {path!r} lacks {len(missing)} of {len(ids)} data, the first {missing[0]!r}; "
                f"expected data of the same names, or as many; the first there is {self.source.ids[0]!r}"
            )
        self.at = [at for at in found if at is not None]
        for index, at in enumerate(self.at):
            mine, its = partly.source.shapes[index].tolist(), self.source.shapes[at].tolist()
            if mine != its:
                raise DataError(
                    f"--truth {path!r} has {ids[index]!r} as {by(its)}; the datum to complete is {by(mine)}"
                )
        self._last: tuple[int, list[Signal]] = (-1, [])

    @property
    def names(self) -> list[str]:
        """Figures of each completion: of points that are seen, and of hidden ones; NaN where there are none."""
        return [f"{name}_{side}" for side in SIDES for name in ("mse", *self.scores.names)]

    def figures(
        self, completer: Completer, observed: Observed, phi: np.ndarray, seen: tuple[float, np.ndarray]
    ) -> dict[str, float]:
        """Those `names` for a completion; `seen` is what `completer.look` says of what was observed."""
        found: dict[str, float] = {}
        for side, signal in zip(SIDES, self.sides(observed)):
            if len(signal.weights):
                known = side == "seen" and np.array_equal(signal.features, observed.signal.features)
                mse, sums = seen if known else completer.look(phi, signal)
                own = [mse, *self.scores.figures(sums[None])[0]]
                found |= dict(zip([f"{name}_{side}" for name in ("mse", *self.scores.names)], map(float, own)))
        return found

    def sides(self, observed: Observed) -> list[Signal]:
        """What is true where a datum was seen, and where it was not."""
        if self._last[0] != observed.index:
            at = self.at[observed.index]
            seen = np.zeros(int(np.prod(self.source.shapes[at])), bool)
            seen[observed.points] = True
            sides = []
            for points in (np.flatnonzero(seen), np.flatnonzero(~seen)):
                points = points[:: -(-len(points) // MOST) or 1]
                signal = self.source.cells(at, points)
                kept = signal.weights > 0
                sides.append(Signal(*(part[kept] for part in signal)))
            self._last = observed.index, sides
        return self._last[1]


def figures(store: Functaset, network: Network, chosen: np.ndarray, known: Truth | None) -> dict[str, float]:
    """Figures of the completions `chosen` [row]: of the data that were given where the truth is not known."""
    scale = {key: store.geometry[key] for key in ("unit", "scale") if key in store.geometry}
    if known is None:
        return summed(store.errors()[chosen], "seen", scale)
    found: dict[str, float] = {}
    for side in SIDES:
        mse = store.figure(f"mse_{side}")[chosen]
        if np.isfinite(mse).any():
            found |= summed(mse[np.isfinite(mse)], side, scale)
            for name in network.modality.scores.names:
                found[f"{name}_{side}"] = float(np.nanmean(store.figure(f"{name}_{side}")[chosen]))
    return found


def summed(mse: np.ndarray, side: str, scale: dict[str, Any] | None = None) -> dict[str, float]:
    """PSNR of the mean error and mean of the PSNR of each; RMSE in the unit of the data where it has one."""
    mean = float(mse.mean(dtype=np.float64))
    found = {f"psnr_{side}": float(psnr(mean)), f"psnr_mean_of_data_{side}": float(psnr(mse.astype(np.float64)).mean())}
    if scale:
        found[f"rmse_{scale['unit']}_{side}"] = float(scale["scale"] * np.sqrt(mean))
    return found
