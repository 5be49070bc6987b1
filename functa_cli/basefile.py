"""Base networks on disk, finished and in the making: `base.zarr` is a functaset without data."""

from typing import Any, NamedTuple

import zarr

from functa_cli import __version__
from functa_cli.checkpoint import load_state
from functa_cli.errors import StoreError
from functa_cli.place import (
    FORMAT,
    OVERWRITE,
    attributes,
    consolidate,
    difference,
    existing,
    normal,
    open_group,
    prepare,
    sweep,
)
from functa_cli.trees import Tree, fingerprint, leaves, read_tree, write_tree


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
    attrs = attributes(path, group)
    if attrs.get("unfinished"):
        raise StoreError(f"{path!r} is unfinished: functa was cut off; run the same command again to finish it")
    if attrs.get("kind") not in ("base", "functaset"):
        raise StoreError(f"{path!r} holds {attrs.get('kind')} data; expected a base network, as functa fit makes")
    return base_of(path, group)


def base_of(path: str, group: zarr.Group) -> Base:
    """The base network in an open store.

    Raises:
        StoreError: its weights are not the ones that its fingerprint was made of.
    """
    attrs = attributes(path, group)
    damaged = f"{path!r} is damaged: its base network"
    try:
        theta = read_tree(group["base"])  # ty: ignore[invalid-argument-type]
    except Exception:
        raise StoreError(f"{damaged} cannot be read; fetch or make it again") from None
    odd = [name for name, leaf in leaves(theta) if leaf.dtype.kind != "f"]
    if odd or not all(isinstance(theta.get(part), dict) for part in ("field", "inner")):
        what = f"holds {odd[0]!r}, which is not of numbers" if odd else "has no 'field' or no 'inner'"
        raise StoreError(f"{damaged} {what}; fetch or make it again")
    if fingerprint(theta, attrs["config"]) != attrs["fingerprint"]:
        raise StoreError(f"{damaged} does not match its fingerprint; fetch or make it again")
    if not isinstance(attrs["geometry"].get("channels"), int):
        raise StoreError(f"{path!r} is damaged: its geometry names no channels; fetch or make it again")
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
    if found.get("kind") != "base":
        raise StoreError(f"{path!r} is an unfinished functaset; {OVERWRITE}")
    if found.get("request") != normal(request):
        other = difference(found.get("request"), normal(request), "request")
        raise StoreError(f"{path!r} was begun with other data or settings ({other}); {OVERWRITE}")
    sweep(path)
    return load_state(path)


def is_finished(path: str, request: dict[str, Any]) -> bool:
    """Whether `path` is the complete base network of this `request`; if so, what a kill left in it is removed."""
    found = existing(path)
    if found is None or found.get("unfinished") or found.get("request") != normal(request):
        return False
    sweep(path)
    _close(open_group(path, "r+"))
    return True


def finish_base(path: str, base: Base) -> None:
    """Write the trained network; what was begun at `path` becomes complete, and then its checkpoint goes."""
    group = open_group(path, "r+")
    request = attributes(path, group)["request"]
    del group["base"]
    write_tree(group.create_group("base"), base.theta)
    described = {key: getattr(base, key) for key in ("modality", "geometry", "config", "fingerprint", "info")}
    header = {"format": FORMAT, "kind": "base", "version": __version__, "request": request, **described}
    group.attrs["functa"] = normal(header)
    _close(group)


def _close(group: zarr.Group) -> None:
    del group["train"]
    consolidate(group)
