"""Files of gridded fields as everyone publishes them, through xarray: NetCDF-3 and -4, Zarr, GRIB, and .npz."""

import contextlib
import json
import threading
import warnings
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from functa_cli.errors import ConfigError, DataError

NETCDF = (".nc", ".nc4", ".cdf", ".netcdf")
GRIB = (".grib", ".grb", ".grib2", ".grb2")
SUFFIXES = (*NETCDF, *GRIB, ".npz")
PADDING = 4096  # bytes between messages of GRIB that are looked through at a time
MISSING = 1e30  # values beyond are fill values that nobody declared
NORTH = ("degrees_north", "degree_north", "degree_n", "degrees_n")
EAST = ("degrees_east", "degree_east", "degree_e", "degrees_e")
STANDARD = ("", "standard", "gregorian", "proleptic_gregorian")


class Slice(NamedTuple):
    """One field of a file: what it is called, where it is, and when."""

    name: str  # "2022-05-01T0300,level=850"
    index: dict[Hashable, int]  # by dimension
    time: float  # in the units of the file's `times`; NaN where there is none
    extra: dict[str, float]  # values of the other dimensions


class Grid(NamedTuple):
    """A variable of a file, not yet read."""

    variable: str
    unit: str
    attributes: dict[str, str]  # standard_name, long_name
    latitude: np.ndarray  # degrees, north to south
    longitude: np.ndarray  # degrees, ascending
    slices: tuple[Slice, ...]
    times: dict[str, str]  # units and calendar


class File:
    """An open file; slices are read one at a time, from any thread."""

    def __init__(self, path: Path, variable: str = ""):
        self._lock = threading.Lock()
        self._sets = _opened(path)
        array, self._latitude, self._longitude = _chosen(self._sets, variable)
        self._array = array
        rows, columns = _axis(array[self._latitude], 90.0), _axis(array[self._longitude], 720.0)
        self._rows = np.argsort(-rows, kind="stable")
        columns = np.rad2deg(np.unwrap(np.deg2rad(columns))) if np.any(np.diff(columns) < 0) else columns
        if len(columns) > 1 and columns[-1] < columns[0]:
            raise DataError("has longitudes that neither ascend nor go round")
        twice = len(columns) > 2 and columns[-1] - columns[0] >= 360.0 - 1e-6
        self._columns = np.arange(len(columns) - twice)
        self.twice = bool(twice)
        units = str(array.attrs.get("units", "")).strip()
        slices, times = _slices(array, self._latitude, self._longitude)
        named = {key: str(array.attrs[key]) for key in ("standard_name", "long_name") if key in array.attrs}
        self.grid = Grid(
            str(array.name), _unit(units), named, rows[self._rows], columns[self._columns], tuple(slices), times
        )

    def read(self, where: Slice) -> np.ndarray:
        """Values float64 [latitudes, longitudes] of a slice, NaN where there are none.

        Raises:
            DataError: it cannot be read, or holds what no field holds; the text is the reason alone.
        """
        try:
            with self._lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                chosen = self._array.isel(where.index)
                if "expver" in chosen.dims:  # ERA5 and its first release, each with gaps where the other is
                    parts = [chosen.isel(expver=number).values for number in range(chosen.sizes["expver"])]
                    order = [dim for dim in chosen.dims if dim != "expver"]
                    values = parts[0]
                    for part in parts[1:]:
                        values = np.where(np.isnan(values), part, values)
                else:
                    order, values = list(chosen.dims), chosen.values
        except Exception as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"cannot be read at {where.name}: {what[:200]}") from None
        values = np.asarray(values, np.float64)
        if order[0] == self._longitude:
            values = values.T
        values = values[self._rows][:, self._columns]
        if np.isinf(values).any():
            raise DataError(f"holds infinity at {where.name}")
        wild = np.abs(np.nan_to_num(values)) > MISSING
        if wild.any():
            raise DataError(
                f"holds {np.abs(values[wild]).max():.3g} at {where.name}, a fill value that it does not declare"
            )
        if np.isnan(values).all():
            raise DataError(f"holds no value at {where.name}: all are missing")
        return values


def candidates(path: Path) -> list[str]:
    """Variables of a file that lie on latitudes and longitudes, such as "t2m on 43x48"."""
    return [
        f"{name} on {array.sizes[lat]}x{array.sizes[lon]}"
        for each in _opened(path)
        for name, array, lat, lon in _fields(each)
    ]


def seconds(time: float, times: dict[str, str]) -> float | None:
    """A time as seconds since 1970-01-01, or None where its calendar or unit is not the ordinary one."""
    if times.get("calendar", "").lower() not in STANDARD or not np.isfinite(time):
        return None
    from xarray.coding.times import decode_cf_datetime

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = decode_cf_datetime(np.array([time]), times.get("units", ""), "standard", use_cftime=False)
        return float((found[0] - np.datetime64(0, "s")) / np.timedelta64(1, "ns")) / 1e9
    except Exception:
        return None


def is_ours(path: Path) -> bool:
    """Whether a Zarr folder is a functaset, base network or decoded array of ours."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return "functa" in json.loads((path / "zarr.json").read_text()).get("attributes", {})
    return False


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group."""
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zmetadata"))


def _opened(path: Path) -> list[Any]:
    """Datasets of a file, lazily, without decoding times.

    Raises:
        DataError: not a file of fields; the text is the reason alone.
    """
    try:
        size = path.stat().st_size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.is_dir():
                return [_zarr(path)]
            if size == 0:
                raise DataError("is empty (0 bytes)")
            with path.open("rb") as file:
                head = file.read(8)
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
        what = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"cannot be opened: {what[:200]}") from None


def _netcdf(path: Path, head: bytes) -> Any:
    import xarray

    if head[:3] == b"CDF":
        return xarray.open_dataset(path, engine="scipy", decode_times=False, cache=False)
    if head[:4] == b"\x89HDF":
        return xarray.open_dataset(path, engine="h5netcdf", decode_times=False, cache=False)
    shown = head.lstrip()[:5].decode("ascii", "replace")
    raise DataError(f"is not NetCDF, whatever its name says (it begins with {shown!r})")


def _zarr(path: Path) -> Any:
    import xarray

    found = xarray.open_zarr(path, decode_times=False, chunks=None)
    for name in found.data_vars:
        _check_chunks(path, str(name))
    return found


def _check_chunks(path: Path, name: str) -> None:
    """Raise DataError where an array of a Zarr has lost chunks, which would read as fill values."""
    import zarr

    array = zarr.open_array(path / name, mode="r")
    missing = array.nchunks - array.nchunks_initialized
    if array.ndim > 1 and missing and array.shards is None:
        raise DataError(f"has lost {missing} of {array.nchunks} chunks of {name!r}; fetch it again")


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
            at, head = at + blank, head[blank:]
            if head[:4] != b"GRIB" or len(head) < 16:
                raise DataError(f"is damaged after {count} GRIB messages; fetch it again")
            length = int.from_bytes(head[4:7], "big") if head[7] == 1 else int.from_bytes(head[8:16], "big")
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
        rows, columns = values.shape[-2:]
        own = {key: file[key] for key in ("latitude", "longitude") if key in file and file[key].ndim == 1}
    if values.dtype.kind not in "fiu":
        raise DataError(f"holds {values.dtype} values; expected numbers")
    lat = own.get("latitude", 90.0 - (np.arange(rows) + 0.5) * 180.0 / rows)
    lon = own.get("longitude", np.arange(columns) * 360.0 / columns)
    coords = {"latitude": ("latitude", lat, {"units": NORTH[0]}), "longitude": ("longitude", lon, {"units": EAST[0]})}
    dims = [*[f"axis{number}" for number in range(values.ndim - 2)], "latitude", "longitude"]
    return xarray.Dataset({"temperature": (dims, values, {"units": "K"})}, coords)


def _fields(each: Any) -> Iterator[tuple[str, Any, Hashable, Hashable]]:
    """Name, array, latitude and longitude of each variable of a dataset that has both."""
    for name, array in each.data_vars.items():
        lat = [dim for dim in array.dims if dim in array.coords and _is(array[dim], NORTH, "latitude", ("lat",))]
        lon = [dim for dim in array.dims if dim in array.coords and _is(array[dim], EAST, "longitude", ("lon",))]
        if len(lat) == len(lon) == 1 and array.dtype.kind in "fiu":
            yield str(name), array, lat[0], lon[0]


def _is(axis: Any, units: tuple[str, ...], standard: str, names: tuple[str, ...]) -> bool:
    said = str(axis.attrs.get("units", "")).lower()
    named = str(axis.attrs.get("standard_name", "")).lower() == standard
    return axis.ndim == 1 and (said in units or named or str(axis.name).lower() in (standard, *names))


def _chosen(sets: list[Any], variable: str) -> tuple[Any, Hashable, Hashable]:
    found = [field for each in sets for field in _fields(each)]
    names = sorted({field[0] for field in found})
    if variable:
        found = [field for field in found if field[0] == variable]
        if not found:
            raise DataError(f"has no variable {variable!r} on latitudes and longitudes; it has {_list(names)}")
    if not found:
        held = sorted({str(name) for each in sets for name in each.data_vars})
        raise DataError(f"has no variable on latitudes and longitudes; it has {_list(held)}")
    if len(names) > 1 and not variable:
        raise ConfigError(f"holds {len(names)} variables, {_list(names)}; choose one with --variable")
    _, array, lat, lon = found[0]
    return array, lat, lon


def _list(names: list[str]) -> str:
    return ", ".join(names[:12]) + (" ..." if len(names) > 12 else "") or "none at all"


def _axis(axis: Any, most: float) -> np.ndarray:
    values = np.asarray(axis.values, np.float64)
    if not np.isfinite(values).all() or np.abs(values).max() > most + 1e-3:
        raise DataError(f"has values of {axis.name!r} from {values.min():g} to {values.max():g}; expected degrees")
    if len(np.unique(values)) < len(values):
        raise DataError(f"has the same {axis.name!r} twice")
    return values


def _unit(text: str) -> str:
    """The unit as CF writes it: K and degC for what files call kelvin and celsius."""
    plain = text.lower().replace("_", "").replace(" ", "").removeprefix("degrees").removeprefix("degree")
    return {"k": "K", "kelvin": "K", "c": "degC", "celsius": "degC", "degc": "degC"}.get(plain, text or "1")


def _slices(array: Any, lat: Hashable, lon: Hashable) -> tuple[list[Slice], dict[str, str]]:
    """Slices along all other dimensions, and the units of their times."""
    dims = [dim for dim in array.dims if dim not in (lat, lon, "expver")]
    clock = next((array.coords[name] for name in _clocks(array, dims)), None)
    times = {key: str(clock.attrs.get(key, "")) for key in ("units", "calendar")} if clock is not None else {}
    stamps = None if clock is None else np.asarray(clock.values)
    found = []
    for place in np.ndindex(*[array.sizes[dim] for dim in dims]):
        index = dict(zip(dims, place))
        time, extra = float("nan"), {}
        if clock is not None:
            time = float(stamps[tuple(index[dim] for dim in clock.dims)])  # ty: ignore[not-subscriptable]
        for dim in dims:
            if clock is not None and dim in clock.dims:
                continue
            values = array.coords[dim].values if dim in array.coords else np.arange(array.sizes[dim])
            number = values[index[dim]]
            extra[str(dim)] = float(number) if np.asarray(number).dtype.kind in "fiub" else float(index[dim])
        words = [_stamp(time, times)] * (clock is not None) + [f"{name}={value:g}" for name, value in extra.items()]
        found.append(Slice(",".join(words) or str(array.name), index, time, extra))
    return found, times


def _clocks(array: Any, dims: list[Hashable]) -> Iterator[str]:
    """Coordinates that say when, the best first."""
    fine = [name for name, axis in array.coords.items() if set(axis.dims) <= set(dims) and axis.dtype.kind in "fiuM"]
    for wanted in ("valid_time", "time"):
        yield from (str(name) for name in fine if str(name).lower() == wanted)
    yield from (str(name) for name in fine if " since " in str(array.coords[name].attrs.get("units", "")))


def _stamp(time: float, times: dict[str, str]) -> str:
    since = seconds(time, times)
    if since is None or abs(since) > 2e11:
        return f"time={time:g}"
    return str(np.datetime64(round(since), "s")).replace(":", "")[:15]
