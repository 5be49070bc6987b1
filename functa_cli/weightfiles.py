"""Weights of networks in .safetensors and .npz files, known by their digest; nothing is ever unpickled."""

import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from functa_cli.errors import DataError, reason_of
from functa_cli.folder import check_regular

Arrays = Mapping[str, Callable[[], np.ndarray]]  # names in a file to what reads them, which may raise DataError

LARGEST = 1 << 29  # bytes of a file, and of what it unpacks to
KINDS = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
PICKLES = (".pth", ".pt", ".pkl", ".pickle", ".ckpt", ".bin")
CONVERT = (
    "convert it where torch is installed: "
    "safetensors.torch.save_file(torch.load(FILE, weights_only=True), 'inception.safetensors')"
)


def read_bytes(path: Path, sha256: str | None = None) -> tuple[bytes, str]:
    """A file of weights as it is, and its SHA-256 in hexadecimal. `sha256`: what that has to be.

    Raises:
        DataError: not there, too large, of another kind, or of another digest; the text is the reason alone.
    """
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise DataError(f"is a pickle, which can run code and is never loaded; {CONVERT}")
    if suffix not in READERS:
        raise DataError(f"is of kind {suffix or 'unknown'!r}; expected {' or '.join(READERS)}")
    if not path.exists():
        raise DataError("does not exist")
    try:
        check_regular(path)
        if path.stat().st_size > LARGEST:
            raise DataError(f"has {path.stat().st_size:,} bytes; expected no more than {LARGEST:,}")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {reason_of(error)}") from None
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256.strip().lower():
        raise DataError(f"has SHA-256 {digest}; expected {sha256.strip()}: fetch it again, or give its own digest")
    return data, digest


def arrays_of(path: Path, data: bytes) -> Arrays:
    """The arrays in `data`, bytes of the file at `path`. Raises DataError: damaged; the text is the reason alone."""
    return READERS[path.suffix.lower()](data)


def _safetensors(data: bytes) -> Arrays:
    """Arrays of a file of 8 bytes for the length of a JSON header, the header, and the values."""
    begin = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:begin])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        places = {
            name: (str(entry["dtype"]), tuple(map(int, entry["shape"])), *map(int, entry["data_offsets"]))
            for name, entry in entries.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DataError("is no .safetensors file, or damaged: its header cannot be read; fetch it again") from None

    def read(name: str) -> np.ndarray:
        kind, shape, first, *rest = places[name]
        if kind not in KINDS:
            raise DataError(f"holds {name!r} as {kind}; expected {', '.join(KINDS)}")
        size = math.prod(shape) * KINDS[kind].itemsize
        if min(*shape, first, 0) < 0 or rest != [first + size] or begin + first + size > len(data):
            raise DataError(f"is damaged: its header gives {name!r} a place that it cannot have; fetch it again")
        return np.frombuffer(data, KINDS[kind], math.prod(shape), begin + first).reshape(shape)

    return {name: lambda name=name: read(name) for name in places}


def _npz(data: bytes) -> Arrays:
    try:
        archive = np.load(io.BytesIO(data), allow_pickle=False)
        total = sum(info.file_size for info in archive.zip.infolist())
    except Exception as error:
        raise DataError(f"is no .npz file, or damaged: {reason_of(error)}; fetch it again") from None
    if total > LARGEST:
        raise DataError(f"unpacks to {total:,} bytes; expected no more than {LARGEST:,}")

    def read(name: str) -> np.ndarray:
        try:
            return archive[name]
        except Exception as error:
            raise DataError(f"holds {name!r}, which cannot be read: {reason_of(error)}; fetch it again") from None

    return {name: lambda name=name: read(name) for name in archive.files}


READERS = {".safetensors": _safetensors, ".npz": _npz}
