"""Coordinates of the points of a grid; other kinds of coordinates (spheres, rays) belong here too."""

import numpy as np


def grid(shape: tuple[int, ...]) -> np.ndarray:
    """Cell centres of a grid of `shape` in [0, 1], (row, column) order: float32 [n, axes], the last axis fastest."""
    axes = [((np.arange(size) + 0.5) / size).astype(np.float32) for size in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij", copy=False), axis=-1).reshape(-1, len(shape))
