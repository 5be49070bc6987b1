"""Where decoded data go: a folder with one file a datum, or one .npz or .zarr array. A folder that was cut off is continued."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import zarr

from functa_cli.errors import StoreError
from functa_cli.modality import Modality
from functa_cli.store import Functaset
from functa_cli.trees import COMPRESSOR

MARK = ".functa-decode.json"  # in a folder whose files are still being written


class FolderWriter:
    """One file a datum, named after its id; each appears whole or not at all."""

    def __init__(self, out: str, store: Functaset, modality: Modality, request: dict[str, Any], *, overwrite: bool):
        self.folder, self.write_file = Path(out), modality.write
        ids = store.ids
        rows = [row[0] for row in request["shapes"]]
        self.names = dict(zip(rows, modality.names([ids[row] for row in rows])))
        self.mark = self.folder / MARK
        text = json.dumps(request, sort_keys=True)
        self.continues = _text(self.mark) == text
        if self.folder.is_file():
            raise StoreError(f"{out!r} is a file; expected a folder to write into (or a .npz or .zarr name)")
        there = [name for name in self.names.values() if (self.folder / name).exists()]
        if there and not overwrite and not self.continues:
            raise StoreError(f"{out!r} holds {there[0]!r} already; --overwrite replaces it, another folder keeps it")
        self.keep = set(there) if self.continues and not overwrite else set()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.mark.write_text(text)

    def wants(self, index: int) -> bool:
        """Whether the datum is still to be written."""
        return self.names[index] not in self.keep

    def write(self, index: int, array: np.ndarray) -> None:
        """Write one datum."""
        path = self.folder / self.names[index]
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        self.write_file(partial, array)
        os.replace(partial, path)

    def __enter__(self) -> "FolderWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.mark.unlink(missing_ok=True)


class ArrayWriter:
    """All data in one array `values` [datum, ...], with `id`, as .npz (held in memory) or .zarr (written as it comes)."""

    def __init__(self, out: str, form: str, store: Functaset, rows: list[int], *, overwrite: bool):
        self.out, self.form = out, form
        self.place = {row: number for number, row in enumerate(rows)}
        ids = store.ids
        self.ids = np.array([ids[row] for row in rows])
        if Path(out).exists() and not overwrite:
            raise StoreError(f"{out!r} exists; --overwrite replaces it, another name keeps it")
        if Path(out).is_dir() and not (Path(out) / "zarr.json").exists():
            raise StoreError(f"{out!r} is a folder that is not a Zarr store; it is left alone: choose another name")
        self.values: Any = None

    def wants(self, index: int) -> bool:
        """Whether the datum is still to be written: always."""
        del index
        return True

    def write(self, index: int, array: np.ndarray) -> None:
        """Keep one datum."""
        if self.values is None:
            self.values = self._begin((len(self.place), *array.shape), array.dtype)
        self.values[self.place[index]] = array

    def _begin(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        if self.form == "npz":
            return np.zeros(shape, dtype)
        group = zarr.create_group(self.out, zarr_format=3, overwrite=True)
        axes = ["datum", *["row", "column", "channel"][: len(shape) - 1]]
        names = group.create_array(
            "id", shape=(shape[0],), dtype=str, dimension_names=["datum"], compressors=[COMPRESSOR]
        )
        names[:] = self.ids.astype(object)
        return group.create_array(
            "values", shape=shape, dtype=dtype, chunks=(1, *shape[1:]), dimension_names=axes, compressors=[COMPRESSOR]
        )

    def __enter__(self) -> "ArrayWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and self.form == "npz":
            partial = Path(f"{self.out}.partial")
            with partial.open("wb") as file:
                np.savez_compressed(file, values=self.values, id=self.ids)
            os.replace(partial, self.out)


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None
