"""Looks at held-out data while a network trains: always the same points of the same data, quickly."""

from collections.abc import Collection, Iterator

import numpy as np

from functa_cli import basenet
from functa_cli.basenet import Network
from functa_cli.decoder import Tree
from functa_cli.errors import DataError
from functa_cli.loader import stack
from functa_cli.modality import Source
from functa_cli.signal import Signal

POINTS = 1 << 14  # of a datum, at most
AT_ONCE = 16


class Look:
    """The mean error on held-out data after so many inner steps, for any theta of a network."""

    def __init__(self, network: Network, source: Source, indices: np.ndarray, *, steps: Collection[int], seed: int):
        self.source, self.indices, self.seed = source, indices, seed
        self.programs = {count: basenet.compiled_fit(network, count) for count in steps}

    def error(self, theta: Tree, *, steps: int) -> float:
        """Mean error after `steps` inner steps; NaN where none of the data can be read."""
        errors: list[float] = []
        signals: list[Signal] = []
        for signal in looked_at(self.source, self.indices, self.seed):
            if signals and signal.features.shape != signals[0].features.shape:
                errors.extend(self._errors(theta, signals, steps))
                signals = []
            signals.append(signal)
            if len(signals) == AT_ONCE:
                errors.extend(self._errors(theta, signals, steps))
                signals = []
        if signals:
            errors.extend(self._errors(theta, signals, steps))
        return float(np.mean(errors)) if errors else float("nan")

    def _errors(self, theta: Tree, signals: list[Signal], steps: int) -> list[float]:
        filler = signals + [signals[-1]] * (AT_ONCE - len(signals))
        fitted = self.programs[steps](theta, stack(filler, self.source.shared_coords))
        return np.asarray(fitted.mse)[: len(signals), -1].tolist()


def mean_error(source: Source, indices: np.ndarray, seed: int) -> float:
    """Error of the mean signal of the data `indices`, which any network must beat; infinite where it is not known.

    Where data do not share coordinates it is that of the mean value of each channel.
    """
    signals = list(looked_at(source, indices, seed))
    if len(signals) < 2 or len({signal.features.shape for signal in signals}) > 1:
        return float("inf")
    features = np.stack([signal.features for signal in signals])
    weights = np.stack([signal.weights for signal in signals])[..., None]
    axes = 0 if source.shared_coords else (0, 1)
    mean = (weights * features).sum(axes) / np.maximum(weights.sum(axes), 1e-12)
    return float((weights * (features - mean) ** 2).sum() / (weights.sum() * features.shape[-1]))


def looked_at(source: Source, indices: np.ndarray, seed: int) -> Iterator[Signal]:
    """The readable ones of the data `indices`; of large ones a random share of the points, always the same."""
    for index in indices:
        try:
            if source.points(int(index)) <= POINTS:
                yield source.whole(int(index))
            else:
                yield source.sample(int(index), POINTS, source.generator(seed, 4, own=int(index)))
        except DataError:
            continue
