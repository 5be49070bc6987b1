"""Files of voxel grids: .binvox, .npy, .npz, .mat and .h5, read grid by grid and never unpickled.

An array is one grid [x, y, z], or a stack [datum, x, y, z]; an axis of one channel, as [datum, 1, x, y, z] or
[x, y, z, 1], is passed over.
"""

import contextlib
import math
import zipfile
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from functa_cli import binvox
from functa_cli.errors import DataError

USUAL = ("voxels", "instance")  # names of the array that is meant where a file holds several; instance: 3DShapeNets
LONGEST = 512  # cells along an axis
LARGEST = 1 << 28  # bytes of one grid as the file holds it
HDF5 = b"\x89HDF\r\n\x1a\n"


class Held(NamedTuple):
    """What a file holds, known without reading its voxels."""

    shape: tuple[int, int, int]  # cells along x, y, z
    count: int | None = None  # grids in a stack; None: a single grid
    packed: bool = False  # a grid of the stack is reached through those before it
    translate: tuple[float, float, float] | None = None  # where the file says it: the grid's lowest corner
    scale: float | None = None  # and the length of its longest side, in world coordinates


class Array(NamedTuple):
    """An array in a file that is open."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int | None], np.ndarray]  # one item along the first axis; None: the whole array
    packed: bool = False
    header: binvox.Header | None = None


def look(path: Path, variable: str = "") -> Held:
    """What `path` holds; `variable`: name of the array, where the usual one or the only one is not meant.

    Raises:
        DataError: no grid of voxels can be in it; the text is the reason alone.
    """
    with _opened(path) as arrays:
        array = _chosen(arrays, variable)
        count, shape = _layout(array)
        place = (array.header.translate, array.header.scale) if array.header else (None, None)
        return Held(shape, count, array.packed and count is not None, *place)


def grids(path: Path, variable: str = "", first: int = 0) -> Iterator[np.ndarray]:
    """Grids bool [x, y, z] of `path` in their order, from number `first` on; the file is open until the last.

    Raises:
        DataError: as for `look`, or damage, or values that are not occupancies; the text is the reason alone.
    """
    with _opened(path) as arrays:
        array = _chosen(arrays, variable)
        count, shape = _layout(array)
        for place in [None] if count is None else range(first, count):
            yield occupied(array.read(place)).reshape(shape)


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


@contextlib.contextmanager
def _opened(path: Path) -> Generator[Sequence[Array], None, None]:
    """Arrays of a file; whatever goes wrong with it becomes one reason."""
    try:
        if not path.is_file():
            dangling = path.is_symlink() and not path.exists()
            raise DataError("is a link to nothing" if dangling else "is not a regular file")
        if path.stat().st_size == 0:
            raise DataError("is empty (0 bytes)")
        if path.suffix.lower() not in OPENERS:
            raise DataError(f"is no file of voxels; expected {', '.join(OPENERS)}")
        with OPENERS[path.suffix.lower()](path) as arrays:
            yield arrays
    except (DataError, MemoryError):
        raise
    except PermissionError:
        raise DataError("may not be read (permission denied)") from None
    except Exception as error:
        what = " ".join(str(getattr(error, "strerror", None) or error).split())[:200] or type(error).__name__
        raise DataError(f"cannot be read as {path.suffix.lower()}: {what}") from None


@contextlib.contextmanager
def _binvox(path: Path) -> Generator[Sequence[Array], None, None]:
    with path.open("rb") as file:
        header = binvox.read_header(file)
        yield [Array("", header.shape, np.dtype(bool), lambda _: binvox.read_voxels(file, header.shape), header=header)]


@contextlib.contextmanager
def _npy(path: Path) -> Generator[Sequence[Array], None, None]:
    with path.open("rb") as file:
        array = _stored(file, "")
        there, wanted = path.stat().st_size - file.tell(), math.prod(array.shape) * array.dtype.itemsize
        if array.dtype.kind in "biuf" and there < wanted:
            raise DataError(f"holds {there:,} bytes of values, its header said {wanted:,}: it is cut short")
        yield [array]


@contextlib.contextmanager
def _npz(path: Path) -> Generator[Sequence[Array], None, None]:
    with zipfile.ZipFile(path) as archive, contextlib.ExitStack() as stack:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if not members:
            raise DataError("holds no arrays")
        if len(members) > 64:
            raise DataError(f"holds {len(members)} arrays; expected one of voxels")
        yield [
            _stored(stack.enter_context(archive.open(info)), info.filename.removesuffix(".npy"))._replace(packed=True)
            for info in members
        ]


@contextlib.contextmanager
def _mat(path: Path) -> Generator[Sequence[Array], None, None]:
    with path.open("rb") as file:
        new = HDF5 in (file.read(8), file.seek(512) and file.read(8))
    if new:  # MATLAB 7.3 writes HDF5, with the axes in the opposite order
        with _h5(path) as arrays:
            yield [
                array._replace(
                    shape=array.shape[::-1], read=lambda place, array=array: _turned(array.read(None), place)
                )
                for array in arrays
            ]
        return
    from scipy.io import loadmat, whosmat

    kinds = {"logical": np.dtype(bool), "double": np.dtype(float), "single": np.dtype(np.float32)}
    kinds |= {f"{sign}int{bits}": np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)}

    def read(name: str, place: int | None) -> np.ndarray:
        values = np.asarray(loadmat(path, variable_names=[name])[name])
        return values if place is None else values[place]

    yield [
        Array(name, tuple(shape), kinds.get(kind, np.dtype(object)), lambda place, name=name: read(name, place))
        for name, shape, kind in whosmat(path)
    ]


@contextlib.contextmanager
def _h5(path: Path) -> Generator[Sequence[Array], None, None]:
    import h5py

    with h5py.File(path, "r") as file:
        found: list[Array] = []

        def visit(name: str, item: Any) -> None:
            inside = isinstance(item, h5py.Dataset) and item.shape and not (item.is_virtual or item.external)
            if inside and len(found) < 64:  # links and parts in other files are not followed
                found.append(
                    Array(name, item.shape, item.dtype, lambda place: item[()] if place is None else item[place])
                )

        file.visititems(visit)
        if not found:
            raise DataError("holds no arrays")
        yield found


OPENERS = {".binvox": _binvox, ".npy": _npy, ".npz": _npz, ".mat": _mat, ".h5": _h5, ".hdf5": _h5}


def _stored(file: IO[bytes], name: str) -> Array:
    """An array in numpy's format; the file is left where the values begin."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise DataError(f"is of numpy format {version}; expected 1.0 or 2.0, as arrays of numbers have")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = header(file)
    begin = file.tell()

    def read(place: int | None) -> np.ndarray:
        whole = place is None or columns_first
        item = shape if whole else shape[1:]
        size = math.prod(item) * dtype.itemsize
        if size > LARGEST:  # only a stack in column order is read whole
            raise DataError(f"holds {by(shape)} values in column order, too many to turn; save them in row order")
        file.seek(begin + (0 if whole else place * size))  # in an archive this reads what lies between
        data = file.read(size)
        if len(data) < size:
            raise DataError(f"ends {size - len(data):,} bytes early: it is cut short")
        if whole or place == shape[0] - 1:
            file.read(1)  # archives compare their checksum at the end
        values = np.frombuffer(data, dtype).reshape(item, order="F" if columns_first else "C")
        return values[place] if whole and place is not None else values

    return Array(name, shape, dtype, read)


def _turned(values: np.ndarray, place: int | None) -> np.ndarray:
    turned = values.transpose()
    return turned if place is None else turned[place]


def _named(array: Array) -> str:
    return f"an array {list(array.shape)}" if not array.name else f"an array {array.name} {list(array.shape)}"


def by(shape: Sequence[int]) -> str:
    """A shape as text, such as "64x64x64"."""
    return "x".join(str(size) for size in shape)
