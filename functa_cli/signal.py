"""A datum is a signal: coordinates x_i, features f_i and weights w_i of n points (section 2 of the paper).

Letters used everywhere: n points, k coordinate channels, c feature channels, b signals in a batch.
"""

from typing import NamedTuple

import numpy as np


class Signal(NamedTuple):
    """One signal, or a batch of them, as float32 arrays (numpy from readers, jax inside)."""

    coords: np.ndarray  # [n, k], or [b, n, k] when the signals of a batch do not share them
    features: np.ndarray  # [n, c] or [b, n, c]
    weights: np.ndarray  # [n] or [b, n], >= 0; 0 = unseen or padding
