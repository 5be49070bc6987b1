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
KNOWN = {  # of dimensions that files say nothing of
    "number": {"standard_name": "realization", "units": "1"},
    "isobaricInhPa": {"standard_name": "air_pressure", "units": "hPa", "positive": "down", "axis": "Z"},
    "pressure_level": {"standard_name": "air_pressure", "units": "hPa", "positive": "down", "axis": "Z"},
}


class Fields:
    """A file of one variable on (time, ..., latitude, longitude), as `Collector`; kind "nc" or "zarr".

    Where the chosen data are not all combinations of their coordinates, they lie along `datum`, with their ids and
    coordinates beside; one datum without coordinates is a plain field.
    """

    def __init__(self, path: Path, chosen: Chosen, kind: str):
        geometry, columns = chosen.target.geometry, dict(chosen.columns)
        self.rows = {row: place for place, row in enumerate(chosen.rows)}
        outer, scalars, self.places = arranged(columns, len(chosen.rows))
        sizes = {name: len(values) for name, values in outer.items()}
        beside = scalars
        if not sizes and self.places != [()]:
            sizes = {"datum": len(chosen.rows)}
            beside = {"id": np.array(list(chosen.ids), dtype=object), **columns}
        own = {axis: np.asarray(geometry[axis], np.float64) for axis in AXES}
        sizes |= {axis: len(values) for axis, values in own.items()}
        self.store: Any = _NetCDF(path) if kind == "nc" else _Zarr(path)
        self.store.begin(sizes, {"Conventions": CONVENTIONS, "history": chosen.history, "source": "functa decode"})
        for axis, values in own.items():
            self.store.add(axis, (axis,), values, AXES[axis])
        for name, values in outer.items():
            self.store.add(name, (name,), _plain(values), about(name, geometry))
        for name, values in beside.items():
            words = {key: text for key, text in about(name, geometry).items() if key != "axis"}
            self.store.add(name, () if outer else ("datum",), _plain(values), words)
        words = {**geometry["attributes"], "units": geometry["unit"]}
        if beside:
            words["coordinates"] = " ".join(beside)
        self.variable = self.store.large(geometry["variable"], tuple(sizes), tuple(sizes.values()), words)

    def write(self, row: int, array: np.ndarray) -> None:
        """Take the values [latitude, longitude] of a row of the set."""
        self.variable[self.places[self.rows[row]]] = np.asarray(array, np.float32)

    def close(self, *, failed: bool) -> None:
        """Finish the file."""
        del failed
        self.store.close()


def arranged(
    columns: Mapping[str, np.ndarray], count: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], list[tuple[int, ...]]]:
    """Outer dimensions of `count` data with these coordinates, those that are one value, and each datum's place.

    Time comes first, or CDO does not read it, and it is a dimension whatever its length. There are no dimensions where
    the data are not all combinations of their coordinates, each once; then the place is the number of the datum, or
    nothing for one without coordinates.
    """
    if not columns and count == 1:
        return {}, {}, [()]
    order = sorted(columns, key=lambda name: name != "time")
    values = {name: np.unique(columns[name]) for name in order}
    places = list(zip(*(np.searchsorted(values[name], columns[name]).tolist() for name in order)))
    known = all(np.isfinite(each).all() for each in values.values())
    full = bool(order) and known and len(set(places)) == count == np.prod([len(each) for each in values.values()])
    if not full:
        return {}, {}, [(number,) for number in range(count)]
    kept = [name for name in order if name == "time" or len(values[name]) > 1] or order[:1]
    scalars = {name: values[name][0] for name in order if name not in kept}
    return (
        {name: values[name] for name in kept},
        scalars,
        [tuple(at for name, at in zip(order, place) if name in kept) for place in places],
    )


def about(name: str, geometry: Mapping[str, Any]) -> dict[str, str]:
    """Attributes of a coordinate: what the files said of it, else what is known of its name."""
    if name == "time":
        return {"standard_name": "time", "axis": "T"} | {key: text for key, text in geometry["time"].items() if text}
    if name == "id":
        return {"long_name": "name in the set"}
    return geometry.get("dimensions", {}).get(name) or KNOWN.get(name, {"long_name": name})


def _plain(values: np.ndarray) -> np.ndarray:
    """Whole numbers as such, but for large ones such as times."""
    values = np.asarray(values)
    whole = values.dtype.kind == "f" and np.all(np.abs(values) < 1e6) and np.all(values == np.rint(values))
    return values.astype(np.int32) if whole else values


class _NetCDF:
    """NetCDF-4 through HDF5."""

    def __init__(self, path: Path):
        import h5netcdf

        self.file: Any = h5netcdf.File(path, "w")

    def begin(self, sizes: Mapping[str, int], attributes: Mapping[str, str]) -> None:
        self.file.dimensions = dict(sizes)
        self.file.attrs.update(_chars(attributes))

    def add(self, name: str, dims: tuple[str, ...], values: np.ndarray, about: Mapping[str, str]) -> None:
        import h5py

        kind: Any = h5py.string_dtype() if values.dtype == object else values.dtype
        variable = self.file.create_variable(name, dims, kind)
        variable[...] = values
        variable.attrs.update(_chars(about))

    def large(self, name: str, dims: tuple[str, ...], shape: tuple[int, ...], about: Mapping[str, str]) -> Any:
        chunks = (*[1] * (len(shape) - 2), *shape[-2:])
        packed = {"compression": "gzip", "compression_opts": 4, "shuffle": True}
        variable = self.file.create_variable(name, dims, np.float32, chunks=chunks, fillvalue=FILL, **packed)
        variable.attrs.update(_chars(about))
        return variable

    def close(self) -> None:
        self.file.close()


def _chars(attributes: Mapping[str, str]) -> dict[str, Any]:
    """Texts as characters, which every reader of NetCDF knows; those beyond ASCII as strings."""
    return {key: np.bytes_(text.encode()) if text.isascii() and text else text for key, text in attributes.items()}


class _Zarr:
    """Zarr as xarray writes it."""

    def __init__(self, path: Path):
        import zarr

        self.group: Any = zarr.create_group(path, zarr_format=3)

    def begin(self, sizes: Mapping[str, int], attributes: Mapping[str, str]) -> None:
        del sizes
        from functa_cli.place import FORMAT  # zarr is loaded when it is needed

        self.group.attrs.update({**attributes, "functa": {"format": FORMAT, "kind": "decoded"}})

    def add(self, name: str, dims: tuple[str, ...], values: np.ndarray, about: Mapping[str, str]) -> None:
        kind = str if values.dtype == object else values.dtype
        array = self.group.create_array(name, shape=values.shape, dtype=kind, dimension_names=dims)
        array[...] = values
        array.attrs.update(about)

    def large(self, name: str, dims: tuple[str, ...], shape: tuple[int, ...], about: Mapping[str, str]) -> Any:
        chunks = (*[1] * (len(shape) - 2), *shape[-2:])
        kind: dict[str, Any] = {"dtype": "float32", "fill_value": float("nan")}
        array = self.group.create_array(name, shape=shape, chunks=chunks, dimension_names=dims, **kind)
        array.attrs.update(about)
        return array

    def close(self) -> None:
        from functa_cli.place import consolidate

        consolidate(self.group)
