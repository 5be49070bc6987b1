"""Normalisation of modulations for priors and classifiers: x = L^-1 (phi - mean), with L from the training set.

`standard` divides by the deviation of each entry and by `factor` (A.4); `whiten` by the Cholesky factor of the
covariance, shrunk as few data ask for, so that what is learned starts at a good Gaussian and not at an independent one.
"""

from typing import Literal, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

Kind = Literal["standard", "whiten"]
SHARES = (0.0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
FOLDS = 5
LEAST = 1e-6  # deviation that an entry has at least, as a share of the largest one: constant entries stay finite


class Scale(NamedTuple):
    """What normalisation is made of: float32 mean [d] and lower triangular factor [d, d]."""

    mean: np.ndarray
    factor: np.ndarray

    def normalise(self, phi: np.ndarray) -> np.ndarray:
        """float32 x [n, d] from phi [n, ...]."""
        rows = phi.reshape(len(phi), -1).astype(np.float64) - self.mean
        return solve_triangular(self.factor.astype(np.float64), rows.T, lower=True).T.astype(np.float32)

    def restore(self, x: np.ndarray) -> np.ndarray:
        """float32 phi [n, d] from x [n, d]."""
        return (self.mean + np.asarray(x, np.float64) @ self.factor.T.astype(np.float64)).astype(np.float32)

    @property
    def log_volume(self) -> float:
        """What log p(x) is larger than log p(phi)."""
        return float(np.log(np.diagonal(self.factor).astype(np.float64)).sum())


def fit_scale(phi: np.ndarray, kind: Kind, factor: float = 1.0) -> Scale:
    """Normalisation of phi [n, ...] such that x has deviation 1 / `factor` in each entry."""
    rows = phi.reshape(len(phi), -1).astype(np.float64)
    mean = rows.mean(axis=0)
    if kind == "standard":
        deviation = rows.std(axis=0)
        lower = np.diag(np.maximum(deviation, max(LEAST * deviation.max(), 1e-12)))
    else:
        lower = np.linalg.cholesky(covariance(rows))
    return Scale(mean.astype(np.float32), (factor * lower).astype(np.float32))


def covariance(rows: np.ndarray) -> np.ndarray:
    """Covariance [d, d] of rows [n, d], shrunk towards the mean variance times the identity.

    The share is the one of `SHARES` under which rows that were left out, a fifth at a time, are most likely: that of
    Ledoit and Wolf (2004) is the best one for squared errors, which is far too much where the variances fall steeply.
    """
    folds = np.arange(len(rows)) % FOLDS
    found = np.zeros(len(SHARES))
    for fold in range(FOLDS if len(rows) > FOLDS else 0):
        kept, left = rows[folds != fold], rows[folds == fold]
        variance, axes = np.linalg.eigh(np.cov(kept, rowvar=False, bias=True).reshape(rows.shape[1], -1))
        energy = np.sum(((left - kept.mean(axis=0)) @ axes) ** 2, axis=0)
        for number, share in enumerate(SHARES):
            shrunk = _shrunk(np.maximum(variance, 0.0), share)
            found[number] += np.sum(energy / shrunk) + len(left) * np.log(shrunk).sum()
    variance, axes = np.linalg.eigh(np.cov(rows, rowvar=False, bias=True).reshape(rows.shape[1], -1))
    return axes * _shrunk(np.maximum(variance, 0.0), SHARES[int(found.argmin())]) @ axes.T


def _shrunk(variance: np.ndarray, share: float) -> np.ndarray:
    level = variance.mean()
    return (1.0 - share) * variance + share * level + max(LEAST**2 * level, 1e-24)
