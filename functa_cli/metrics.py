"""Figures of merit."""

from typing import Any

import numpy as np

LEAST = 1e-12  # mean squared error that counts as none: 120 dB


def psnr(mse: Any) -> Any:
    """Peak signal-to-noise ratio in dB for features in [0, 1], -10 log10(mse): a number, or an array like `mse`.

    That of a set is that of its mean mse (A.3).
    """
    return -10.0 * np.log10(np.maximum(mse, LEAST))
