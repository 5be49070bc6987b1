"""Where a store is: a local folder or a URL, what is there already, and whether it may be replaced."""

import json
import shutil
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr
from zarr.errors import ContainsArrayError, NodeTypeValidationError

from functa_cli.errors import StoreError

FORMAT = 1
OVERWRITE = "--overwrite replaces it, another path leaves it alone"
HEADER = {"kind": str, "modality": str, "geometry": dict, "config": dict, "fingerprint": str, "info": dict}


def is_local(path: str) -> bool:
    """Whether `path` is a folder of this machine and not a URL such as s3://bucket/set.zarr."""
    return "://" not in path


def open_group(path: str, mode: Literal["r", "r+"] = "r") -> zarr.Group:
    """The Zarr group at `path`, "r" or "r+".

    Raises:
        StoreError: nothing there, or not a Zarr group of format 3.
    """
    wanted = "expected a functaset or base network (a .zarr folder)"
    if is_local(path) and not Path(path).exists():
        raise StoreError(f"{path!r} does not exist; {wanted}")
    if is_local(path) and not Path(path).is_dir():
        raise StoreError(f"{path!r} is a file; {wanted}")
    try:
        return zarr.open_group(path, mode=mode, zarr_format=3, use_consolidated=False)
    except Exception as error:
        reason = "holds no Zarr group of format 3" if _is_missing(error) else f"cannot be read: {error}"
        raise StoreError(f"{path!r} {reason}; {wanted}".replace("\n", " ")) from None


def attributes(path: str, group: zarr.Group) -> dict[str, Any]:
    """What a store of ours says of itself.

    Raises:
        StoreError: a store of others, of a newer format, or one whose attributes are damaged.
    """
    found = group.attrs.asdict().get("functa")
    if not isinstance(found, dict):
        raise StoreError(f"{path!r} is a Zarr group but not one of functa's (its attributes have no 'functa')")
    if found.get("format") != FORMAT:
        raise StoreError(f"{path!r} has format {found.get('format')!r}, this version reads {FORMAT}: upgrade functa")
    wanted = {} if found.get("unfinished") or found.get("kind") == "decoded" else HEADER
    for key, kind in wanted.items():
        if not isinstance(found.get(key), kind):
            raise StoreError(
                f"{path!r} is damaged: its attribute {key!r} is {found.get(key)!r}; fetch or make it again"
            )
    return found


def existing(path: str) -> dict[str, Any] | None:
    """Attributes of the store of ours at `path`; None where nothing is there, or an empty folder.

    Raises:
        StoreError: something is there that is not ours.
    """
    if is_local(path):
        place = Path(path)
        if not place.exists() or (place.is_dir() and all(_is_partial(entry) for entry in place.iterdir())):
            return None
    else:
        try:
            zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
        except FileNotFoundError:
            return None
    try:
        group = open_group(path)
    except StoreError as error:
        raise StoreError(f"will not write over what is there: {error}") from None
    found = group.attrs.asdict().get("functa")
    return dict(found) if isinstance(found, dict) else attributes(path, group)


def prepare(path: str, kind: str, request: dict[str, Any]) -> zarr.Group:
    """An empty store at `path` that says it is unfinished; a store of ours that is there is emptied.

    It says so before anything is removed, so a run that is cut off in between can be given again.
    """
    attrs = {"functa": {"format": FORMAT, "kind": kind, "unfinished": True, "request": request}}
    if existing(path) is None:
        sweep(path)
        return zarr.create_group(path, zarr_format=3, attributes=attrs)
    if not is_local(path):
        return zarr.create_group(path, zarr_format=3, overwrite=True, attributes=attrs)
    group = open_group(path, "r+")
    group.attrs.put(attrs)
    for entry in Path(path).iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != "zarr.json":
            entry.unlink()
    return group


def consolidate(group: zarr.Group) -> None:
    """Gather all metadata in one file, so that a remote reader needs one request; changes nothing the second time."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*[Cc]onsolidated.*")
        zarr.consolidate_metadata(group.store)


def sweep(path: str) -> None:
    """Remove what a killed writer left half written in a local store."""
    if is_local(path) and Path(path).is_dir():
        for file in Path(path).rglob("*"):
            if _is_partial(file) and file.is_file():
                file.unlink()


def read_array(path: str, array: zarr.Array, rows: Any = slice(None)) -> np.ndarray:
    """Rows of an array of the store at `path`.

    Raises:
        StoreError: a file of it is damaged.
    """
    try:
        return np.asarray(array.oindex[rows] if array.ndim else array[...])
    except MemoryError:
        raise
    except Exception as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(
            f"{path!r} is damaged: {array.path!r} cannot be read ({what}); fetch or make it again"
        ) from None


def normal(value: Any) -> Any:
    """`value` as it comes back from JSON, to compare with what a store says."""
    return json.loads(json.dumps(value))


def difference(have: Any, want: Any, name: str) -> str:
    """The first setting in which two JSON values differ, such as "steps 3, asked 5"; `name` is that of the whole."""
    if isinstance(have, Mapping) and isinstance(want, Mapping):
        for key in sorted({*have, *want}):
            if have.get(key) != want.get(key):
                return difference(have.get(key), want.get(key), key)
    return f"{name} {_short(have)}, asked {_short(want)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return repr(text) if text in ("", " ") else text[:16] if len(text) == 64 else text[:80]


def _is_partial(file: Path) -> bool:
    return file.name.endswith(".partial")


def _is_missing(error: Exception) -> bool:
    return isinstance(error, (FileNotFoundError, ContainsArrayError, NodeTypeValidationError))
