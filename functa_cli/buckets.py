"""Few sizes for many data: a compiled program has one size, so batches are padded to few counts of points and data."""

from collections.abc import Iterator

import numpy as np

SMALLEST = 256  # points of the first bucket
GROWTH = 1.25  # a bucket is this much larger than the one before
OWN = 1 << 22  # points in all data of one shape that make it worth compiling for
SPARE = 1 << 18  # points of padding that cost less than another program

Shape = tuple[int, ...]


def bucket(n: int) -> int:
    """The number of points that `n` points are padded to."""
    size = SMALLEST
    while size < n:
        size = -(-int(size * GROWTH) // 64) * 64
    return size


def power(n: int) -> int:
    """The power of two that `n` data of which there are few sizes are padded to."""
    return 1 << max(n - 1, 0).bit_length()


def padded_points(shapes: np.ndarray) -> dict[Shape, int]:
    """Number of points that data of each shape in `shapes` [datum, axes] are padded to.

    A shape that fills `OWN` points is not padded; the others share buckets, each as large as its largest member.
    """
    found, counts = np.unique(shapes, axis=0, return_counts=True)
    points = {tuple(shape): int(np.prod(shape)) for shape in found.tolist()}
    shared = {shape: n for (shape, n), count in zip(points.items(), counts) if n * count < OWN}
    largest: dict[int, int] = {}
    for n in shared.values():
        largest[bucket(n)] = max(n, largest.get(bucket(n), 0))
    return {shape: largest[bucket(n)] if shape in shared else n for shape, n in points.items()}


def batches(count: int, most: int, points: int) -> Iterator[tuple[int, int]]:
    """Batches for `count` signals of `points` points: how many signals, and to how many they are padded.

    Padded sizes are `most`, the largest, and the powers of four below. No more than half of a batch is padding, unless
    it is small and another one has the full size already.
    """
    sizes = [4**power for power in range(most.bit_length()) if 4**power < most] + [most]
    full = count >= most
    while count > 0:
        above = next((size for size in sizes if size >= count), most)
        if full and (most - count) * points <= SPARE:
            size = most
        elif 2 * count > above:
            size = above
        else:
            size = max(size for size in sizes if size <= count)
        taken = min(count, size)
        yield taken, size
        count -= taken
