"""The functaset on disk: one Zarr group with the base network, the modulations, and what is known of each datum.

    out.zarr/  attrs["functa"]    format, kind, modality, geometry, config, fingerprint, how it was made
      base/field/... base/inner/...   theta, one array a leaf
      modulations [datum, latent]     float32, NaN where not encoded yet; chunked and sharded along datum
      mse [datum]                     float32; NaN: not encoded yet, inf: failed. Written last in a shard: its commit mark
      id, label, split, shape         of each datum

Everything but modulations and mse is written before the first datum is encoded, and a shard is written once and whole,
so a writer can be killed at any moment and run again, or share the work with others, and the bytes come out the same.
"""

import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import zarr

from functa_cli import __version__
from functa_cli.basefile import Base, base_of
from functa_cli.errors import StoreError
from functa_cli.place import FORMAT, OVERWRITE, attributes, existing, normal, open_group, prepare, sweep
from functa_cli.trees import COMPRESSOR, write_tree

CHUNK = 256  # data a chunk: what reading one datum costs


class Functaset:
    """A functaset that is open for reading or writing."""

    def __init__(self, path: str, group: zarr.Group):
        self.path = path
        self.group = group
        self.attrs: dict[str, Any] = attributes(path, group)
        self.modulations: zarr.Array = _array(path, group, "modulations")
        self.mse: zarr.Array = _array(path, group, "mse")
        self.n: int = self.modulations.shape[0]
        self.latent_shape: tuple[int, ...] = self.modulations.shape[1:]

    @classmethod
    def open(cls, path: str, *, writable: bool = False) -> "Functaset":
        """Open an existing functaset.

        Raises:
            StoreError: there is none, it is damaged, or it holds only a base network.
        """
        group = open_group(path, "r+" if writable else "r")
        attrs = attributes(path, group)
        if attrs.get("kind") == "base":
            raise StoreError(
                f"{path!r} holds a base network but no modulations; make some with: functa encode DATA OUT --base {path}"
            )
        if attrs.get("unfinished"):
            raise StoreError(f"{path!r} was cut off while it was being made; run the same functa encode again")
        return cls(path, group)

    @classmethod
    def open_or_create(
        cls,
        path: str,
        *,
        base: Base,
        latent_shape: Sequence[int],
        ids: Sequence[str],
        labels: np.ndarray,
        classes: Sequence[str],
        split: Sequence[str],
        shapes: np.ndarray,
        encode: dict[str, Any],
        provenance: dict[str, Any],
        shard: int = 1024,
        overwrite: bool = False,
    ) -> "Functaset":
        """The functaset of this request: continued if it is there, made (template first) if not.

        `labels` int [datum], -1 = none; `shapes` int [datum, axes]; `encode` and `provenance` JSON. `shard` is rounded
        up to whole chunks, and down to what the data need.

        Raises:
            StoreError: `path` holds something else, unless it is a store of ours and `overwrite` is set.
        """
        chunk = min(CHUNK, max(1, len(ids)))
        shard = -(-min(shard, max(1, len(ids))) // chunk) * chunk
        header = normal(
            {
                "format": FORMAT,
                "kind": "functaset",
                "modality": base.modality,
                "geometry": base.geometry,
                "config": base.config,
                "fingerprint": base.fingerprint,
                "info": base.info,
                "classes": list(classes),
                "encode": {**encode, "shard": shard, "chunk": chunk},
                "provenance": provenance,
                "version": __version__,
            }
        )
        found = existing(path)
        if found is not None and not found.get("unfinished") and not overwrite:
            return _continued(path, found, header, ids)
        if found is not None and found.get("kind") != "functaset" and not overwrite:
            raise StoreError(f"{path!r} holds an unfinished base network; {OVERWRITE}")
        group = prepare(path, "functaset", {})
        write_tree(group.create_group("base"), base.theta)
        n = len(ids)
        _data(group, "modulations", (n, *latent_shape), chunk, shard, ["datum", *_latent_names(latent_shape)])
        _data(group, "mse", (n,), shard, None, ["datum"])
        _known(group, "id", np.array(list(ids), dtype=np.dtypes.StringDType()), ["datum"])
        _known(group, "label", np.asarray(labels, np.int32), ["datum"])
        _known(group, "split", np.array(list(split), dtype=np.dtypes.StringDType()), ["datum"])
        _known(group, "shape", np.asarray(shapes, np.int32), ["datum", "axis"])
        group.attrs["functa"] = header
        return cls(path, group)

    @property
    def ids(self) -> list[str]:
        """Names of the data."""
        return [str(name) for name in _array(self.path, self.group, "id")[:]]

    @property
    def labels(self) -> np.ndarray:
        """int32 [datum]; an index into `classes`, -1 = none."""
        return np.asarray(_array(self.path, self.group, "label")[:])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.attrs["classes"])

    @property
    def split(self) -> list[str]:
        """ "train" or "test" for each datum."""
        return [str(name) for name in _array(self.path, self.group, "split")[:]]

    @property
    def shapes(self) -> np.ndarray:
        """int32 [datum, axes]: the grid each datum was encoded at."""
        return np.asarray(_array(self.path, self.group, "shape")[:])

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

    def pending(self) -> list[slice]:
        """Shards that are still to be encoded."""
        mse = np.asarray(self.mse[:])
        return [part for part in self.shards() if np.isnan(mse[part]).any()]

    def write(self, part: slice, modulations: np.ndarray, mse: np.ndarray) -> None:
        """Write one whole shard: modulations [rows, *latent_shape] first, then mse [rows] as its commit mark.

        Raises:
            StoreError: not a whole shard, or an mse is NaN.
        """
        if part not in self.shards():
            raise StoreError(f"rows {part.start}:{part.stop} are not a shard; parts of shards lose each other's data")
        if np.isnan(mse).any():
            raise StoreError(f"rows {part.start}:{part.stop} hold NaN errors, which mean 'not encoded'; use inf")
        self.modulations[part] = np.asarray(modulations, np.float32)
        self.mse[part] = np.asarray(mse, np.float32)

    def read(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray]:
        """Modulations [rows, *latent_shape] and mse [rows] of encoded data.

        Raises:
            StoreError: a row is said to be encoded but its modulations are gone.
        """
        modulations = np.asarray(self.modulations.oindex[rows], np.float32)
        mse = np.asarray(self.mse.oindex[rows])
        gone = np.isnan(modulations).reshape(len(mse), -1).any(axis=1) & np.isfinite(mse)
        if gone.any():
            raise StoreError(f"{self.path!r} has lost the modulations of {gone.sum()} data: a file of it is missing")
        return modulations, mse

    def finalize(self) -> None:
        """Gather all metadata in one file, so that a remote reader needs one request; changes nothing the second time."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*[Cc]onsolidated.*")
            zarr.consolidate_metadata(self.group.store)


def _continued(path: str, found: dict[str, Any], header: dict[str, Any], ids: Sequence[str]) -> Functaset:
    names = {"kind": "kind", "fingerprint": "base network", "encode": "encode settings", "classes": "classes"}
    for key, name in names.items():
        have, want = found.get(key), header[key]
        if have != want:
            raise StoreError(f"{path!r} exists with another {name} ({_short(have)}, asked {_short(want)}); {OVERWRITE}")
    sweep(path)
    store = Functaset.open(path, writable=True)
    if store.ids != list(ids):
        raise StoreError(f"{path!r} was begun with {store.n} other data (now {len(ids)}, or other names); {OVERWRITE}")
    return store


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return text[:16] if len(text) == 64 else text[:120]


def _array(path: str, group: zarr.Group, name: str) -> zarr.Array:
    try:
        found = group[name]
    except Exception:
        found = None
    if not isinstance(found, zarr.Array):
        raise StoreError(f"{path!r} is damaged: it has no array {name!r}; make it again, or fetch it again")
    return found


def _latent_names(shape: Sequence[int]) -> list[str]:
    return ["latent"] if len(shape) == 1 else [f"latent{axis}" for axis in range(len(shape))]


def _data(group: zarr.Group, name: str, shape: tuple, chunk: int, shard: int | None, dimensions: list[str]) -> None:
    tail = tuple(max(size, 1) for size in shape[1:])
    group.create_array(
        name,
        shape=shape,
        dtype="float32",
        chunks=(chunk, *tail),
        shards=None if shard is None else (shard, *tail),
        compressors=[COMPRESSOR],
        fill_value=float("nan"),
        dimension_names=dimensions,
        config={"write_empty_chunks": True},
    )


def _known(group: zarr.Group, name: str, values: np.ndarray, dimensions: list[str]) -> None:
    kind = str if values.dtype.kind == "T" else values.dtype
    size = tuple(max(extent, 1) for extent in values.shape)
    array = group.create_array(
        name, shape=values.shape, dtype=kind, chunks=size, compressors=[COMPRESSOR], dimension_names=dimensions
    )
    array[...] = values.astype(object) if kind is str else values
