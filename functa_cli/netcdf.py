"""Decoded fields as CF-conforming NetCDF or Zarr, written field by field, for xarray, CDO, ncview and the like."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli.modality import Chosen

CONVENTIONS = "CF-1.8"
FILL = np.float32(9.969209968386869e36)  # NetCDF's own
AXES = {
    "latitude": {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "longitude": {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east", "axis": "X"},
}
KNOWN = {
    "number": {"standard_name": "realization", "units": "1"},
    "level": {"long_name": "level"},
    "isobaricInhPa": {"standard_name": "air_pressure", "units": "hPa", "positive": "down", "axis": "Z"},
    "pressure_level": {"standard_name": "air_pressure", "units": "hPa", "positive": "down", "axis": "Z"},
}


class Fields:
    """A file of one variable on (time, latitude, longitude), with more dimensions where the data have them.

    Where the chosen data are not all combinations of their coordinates, they lie along `datum`, with the coordinates
    beside.
    """

    def __init__(self, path: Path, chosen: Chosen, kind: str):
        geometry, columns = chosen.target.geometry, dict(chosen.columns)
        self.rows = {row: place for place, row in enumerate(chosen.rows)}
        self.store: Any = _NetCDF(path) if kind == "nc" else _Zarr(path)
        own = {axis: np.asarray(geometry[axis], np.float64) for axis in ("latitude", "longitude")}
        outer, self.places = arranged(columns, len(chosen.rows))
        sizes = {name: len(values) for name, values in outer.items()} or {"datum": len(chosen.rows)}
        sizes |= {axis: len(values) for axis, values in own.items()}
        attributes = {"Conventions": CONVENTIONS, "history": chosen.history, "source": "functa decode"}
        self.store.begin(sizes, attributes)
        for axis, values in own.items():
            self.store.add(axis, (axis,), values, AXES[axis])
        said = geometry.get("time", {})
        when = {key: value for key, value in said.items() if value}
        for name, values in (outer or columns).items():
            about = {"standard_name": "time", "axis": "T", **when} if name == "time" else KNOWN.get(name, {})
            if name == "time" and not outer:
                about = {key: value for key, value in about.items() if key != "axis"}
            self.store.add(name, (name,) if outer else ("datum",), values, about)
        aside = {}
        if not outer:
            self.store.add("id", ("datum",), np.array(list(chosen.ids), dtype=object), {"long_name": "name in the set"})
            aside = {"coordinates": " ".join(["id", *columns])}
        about = {**geometry["attributes"], "units": geometry["unit"], **aside}
        self.variable = self.store.large(geometry["variable"], tuple(sizes), tuple(sizes.values()), about)

    def write(self, row: int, array: np.ndarray) -> None:
        """Take the values [latitude, longitude] of a row of the set."""
        self.variable[self.places[self.rows[row]]] = np.asarray(array, np.float32)

    def close(self, *, failed: bool) -> None:
        """Finish the file."""
        del failed
        self.store.close()


def arranged(columns: Mapping[str, np.ndarray], count: int) -> tuple[dict[str, np.ndarray], list[tuple[int, ...]]]:
    """Outer dimensions of `count` data with these coordinates, and the place of each datum in them.

    Dimensions are empty where the data are not all combinations of their coordinates, each once.
    """
    order = [name for name in columns if name != "time"] + [name for name in columns if name == "time"]
    values = {name: np.unique(columns[name]) for name in order}
    full = bool(order) and np.prod([len(each) for each in values.values()]) == count
    if full and all(np.isfinite(each).all() for each in values.values()):
        indices = [np.searchsorted(values[name], columns[name]) for name in order]
        places = [tuple(int(axis[number]) for axis in indices) for number in range(count)]
        if len(set(places)) == count:
            return values, places
    return {}, [(number,) for number in range(count)]


class _NetCDF:
    """NetCDF-4 through HDF5."""

    def __init__(self, path: Path):
        import h5netcdf

        self.file: Any = h5netcdf.File(path, "w")

    def begin(self, sizes: Mapping[str, int], attributes: Mapping[str, str]) -> None:
        self.file.dimensions = dict(sizes)
        self.file.attrs.update(attributes)

    def add(self, name: str, dims: tuple[str, ...], values: np.ndarray, about: Mapping[str, str]) -> None:
        if values.dtype == object:
            import h5py

            kind: Any = h5py.string_dtype()
        else:
            kind = values.dtype
        variable = self.file.create_variable(name, dims, kind)
        variable[...] = values
        variable.attrs.update(about)

    def large(self, name: str, dims: tuple[str, ...], shape: tuple[int, ...], about: Mapping[str, str]) -> Any:
        chunks = (*[1] * (len(shape) - 2), *shape[-2:])
        packed = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        variable = self.file.create_variable(name, dims, np.float32, chunks=chunks, fillvalue=FILL, **packed)
        variable.attrs.update(about)
        return variable

    def close(self) -> None:
        self.file.close()


class _Zarr:
    """Zarr as xarray writes it."""

    def __init__(self, path: Path):
        import zarr

        from functa_cli.place import FORMAT

        self.ours = {"format": FORMAT, "kind": "decoded"}
        self.group: Any = zarr.create_group(path, zarr_format=3)

    def begin(self, sizes: Mapping[str, int], attributes: Mapping[str, str]) -> None:
        del sizes
        self.group.attrs.update({**attributes, "functa": self.ours})

    def add(self, name: str, dims: tuple[str, ...], values: np.ndarray, about: Mapping[str, str]) -> None:
        kind = str if values.dtype == object else values.dtype
        array = self.group.create_array(name, shape=values.shape, dtype=kind, dimension_names=dims)
        array[...] = values
        array.attrs.update(about)

    def large(self, name: str, dims: tuple[str, ...], shape: tuple[int, ...], about: Mapping[str, str]) -> Any:
        chunks = (*[1] * (len(shape) - 2), *shape[-2:])
        kind = {"dtype": "float32", "fill_value": float("nan")}
        array = self.group.create_array(name, shape=shape, chunks=chunks, dimension_names=dims, **kind)
        array.attrs.update(about)
        return array

    def close(self) -> None:
        pass
