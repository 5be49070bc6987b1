"""Files of voxel grids: .binvox, .npy, .npz, .mat and .h5, read grid by grid and never unpickled.

An array is one grid [x, y, z], or a stack [datum, x, y, z]; an axis of one channel, as [datum, 1, x, y, z] or
[x, y, z, 1], is passed over.
"""

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from functa_cli.arrayfiles import LARGEST, Array, opened
from functa_cli.errors import ConfigError, DataError
from functa_cli.modality import Shape, by

USUAL = ("voxels", "instance")  # names of the array that is meant where a file holds several; instance: 3DShapeNets
LONGEST = 512  # cells along an axis


class Held(NamedTuple):
    """What a file holds, known without reading its voxels."""

    shape: tuple[int, int, int]  # cells along x, y, z
    count: int | None = None  # grids in a stack; None: a single grid
    packed: bool = False  # a grid of the stack is reached through those before it
    translate: tuple[float, float, float] | None = None  # where the file says it: the grid's lowest corner
    scale: float | None = None  # and the length of its longest side, in world coordinates


def look(path: Path, variable: str = "") -> Held:
    """What `path` holds; `variable`: name of the array, where the usual one or the only one is not meant.

    Raises:
        DataError: no grid of voxels can be in it; the text is the reason alone.
    """
    with opened(path) as arrays:
        array = _chosen(arrays, variable)
        count, shape = _layout(array)
        place = (array.header.translate, array.header.scale) if array.header else (None, None)
        return Held(shape, count, array.packed and count is not None, *place)


def grids(path: Path, variable: str = "", first: int = 0, *, gaps: bool = False) -> Iterator[np.ndarray]:
    """Grids bool [x, y, z] of `path` in their order, from number `first` on; the file is open until the last.

    `gaps`: NaN is an empty cell, which `missing` tells from others.

    Raises:
        DataError: as for `look`, or damage, or values that are not occupancies; the text is the reason alone.
    """
    with opened(path) as arrays:
        array = _chosen(arrays, variable)
        count, shape = _layout(array)
        for place in [None] if count is None else range(first, count):
            values = array.read(place)
            if gaps and values.dtype.kind == "f":
                values = np.where(np.isnan(values), 0, values)
            yield occupied(values).reshape(shape)


def missing(path: Path, variable: str = "", place: int | None = None) -> np.ndarray | None:
    """Cells bool [x, y, z] of a grid of `path` that are NaN; None where none is. `place`: of the grid in a stack.

    Raises:
        DataError: as for `look`, or damage; the text is the reason alone.
    """
    with opened(path) as arrays:
        array = _chosen(arrays, variable)
        _, shape = _layout(array)
        found = np.isnan(array.read(place)) if array.dtype.kind == "f" else np.zeros(shape, bool)
    return found.reshape(shape) if found.any() else None


def occupied(values: np.ndarray) -> np.ndarray:
    """Occupancy, bool, of numbers: 0 and 1, 0 and 255, or probabilities in [0, 1] that are above 0.5.

    Raises:
        DataError: other values; the text is the reason alone.
    """
    if values.dtype == bool:
        return values
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        if not (low >= 0 and high <= 1):  # NaN fails both
            raise DataError(f"holds numbers from {low} to {high}; expected occupancies in [0, 1]")
        return values > 0.5
    two = all(np.isin(slab, (0, high)).all() for slab in values)
    if low < 0 or high not in (0, 1, 255) or not two:
        raise DataError(f"holds integers from {low} to {high}; expected 0 and 1, or 0 and 255")
    return values != 0


def parse_sizes(text: str) -> Shape:
    """`"64"` as (64, 64, 64) and `"32x64x32"` as it says: cells along x, y, z. Raises ConfigError for anything else."""
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5})x(\d{1,5}))?", text.strip())
    sizes = tuple(int(size or match[1]) for size in match.groups()) if match else (0,)
    if min(sizes) < 1 or max(sizes) > LONGEST:
        raise ConfigError(f"a resolution is R or XxYxZ, such as 64 or 64x32x64, at most {LONGEST}; found {text!r}")
    return sizes


def _layout(array: Array) -> tuple[int | None, tuple[int, int, int]]:
    """Count (None: a single grid) and shape of the grids in an array."""
    shape = array.shape
    if len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    elif len(shape) == 5 and shape[1] == 1:
        shape = (shape[0], *shape[2:])
    if len(shape) not in (3, 4) or min(shape) < 1:
        raise DataError(f"holds {_named(array)}; expected a grid [x, y, z], or grids [datum, x, y, z]")
    if array.dtype.kind not in "biuf":
        raise DataError(f"holds {_named(array)}, whose items are no numbers but {array.dtype}; refusing to read it")
    cells = shape[-3:]
    if max(cells) > LONGEST or math.prod(cells) * array.dtype.itemsize > LARGEST:
        raise DataError(f"claims grids of {by(cells)} cells; expected at most {LONGEST} an axis and 256 MiB")
    if max(cells) > 8 * min(cells):
        raise DataError(f"holds {_named(array)}, which is no grid of voxels: sides differ more than eight times")
    return (shape[0] if len(shape) == 4 else None), (cells[0], cells[1], cells[2])


def _chosen(arrays: Sequence[Array], variable: str) -> Array:
    """The array that is meant: `variable`, a usual name, or the only one that can be grids."""
    names = ", ".join(sorted(array.name for array in arrays)[:8]) or "no arrays"
    if variable and arrays and arrays[0].name:
        found = [array for array in arrays if array.name == variable]
        if not found:
            raise DataError(f"holds no array {variable!r}, which --variable names; it holds {names}")
        return found[0]
    usual = [array for name in USUAL for array in arrays if array.name == name]
    solid = [array for array in arrays if len(array.shape) in (3, 4, 5)]
    if usual or len(solid) == 1 or len(arrays) == 1:
        return (usual or solid or list(arrays))[0]
    kind = "several grids and none called voxels" if solid else "no grid of voxels"
    raise DataError(f"holds {kind} ({names})" + ("; give --variable NAME" if solid else ""))


def _named(array: Array) -> str:
    return f"an array {list(array.shape)}" if not array.name else f"an array {array.name} {list(array.shape)}"
