"""Fields on the sphere, such as ERA5's temperature: each time step is a signal at points of the unit sphere."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from functa_cli.climate import candidates
from functa_cli.coords import sphere
from functa_cli.errors import DataError
from functa_cli.fieldset import FieldSource, Options
from functa_cli.folder import listing
from functa_cli.gridfiles import SUFFIXES, is_ours, is_zarr, stores
from functa_cli.maps import drawn, legend
from functa_cli.modality import Chosen, DecodeOptions, Form, Geometry, Match, Modality, Shape, Target
from functa_cli.netcdf import Fields
from functa_cli.pictures import parse_size
from functa_cli.regrid import axes
from functa_cli.sheets import contact_sheet


def accepts(path: Path) -> Match | None:
    """Why a path is gridded data: a variable on latitudes and longitudes in the first file that can be opened."""
    if path.is_dir() and is_zarr(path):
        names = [] if is_ours(path) else [path]
    elif path.is_dir():
        found = listing(path, SUFFIXES, most=1000)
        names = [found.root / name for name in found.names] + stores(path)
    elif path.exists():
        names = [path]
    else:
        names = sorted(path.parent.glob(path.name))
    names = [name for name in names if name.suffix.lower() in SUFFIXES or name.is_dir()]
    broken = [name for name in names if name.suffix.lower() != ".npz"]
    for name in names[:3]:
        try:
            held = candidates(name)
        except DataError:
            continue
        if held:
            return Match(2, f"{held[0]} in {name.name}")
        broken = [one for one in broken if one != name]
    return Match(1, f"{broken[0].name}, which looks like fields") if broken else None


def target(geometry: Geometry, shape: Shape, resolution: str, options: DecodeOptions) -> Target:
    """Decode at the set's own grid, or at one of another size over the same part of the sphere."""
    del options
    if not resolution:
        return Target(shape, geometry)
    rows, columns = parse_size(resolution)
    latitude, longitude = axes(np.array(geometry["latitude"]), np.array(geometry["longitude"]), rows, columns)
    fresh = {"latitude": np.round(latitude, 9).tolist(), "longitude": np.round(longitude, 9).tolist()}
    return Target((rows, columns), {**geometry, **fresh})


def query(geometry: Geometry, shape: Shape, start: int, stop: int) -> np.ndarray:
    """Points [stop - start, 3] on the unit sphere of these cells of a target."""
    del shape
    return sphere(np.array(geometry["latitude"]), np.array(geometry["longitude"]), start, stop)


def assemble(geometry: Geometry, features: np.ndarray, shape: Shape) -> np.ndarray:
    """Values float32 [latitudes, longitudes] in the unit of the data; what is not finite becomes the lowest."""
    values = np.nan_to_num(features.astype(np.float64), nan=0.0, posinf=1.0, neginf=0.0)
    return (geometry["low"] + geometry["scale"] * values).astype(np.float32).reshape(shape)


def write_png(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Write a field as a picture: map and globes, coloured over the range of the training data."""
    bar = legend(geometry["low"], geometry["high"], geometry["unit"])
    Image.fromarray(np.concatenate([_picture(array, geometry), bar])).save(path, format="PNG")


def write_npz(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Write a field as arrays `values`, `latitude` and `longitude`."""
    latitude, longitude = np.array(geometry["latitude"]), np.array(geometry["longitude"])
    with path.open("wb") as file:
        np.savez_compressed(file, values=array, latitude=latitude, longitude=longitude)


def write_nc(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Write one field as NetCDF."""
    chosen = Chosen([0], ["field"], {}, Target(array.shape, geometry), "functa decode")
    fields = Fields(path, chosen, "nc")
    fields.write(0, array)
    fields.close(failed=False)


def sheet(path: Path, rows: Sequence[Sequence[np.ndarray | None]], geometry: Geometry) -> None:
    """Write a PNG of maps, coloured over the range of the training data."""
    draw = partial(_picture, geometry=geometry)
    contact_sheet(path, [[None if array is None else draw(array) for array in row] for row in rows], geometry)


def example(folder: Path) -> None:
    """Write four fields on a global grid of 8 x 16 cells, as NetCDF-3."""
    import xarray

    latitude, longitude = np.linspace(90, -90, 8), np.arange(16) * 22.5
    wave = np.cos(np.deg2rad(longitude)[None, None] + np.arange(4)[:, None, None])
    values = 280 - 0.4 * np.abs(latitude)[None, :, None] + 5 * wave * np.cos(np.deg2rad(latitude))[None, :, None]
    data = xarray.Dataset(
        {"t2m": (("time", "latitude", "longitude"), values, {"units": "K", "long_name": "2 metre temperature"})},
        {
            "time": ("time", np.arange(4) * 6.0, {"units": "hours since 2020-01-01", "calendar": "standard"}),
            "latitude": ("latitude", latitude, {"units": "degrees_north"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east"}),
        },
    )
    folder.mkdir(parents=True, exist_ok=True)
    data.to_netcdf(folder / "t2m.nc", engine="scipy")


def _picture(array: np.ndarray, geometry: Geometry) -> np.ndarray:
    latitude, longitude = np.array(geometry["latitude"]), np.array(geometry["longitude"])
    if array.shape != (len(latitude), len(longitude)):
        latitude, longitude = axes(latitude, longitude, *array.shape)
    return drawn(array, latitude, longitude, geometry["low"], geometry["high"])


MODALITY = Modality(
    coord_dim=3,
    field_dim=3,
    options=Options,
    preset={"outer": {"points": 1024}},
    accepts=accepts,
    open=FieldSource,
    target=target,
    query=query,
    assemble=assemble,
    forms={"nc": Form(".nc", write_nc), "png": Form(".png", write_png), "npz": Form(".npz", write_npz)},
    sheet=sheet,
    axes=("row", "column"),
    unit="field",
    collectors={"nc": partial(Fields, kind="nc"), "zarr": partial(Fields, kind="zarr")},
    paper={"outer": {"batch": 4}},
)
