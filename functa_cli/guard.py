"""The guard of the outer loop: failed runs keep a finite loss, so four signs are watched and not only NaN.

In 82 runs all eleven failures had a finite loss; each had a gradient norm far above its own running median, or ended
under what the mean signal scores. A rate that is only a little too high shows later: the PSNR on held-out data, always
the same data, falls by a decibel or two and stays there. The guard judges ten or so steps at a time, and each look at
held-out data; the training loop rolls back.
"""

from typing import NamedTuple

import numpy as np

from functa_cli.metrics import psnr

WINDOW = 100  # steps that the running median looks back on
ENOUGH = 20  # steps before the median is believed
EXPLODED = 100.0  # times the median
FELL = 1.0  # dB under the best look: failed
LAGS = 0.3  # dB under the best look: not a state to go back to


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
        found, floor = psnr(error), psnr(mean_error)
        return guard, f"PSNR fell to {found:.2f} dB, under the mean signal's {floor:.2f} dB"
    window = np.concatenate([guard.norms, norms])[-WINDOW:]
    return Guard(window, np.array(min(float(guard.best), error))), None


def judge_look(best: float, look: float) -> tuple[bool, str | None]:
    """Whether a state that scores `look` (PSNR on held-out data, dB) is one to go back to, and why it failed, or None.

    `best`: the highest look before; -inf where there was none.
    """
    if look < best - FELL:
        return False, f"PSNR on held-out data fell from {best:.2f} dB to {look:.2f} dB"
    return look >= best - LAGS, None
