"""Arrays in files, .binvox, .npy, .npz, .mat and .h5, known by their headers and read item by item; never unpickled."""

import contextlib
import math
import zipfile
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from functa_cli import binvox
from functa_cli.errors import DataError
from functa_cli.folder import check_regular
from functa_cli.modality import by

LARGEST = 1 << 28  # bytes that are read at once
HDF5 = b"\x89HDF\r\n\x1a\n"


class Array(NamedTuple):
    """An array in a file that is open."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int | None], np.ndarray]  # one item along the first axis; None: the whole array
    packed: bool = False
    header: binvox.Header | None = None


@contextlib.contextmanager
def opened(path: Path) -> Generator[Sequence[Array], None, None]:
    """Arrays of a file, which is open meanwhile.

    Raises:
        DataError: whatever goes wrong with it; the text is the reason alone.
    """
    try:
        check_regular(path)
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
        values = np.frombuffer(data, dtype).reshape(item, order="F" if columns_first else "C")
        return values[place] if whole and place is not None else values

    return Array(name, shape, dtype, read)


def _turned(values: np.ndarray, place: int | None) -> np.ndarray:
    turned = values.transpose()
    return turned if place is None else turned[place]
