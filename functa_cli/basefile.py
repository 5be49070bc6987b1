"""Base networks on disk, finished and in the making: `base.zarr` is a functaset without data."""

import io
import warnings
from typing import Any, NamedTuple

import numpy as np
import zarr

from functa_cli import __version__
from functa_cli.errors import StoreError
from functa_cli.place import FORMAT, OVERWRITE, attributes, existing, normal, open_group, prepare, sweep
from functa_cli.trees import Tree, read_tree, write_tree

STATE = "train/state"


class Base(NamedTuple):
    """A base network with all that decoding needs."""

    theta: Tree
    config: dict[str, Any]  # every setting
    modality: str
    geometry: dict[str, Any]
    fingerprint: str
    info: dict[str, Any]  # how it was trained and what it scored


def read_base(path: str) -> Base:
    """The base network at `path`, a base network or a functaset.

    Raises:
        StoreError: there is none, or it is unfinished.
    """
    group = open_group(path)
    if attributes(path, group).get("unfinished"):
        raise StoreError(f"{path!r} is unfinished: functa fit was cut off; run the same command again to finish it")
    return base_of(path, group)


def base_of(path: str, group: zarr.Group) -> Base:
    """The base network in an open store."""
    attrs = attributes(path, group)
    try:
        theta = read_tree(group["base"])  # ty: ignore[invalid-argument-type]
    except Exception:
        raise StoreError(f"{path!r} is damaged: its base network cannot be read; make it again") from None
    return Base(theta, *(attrs[key] for key in ("config", "modality", "geometry", "fingerprint", "info")))


def begin_base(path: str, request: dict[str, Any], *, overwrite: bool = False) -> tuple[dict, int] | None:
    """Begin a base network, or continue the one that was begun with an equal `request`: its checkpoint and step.

    Raises:
        StoreError: something else is at `path`.
    """
    found = existing(path)
    if found is None or overwrite:
        prepare(path, "base", normal(request))
        return None
    if not found.get("unfinished"):
        raise StoreError(f"{path!r} exists and is complete; {OVERWRITE}")
    if found.get("kind") != "base" or found.get("request") != normal(request):
        raise StoreError(f"{path!r} was begun with other data or settings; {OVERWRITE}")
    sweep(path)
    return load_state(path)


def is_finished(path: str, request: dict[str, Any]) -> bool:
    """Whether `path` is the complete base network of this `request`."""
    found = existing(path)
    return found is not None and not found.get("unfinished") and found.get("request") == normal(request)


def finish_base(path: str, base: Base) -> None:
    """Write the trained network; what was begun at `path` becomes complete, and its checkpoint goes."""
    group = open_group(path, "r+")
    request = attributes(path, group)["request"]
    for name in ("train", "base"):
        if name in group:
            del group[name]
    write_tree(group.create_group("base"), base.theta)
    described = {key: getattr(base, key) for key in ("modality", "geometry", "config", "fingerprint", "info")}
    header = {"format": FORMAT, "kind": "base", "version": __version__, "request": request, **described}
    group.attrs["functa"] = normal(header)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Cc]onsolidated.*")
        zarr.consolidate_metadata(group.store)


def save_state(path: str, arrays: dict[str, np.ndarray], step: int) -> None:
    """Replace the checkpoint in one atomic step: it is a single chunk, which holds an .npz."""
    buffer = io.BytesIO()
    np.savez(buffer, step=np.array(step), **arrays)
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    group = open_group(path, "r+")
    if STATE in group:
        array = group[STATE]
        if array.shape == data.shape:  # ty: ignore[unresolved-attribute]
            array[...] = data  # ty: ignore[invalid-assignment]
            return
    array = group.create_array(
        STATE,
        shape=data.shape,
        dtype="uint8",
        chunks=data.shape,
        compressors=None,
        dimension_names=["byte"],
        overwrite=True,
    )
    array[...] = data


def load_state(path: str) -> tuple[dict[str, np.ndarray], int] | None:
    """Arrays and step of the checkpoint at `path`, or None if there is none.

    Raises:
        StoreError: it is damaged.
    """
    group = open_group(path)
    if STATE not in group:
        return None
    data = np.asarray(group[STATE][...]).tobytes()  # ty: ignore[not-subscriptable, invalid-argument-type]
    if not any(data):
        return None
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = dict(file)
    except Exception:
        raise StoreError(f"the checkpoint in {path!r} is damaged; start anew with --overwrite") from None
    return arrays, int(arrays.pop("step"))
