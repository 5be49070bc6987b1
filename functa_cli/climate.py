"""A variable of a file on latitudes and longitudes, whatever their order, names and packing, and its slices."""

import threading
import warnings
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from functa_cli.errors import ConfigError, DataError
from functa_cli.gridfiles import check_chunks, one_line, opened
from functa_cli.rectilinear import is_latitude, is_longitude, straightened
from functa_cli.slices import Slice
from functa_cli.times import moments, stamp
from functa_cli.units import unit

MISSING = 1e30  # values beyond are fill values that nobody declared


class Grid(NamedTuple):
    """A variable of a file, not yet read."""

    variable: str
    unit: str
    attributes: dict[str, str]  # standard_name, long_name
    latitude: np.ndarray  # degrees, north to south
    longitude: np.ndarray  # degrees, ascending
    slices: tuple[Slice, ...]
    times: dict[str, str]  # units and calendar of the slices' times
    dimensions: dict[str, dict[str, str]]  # what the file says of the others, by name


class _Field(NamedTuple):
    array: Any  # an xarray.DataArray, lazy
    latitude: Hashable  # dimensions
    longitude: Hashable


class File:
    """An open file; slices are read one at a time, from any thread.

    `variable`: which; "" takes the only one, or of several the one named `likely`.
    """

    def __init__(self, path: Path, variable: str = "", likely: str = ""):
        self._lock = threading.Lock()
        self._parts = _chosen(opened(path), variable, likely)
        array, lat, lon = self._parts[0]
        if path.is_dir():
            check_chunks(path, str(array.name))
        rows, columns = _axis(array[lat], 90.0), _axis(array[lon], 720.0)
        self._rows = np.argsort(-rows, kind="stable")
        self._columns, columns, self.twice = _eastward(columns)
        slices, times = _slices(self._parts)
        others = {name: _said(array.coords[name]) for name in slices[0].extra if name in array.coords}
        self.grid = Grid(
            str(array.name),
            unit(str(array.attrs.get("units", ""))),
            {key: text for key, text in _said(array).items() if key in ("standard_name", "long_name")},
            rows[self._rows],
            columns,
            slices,
            times,
            others,
        )

    def read(self, where: Slice) -> np.ndarray:
        """Values float64 [latitudes, longitudes] of a slice, NaN where there are none.

        Raises:
            DataError: it cannot be read, or holds what no field holds; the text is the reason alone.
        """
        array, _, longitude = self._parts[where.part]
        try:
            with self._lock, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                chosen = array.isel(where.index)
                # ERA5 and its first release, each with gaps where the other is
                versions = [chosen.isel(expver=n) for n in range(chosen.sizes.get("expver", 0))] or [chosen]
                order, parts = versions[0].dims, [np.asarray(version.values, np.float64) for version in versions]
        except Exception as error:
            raise DataError(f"cannot be read at {where.name}: {one_line(error)}") from None
        values = parts[0]
        for part in parts[1:]:
            values = np.where(np.isnan(values), part, values)
        if order[0] == longitude:
            values = values.T
        values = values[self._rows][:, self._columns]
        if np.isinf(values).any():
            raise DataError(f"holds infinity at {where.name}")
        wild = np.abs(np.nan_to_num(values)).max()
        if wild > MISSING:
            raise DataError(f"holds {wild:.3g} at {where.name}, a fill value that it does not declare")
        if np.isnan(values).all():
            raise DataError(f"holds no value at {where.name}: all are missing")
        return values


def candidates(path: Path) -> list[str]:
    """Variables of a file that lie on latitudes and longitudes, such as "t2m on 43x48".

    Raises:
        DataError: not a file of fields; the text is the reason alone.
    """
    return [
        f"{array.name} on {array.sizes[lat]}x{array.sizes[lon]}"
        for each in opened(path)
        for array, lat, lon in _fields(each)
    ]


def _fields(each: Any) -> Iterator[_Field]:
    """The variables of a dataset that have a latitude and a longitude."""
    for array in straightened(each).data_vars.values():
        axes = [array[dim] for dim in array.dims if dim in array.coords and array[dim].ndim == 1]
        lat = [axis.name for axis in axes if is_latitude(axis)]
        lon = [axis.name for axis in axes if is_longitude(axis)]
        if len(lat) == len(lon) == 1 and array.size and array.dtype.kind in "fiu":
            yield _Field(array, lat[0], lon[0])


def _chosen(sets: list[Any], variable: str, likely: str) -> list[_Field]:
    """The arrays of the wanted variable that are on the grid of the first: readers of GRIB split what is uneven."""
    found = [field for each in sets for field in _fields(each)]
    names = sorted({str(field.array.name) for field in found})
    if not found:
        held = sorted({str(name) for each in sets for name in each.data_vars})
        raise DataError(f"has no variable on axes of latitudes and longitudes; it has {_list(held)}")
    if variable and variable not in names:
        raise DataError(f"has no variable {variable!r} on latitudes and longitudes; it has {_list(names)}")
    if len(names) > 1 and not variable and likely not in names:
        raise ConfigError(f"holds {len(names)} variables, {_list(names)}; choose one with --variable")
    wanted = variable or (likely if len(names) > 1 else names[0])
    first, *others = [field for field in found if field.array.name == wanted]
    return [first, *(field for field in others if _same(field, first))]


def _same(one: _Field, first: _Field) -> bool:
    return one.latitude == first.latitude and all(
        np.array_equal(one.array[axis].values, first.array[axis].values) for axis in (first.latitude, first.longitude)
    )


def _said(array: Any) -> dict[str, str]:
    """Attributes that CF gives a meaning for others to read."""
    kept = ("standard_name", "long_name", "units", "positive", "axis")
    return {key: str(array.attrs[key]) for key in kept if key in array.attrs}


def _list(names: list[str]) -> str:
    return ", ".join(names[:12]) + (" ..." if len(names) > 12 else "") or "none at all"


def _axis(axis: Any, most: float) -> np.ndarray:
    values = np.asarray(axis.values, np.float64)
    if not np.isfinite(values).all() or np.abs(values).max() > most + 1e-3:
        raise DataError(f"has values of {axis.name!r} from {values.min():g} to {values.max():g}; expected degrees")
    if len(np.unique(values)) < len(values):
        raise DataError(f"has the same {axis.name!r} twice")
    return values


def _eastward(longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Order of columns that goes eastward, their longitudes, ascending, and whether one came twice and is left out.

    A grid may begin anywhere, and be stored westward; where it crosses 180 or 360 degrees its longitudes go on.
    """
    order = np.arange(len(longitude))
    if 2 * np.sum(np.diff(longitude) < 0) > len(longitude):
        order, longitude = order[::-1], longitude[::-1]
    if np.any(np.diff(longitude) < 0):
        longitude = np.unwrap(longitude, period=360.0)
    if np.any(np.diff(longitude) <= 0) or longitude[-1] - longitude[0] > 360.0 + 1e-3:
        raise DataError("has longitudes that neither go round once nor back")
    twice = len(longitude) > 2 and longitude[-1] - longitude[0] >= 360.0 - 1e-3
    kept = slice(0, len(longitude) - twice)
    return order[kept], longitude[kept], bool(twice)


def _slices(parts: list[_Field]) -> tuple[tuple[Slice, ...], dict[str, str]]:
    """Slices along all other dimensions, and the units of their times."""
    found: list[Slice] = []
    times: dict[str, str] = {}
    for number, (array, lat, lon) in enumerate(parts):
        dims = [dim for dim in array.dims if dim not in (lat, lon, "expver")]
        clock = _clock(array, dims)
        if clock is not None:
            said = (str(clock.attrs.get(key, "")) for key in ("units", "calendar"))
            stamps, about = moments(clock.values, *said)
            times = times or about
        others = {str(dim): _values(array, dim) for dim in dims if clock is None or dim not in clock.dims}
        apart = _apart(array) if len(parts) > 1 else {}
        for place in np.ndindex(*[array.sizes[dim] for dim in dims]):
            index = dict(zip(dims, place))
            extra = apart | {name: float(values[index[name]]) for name, values in others.items()}
            time, words = float("nan"), []
            if clock is not None:
                time = float(stamps[tuple(index[dim] for dim in clock.dims)])
                words = [stamp(time, about)]
            words += [f"{name}={value:g}" for name, value in extra.items()]
            found.append(Slice(",".join(words) or str(array.name), index, time, extra, number))
    return tuple(found), times


def _apart(array: Any) -> dict[str, float]:
    """Coordinates of one value that tell an array from the others of its variable, such as the kind of level."""
    alone = {str(name): axis for name, axis in array.coords.items() if axis.ndim == 0 and axis.dtype.kind in "fiub"}
    return {name: float(axis) for name, axis in alone.items() if name not in ("time", "valid_time", "step")}


def _values(array: Any, dim: Hashable) -> np.ndarray:
    """Values of a dimension; its places where it has no numbers."""
    values = array.coords[dim].values if dim in array.coords else np.arange(array.sizes[dim])
    return values if values.ndim == 1 and values.dtype.kind in "fiub" else np.arange(array.sizes[dim])


def _clock(array: Any, dims: list[Hashable]) -> Any:
    """The coordinate that says when best, or None."""
    fine = [axis for axis in array.coords.values() if set(axis.dims) <= set(dims) and axis.dtype.kind in "fiu"]
    for name in ("valid_time", "time"):
        for axis in fine:
            if str(axis.name).lower() == name:
                return axis
    return next((axis for axis in fine if " since " in str(axis.attrs.get("units", ""))), None)
