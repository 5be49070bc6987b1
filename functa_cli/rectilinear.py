"""Latitudes and longitudes that a file gives for every cell, as axes where the grid is a straight one."""

from typing import Any

import numpy as np

NORTH = ("degrees_north", "degree_north", "degree_n", "degrees_n")
EAST = ("degrees_east", "degree_east", "degree_e", "degrees_e")
NEAR = 1e-3  # degrees


def is_latitude(axis: Any) -> bool:
    """Whether a variable says that it holds latitudes."""
    return _is(axis, NORTH, "latitude", ("lat",))


def is_longitude(axis: Any) -> bool:
    """Whether a variable says that it holds longitudes."""
    return _is(axis, EAST, "longitude", ("lon",))


def straightened(data: Any) -> Any:
    """The dataset with its first latitudes and longitudes [rows, columns] as axes of these dimensions.

    It stays as it is where it has none, or where they are of a curved grid.
    """
    flat = [data[name] for name in data.variables if data[name].ndim == 2]
    lat = next((one for one in flat if is_latitude(one)), None)
    lon = next((one for one in flat if is_longitude(one)), None)
    if lat is None or lon is None or lat.dims != lon.dims:
        return data
    for down, across in (lat.dims, lat.dims[::-1]):
        rows, columns = lat.transpose(down, across).values, lon.transpose(down, across).values
        straight = np.ptp(rows, axis=1).max() < NEAR and np.ptp(columns, axis=0).max() < NEAR
        if rows.size and straight:
            axes = {
                down: (down, rows[:, 0], {"units": NORTH[0]}),
                across: (across, columns[0], {"units": EAST[0]}),
            }
            return data.drop_vars([lat.name, lon.name, *({down, across} & set(data.variables))]).assign_coords(axes)
    return data


def _is(axis: Any, units: tuple[str, ...], standard: str, names: tuple[str, ...]) -> bool:
    said = str(axis.attrs.get("units", "")).lower()
    named = str(axis.attrs.get("standard_name", "")).lower() == standard
    return said in units or named or str(axis.name).lower() in (standard, *names)
