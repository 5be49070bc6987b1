"""Files of gridded fields as everyone publishes them, opened through xarray: NetCDF-3 and -4, Zarr, GRIB, and .npz."""

import contextlib
import glob
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli.errors import DataError
from functa_cli.folder import listing, safe_id
from functa_cli.modality import Problem

NETCDF = (".nc", ".nc4", ".cdf", ".netcdf")
GRIB = (".grib", ".grb", ".grib2", ".grb2")
SUFFIXES = (*NETCDF, *GRIB, ".npz")
PADDING = 4096  # bytes between messages of GRIB that are looked through at a time
LONG = 1 << 23  # bytes that the length of a message of GRIB 1 can say
NORTH = {"units": "degrees_north", "standard_name": "latitude"}
EAST = {"units": "degrees_east", "standard_name": "longitude"}


def files(path: Path) -> tuple[list[Path], Path, list[Problem]]:
    """Files of a path or a glob pattern, what their names are relative to, and folders that cannot be listed.

    Raises:
        DataError: there are none.
    """
    if not path.exists():
        matched = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        if not matched:
            raise DataError(f"{str(path)!r} does not exist; expected a file, a folder or a pattern such as 't2m/*.nc'")
        return matched, Path(os.path.commonpath([one.parent for one in matched])), []
    if path.is_file() or is_zarr(path):
        return [path], path.parent, []
    found = listing(path, SUFFIXES)
    names = [path / name for name in found.names] + stores(path)
    if not names:
        raise DataError(f"{str(path)!r} holds {found.others} files, none of {', '.join((*SUFFIXES, '.zarr'))}")
    return sorted(names), path, [Problem(safe_id(name), reason) for name, reason in found.problems]


def stores(folder: Path) -> list[Path]:
    """Zarr groups in a folder that are none of ours."""
    return sorted(one for one in folder.iterdir() if one.is_dir() and is_zarr(one) and not is_ours(one))


def is_ours(path: Path) -> bool:
    """Whether a Zarr folder is a functaset or a base network of ours; decoded fields are data as any other."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        said = json.loads((path / "zarr.json").read_text()).get("attributes", {}).get("functa")
        return said is not None and said.get("kind") != "decoded"
    return False


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group."""
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def opened(path: Path) -> list[Any]:
    """Datasets of a file, lazily, without decoding times.

    Raises:
        DataError: not a file of fields; the text is the reason alone.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.is_dir():
                return [_zarr(path)]
            with path.open("rb") as file:
                head = file.read(8)
            if not head:
                raise DataError("is empty (0 bytes)")
            if path.suffix.lower() == ".npz":
                return [_npz(path)]
            if path.suffix.lower() in GRIB or head[:4] == b"GRIB":
                return _grib(path, head)
            return [_netcdf(path, head)]
    except DataError:
        raise
    except PermissionError:
        raise DataError("may not be read (permission denied)") from None
    except Exception as error:
        raise DataError(f"cannot be opened: {one_line(error)}") from None


def check_chunks(path: Path, name: str) -> None:
    """Raise DataError where an array of a Zarr has lost chunks that would read as if they had been measured."""
    import zarr

    array = zarr.open_array(path / name, mode="r")
    filled = float(array.fill_value) if array.fill_value is not None else 0.0
    empty = array.attrs.asdict().get("_FillValue", array.attrs.asdict().get("missing_value"))
    if np.isnan(filled) or filled == empty or array.shards is not None:
        return  # writers leave out chunks that are all missing
    missing = array.nchunks - array.nchunks_initialized
    if missing:
        raise DataError(f"has lost {missing} of {array.nchunks} chunks of {name!r}; fetch it again")


def one_line(error: Exception) -> str:
    """What an exception of a library says, in one line of at most 200 characters."""
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


def _netcdf(path: Path, head: bytes) -> Any:
    import xarray

    if head[:3] == b"CDF":
        return xarray.open_dataset(path, engine="scipy", decode_times=False, cache=False)
    if head[:4] == b"\x89HDF":
        found = xarray.open_dataset(path, engine="h5netcdf", decode_times=False, cache=False)
        return found if found.data_vars else _ungrouped(path, found)
    if head[:2] == b"\x1f\x8b":
        raise DataError("is packed with gzip; unpack it first: gunzip")
    shown = head.lstrip()[:5].decode("ascii", "replace")
    raise DataError(f"is not NetCDF, whatever its name says (it begins with {shown!r})")


def _ungrouped(path: Path, found: Any) -> Any:
    """A dataset without variables, unless they are in groups. Raises DataError where they are."""
    import h5netcdf

    with h5netcdf.File(path, "r") as file:
        groups = list(file.groups)
    if groups:
        raise DataError(f"has its variables in groups ({', '.join(groups[:12])}), which are not read; copy one out")
    return found


def _zarr(path: Path) -> Any:
    import xarray

    if is_ours(path):
        raise DataError("is a functaset or a base network, and holds no fields; functa decode makes some of it")
    return xarray.open_zarr(path, decode_times=False, chunks=None)


def _grib(path: Path, head: bytes) -> list[Any]:
    if head[:4] != b"GRIB":
        raise DataError("is not GRIB, whatever its name says")
    try:
        import cfgrib
    except (ImportError, RuntimeError):
        raise DataError("is GRIB, which needs more: pip install 'functa[grib]'") from None
    _check_messages(path)
    return cfgrib.open_datasets(str(path), backend_kwargs={"indexpath": ""}, decode_times=False, cache=False)


def _check_messages(path: Path) -> None:
    """Raise DataError where a GRIB file is cut: the reader would pass over its last message in silence."""
    size, at, count = path.stat().st_size, 0, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(PADDING + 16)
            blank = len(head) - len(head.lstrip(b"\0 \r\n"))  # archives fill messages up
            if blank == len(head):
                at += len(head)
                continue
            file.seek(at := at + blank)
            head = file.read(16)
            if head[:4] != b"GRIB" or len(head) < 16:
                raise DataError(f"is damaged after {count} GRIB messages; fetch it again")
            length = int.from_bytes(head[4:7], "big") if head[7] == 1 else int.from_bytes(head[8:16], "big")
            if head[7] == 1 and length >= LONG:
                return  # such a message says its length in another way
            file.seek(at + max(length, 20) - 4)
            if at + length > size or file.read(4) != b"7777":
                raise DataError(f"is cut in GRIB message {count + 1}; fetch it again")
            at, count = at + length, count + 1


def _npz(path: Path) -> Any:
    """`temperature` [.., rows, columns] in kelvin on the whole globe, as COIN++ and GASP have it."""
    import xarray

    with np.load(path, allow_pickle=False) as file:
        if "temperature" not in file:
            raise DataError(f"holds {', '.join(map(repr, file.files)) or 'nothing'}; expected an array 'temperature'")
        values = file["temperature"]
        own = {key: file[key] for key in ("latitude", "longitude") if key in file and file[key].ndim == 1}
    if values.dtype.kind not in "fiu" or values.ndim < 2:
        raise DataError(f"holds {values.dtype} {list(values.shape)}; expected numbers [.., latitudes, longitudes]")
    rows, columns = values.shape[-2:]
    lat = own.get("latitude", 90.0 - (np.arange(rows) + 0.5) * 180.0 / rows)
    lon = own.get("longitude", np.arange(columns) * 360.0 / columns)
    coords = {"latitude": ("latitude", lat, NORTH), "longitude": ("longitude", lon, EAST)}
    dims = [*[f"axis{number}" for number in range(values.ndim - 2)], "latitude", "longitude"]
    return xarray.Dataset({"temperature": (dims, values, {"units": "K"})}, coords)
