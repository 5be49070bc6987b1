"""How a set of point clouds stands to a reference set: coverage, minimum matching distance, nearest neighbours.

The distance between clouds is Chamfer's with squared lengths: the mean over the points of either cloud of the squared
distance to the nearest point of the other one, both means added. (Achlioptas et al., 2018, add sums instead, which for
clouds of p points is p times as much and leaves coverage and accuracy as they are.)
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial import KDTree

BLOCK = 1 << 18  # points that are looked up together


def chamfer(a: np.ndarray, b: np.ndarray) -> float:
    """Chamfer distance between clouds [p, 3] and [q, 3]."""
    return float(matrix(a[None], b[None])[0, 0])


def matrix(clouds_a: np.ndarray, clouds_b: np.ndarray) -> np.ndarray:
    """Chamfer distances float64 [n, m] between clouds [n, p, 3] and [m, q, 3]; p and q are 1 or more."""
    forth = _means(clouds_a, _trees(clouds_b))
    back = forth if clouds_b is clouds_a else _means(clouds_b, _trees(clouds_a))
    return forth + back.T


def scores(samples: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """Figures of samples [n, p, 3] against a reference set [m, q, 3], both with one cloud or more.

    `cov`: share of the reference clouds that are the nearest one of some sample, in [0, 1]; more is better. `mmd`: mean
    over the reference clouds of the distance to the nearest sample; less is better (both Achlioptas et al., 2018).
    `nna`: share of all clouds whose nearest other cloud is of their own set, in [0, 1]; for sets as large as each other
    0.5 is best, and less says that samples are near copies of the reference (Lopez-Paz and Oquab, 2017).
    """
    between = matrix(samples, reference)
    count, size = between.shape
    within = matrix(samples, samples), matrix(reference, reference)
    for distances in within:
        np.fill_diagonal(distances, np.inf)
    own = np.concatenate([distances.min(1) for distances in within])
    other = np.concatenate([between.min(1), between.min(0)])
    return {
        "cov": len(np.unique(between.argmin(1))) / size,
        "mmd": float(between.min(0).mean()),
        "nna": float((own < other).sum() / (count + size)),
    }


def _trees(clouds: np.ndarray) -> list[KDTree]:
    return [KDTree(cloud) for cloud in clouds]


def _means(clouds: np.ndarray, trees: Sequence[KDTree]) -> np.ndarray:
    """Mean squared distance float64 [n, m] from the points of clouds [n, p, 3] to the nearest point in each tree."""
    count, points, _ = clouds.shape
    found = np.empty((count, len(trees)))
    step = max(1, BLOCK // points)
    for start in range(0, count, step):
        block = clouds[start : start + step]
        for column, tree in enumerate(trees):
            lengths = tree.query(block.reshape(-1, 3), workers=-1)[0]
            found[start : start + step, column] = np.square(lengths).reshape(len(block), points).mean(1)
    return found
