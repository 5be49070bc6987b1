"""What was learned from a functaset and is kept inside it, in a group such as prior/flow.

attrs["functa"]   format, kind "learned", request, config, info, fingerprint, base; or `unfinished`
arrays/...        one array a leaf        train/state   the checkpoint while it learns
"""

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import zarr

from functa_cli import __version__
from functa_cli.checkpoint import load_state
from functa_cli.errors import StoreError
from functa_cli.place import FORMAT, OVERWRITE, attributes, consolidate, difference, normal, open_group, sweep
from functa_cli.trees import Tree, fingerprint, read_tree, write_tree

KINDS = {"config": dict, "info": dict, "fingerprint": str, "base": str}


class Learned(NamedTuple):
    """A prior or a classifier on disk."""

    arrays: Tree
    config: dict[str, Any]
    info: dict[str, Any]  # how it was learned and what it scored
    fingerprint: str  # of the arrays
    base: str  # fingerprint of the base network whose modulations it learned from


def finished(path: str, folder: str) -> list[str]:
    """Names of what is complete in the group `folder` of the functaset at `path`, sorted."""
    group = _group(open_group(path), folder)
    return (
        sorted(name for name, one in group.groups() if _said(one) and "unfinished" not in _said(one)) if group else []
    )


def begin_learned(path: str, part: str, request: dict[str, Any], *, overwrite: bool = False) -> tuple[dict, int] | None:
    """Begin `part` of the functaset at `path`, or continue the one that was begun with an equal `request`.

    Returns:
        Its checkpoint, arrays and step, if there is one.

    Raises:
        StoreError: there is another one.
    """
    group = open_group(path, "r+")
    found = _group(group, part)
    if found is not None and not overwrite:
        said = _said(found)
        if said.get("request") != normal(request):
            other = difference(said.get("request"), normal(request), "request")
            raise StoreError(f"{path!r} has another {part} ({other}); --overwrite replaces it")
        if not said.get("unfinished"):
            raise StoreError(f"{part} in {path!r} is complete; {OVERWRITE}")
        sweep(path)
        return load_state(path, f"{part}/")
    attrs = {"functa": {"format": FORMAT, "kind": "learned", "unfinished": True, "request": normal(request)}}
    group.create_group(part, overwrite=True, attributes=attrs)
    return None


def is_finished(path: str, part: str, request: dict[str, Any]) -> bool:
    """Whether `part` of the functaset at `path` is complete and was asked for by this `request`."""
    said = _said(_group(open_group(path), part))
    return said.get("request") == normal(request) and not said.get("unfinished")


def finish_learned(path: str, part: str, arrays: Tree, config: dict, info: dict) -> None:
    """Write what was learned; what was begun becomes complete, and its checkpoint goes."""
    store = open_group(path, "r+")
    group = _group(store, part)
    assert group is not None
    base = attributes(path, store)["fingerprint"]
    request = _said(group)["request"]
    if "arrays" in group:
        del group["arrays"]
    write_tree(group.create_group("arrays"), arrays, part)
    header = {"format": FORMAT, "kind": "learned", "version": __version__, "request": request}
    described = {"config": config, "info": info, "fingerprint": fingerprint(arrays, {}), "base": base}
    group.attrs["functa"] = normal({**header, **described})
    if "train" in group:
        del group["train"]
    consolidate(store)


def read_learned(path: str, part: str) -> Learned:
    """`part` of the functaset at `path`.

    Raises:
        StoreError: it is not there, unfinished or damaged.
    """
    group = _group(open_group(path), part)
    said = _said(group)
    how = "run the functa fit that makes it"
    if group is None or not said:
        raise StoreError(f"{path!r} has no {part}; {how}")
    if said.get("unfinished"):
        raise StoreError(f"{part} in {path!r} is unfinished: functa was cut off; {how} again")
    damaged = f"{path!r} is damaged: {part}"
    if not all(isinstance(said.get(key), kind) for key, kind in KINDS.items()):
        raise StoreError(f"{damaged} does not say how it was made; {how} with --overwrite")
    try:
        arrays = read_tree(group["arrays"])  # ty: ignore[invalid-argument-type]
    except Exception:
        raise StoreError(f"{damaged} cannot be read; {how} with --overwrite") from None
    if fingerprint(arrays, {}) != said["fingerprint"]:
        raise StoreError(f"{damaged} does not match its fingerprint; {how} with --overwrite")
    return Learned(arrays, *(said[key] for key in KINDS))


def check_base(saved: Learned, path: str, base: str, what: str) -> None:
    """Raise StoreError where `what` learned from other modulations than those of the base network `base`."""
    if saved.base != base:
        raise StoreError(
            f"{path!r} has modulations of the base network {base[:16]} and a {what} of {saved.base[:16]}; "
            "learn it again with --overwrite"
        )


def digest(words: str, arrays: Iterable[np.ndarray]) -> str:
    """What decides what is learned besides settings, as one number: to tell a continued run from another one."""
    found = hashlib.sha256(words.encode())
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def _group(group: zarr.Group, name: str) -> zarr.Group | None:
    found = group.get(name)
    return found if isinstance(found, zarr.Group) else None


def _said(group: zarr.Group | None) -> dict[str, Any]:
    said = group.attrs.asdict().get("functa") if group is not None else None
    return said if isinstance(said, dict) else {}
