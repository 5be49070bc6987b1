"""A functaset before its first datum is encoded: all but modulations and errors is written, then it is continued."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import zarr

from functa_cli import __version__
from functa_cli.basefile import Base
from functa_cli.errors import StoreError
from functa_cli.modality import Known
from functa_cli.place import FORMAT, OVERWRITE, difference, existing, normal, prepare, sweep
from functa_cli.store import Functaset
from functa_cli.trees import COMPRESSOR, write_tree

CHUNK = 256  # data a chunk at most: what reading one datum costs


def begin(
    path: str,
    *,
    base: Base,
    latent_shape: Sequence[int],
    known: Known,
    figures: Sequence[str] = (),
    how: dict[str, Any],
    verb: str = "encode",
    shard: int = 1024,
    overwrite: bool = False,
) -> Functaset:
    """The functaset of this request: continued if it is there, made (template first) if not.

    `figures`: names of float32 arrays [datum] that are written beside the errors. `how`: JSON, what `verb` was asked
    for, kept in the attributes under its name; all of it but "source" decides what comes out. `shard`: data a shard,
    rounded up to whole chunks, and down to what the data need.

    Raises:
        StoreError: `path` holds something else, unless it is a store of ours and `overwrite` is set.
    """
    n = len(known.ids)
    shard = min(shard, max(1, n))
    chunk = min(CHUNK, shard)
    shard = -(-shard // chunk) * chunk
    header = normal(
        {
            "format": FORMAT,
            "kind": "functaset",
            "modality": base.modality,
            "geometry": known.geometry,
            "config": base.config,
            "fingerprint": base.fingerprint,
            "info": base.info,
            "classes": list(known.classes),
            "columns": sorted(known.columns),
            verb: {**how, "shard": shard},
            "version": __version__,
        }
    )
    found = existing(path)
    if found is not None and not overwrite:
        if not found.get("unfinished"):
            return _continued(path, found, header, known, verb)
        if found.get("kind") != "functaset":
            raise StoreError(f"{path!r} holds an unfinished base network; {OVERWRITE}")
    group = prepare(path, "functaset", {})
    write_tree(group.create_group("base"), base.theta)
    _data(group, "modulations", (n, *latent_shape), chunk, shard, ["datum", *_latent_names(latent_shape)])
    _data(group, "mse", (n,), shard, None, ["datum"])
    for name in figures:
        _data(group, name, (n,), shard, None, ["datum"])
    _known(group, "id", np.array(list(known.ids), dtype=np.dtypes.StringDType()), ["datum"])
    _known(group, "label", np.asarray(known.labels, np.int32), ["datum"], fill=-1)
    _known(group, "split", np.array(list(known.split), dtype=np.dtypes.StringDType()), ["datum"])
    _known(group, "shape", np.asarray(known.shapes, np.int32), ["datum", "axis"])
    for name in sorted(known.columns):
        values = np.asarray(known.columns[name])
        _known(group, name, values, ["datum", *[f"{name}.axis{axis}" for axis in range(values.ndim - 1)]])
    group.attrs["functa"] = header
    return Functaset(path, group)


def _continued(path: str, found: dict[str, Any], header: dict[str, Any], known: Known, verb: str) -> Functaset:
    names = {"kind": "kind", "fingerprint": "base network", verb: "setting"}
    names |= {name: name for name in ("classes", "geometry")}
    for key, name in names.items():
        have, want = found.get(key), header[key]
        if key == verb:  # the same data may be reached by another path
            have, want = ({k: v for k, v in (value or {}).items() if k != "source"} for value in (have, want))
        if have != want:
            raise StoreError(f"{path!r} exists with another {name} ({difference(have, want, name)}); {OVERWRITE}")
    sweep(path)
    store = Functaset.open(path, writable=True)
    if store.ids != list(known.ids):
        other = f"now {len(known.ids)}" if store.n != len(known.ids) else "now with other names"
        raise StoreError(f"{path!r} was begun with {store.n} other data ({other}); {OVERWRITE}")
    if store.split != list(known.split) or not np.array_equal(store.shapes, known.shapes):
        raise StoreError(f"{path!r} was begun when some data had other sizes or another split; {OVERWRITE}")
    return store


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


def _known(group: zarr.Group, name: str, values: np.ndarray, dimensions: list[str], fill: Any = None) -> None:
    kind = str if values.dtype.kind == "T" else values.dtype
    array = group.create_array(
        name,
        shape=values.shape,
        dtype=kind,
        chunks=tuple(max(extent, 1) for extent in values.shape),
        compressors=[COMPRESSOR],
        fill_value=fill,
        dimension_names=dimensions,
    )
    array[...] = values.astype(object) if kind is str else values
