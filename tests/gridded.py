"""Tiny gridded fields and the files they come in: for the tests of the era5 modality."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray

from functa_cli.fieldset import FieldSource, Options

LATITUDE = np.linspace(90, -90, 9)
LONGITUDE = np.arange(16) * 22.5


def truth(latitude, longitude) -> np.ndarray:
    """A smooth field on the sphere, kelvin, the same function of the place whatever the grid."""
    high, round_ = np.deg2rad(np.asarray(latitude, float))[:, None], np.deg2rad(np.asarray(longitude, float))[None]
    return 280 + 15 * np.cos(2 * high) + 8 * np.cos(high) * np.cos(round_ - 0.6) + 3 * np.sin(high)


def fields(
    latitude=LATITUDE,
    longitude=LONGITUDE,
    *,
    name: str = "t2m",
    times: int = 3,
    units: str = "K",
    since: str = "hours since 2020-01-01",
    calendar: str = "standard",
    dims: Mapping[str, Any] | None = None,
    lat: str = "latitude",
    lon: str = "longitude",
) -> xarray.Dataset:
    """`times` steps of six hours of `truth`, one kelvin warmer each, and 100 K for each step along each of `dims`."""
    latitude, longitude = np.asarray(latitude, float), np.asarray(longitude, float)
    dims = dict(dims or {})
    shape = (times, *(len(values) for values in dims.values()))
    steps = np.arange(times).reshape(-1, *[1] * len(dims)) + 100.0 * sum(np.indices(shape)[1:], np.zeros(shape))
    values = truth(latitude, longitude) + steps[..., None, None]
    return xarray.Dataset(
        {name: (("time", *dims, lat, lon), values.astype(np.float32), {"units": units, "standard_name": "x"})},
        {
            "time": ("time", np.arange(times) * 6.0, {"units": since, "calendar": calendar}),
            lat: (lat, latitude, {"units": "degrees_north"}),
            lon: (lon, longitude, {"units": "degrees_east"}),
            **dims,
        },
    )


def save(path: Path, data: xarray.Dataset | None = None, **encoding: Any) -> Path:
    """Write a dataset as its suffix says: .nc is NetCDF-4, .cdf NetCDF-3, .zarr Zarr 3."""
    data = fields() if data is None else data
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zarr":
        data.to_zarr(path, zarr_format=3, encoding=encoding, consolidated=False)
    else:
        data.to_netcdf(path, engine="scipy" if path.suffix == ".cdf" else "h5netcdf", encoding=encoding)
    return path


def opened(path: Path | str, *, seed: int = 0, geometry: dict | None = None, **options: Any) -> FieldSource:
    return FieldSource(path, Options(**{"split": "none", **options}), seed=seed, geometry=geometry)


def kelvin(source: FieldSource, index: int = 0) -> np.ndarray:
    """Values of a datum in its unit, [latitudes, longitudes]; NaN where the weight is 0."""
    _, features, weights = source[index]
    low, scale = source.geometry["low"], source.geometry["scale"]
    values = np.where(weights > 0, low + scale * features[:, 0].astype(float), np.nan)
    return values.reshape(tuple(source.shapes[index]))
