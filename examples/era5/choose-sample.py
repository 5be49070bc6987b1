"""How the sample set that ships with the package was chosen.

usage: choose-sample.py GLOSEA OUT.nc     GLOSEA holds a NetCDF file for each member of the forecast, as Iris saves it

The first members by name, as many as the size of the package allows, in one file with a dimension for the
member. Temperature, coordinates and attributes are kept bit by bit; bounds of time cells and the times since the start
of the forecast are left out.
"""

import sys
from pathlib import Path

import numpy as np
import xarray

MEMBERS = 4
VARIABLE = "surface_temperature"
DROPPED = ("um_stash_source", "grid_mapping")  # say nothing without the rest of the files


def field(path: Path) -> xarray.DataArray:
    values = xarray.load_dataset(path, decode_times=False, engine="h5netcdf")[VARIABLE]
    values = values.drop_vars(["forecast_period", "forecast_reference_time"])
    values.attrs = {key: value for key, value in values.attrs.items() if key not in DROPPED}
    values["time"].attrs.pop("bounds", None)
    return values


def main(source: Path, out: Path) -> None:
    files = sorted(source.glob("*.nc"))[:MEMBERS]
    numbers = xarray.DataArray(
        np.array([int(file.stem[-2:]) for file in files], np.int32),
        dims="number",
        attrs={"standard_name": "realization", "long_name": "member of the ensemble", "units": "1"},
    )
    joined = xarray.concat([field(file) for file in files], dim="number", coords="minimal")
    joined = joined.assign_coords(number=numbers)
    joined.encoding.clear()
    data = joined.to_dataset(name=VARIABLE)
    data.attrs = {
        "Conventions": "CF-1.7",
        "title": "GloSea4 seasonal forecast, monthly means of surface temperature",
        "institution": "Met Office",
        "source": "Data from Met Office Unified Model",
        "license": "Open Government Licence; (c) British Crown copyright, 2018, the Met Office",
    }
    each = (1, 1, *joined.shape[2:])
    whole = {"zlib": True, "complevel": 9, "shuffle": True, "chunksizes": each, "_FillValue": None}
    plain = {name: {"_FillValue": None} for name in data.coords}
    data.to_netcdf(out, engine="h5netcdf", encoding={VARIABLE: whole, **plain})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
