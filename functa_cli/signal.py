"""A datum is a signal: coordinates x_i, features f_i and weights w_i of n points (section 2 of the paper).

Letters used everywhere: n points, k coordinate channels, c feature channels, b signals in a batch.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np


class Signal(NamedTuple):
    """One signal, or a batch of them, as float32 arrays (numpy from readers, jax inside)."""

    coords: np.ndarray  # [n, k], or [b, n, k] when the signals of a batch do not share them
    features: np.ndarray  # [n, c] or [b, n, c]
    weights: np.ndarray  # [n] or [b, n], >= 0; 0 = unseen or padding


def pieces(signal: Signal, points: int) -> Iterator[Signal]:
    """One signal cut along its points, at most `points` a piece."""
    for start in range(0, len(signal.weights), points):
        yield Signal(*(part[start : start + points] for part in signal))


def joined(parts: Iterable[Signal]) -> Signal:
    """One signal of the points of several, in their order."""
    return Signal(*(np.concatenate(column) for column in zip(*parts)))
