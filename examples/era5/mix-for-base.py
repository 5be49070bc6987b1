"""Gather the temperature fields that the network for fields on the sphere was trained on, on one grid.

usage: mix-for-base.py DATA OUT.nc     DATA holds the folders t2m-glosea, t2m-pcm, t2m-formats and era5-ens3deg

Surface and 2 m temperature, and temperature at 850 and 500 hPa, interpolated to 61 x 120 cells. None of the fields
that ship with the package is among them. Of the annual means of t2m-pcm, which are much alike, every fourth.
"""

import sys
from pathlib import Path

import h5netcdf
import numpy as np

from functa_cli.modalities.era5 import MODALITY
from functa_cli.regrid import axes

GRID = (61, 120)
SETS = (  # path, variable, which of its fields
    ("t2m-glosea/glosea4_m04.nc", "", slice(None)),
    ("t2m-glosea/glosea4_m05.nc", "", slice(None)),
    ("t2m-glosea/glosea4_m07.nc", "", slice(None)),
    ("t2m-pcm/*.nc", "", slice(None, None, 4)),
    ("era5-ens3deg/era5_t_members0-4.nc", "", slice(None)),
    ("t2m-formats/tas_ERAINT_clim12.nc", "", slice(None)),
    ("t2m-formats/T2m_1x1.nc", "", slice(None)),
    ("t2m-formats/ecmwf_2t_1deg_3steps.grib", "", slice(None)),
    ("t2m-formats/ERA_Interim_2017a.nc", "t2m", slice(None)),
)


def fields(path: str, variable: str, chosen: slice) -> list[np.ndarray]:
    """Fields in kelvin on GRID, from the longitude 0 on."""
    options = MODALITY.options(variable=variable, grid="native", split="none")
    source = MODALITY.open(path, options, seed=0)
    found = []
    for index in range(len(source))[chosen]:
        shape = tuple(source.shapes[index].tolist())
        values = MODALITY.assemble(source.geometry, source[index].features, shape)
        latitude, longitude = (np.array(source.geometry[axis]) for axis in ("latitude", "longitude"))
        high, wide = axes(np.linspace(90, -90, 181), np.arange(360.0), *GRID)
        found.append(interpolated(values, latitude, longitude, high, wide))
    return found


def interpolated(values, latitude, longitude, high, wide) -> np.ndarray:
    """Linear in latitude and longitude; beyond the last row, that row."""
    around = np.concatenate([values[:, -1:], values, values[:, :1]], axis=1)
    turns = np.concatenate([longitude[-1:] - 360, longitude, longitude[:1] + 360])
    place = (wide - longitude[0]) % 360 + longitude[0]
    across = np.stack([np.interp(place, turns, row) for row in around])
    return np.stack([np.interp(-high, -latitude, column) for column in across.T], axis=1)


def main(data: Path, out: Path) -> None:
    values = np.concatenate([np.stack(fields(str(data / path), *rest)) for path, *rest in SETS])
    high, wide = axes(np.linspace(90, -90, 181), np.arange(360.0), *GRID)
    with h5netcdf.File(out, "w") as file:
        file.dimensions = {"time": len(values), "latitude": GRID[0], "longitude": GRID[1]}
        for name, axis, unit in (
            ("time", np.arange(float(len(values))), "days since 2000-01-01"),
            ("latitude", high, "degrees_north"),
            ("longitude", wide, "degrees_east"),
        ):
            file.create_variable(name, (name,), data=axis).attrs["units"] = unit
        shown = file.create_variable("t2m", ("time", "latitude", "longitude"), data=values.astype(np.float32))
        shown.attrs.update({"units": "K", "long_name": "temperature"})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
