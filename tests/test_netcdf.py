"""Decoded fields as files that others read: NetCDF and Zarr with coordinates, units, times and history."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
import xarray

from functa_cli import basefile, basenet, meta
from functa_cli.basefile import Base
from functa_cli.config import to_dict
from functa_cli.decode import decode
from functa_cli.encode import encode
from functa_cli.errors import StoreError
from functa_cli.modalities.era5 import MODALITY, write_nc
from functa_cli.modality import Chosen, DecodeOptions, Target
from functa_cli.netcdf import Fields, arranged
from functa_cli.store import Functaset
from functa_cli.trees import fingerprint
from functa_cli.writers import CollectorWriter
from tests.gridded import LATITUDE, LONGITUDE, fields, kelvin, opened, save
from tests.sets import NET, contents, run

pytestmark = pytest.mark.usefixtures("one_program")
LEVELS = {"level": [850.0, 500.0], "number": [0, 1, 2]}
KINDS = ("nc", "zarr")


def chosen(source, rows=None, resolution="") -> Chosen:
    rows = list(range(len(source))) if rows is None else rows
    target = MODALITY.target(source.geometry, tuple(source.shapes[0].tolist()), resolution, DecodeOptions())
    columns = {name: values[rows] for name, values in source.columns.items()}
    return Chosen(rows, [source.ids[row] for row in rows], columns, target, "functa decode a.zarr out.nc")


def written(path: Path, source, kind: str, rows=None) -> Path:
    """A file of the data as they were read."""
    what = chosen(source, rows)
    collector = Fields(path, what, kind)
    for row in what.rows:
        collector.write(row, kelvin(source, row))
    collector.close(failed=False)
    return path


def read(path: Path) -> xarray.Dataset:
    if path.suffix == ".zarr":
        return xarray.open_zarr(path)
    return xarray.open_dataset(path, engine="h5netcdf")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
def test_xarray_reads_what_was_written(tmp_path, kind):
    source = opened(save(tmp_path / "a.nc", fields(times=4)))
    data = read(written(tmp_path / f"out.{kind}", source, kind))
    assert data.t2m.dims == ("time", "latitude", "longitude")
    assert data.t2m.dtype == np.float32
    assert data.t2m.attrs == {"standard_name": "x", "units": "K"}
    assert list(data.time.values) == list(np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(6, "h"))
    np.testing.assert_allclose(data.latitude, LATITUDE)
    np.testing.assert_allclose(data.longitude, LONGITUDE)
    assert data.latitude.attrs["units"] == "degrees_north"
    assert data.longitude.attrs["standard_name"] == "longitude"
    assert data.attrs["Conventions"] == "CF-1.8"
    assert data.attrs["history"] == "functa decode a.zarr out.nc"
    for index in range(4):
        np.testing.assert_allclose(data.t2m[index], kelvin(source, index), atol=1e-4)
    again = opened(tmp_path / f"out.{kind}")
    assert [one.split("/")[1] for one in again.ids] == [one.split("/")[1] for one in source.ids]
    np.testing.assert_allclose(kelvin(again, 3), kelvin(source, 3), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_levels_and_members_are_dimensions_behind_time(tmp_path, kind):
    told = fields(times=2, dims=LEVELS)
    told.level.attrs = {"units": "hPa", "standard_name": "air_pressure", "positive": "down", "secret": "x"}
    source = opened(save(tmp_path / "a.nc", told))
    order = np.random.default_rng(0).permutation(12).tolist()
    data = read(written(tmp_path / f"out.{kind}", source, kind, order))
    assert data.t2m.dims == ("time", "level", "number", "latitude", "longitude")
    assert data.level.values.tolist() == [500, 850]
    assert data.level.attrs == {"units": "hPa", "standard_name": "air_pressure", "positive": "down"}
    assert data.number.attrs == {"standard_name": "realization", "units": "1"}
    for level in (500, 850):
        for number in range(3):
            np.testing.assert_allclose(
                data.t2m.sel(level=level, number=number), told.t2m.sel(level=level, number=number), atol=2e-3
            )


@pytest.mark.parametrize("kind", KINDS)
def test_a_dimension_of_one_value_is_a_coordinate_beside(tmp_path, kind):
    source = opened(save(tmp_path / "a.nc", fields(times=1, dims=LEVELS)), select="level=500")
    data = read(written(tmp_path / f"out.{kind}", source, kind))
    assert data.t2m.dims == ("time", "number", "latitude", "longitude")
    assert data.coords["level"].ndim == 0
    assert float(data.coords["level"]) == 500


@pytest.mark.parametrize("kind", KINDS)
def test_data_that_fill_no_block_lie_side_by_side(tmp_path, kind):
    source = opened(save(tmp_path / "a.nc", fields(times=2, dims=LEVELS)))
    data = read(written(tmp_path / f"out.{kind}", source, kind, [7, 0, 3]))
    assert data.t2m.dims == ("datum", "latitude", "longitude")
    assert [str(name) for name in data.coords["id"].values] == [source.ids[row] for row in (7, 0, 3)]
    assert data.coords["level"].values.tolist() == [source.columns["level"][row] for row in (7, 0, 3)]
    assert data.coords["time"].dtype.kind == "M"
    for place, row in enumerate((7, 0, 3)):
        np.testing.assert_allclose(data.t2m[place], kelvin(source, row), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_one_field_without_coordinates_is_plain(tmp_path, kind):
    source = opened(save(tmp_path / "a.nc", fields(times=1).isel(time=0, drop=True)))
    assert read(written(tmp_path / f"out.{kind}", source, kind)).t2m.dims == ("latitude", "longitude")
    write_nc(tmp_path / "half.partial", kelvin(source), source.geometry)
    with xarray.open_dataset(tmp_path / "half.partial", engine="h5netcdf") as data:
        np.testing.assert_allclose(data.t2m, kelvin(source), atol=1e-4)


@pytest.mark.parametrize(
    ("columns", "dims", "beside"),
    [
        ({"time": [3, 1, 2]}, ["time"], []),
        ({"time": [1, 1, 2]}, [], []),
        ({"time": [1, np.nan, 2]}, [], []),
        ({"time": [5, 5, 5], "number": [2, 0, 1]}, ["time", "number"], []),
        ({"number": [0, 1, 2], "level": [9, 9, 9]}, ["number"], ["level"]),
        ({"number": [0, 1, 1], "time": [0, 0, 1]}, [], []),
        ({}, [], []),
    ],
)
def test_which_data_fill_a_block(columns, dims, beside):
    columns = {name: np.array(values, float) for name, values in columns.items()}
    outer, scalars, places = arranged(columns, 3)
    assert list(outer) == dims
    assert list(scalars) == beside
    assert len(set(places)) == 3
    for number, place in enumerate(places):
        for name, at in zip(outer, place):
            assert outer[name][at] == columns[name][number]
    assert outer or places == [(0,), (1,), (2,)]


def test_texts_are_characters_for_readers_of_old(tmp_path):
    source = opened(save(tmp_path / "a.nc"))
    source.geometry["attributes"]["long_name"] = "temp\u00e9rature"
    path = written(tmp_path / "out.nc", source, "nc")
    with h5py.File(path) as file:
        kind = file["t2m"].attrs.get_id("units").get_type()
        assert not kind.is_variable_str()
        assert file["t2m"].chunks == (1, 9, 16)
        assert file["t2m"].compression == "gzip"
    assert read(path).t2m.attrs["long_name"] == "temp\u00e9rature"


def test_other_calendars_stay(tmp_path):
    source = opened(save(tmp_path / "a.nc", fields(since="days since 2000-01-01", calendar="360_day")))
    path = written(tmp_path / "out.nc", source, "nc")
    times = xarray.open_dataset(path, engine="h5netcdf", decode_times=False).time
    assert times.attrs["calendar"] == "360_day"
    assert times.attrs["units"] == "seconds since 1970-01-01"
    assert opened(path).ids == [name.replace("a.nc", "out.nc") for name in source.ids]


def writer(out, source, **more) -> CollectorWriter:
    return CollectorWriter(
        str(out), MODALITY.collectors[out.suffix[1:]], chosen(source), **{"overwrite": False, **more}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_half_written_file_never_stays(tmp_path, kind):
    source = opened(save(tmp_path / "a.nc"))
    out = tmp_path / "to" / f"out.{kind}"

    def cut_off():
        with writer(out, source) as going:
            going.write(0, kelvin(source))
            assert not out.exists()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cut_off()
    assert list(out.parent.iterdir()) == []
    target = Target((9, 16), {**source.geometry, "attributes": {"long_name": object()}})
    with pytest.raises((AttributeError, TypeError)):  # when the file is there already
        CollectorWriter(str(out), MODALITY.collectors[kind], chosen(source)._replace(target=target), overwrite=False)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_there_is_replaced_only_when_asked_and_if_it_is_ours(tmp_path, kind, base):
    source = opened(save(tmp_path / "a.nc"))
    out = tmp_path / f"out.{kind}"
    with writer(out, source) as first:
        first.write(0, kelvin(source))
    with pytest.raises(StoreError, match="exists; --overwrite replaces it"):
        writer(out, source)
    with writer(out, source, overwrite=True) as second:
        second.write(0, kelvin(source) + 1)
    assert float(read(out).t2m[0].mean()) == pytest.approx(kelvin(source).mean() + 1, abs=1e-3)
    theirs = save(tmp_path / "theirs.zarr")
    before = contents(theirs)
    with pytest.raises(StoreError, match="is a Zarr group but not one of functa's"):
        writer(theirs, source, overwrite=True)
    (tmp_path / "folder.nc").mkdir()
    with pytest.raises(StoreError, match="is a folder that functa did not make; choose another name"):
        writer(tmp_path / "folder.nc", source, overwrite=True)
    assert contents(theirs) == before
    with pytest.raises(StoreError, match="is a base of functa, and decoding never replaces one"):
        CollectorWriter(base, MODALITY.collectors["zarr"], chosen(source), overwrite=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A folder with fields, an untrained base network, and the functaset that it makes of them."""
    folder = tmp_path_factory.mktemp("netcdf")
    source = opened(save(folder / "t2m.nc", fields(times=4, dims={"number": [0, 1]})))
    config = basenet.settings("era5", [{"field": NET}])
    network = basenet.create(config, 1)
    theta = meta.start(network.theta, network.decoder.latent_shape, config.inner, 0)
    theta = jax.tree.map(np.asarray, theta)
    settings = to_dict(config)
    basefile.begin_base(str(folder / "base.zarr"), {}, overwrite=True)
    made_of = Base(theta, settings, "era5", source.geometry, fingerprint(theta, settings), {})
    basefile.finish_base(str(folder / "base.zarr"), made_of)
    result, warnings = run(encode(str(folder / "t2m.nc"), str(folder / "set.zarr"), base=str(folder / "base.zarr")))
    assert (result["encoded"], warnings) == (8, [])
    return folder


def expected(store: str, row: int, geometry, shape) -> np.ndarray:
    """A field of the set in kelvin, all points at once."""
    opened = Functaset.open(store)
    network = basenet.restore(opened.base)
    coords = MODALITY.query(geometry, shape, 0, int(np.prod(shape)))
    values = np.asarray(network.decoder(network.theta, opened.modulations[row], coords))
    return geometry["low"] + geometry["scale"] * values.reshape(shape)


@pytest.mark.parametrize("name", ["fine.nc", "fine.zarr"])
def test_a_set_is_decoded_to_a_finer_file_with_full_coordinates(made, tmp_path, name):
    store = str(made / "set.zarr")
    result, _ = run(decode(store, str(tmp_path / name), resolution="361x720", history="functa decode set.zarr"))
    assert (result["decoded"], result["resolution"]) == (8, "361x720")
    data = read(tmp_path / name)
    assert dict(data.sizes) == {"time": 4, "number": 2, "latitude": 361, "longitude": 720}
    np.testing.assert_allclose(data.latitude, np.linspace(90, -90, 361))
    np.testing.assert_allclose(data.longitude, np.arange(720) / 2)
    assert data.attrs["history"] == "functa decode set.zarr"
    assert str(data.time.values[3])[:16] == "2020-01-01T18:00"
    opened = Functaset.open(store)
    for row in (0, 5):
        one = data.t2m.isel(time=row // 2, number=row % 2)  # steps come first in the file that the set was made of
        assert opened.columns["number"][row] == row % 2
        target = MODALITY.target(opened.geometry, (9, 16), "361x720", DecodeOptions())
        np.testing.assert_allclose(one, expected(store, row, target.geometry, (361, 720)), atol=1e-2)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_some_data_of_a_set_and_each_in_a_file_of_its_own(made, tmp_path):
    store = str(made / "set.zarr")
    run(decode(store, str(tmp_path / "some.nc"), select="::3"))
    data = read(tmp_path / "some.nc")
    assert data.t2m.dims == ("datum", "latitude", "longitude")
    assert len(data.datum) == 3
    run(decode(store, str(tmp_path / "each"), form="nc"))
    names = sorted(path.name for path in (tmp_path / "each" / "t2m.nc").iterdir())
    assert names == sorted(f"{name.split('/')[1]}.nc" for name in Functaset.open(store).ids)
    run(decode(store, str(tmp_path / "pictures"), form="png", select="0", sheet=str(tmp_path / "sheet.png")))
    assert (tmp_path / "sheet.png").exists()
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 1


def test_the_errors_of_a_set_are_told_in_kelvin(made):
    store = Functaset.open(str(made / "set.zarr"))
    assert store.geometry["unit"] == "K"
    assert store.geometry["scale"] == pytest.approx(store.geometry["high"] - store.geometry["low"])
    assert json.loads(json.dumps(store.geometry)) == store.geometry
    assert store.columns["number"].tolist() == [0, 1] * 4


def test_a_killed_run_leaves_no_file_and_the_next_one_writes_it(made, tmp_path):
    store, out = str(made / "set.zarr"), tmp_path / "out.nc"
    script = (
        "import sys, time\n"
        "from functa_cli import netcdf\n"
        "real = netcdf.Fields.write\n"
        "netcdf.Fields.write = lambda *given: (real(*given), print('one', flush=True), time.sleep(60))\n"
        "from functa_cli.decode import decode\n"
        "list(decode(*sys.argv[1:]))\n"
    )
    going = subprocess.Popen([sys.executable, "-c", script, store, str(out)], stdout=subprocess.PIPE, env=os.environ)
    try:
        assert going.stdout is not None
        assert going.stdout.readline() == b"one\n"
    finally:
        going.send_signal(signal.SIGKILL)
        going.wait()
    assert not out.exists()
    run(decode(store, str(out)))
    assert [path.name for path in tmp_path.iterdir()] == ["out.nc"]
    assert len(read(out).time) == 4
    assert time.time() - out.stat().st_mtime < 60
