"""The functaset on disk: one Zarr group with the base network, the modulations, and what is known of each datum.

    out.zarr/  attrs["functa"]    format, kind, modality, geometry, config, fingerprint, how it was made
      base/field/... base/inner/...   theta, one array a leaf
      modulations [datum, latent]     float32, NaN where not encoded yet; chunked and sharded along datum
      mse [datum]                     float32; NaN: not encoded yet, inf: failed. The commit mark: last in a shard
      mse_unseen, accuracy, ...       float32 [datum]; figures besides the error, where there are any
      id, label, split, shape, ...    of each datum; a modality may add columns, such as time

Everything but modulations and mse is written before the first datum is encoded, and a shard is written once and whole,
so a writer can be killed at any moment and run again, or share the work with others, and the bytes come out the same.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import zarr

from functa_cli.basefile import Base, base_of
from functa_cli.errors import StoreError
from functa_cli.place import attributes, consolidate, open_group, read_array
from functa_cli.trees import COMPRESSOR

KINDS = {"modulations": "f", "mse": "f", "id": "T", "label": "i", "split": "T", "shape": "i"}


class Functaset:
    """A functaset that is open for reading or writing."""

    def __init__(self, path: str, group: zarr.Group):
        self.path = path
        self.group = group
        self.attrs: dict[str, Any] = attributes(path, group)
        arrays = {name: _array(path, group, name) for name in KINDS}
        self.modulations, self.mse = arrays["modulations"], arrays["mse"]
        self.n: int = self.modulations.shape[0]
        self.latent_shape: tuple[int, ...] = self.modulations.shape[1:]
        for name, array in arrays.items():
            if array.shape[:1] != (self.n,) or array.dtype.kind != KINDS[name]:
                found = f"{array.dtype} {list(array.shape)}"
                raise StoreError(f"{path!r} is damaged: {name!r} is {found}, for {self.n} data; fetch or make it again")

    @classmethod
    def open(cls, path: str, *, writable: bool = False) -> "Functaset":
        """Open an existing functaset.

        Raises:
            StoreError: there is none, it is damaged, or it holds only a base network.
        """
        group = open_group(path, "r+" if writable else "r")
        attrs = attributes(path, group)
        if attrs.get("kind") == "base":
            how = f"functa encode DATA OUT --base {path}"
            raise StoreError(f"{path!r} holds a base network but no modulations; make some with: {how}")
        if attrs.get("kind") != "functaset":
            raise StoreError(f"{path!r} holds {attrs.get('kind')} data; expected a functaset, as functa encode makes")
        if attrs.get("unfinished"):
            raise StoreError(f"{path!r} was cut off while it was being made; run the same functa encode again")
        return cls(path, group)

    @property
    def ids(self) -> list[str]:
        """Names of the data.

        Raises:
            StoreError: they are not one for each datum.
        """
        names = [str(name) for name in self._read("id")]
        if "" in names or len(set(names)) < self.n:
            raise StoreError(f"{self.path!r} is damaged: 'id' does not name every datum; fetch or make it again")
        return names

    @property
    def labels(self) -> np.ndarray:
        """int32 [datum]; an index into `classes`, -1 = none."""
        return self._read("label")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.attrs.get("classes", ()))

    @property
    def split(self) -> list[str]:
        """Part of each datum, "train" or "test"."""
        return [str(name) for name in self._read("split")]

    @property
    def shapes(self) -> np.ndarray:
        """int32 [datum, axes]: the grid each datum was encoded at.

        Raises:
            StoreError: one is not a grid.
        """
        shapes = self._read("shape")
        if shapes.ndim != 2 or (shapes < 1).any():
            raise StoreError(f"{self.path!r} is damaged: 'shape' holds grids without points; fetch or make it again")
        return shapes

    @property
    def geometry(self) -> dict[str, Any]:
        """What the modality needs to decode, besides a shape."""
        return self.attrs["geometry"]

    @property
    def fingerprint(self) -> str:
        """Of the base network; modulations of different ones cannot be compared."""
        return self.attrs["fingerprint"]

    @property
    def base(self) -> Base:
        """The base network inside."""
        return base_of(self.path, self.group)

    def shards(self) -> list[slice]:
        """Units of work: one writer writes one of them whole, once."""
        size = self.mse.chunks[0]
        return [slice(start, min(start + size, self.n)) for start in range(0, self.n, size)]

    def errors(self) -> np.ndarray:
        """float32 [datum]: the mse of each datum; NaN: not encoded yet, inf: failed."""
        return self._read("mse")

    def rows(self, split: str | None = None) -> np.ndarray:
        """Int [rows]: the data that are encoded, of one part or of all."""
        good = np.isfinite(self.errors())
        return np.flatnonzero(good if split is None else good & (np.array(self.split) == split))

    def whole(self) -> np.ndarray:
        """Modulations [datum, d] of all data, flat; those of failed ones are of no use.

        Raises:
            StoreError: the set is not encoded to its end.
        """
        if self.pending():
            raise StoreError(f"{self.path!r} is not encoded to its end; run the same functa encode again first")
        phi, _ = self.read(slice(None))
        return phi.reshape(len(phi), -1)

    def has(self, name: str) -> bool:
        """Whether there is an array of that name."""
        return name in self.group

    def figure(self, name: str) -> np.ndarray:
        """float32 [datum]: a figure such as "mse_unseen" or "iou"; NaN: it has none."""
        return self._read(name)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """What the modality keeps of each datum, arrays [datum, ...] by name."""
        return {name: self._read(name) for name in self.attrs.get("columns", ())}

    def pending(self) -> list[slice]:
        """Shards that are still to be encoded."""
        mse = self.errors()
        return [part for part in self.shards() if np.isnan(mse[part]).any()]

    def write(
        self, part: slice, modulations: np.ndarray, mse: np.ndarray, figures: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Write one whole shard: modulations [rows, *latent_shape] first, last mse [rows] as its commit mark.

        `figures`: [rows] each, by name, of those that the set was begun with.

        Raises:
            StoreError: not a whole shard, or an mse is NaN.
        """
        if part not in self.shards():
            raise StoreError(f"rows {part.start}:{part.stop} are not a shard; parts of shards lose each other's data")
        if np.isnan(mse).any():
            raise StoreError(f"rows {part.start}:{part.stop} hold NaN errors, which mean 'not encoded'; use inf")
        self.modulations[part] = np.asarray(modulations, np.float32)
        for name, values in (figures or {}).items():
            _array(self.path, self.group, name)[part] = np.asarray(values, np.float32)
        self.mse[part] = np.asarray(mse, np.float32)

    def read(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Modulations [rows, *latent_shape] and mse [rows] of encoded data.

        Raises:
            StoreError: a row is said to be encoded but its modulations are gone.
        """
        modulations = read_array(self.path, self.modulations, rows).astype(np.float32, copy=False)
        mse = read_array(self.path, self.mse, rows)
        gone = np.isnan(modulations).reshape(len(mse), -1).any(axis=1) & np.isfinite(mse)
        if gone.any():
            raise StoreError(f"{self.path!r} has lost the modulations of {gone.sum()} data: a file of it is missing")
        return modulations, mse

    def annotate(self, columns: Mapping[str, np.ndarray]) -> None:
        """Write arrays [datum] of numbers or text beside the others, in place of those of earlier calls.

        Raises:
            StoreError: the modality keeps something else under one of their names.
        """
        for name, values in columns.items():
            if name in KINDS or name in self.attrs.get("columns", ()):
                raise StoreError(f"{self.path!r} keeps {name!r} of its data already; it is not replaced")
            kind = str if values.dtype.kind == "T" else values.dtype
            options: dict[str, Any] = {"dimension_names": ["datum"], "chunks": (max(self.n, 1),)}
            array = self.group.create_array(
                name, shape=values.shape, dtype=kind, compressors=[COMPRESSOR], overwrite=True, **options
            )
            array[...] = values
        self.finalize()

    def finalize(self) -> None:
        """Gather all metadata in one file, so that a remote reader needs one request; again changes nothing."""
        consolidate(self.group)

    def _read(self, name: str) -> np.ndarray:
        return read_array(self.path, _array(self.path, self.group, name))


def _array(path: str, group: zarr.Group, name: str) -> zarr.Array:
    try:
        found = group[name]
    except Exception:
        found = None
    if not isinstance(found, zarr.Array):
        raise StoreError(f"{path!r} is damaged: it has no array {name!r}; fetch or make it again")
    return found
