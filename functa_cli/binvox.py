"""Files in .binvox format (Patrick Min's, version 1): run lengths of a voxel grid, with its place in the world."""

from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from functa_cli.errors import DataError

LONGEST_HEADER = 64  # lines


class Header(NamedTuple):
    """What a .binvox file says before its voxels."""

    shape: tuple[int, int, int]  # cells along x, y, z
    translate: tuple[float, float, float]  # world coordinates of the grid's lowest corner
    scale: float  # length of the grid's longest side in the world


def read_header(file: IO[bytes]) -> Header:
    """Header of an opened file, which is left where the voxels begin.

    Raises:
        DataError: not a .binvox header of version 1; the text is the reason alone.
    """
    first = file.readline(80).split()
    if not first:
        raise DataError("is empty (0 bytes)")
    if first[0] != b"#binvox":
        raise DataError("does not begin with '#binvox'")
    if first[1:] != [b"1"]:
        raise DataError(f"is of binvox version {b' '.join(first[1:]).decode('ascii', 'replace')!r}; expected 1")
    told: dict[bytes, list[bytes]] = {}
    for _ in range(LONGEST_HEADER):
        words = file.readline(1024).split()
        if words[:1] == [b"data"]:
            break
        if words and words[0] in (b"dim", b"translate", b"scale"):  # others are comments to us
            told[words[0]] = words[1:]
    else:
        raise DataError("has no 'data' line in its header")
    try:
        across, deep, high = (int(word) for word in told[b"dim"])  # in the order of the voxels: x, z, y
    except (KeyError, ValueError):
        raise DataError("has no line 'dim X Z Y' of three whole numbers in its header") from None
    if min(across, deep, high) < 1:
        raise DataError(f"claims {across} x {high} x {deep} cells")
    try:
        x, y, z = (float(word) for word in told.get(b"translate", [b"0"] * 3))
        (scale,) = (float(word) for word in told.get(b"scale", [b"1"]))
    except ValueError:
        raise DataError("has a line 'translate' or 'scale' that is not numbers") from None
    if not (np.isfinite([x, y, z, scale]).all() and scale > 0):
        raise DataError("has a line 'translate' or 'scale' that is not finite, or a scale that is not above 0")
    return Header((across, high, deep), (x, y, z), scale)


def read_voxels(file: IO[bytes], shape: tuple[int, int, int]) -> np.ndarray:
    """Grid bool [x, y, z] of `shape` from a file that is where the voxels begin; any value but 0 is occupied.

    Raises:
        DataError: the runs do not fill the grid exactly; the text is the reason alone.
    """
    x, y, z = shape
    runs = np.frombuffer(file.read(4 * x * y * z + 2), np.uint8)
    if len(runs) % 2:
        raise DataError("ends within a run of voxels: it is cut short")
    values, lengths = runs[0::2], runs[1::2]
    total = int(lengths.sum(dtype=np.int64))
    if total != x * y * z:
        kind = "it is cut short, or its header is wrong" if total < x * y * z else "its header is wrong"
        raise DataError(f"holds {total:,} voxels, its header said {x * y * z:,}: {kind}")
    return np.repeat(values != 0, lengths).reshape(x, z, y).transpose(0, 2, 1)


def write(path: Path, voxels: np.ndarray, translate: tuple[float, ...] = (0.0, 0.0, 0.0), scale: float = 1.0) -> None:
    """Write a grid bool [x, y, z]."""
    x, y, z = voxels.shape
    flat = np.ascontiguousarray(voxels.transpose(0, 2, 1)).reshape(-1).astype(np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    lengths = np.diff(np.append(starts, len(flat)))
    pieces = -(-lengths // 255)  # a run is a byte long
    runs = np.full((int(pieces.sum()), 2), 255, np.uint8)
    runs[:, 0] = np.repeat(flat[starts], pieces)
    runs[np.cumsum(pieces) - 1, 1] = lengths - 255 * (pieces - 1)
    place = " ".join(f"{value:.9g}" for value in translate)
    header = f"#binvox 1\ndim {x} {z} {y}\ntranslate {place}\nscale {scale:.9g}\ndata\n"
    path.write_bytes(header.encode() + runs.tobytes())
