"""Figures of merit of modulations that were sampled: how far a set of vectors is from another one."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

DRAWS = 10  # random pairs of subsets that a distance is the mean of
LEAST = 8  # vectors a subset has at least


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between the Gaussians of the rows of `a` [n, d] and `b` [m, d] (Heusel et al., 2017, eq. 6).

    With C_a = A'A and C_b = B'B, the trace of the root of C_a C_b is the sum of the singular values of A B', which are
    never negative, unlike eigenvalues of the product, and are as few as the rows where these are fewer than d.
    """
    of_a, of_b = _root(a), _root(b)
    both = np.linalg.svd(of_a @ of_b.T, compute_uv=False).sum()
    apart = np.sum((a.mean(axis=0, dtype=np.float64) - b.mean(axis=0, dtype=np.float64)) ** 2)
    return float(max(apart + np.sum(of_a**2) + np.sum(of_b**2) - 2.0 * both, 0.0))


def _root(rows: np.ndarray) -> np.ndarray:
    """R [min(n, d), d] with R'R the covariance of rows [n, d]."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    return np.linalg.qr(centred, mode="r") / np.sqrt(len(rows) - 1)


class Distance(NamedTuple):
    """A Frechet distance, and beside it what equally many real vectors are away from each other."""

    value: float
    floor: float
    size: int  # vectors on either side; the distance falls with it, so both are measured at the same one

    def figures(self) -> dict[str, float]:
        """All three by the names that results have."""
        return {"frechet": self.value, "frechet_floor": self.floor, "frechet_size": self.size}


def distance(samples: np.ndarray, heldout: np.ndarray, train: np.ndarray, seed: int) -> Distance | None:
    """Frechet distance from samples [n, d] to held-out vectors, with the floor, train half against train half.

    Each is the mean over `DRAWS` random subsets of one size, the largest that all of them have. None: too few vectors.
    """
    size = min(len(samples), len(heldout), len(train) // 2)
    if size < LEAST:
        return None
    rng = np.random.default_rng([seed, 21])

    def some(rows: np.ndarray) -> np.ndarray:
        return rows[rng.permutation(len(rows))[:size]]

    def halves() -> tuple[np.ndarray, np.ndarray]:
        order = rng.permutation(len(train))
        return train[order[:size]], train[order[-size:]]

    value = np.mean([frechet(some(samples), some(heldout)) for _ in range(DRAWS)])
    floor = np.mean([frechet(*halves()) for _ in range(DRAWS)])
    return Distance(float(value), float(floor), size)


def nearest(rows: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index into `train` [m, d] of the nearest vector to each of `rows` [n, d], and how far it is (Euclidean)."""
    near, far = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), 1024):
        part = cdist(rows[start : start + 1024], train)
        near[start : start + 1024], far[start : start + 1024] = part.argmin(axis=1), part.min(axis=1)
    return near, far
