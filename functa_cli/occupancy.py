"""Grids of voxels: made cubic, reduced, stretched, kept as bits; and points drawn near their surfaces."""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

SLAB = 64  # layers of cells
THRESHOLD = 0.05  # mean occupancy above which a larger cell is occupied (A.1)


def cubic(voxels: np.ndarray) -> np.ndarray:
    """A bool grid [x, y, z] with empty cells around it, so that it fills a cube [s, s, s] and is in its middle."""
    side = max(voxels.shape)
    if min(voxels.shape) == side:
        return voxels
    before = [(side - size) // 2 for size in voxels.shape]
    return np.pad(voxels, [(few, side - size - few) for few, size in zip(before, voxels.shape)])


def reduced(voxels: np.ndarray, size: int) -> np.ndarray:
    """A bool cube [s, s, s] with fewer cells, [size, size, size]: occupied where the mean is above 0.05 (A.1).

    The mean is over the volume of the new cell, so that a factor of two takes blocks of 2 x 2 x 2.
    """
    if size == len(voxels):
        return voxels
    small = np.empty((size, size, size), bool)
    edges = np.arange(size + 1) * (len(voxels) / size)
    for row, (low, high) in enumerate(pairwise(edges.tolist())):
        layers = range(math.floor(low + 1e-9), math.ceil(high - 1e-9))
        slab = sum((min(high, layer + 1) - max(low, layer)) * voxels[layer] for layer in layers) / (high - low)
        means = _means(_means(slab, edges).T, edges).T
        small[row] = means > THRESHOLD + 1e-9  # 5 % exactly is not above it
    return small


def near_surface(voxels: np.ndarray) -> np.ndarray:
    """Cells, bool [s, s, s], that have both occupied and empty cells in the 3 x 3 x 3 around them."""
    near = np.empty_like(voxels)
    for start in range(0, len(voxels), SLAB):  # large grids in little memory
        first = max(start - 1, 0)
        near[start : start + SLAB] = _near(voxels[first : start + SLAB + 1])[start - first :][:SLAB]
    return near


def surface_points(voxels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray | None:
    """`n` points float32 [n, 3] of the unit cube on the surface of a bool grid [x, y, z], evenly by area.

    The surface is all faces of occupied cells towards empty ones, or towards the outside; None where there is none.
    """
    sides = [np.argwhere(np.diff(voxels, axis=axis, prepend=False, append=False)) for axis in range(3)]
    corners = np.concatenate(sides)  # lowest ones, in cells
    if not len(corners):
        return None
    across = np.repeat(np.eye(3, dtype=bool), [len(side) for side in sides], axis=0)
    chosen = rng.integers(0, len(corners), n)
    inside = np.where(across[chosen], 0.0, rng.random((n, 3)))
    return ((corners[chosen] + inside) / voxels.shape).astype(np.float32)


class Bits(NamedTuple):
    """A bool grid of `size` cells an axis, eight cells a byte."""

    size: int
    packed: np.ndarray  # uint8

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.packed.nbytes

    def at(self, cells: np.ndarray) -> np.ndarray:
        """Values, bool [n], of cells by their number in the flattened grid, int [n]."""
        return (self.packed[cells >> 3] >> (7 - (cells & 7)).astype(np.uint8) & 1).astype(bool)

    def grid(self) -> np.ndarray:
        """The grid, bool [size, size, size]."""
        cells = self.size**3
        return np.unpackbits(self.packed, count=cells).view(bool).reshape((self.size,) * 3)


def bits(voxels: np.ndarray) -> Bits:
    """A bool cube [s, s, s] as bits."""
    return Bits(len(voxels), np.packbits(voxels))


class Stretch(NamedTuple):
    """Axes scaled about the centre of the grid (A.1), by the nearest cell."""

    source: np.ndarray  # int32 [3, s]: the cell that each cell of the stretched grid shows, -1 = outside
    first: np.ndarray  # int32 [3, s]: the first cell of the stretched grid that shows each cell
    count: np.ndarray  # int32 [3, s]: how many do

    def cells(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cells of the grid that `cells` of the stretched one show, by number, and whether they do (0, where not)."""
        size = self.source.shape[1]
        x, y, z = (axis[place] for axis, place in zip(self.source, np.unravel_index(cells, (size,) * 3)))
        inside = (x >= 0) & (y >= 0) & (z >= 0)
        return np.where(inside, (x * size + y) * size + z, 0), inside

    def grid(self, voxels: np.ndarray) -> np.ndarray:
        """The stretched grid, bool [s, s, s]."""
        inside = self.source >= 0
        return voxels[np.ix_(*self.source)] & np.logical_and.outer(np.logical_and.outer(*inside[:2]), inside[2])

    def draw(self, cells: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
        """`n` cells of the stretched grid, evenly from those that show one of `cells`, and how many of them there are.

        None are drawn where none are shown.
        """
        size = self.source.shape[1]
        places = np.unravel_index(cells, (size,) * 3)
        counts = [axis[place] for axis, place in zip(self.count, places)]
        ends = np.cumsum(counts[0] * counts[1] * counts[2])
        if not len(ends) or ends[-1] == 0:
            return np.zeros(0, np.int64), 0
        drawn = rng.integers(0, ends[-1], n)
        chosen = np.searchsorted(ends, drawn, side="right")
        rest, flat = ends[chosen] - 1 - drawn, np.zeros(n, np.int64)
        for first, place, count in zip(self.first, places, counts):
            step, rest = rest % count[chosen], rest // count[chosen]
            flat = flat * size + first[place[chosen]] + step
        return flat, int(ends[-1])


def stretch(size: int, scales: np.ndarray) -> Stretch:
    """The stretch of a cube of `size` cells an axis by `scales` [3]."""
    centres = (np.arange(size) + 0.5) / size - 0.5
    source = np.floor((centres / np.asarray(scales, np.float64)[:, None] + 0.5) * size).astype(np.int32)
    source[(source < 0) | (source >= size)] = -1
    steps = np.arange(size)
    count = np.stack([np.bincount(axis[axis >= 0], minlength=size) for axis in source]).astype(np.int32)
    return Stretch(source, np.stack([np.searchsorted(_filled(axis), steps) for axis in source]).astype(np.int32), count)


def _near(voxels: np.ndarray) -> np.ndarray:
    any_, all_ = voxels, voxels
    for axis in range(3):
        below, above = (slice(None),) * axis + (slice(-1),), (slice(None),) * axis + (slice(1, None),)
        wide, narrow = any_.copy(), all_.copy()
        wide[above] |= any_[below]
        wide[below] |= any_[above]
        narrow[above] &= all_[below]
        narrow[below] &= all_[above]
        any_, all_ = wide, narrow
    return any_ & ~all_


def _filled(axis: np.ndarray) -> np.ndarray:
    """Cells in ascending order: what is outside beyond the last is made larger than any."""
    ends = np.flatnonzero(axis >= 0)
    filled = axis.copy()
    filled[ends[-1] + 1 :] = len(axis)
    return filled


def _means(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Means [e, ...] of `values` [s, ...], constant in each cell of the first axis, between `edges` [e + 1] on it."""
    cells = np.minimum(np.floor(edges + 1e-9).astype(int), len(values) - 1)
    before = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    ends = before[cells] + (edges - cells)[:, None] * values[cells]
    return np.diff(ends, axis=0) / np.diff(edges)[:, None]
