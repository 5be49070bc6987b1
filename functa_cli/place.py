"""Where a store is: a local folder or a URL, what is there already, and whether it may be replaced."""

import json
import shutil
from pathlib import Path
from typing import Any

import zarr
from zarr.errors import ContainsArrayError, NodeTypeValidationError

from functa_cli.errors import StoreError

FORMAT = 1
OVERWRITE = "--overwrite replaces it, another path leaves it alone"


def is_local(path: str) -> bool:
    """Whether `path` is a folder of this machine and not a URL such as s3://bucket/set.zarr."""
    return "://" not in path


def open_group(path: str, mode: str = "r") -> zarr.Group:
    """The Zarr group at `path`, "r" or "r+".

    Raises:
        StoreError: nothing there, or not a Zarr group of format 3.
    """
    if is_local(path) and not Path(path).exists():
        raise StoreError(f"{path!r} does not exist; expected a functaset or base network (a .zarr folder)")
    try:
        return zarr.open_group(path, mode=mode, zarr_format=3, use_consolidated=False)
    except Exception as error:
        reason = (
            "is a Zarr array or holds no Zarr group of format 3" if _is_missing(error) else f"cannot be read: {error}"
        )
        raise StoreError(f"{path!r} {reason}; expected a functaset or base network".replace("\n", " ")) from None


def attributes(path: str, group: zarr.Group) -> dict[str, Any]:
    """What a store of ours says of itself.

    Raises:
        StoreError: a store of others, or of a newer format.
    """
    found = group.attrs.asdict().get("functa")
    if not isinstance(found, dict):
        raise StoreError(f"{path!r} is a Zarr group but not one of functa's (its attributes have no 'functa')")
    if found.get("format") != FORMAT:
        raise StoreError(f"{path!r} has format {found.get('format')!r}, this version reads {FORMAT}: upgrade functa")
    return found


def existing(path: str) -> dict[str, Any] | None:
    """Attributes of the store of ours at `path`; None where nothing is there, or an empty folder.

    Raises:
        StoreError: something is there that is not ours.
    """
    if is_local(path):
        place = Path(path)
        if not place.exists() or (place.is_dir() and not any(place.iterdir())):
            return None
        if place.is_dir() and [entry.name for entry in place.iterdir() if not _is_partial(entry)] == []:
            return None
    else:
        try:
            zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
        except FileNotFoundError:
            return None
    try:
        return attributes(path, open_group(path))
    except StoreError as error:
        raise StoreError(f"will not write over {error}") from None


def prepare(path: str, kind: str, request: dict[str, Any]) -> zarr.Group:
    """An empty store at `path` that says it is unfinished; a store of ours that is there is removed."""
    existing(path)
    if is_local(path) and Path(path).exists():
        shutil.rmtree(path)
    attrs = {"functa": {"format": FORMAT, "kind": kind, "unfinished": True, "request": request}}
    return zarr.create_group(path, zarr_format=3, overwrite=True, attributes=attrs)


def sweep(path: str) -> None:
    """Remove what a killed writer left half written in a local store."""
    if is_local(path):
        for file in Path(path).rglob("*"):
            if _is_partial(file) and file.is_file():
                file.unlink()


def normal(value: Any) -> Any:
    """`value` as it comes back from JSON, to compare with what a store says."""
    return json.loads(json.dumps(value))


def _is_partial(file: Path) -> bool:
    return file.name.endswith(".partial")


def _is_missing(error: Exception) -> bool:
    return isinstance(error, (FileNotFoundError, ContainsArrayError, NodeTypeValidationError))
