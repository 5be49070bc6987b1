"""Where decoded data go: a folder with one file a datum, or one file for all; a cut-off folder is continued."""

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import zarr

from functa_cli.errors import StoreError
from functa_cli.folder import file_names
from functa_cli.modality import Chosen, Collector, Form, Target
from functa_cli.place import FORMAT, existing, prepare
from functa_cli.trees import COMPRESSOR

MARK = ".functa-decode"  # in a folder whose files are still being written: of which request they are
PARTIAL = ".functa-decode.partial"  # the file that is being written
CHUNK_BYTES = 1 << 20  # of decoded data in a chunk of a .zarr
AGAIN = "--overwrite replaces it, another name keeps it"


def check_picture(path: str, *, overwrite: bool) -> None:
    """Raise StoreError where a picture may not be written to `path`."""
    if Path(path).is_dir() or (Path(path).exists() and not overwrite):
        raise StoreError(f"{path!r} exists; " + ("it is a folder" if Path(path).is_dir() else AGAIN))


class Writer(Protocol):
    """Takes decoded data one by one, in a with statement."""

    def wants(self, row: int) -> bool:
        """Whether the datum is still to be written."""
        ...

    def write(self, row: int, array: np.ndarray) -> None:
        """Write one datum."""
        ...

    def __enter__(self) -> Any: ...

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


class FolderWriter:
    """One file, or folder, a datum, named after its id; each appears whole or not at all, and nothing else is touched.

    `ids`: of the whole set, so that a datum has one name whatever is chosen; `targets`: by row, the chosen ones;
    `request`: what the files come from. A folder that was cut off is continued if its request is the same.
    """

    def __init__(
        self, out: str, form: Form, ids: Sequence[str], targets: Mapping[int, Target], request: str, *, overwrite: bool
    ):
        self.folder, self.form, self.targets = Path(out), form, targets
        names = file_names(list(ids), form.suffix)
        self.names = {row: names[row] for row in targets}
        if self.folder.exists() and not self.folder.is_dir():
            raise StoreError(f"{out!r} is a file; expected a folder to write into (or a .npz or .zarr name)")
        if (self.folder / "zarr.json").exists():
            raise StoreError(f"{out!r} is a Zarr store; files are not written into it: choose another folder")
        there = [row for row, name in self.names.items() if (self.folder / name).exists()]
        mark = self.folder / MARK
        continues = mark.exists() and mark.read_text() == request
        if there and not overwrite and not continues:
            raise StoreError(f"{out!r} holds {self.names[there[0]]!r} already; {AGAIN}")
        self.kept = set(there) if continues else set()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not continues:  # old files go before the mark says that all files are of this request
            for row in there:
                _remove(self.folder / self.names[row])
            mark.write_text(request)

    def wants(self, row: int) -> bool:
        """Whether the datum is still to be written."""
        return row not in self.kept

    def write(self, row: int, array: np.ndarray) -> None:
        """Write one datum."""
        path = self.folder / self.names[row]
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(self.folder / PARTIAL)
        self.form.write(self.folder / PARTIAL, array, self.targets[row].geometry)
        os.replace(self.folder / PARTIAL, path)

    def __enter__(self) -> "FolderWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        _remove(self.folder / PARTIAL)
        if kind is None:
            (self.folder / MARK).unlink(missing_ok=True)


class CollectorWriter:
    """All data in one file of the modality's own, such as NetCDF; it appears whole or not at all."""

    def __init__(self, out: str, make: Callable[[Path, Chosen], Collector], chosen: Chosen, *, overwrite: bool):
        self.out, self.partial = Path(out), Path(f"{out}.partial")
        if self.out.exists():
            ours = (self.out / "zarr.json").exists() and existing(out)
            if ours:
                _check_decoded(out, ours)
            if not overwrite:
                raise StoreError(f"{out!r} exists; {AGAIN}")
            if self.out.is_dir() and not ours:
                raise StoreError(f"{out!r} is a folder that functa did not make; choose another name")
        self.out.parent.mkdir(parents=True, exist_ok=True)
        _remove(self.partial)
        try:
            self.collector = make(self.partial, chosen)
        except BaseException:
            _remove(self.partial)
            raise

    def wants(self, row: int) -> bool:
        """Whether the datum is still to be written: always."""
        del row
        return True

    def write(self, row: int, array: np.ndarray) -> None:
        """Take the next datum."""
        self.collector.write(row, array)

    def __enter__(self) -> "CollectorWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.collector.close(failed=kind is not None)
        if kind is not None:
            _remove(self.partial)
            return
        _remove(self.out)
        os.replace(self.partial, self.out)


def _check_decoded(out: str, found: Mapping[str, Any]) -> None:
    if found.get("kind") != "decoded":
        raise StoreError(f"{out!r} is a {found.get('kind')} of functa, and decoding never replaces one")


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


class ArrayWriter:
    """All data in one array `values` [datum, ...], with their `id`, as .npz (held in memory) or .zarr (chunk by chunk).

    `rows`: the chosen data, in the order in which they will be written.
    """

    def __init__(self, out: str, form: str, ids: Sequence[str], rows: Sequence[int], *, overwrite: bool):
        self.out, self.form, self.done = out, form, 0
        self.ids = np.array([ids[row] for row in rows], dtype=object)
        self.values: Any = None
        self.waiting: list[np.ndarray] = []
        path = Path(out)
        if form == "npz":
            if path.is_dir():
                raise StoreError(f"{out!r} is a folder; an .npz is a file: choose another name")
            if path.exists() and not overwrite:
                raise StoreError(f"{out!r} exists; {AGAIN}")
            path.parent.mkdir(parents=True, exist_ok=True)
            return
        found = existing(out)
        if found is not None:
            _check_decoded(out, found)
        if found is not None and not found.get("unfinished") and not overwrite:
            raise StoreError(f"{out!r} exists; {AGAIN}")

    def wants(self, row: int) -> bool:
        """Whether the datum is still to be written: always."""
        del row
        return True

    def write(self, row: int, array: np.ndarray) -> None:
        """Take the next datum."""
        del row
        if self.values is None:
            self.values = self._begin((len(self.ids), *array.shape), array.dtype)
        self.waiting.append(array)
        if self.form == "npz" or len(self.waiting) == self.values.chunks[0]:
            self._flush()

    def _begin(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        if self.form == "npz":
            return np.zeros(shape, dtype)
        group = prepare(self.out, "decoded", {})
        names = group.create_array(
            "id", shape=(shape[0],), dtype=str, dimension_names=["datum"], compressors=[COMPRESSOR]
        )
        names[:] = self.ids
        rows = max(1, CHUNK_BYTES // max(1, int(np.prod(shape[1:])) * dtype.itemsize))
        return group.create_array(
            "values",
            shape=shape,
            dtype=dtype,
            chunks=(min(rows, shape[0]), *shape[1:]),
            dimension_names=["datum", *[f"axis{axis}" for axis in range(len(shape) - 1)]],
            compressors=[COMPRESSOR],
        )

    def _flush(self) -> None:
        if self.waiting:
            self.values[self.done : self.done + len(self.waiting)] = np.stack(self.waiting)
            self.done, self.waiting = self.done + len(self.waiting), []

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            return
        self._flush()
        if self.form == "npz":
            partial = Path(f"{self.out}.partial")
            with partial.open("wb") as file:
                np.savez_compressed(file, values=self.values, id=self.ids.astype(str))
            os.replace(partial, self.out)
        else:
            group = zarr.open_group(self.out, mode="r+", zarr_format=3)
            group.attrs["functa"] = {"format": FORMAT, "kind": "decoded"}
