"""The guard of the outer loop: failed runs keep a finite loss, so three signs are watched and not only NaN.

In 82 runs all eleven failures had a finite loss; each had a gradient norm far above its own running median, or ended
under what the mean signal scores. The guard judges ten or so steps at a time; the training loop rolls back.
"""

from typing import NamedTuple

import numpy as np

WINDOW = 100  # steps that the running median looks back on
ENOUGH = 20  # steps before the median is believed
EXPLODED = 100.0  # times the median


class Guard(NamedTuple):
    """What the guard remembers; arrays, so that it is part of a checkpoint."""

    norms: np.ndarray  # [WINDOW] gradient norms, NaN where none was seen yet
    best: np.ndarray  # [] lowest mean error of a round of steps


def new() -> Guard:
    """A guard that has seen nothing."""
    return Guard(np.full(WINDOW, np.nan), np.array(np.inf))


def judge(guard: Guard, errors: np.ndarray, norms: np.ndarray, mean_error: float) -> tuple[Guard, str | None]:
    """The guard after a round of steps, and why they are not to be trusted, or None.

    `errors`, `norms`: [steps] mean squared error and gradient norm; `mean_error`: the error of the mean signal.
    """
    if not (np.all(np.isfinite(errors)) and np.all(np.isfinite(norms))):
        return guard, "the loss or its gradient is not finite"
    seen = guard.norms[np.isfinite(guard.norms)]
    if len(seen) >= ENOUGH and norms.max() > EXPLODED * np.median(seen):
        return guard, f"the gradient norm {norms.max():.3g} is over 100 times its running median {np.median(seen):.3g}"
    error = float(np.mean(errors))
    if guard.best < mean_error < error:
        found, floor = (-10 * np.log10(value) for value in (error, mean_error))
        return guard, f"PSNR fell to {found:.2f} dB, under the mean signal's {floor:.2f} dB"
    window = np.concatenate([guard.norms, norms])[-WINDOW:]
    return Guard(window, np.array(min(float(guard.best), error))), None
