"""Files of fields: every format and order gives the same field, and what is broken costs only itself."""

import gzip
import os
import shutil

import numpy as np
import pytest
import xarray

from functa_cli.climate import File, candidates
from functa_cli.errors import ConfigError, DataError, FunctaError
from functa_cli.gridfiles import files
from functa_cli.modalities.era5 import MODALITY, accepts
from tests.gridded import LATITUDE, LONGITUDE, fields, kelvin, opened, save, truth

PACKED = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 280.0, "_FillValue": -32767}


def test_the_axes_go_south_and_east_and_values_go_with_them(tmp_path):
    source = opened(save(tmp_path / "a.nc"))
    np.testing.assert_allclose(source.latitude, LATITUDE)
    np.testing.assert_allclose(source.longitude, LONGITUDE)
    np.testing.assert_allclose(kelvin(source), truth(LATITUDE, LONGITUDE), atol=1e-4)
    assert (source[0].weights == 1).all()


WEST = LONGITUDE - 180
ORDERS = {
    "north up": lambda: fields(LATITUDE[::-1]),
    "from -180": lambda: fields(longitude=WEST),
    "from 90, over 360": lambda: fields(longitude=(LONGITUDE + 90) % 360),
    "westward": lambda: fields(longitude=LONGITUDE[::-1]),
    "westward over 0": lambda: fields(longitude=(90 - LONGITUDE) % 360),
    "both 0 and 360": lambda: fields(longitude=[*LONGITUDE, 360.0]),
    "both -180 and 180": lambda: fields(longitude=[*WEST, 180.0]),
    "lon, lat, time": lambda: fields().transpose("longitude", "latitude", "time"),
    "lon, time, lat": lambda: fields().transpose("longitude", "time", "latitude"),
    "lat and lon": lambda: fields(lat="lat", lon="lon"),
    "y and x": lambda: fields(lat="y", lon="x"),
    "no time": lambda: fields().isel(time=0, drop=True),
    "valid_time": lambda: fields().rename(time="valid_time"),
    "celsius": lambda: fields().assign(t2m=fields().t2m - 273.15).assign(),
}


@pytest.mark.parametrize("order", ORDERS)
def test_whatever_the_order_and_the_names(tmp_path, order):
    data = ORDERS[order]()
    if order == "celsius":
        data.t2m.attrs["units"] = "degrees C"
    source = opened(save(tmp_path / "a.nc", data))
    assert source.latitude[0] > source.latitude[-1]
    assert (np.diff(source.longitude) > 0).all()
    assert len(source.longitude) == 16
    assert source.geometry["unit"] == ("degC" if order == "celsius" else "K")
    zero = 273.15 if order == "celsius" else 0
    np.testing.assert_allclose(kelvin(source) + zero, truth(source.latitude, source.longitude), atol=2e-3)
    assert ("comes twice is dropped" in source.found) == ("both" in order)


@pytest.mark.parametrize(
    ("name", "encoding", "atol"),
    [
        ("a.nc", {}, 1e-4),
        ("a.cdf", {}, 1e-4),
        ("a.zarr", {}, 1e-4),
        ("packed.nc", {"t2m": PACKED}, 0.006),
        ("packed.cdf", {"t2m": PACKED}, 0.006),
        ("packed.zarr", {"t2m": PACKED}, 0.006),
        ("double.nc", {"t2m": {"dtype": "float64"}}, 1e-4),
    ],
)
def test_each_format_gives_the_same_field_with_gaps_of_weight_0(tmp_path, name, encoding, atol):
    data = fields()
    data.t2m[1, 2, 3] = np.nan
    source = opened(save(tmp_path / name, data, **encoding))
    np.testing.assert_allclose(kelvin(source, 2), truth(LATITUDE, LONGITUDE) + 2, atol=atol)
    got, weights = kelvin(source, 1), source[1].weights.reshape(9, 16)
    assert (np.argwhere(weights == 0) == [[2, 3]]).all()
    assert np.isnan(got[2, 3])
    assert np.isfinite(source[1].features).all()
    assert source.ids[1] == f"{name}/2020-01-01T0600"
    assert accepts(tmp_path / name).reason == f"t2m on 9x16 in {name}"
    assert accepts(tmp_path).strength == 2
    assert source.columns["time"].tolist() == [1577836800.0 + hours * 3600 for hours in (0, 6, 12)]


def test_zarr_of_format_2(tmp_path):
    fields().to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=True)
    np.testing.assert_allclose(kelvin(opened(tmp_path / "a.zarr"), 1), truth(LATITUDE, LONGITUDE) + 1, atol=1e-4)
    assert opened(tmp_path).ids == [f"a.zarr/{one.split('/')[1]}" for one in opened(tmp_path / "a.zarr").ids]


def test_arrays_named_temperature_are_global(tmp_path):
    rows = 90 - (np.arange(6) + 0.5) * 30
    values = truth(rows, np.arange(8) * 45.0)
    np.savez(tmp_path / "a.npz", temperature=values)
    np.savez(tmp_path / "b.npz", temperature=np.stack([values, values + 1])[:, ::-1], latitude=rows[::-1])
    source = opened(tmp_path)
    assert source.found == "found 3 fields of temperature (K) on a global grid 6x8 in 2 files, 0 test"
    assert source.ids == ["a.npz/temperature", "b.npz/axis0=0", "b.npz/axis0=1"]
    for index, warmer in enumerate((0, 0, 1)):
        np.testing.assert_allclose(kelvin(source, index), values + warmer, atol=1e-4)
    np.savez(tmp_path / "c.npz", voxels=np.zeros((4, 4, 4)))
    np.savez(tmp_path / "d.npz", temperature=np.array(["x"]))
    np.savez(tmp_path / "e.npz", temperature=np.array([{}], dtype=object))
    reasons = [problem.reason for problem in opened(tmp_path).problems]
    assert reasons[0] == "holds 'voxels'; expected an array 'temperature'"
    assert reasons[1] == "holds <U1 [1]; expected numbers [.., latitudes, longitudes]"
    assert reasons[2].startswith("cannot be opened: Object arrays cannot be loaded")
    assert accepts(tmp_path / "c.npz") is None


def grib(path, *, edition=2, levels=(850, 500), numbers=(0,), steps=(0, 6), skip=(), padding=b"", kind=None):
    """Write t on 4 x 8 cells for each level, member and step but those in `skip`, as GRIB."""
    eccodes = pytest.importorskip("eccodes")
    latitude, longitude = np.array([67.5, 22.5, -22.5, -67.5]), np.arange(8) * 45.0
    keys = {"Ni": 8, "Nj": 4, "iDirectionIncrementInDegrees": 45, "jDirectionIncrementInDegrees": 45}
    keys |= {"latitudeOfFirstGridPointInDegrees": 67.5, "latitudeOfLastGridPointInDegrees": -67.5}
    keys |= {"longitudeOfFirstGridPointInDegrees": 0, "longitudeOfLastGridPointInDegrees": 315}
    with path.open("wb") as file:
        for level in levels:
            for number in numbers:
                for step in steps:
                    if (level, number, step) in skip:
                        continue
                    message = eccodes.codes_grib_new_from_samples(f"regular_ll_pl_grib{edition}")
                    if len(numbers) > 1:
                        eccodes.codes_set(message, "productDefinitionTemplateNumber", 1)
                        eccodes.codes_set(message, "number", number)
                    for key, value in {**keys, "level": level, "step": step, "date": 20200101, "time": 0}.items():
                        eccodes.codes_set(message, key, value)
                    eccodes.codes_set(message, "shortName", "t")
                    if kind:
                        eccodes.codes_set(message, "typeOfLevel", kind)
                    values = truth(latitude, longitude) + step + level / 100 + 0.1 * number
                    eccodes.codes_set_values(message, values.ravel())
                    eccodes.codes_write(message, file)
                    eccodes.codes_release(message)
                    file.write(padding)
    return latitude, longitude


@pytest.mark.parametrize("edition", [1, 2])
@pytest.mark.parametrize("padding", [b"", b"\0" * 9000])
def test_grib_of_levels_and_steps_leaves_nothing_beside(tmp_path, edition, padding):
    pytest.importorskip("cfgrib")
    latitude, longitude = grib(tmp_path / "a.grib", edition=edition, padding=padding)
    before = (tmp_path / "a.grib").read_bytes()
    source = opened(tmp_path / "a.grib")
    assert source.geometry["variable"] == "t"
    assert sorted(zip(source.columns["time"] - 1577836800, source.columns["isobaricInhPa"])) == [
        (0, 500),
        (0, 850),
        (21600, 500),
        (21600, 850),
    ]
    for index in range(4):
        warmer = (source.columns["time"][index] - 1577836800) / 3600 + source.columns["isobaricInhPa"][index] / 100
        np.testing.assert_allclose(kelvin(source, index), truth(latitude, longitude) + warmer, atol=0.02)
    np.testing.assert_allclose(source.latitude, latitude)
    assert [path.name for path in tmp_path.iterdir()] == ["a.grib"]
    assert (tmp_path / "a.grib").read_bytes() == before


def test_uneven_grib_is_read_whole_and_what_it_lacks_is_said(tmp_path, capfd):
    pytest.importorskip("cfgrib")
    grib(tmp_path / "a.grib2", levels=(850, 700, 500), skip={(500, 0, 6)})
    source = opened(tmp_path / "a.grib2")
    assert len(source) == 6
    missing = source.ids.index("a.grib2/2020-01-01T0600,isobaricInhPa=500")
    with pytest.raises(DataError, match="holds no value at 2020-01-01T0600,isobaricInhPa=500: all are missing"):
        source[missing]
    grib(tmp_path / "b.grib2", levels=(1,), kind="hybrid", steps=(0,))
    both = (tmp_path / "a.grib2").read_bytes() + (tmp_path / "b.grib2").read_bytes()
    (tmp_path / "c.grib2").write_bytes(both)
    source = opened(tmp_path / "c.grib2")
    assert len(source) == 7
    (other,) = [index for index, name in enumerate(source.ids) if "hybrid=1" in name]
    np.testing.assert_allclose(kelvin(source, other), kelvin(opened(tmp_path / "b.grib2")), atol=1e-3)
    assert len(opened(tmp_path / "c.grib2", select="isobaricInhPa=700")) == 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("edition", [1, 2])
def test_cut_grib_is_refused_whole(tmp_path, edition):
    pytest.importorskip("cfgrib")
    grib(tmp_path / "a.grib", edition=edition)
    data = (tmp_path / "a.grib").read_bytes()
    for cut, reason in (
        (len(data) - 5, "is cut in GRIB message 4; fetch it again"),
        (len(data) // 2 + 40, "is cut in GRIB message 3; fetch it again"),
        (len(data) // 2 + 5, "is damaged after 2 GRIB messages; fetch it again"),
    ):
        (tmp_path / "a.grib").write_bytes(data[:cut])
        with pytest.raises(DataError, match=reason):
            candidates(tmp_path / "a.grib")
    (tmp_path / "a.grib").write_bytes(data + b"<html>")
    with pytest.raises(DataError, match="is damaged after 4 GRIB messages"):
        candidates(tmp_path / "a.grib")


def test_grib_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cfgrib", None)
    (tmp_path / "a.grib").write_bytes(b"GRIB" + b"\0" * 40)
    with pytest.raises(DataError, match=r"a\.grib is GRIB, which needs more: pip install 'functa\[grib\]'"):
        opened(tmp_path)


def test_versions_of_era5_are_merged_where_one_has_gaps(tmp_path):
    data = fields()
    both = xarray.concat([data, data + 50], dim="expver")
    both["expver"] = [1, 5]
    both.t2m.loc[{"expver": 1}][2:] = np.nan
    both.t2m.loc[{"expver": 5}][:2] = np.nan
    both.t2m.attrs = data.t2m.attrs
    source = opened(save(tmp_path / "a.nc", both.transpose("time", "expver", ...)))
    assert len(source) == 3
    means = [np.mean(kelvin(source, index)) for index in range(3)]
    np.testing.assert_allclose(np.array(means) - np.mean(truth(LATITUDE, LONGITUDE)), [0, 1, 52], atol=1e-3)


def test_calendars_and_references_of_files_agree(tmp_path):
    save(tmp_path / "a.nc", fields(times=2, since="days since 2000-01-01", calendar="360_day"))
    save(tmp_path / "b.nc", fields(times=2, since="hours since 2000-02-30", calendar="360_day"))
    source = opened(tmp_path)
    assert source.geometry["time"] == {"units": "seconds since 1970-01-01", "calendar": "360_day"}
    start = 30 * 360 * 86400.0
    assert source.columns["time"].tolist() == [start, start + 6 * 86400, start + 59 * 86400, start + 59 * 86400 + 21600]
    assert source.ids[2] == "b.nc/2000-02-30T0000"
    save(tmp_path / "c.nc", fields(times=1, since="days since 2001-01-01"))
    assert np.isnan(opened(tmp_path).columns["time"][4])
    save(tmp_path / "d" / "a.nc", fields(times=2, since="months since 1979-01-01"))
    source = opened(tmp_path / "d")
    assert source.geometry["time"] == {"units": "months since 1979-01-01", "calendar": "standard"}
    assert source.ids == ["a.nc/time=0", "a.nc/time=6"]


def garbage(tmp_path):
    """Files that are not what their names say, and what is said of them."""
    save(tmp_path / "good.nc")
    data = (tmp_path / "good.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(data[: len(data) // 2])
    (tmp_path / "head.nc").write_bytes(data[:6])
    (tmp_path / "empty.nc").write_bytes(b"")
    (tmp_path / "empty.grib").write_bytes(b"")
    (tmp_path / "page.nc").write_text("<!DOCTYPE html><title>error</title>")
    (tmp_path / "text.grib").write_text("hello")
    (tmp_path / "gz.nc").write_bytes(gzip.compress(data))
    (tmp_path / "bad.npz").write_bytes(b"PK\3\4 nothing")
    save(tmp_path / "classic.cdf")
    (tmp_path / "cut.cdf").write_bytes((tmp_path / "classic.cdf").read_bytes()[:300])
    (tmp_path / "classic.cdf").unlink()
    (tmp_path / "sign.nc").write_bytes(b"\x89HDX" + data[4:])
    (tmp_path / "half.zarr").mkdir()
    (tmp_path / "half.zarr" / "zarr.json").write_text("{")
    (tmp_path / "folder.nc").mkdir()
    save(tmp_path / "lost.zarr", t2m={"_FillValue": None, "fill_value": 0.0, "chunks": (1, 9, 16)})
    chunks = [
        path for path in (tmp_path / "lost.zarr" / "t2m").rglob("*") if path.is_file() and path.name != "zarr.json"
    ]
    chunks[0].unlink()
    return {
        "bad.npz": "cannot be opened: File is not a zip file",
        "cut.cdf": "cannot be opened: ",
        "cut.nc": "cannot be opened: ",
        "empty.grib": "is empty (0 bytes)",
        "empty.nc": "is empty (0 bytes)",
        "gz.nc": "is packed with gzip; unpack it first: gunzip",
        "half.zarr": "cannot be opened: ",
        "head.nc": "cannot be opened: ",
        "lost.zarr": "has lost 1 of 3 chunks of 't2m'; fetch it again",
        "page.nc": "is not NetCDF, whatever its name says (it begins with '<!DOC')",
        "sign.nc": "is not NetCDF, whatever its name says (it begins with '\N{REPLACEMENT CHARACTER}HDX\\r')",
        "text.grib": "is not GRIB, whatever its name says",
    }


def test_one_bad_file_never_costs_the_others(tmp_path):
    expected = garbage(tmp_path)
    source = opened(tmp_path)
    assert source.ids == [f"good.nc/2020-01-01T{hour}00" for hour in ("00", "06", "12")]
    found = {problem.path: problem.reason for problem in source.problems}
    assert list(found) == sorted(expected)
    for name, reason in expected.items():
        assert found[name].startswith(reason)
        assert len(found[name]) < 260
        assert "\n" not in found[name]
        match = accepts(tmp_path / name)
        assert (match is None) == (name == "bad.npz")
        with pytest.raises(DataError, match=name):
            opened(tmp_path / name)


def test_a_reason_is_one_short_line(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{\n" + "x\n" * 500)
    with pytest.raises(DataError) as caught:
        opened(tmp_path / "a.zarr")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_values_that_no_field_holds_cost_only_their_datum(tmp_path):
    data = fields(times=5)
    data.t2m[1] = np.nan
    data.t2m[2, 3, 3] = np.inf
    data.t2m[3, 4, 4] = 9.96921e36
    source = opened(save(tmp_path / "a.nc", data, t2m={"_FillValue": None}))
    for index, reason in (
        (1, r"a\.nc holds no value at 2020-01-01T0600: all are missing"),
        (2, r"a\.nc holds infinity at 2020-01-01T1200"),
        (3, r"a\.nc holds 9.97e\+36 at 2020-01-01T1800, a fill value that it does not declare"),
    ):
        with pytest.raises(DataError, match=reason):
            source[index]
    for index in (0, 4):
        np.testing.assert_allclose(kelvin(source, index), truth(LATITUDE, LONGITUDE) + index, atol=1e-4)
    data = fields(times=1)
    data.t2m[:] = np.nan
    with pytest.raises(
        DataError, match=r"none of the training data can be read: b\.nc holds no value at 2020-01-01T0000"
    ):
        opened(save(tmp_path / "b.nc", data))


def test_damage_inside_costs_the_data_that_lie_there(tmp_path):
    path = save(tmp_path / "a.nc", fields(times=4), t2m={"chunksizes": (1, 9, 16), "zlib": True})
    data = bytearray(path.read_bytes())
    with __import__("h5py").File(path) as file:
        where = file["t2m"].id.get_chunk_info(1)
    data[where.byte_offset : where.byte_offset + where.size] = b"\xff" * where.size
    path.write_bytes(data)
    source = opened(path)
    with pytest.raises(DataError, match=r"^a\.nc cannot be read at 2020-01-01T0600: "):
        source[1]
    np.testing.assert_allclose(kelvin(source, 2), truth(LATITUDE, LONGITUDE) + 2, atol=1e-4)


def test_a_zarr_may_leave_out_chunks_that_are_all_missing(tmp_path):
    data = fields()
    data.t2m[:, :, :8] = np.nan
    path = save(tmp_path / "a.zarr", data, t2m={"chunks": (1, 9, 8), "fill_value": np.float32(np.nan)})
    assert len([one for one in (path / "t2m" / "c").rglob("*") if one.is_file()]) == 3
    assert np.isnan(kelvin(opened(path), 1)).sum() == 9 * 8


def test_axes_that_are_no_degrees_are_refused(tmp_path):
    for name, data, reason in (
        ("tall", fields(LATITUDE * 1.2), "has values of 'latitude' from -108 to 108; expected degrees"),
        ("same", fields([10.0, 10, 5]), "has the same 'latitude' twice"),
        ("gap", fields([10.0, np.nan, 5]), "has values of 'latitude' from nan to nan; expected degrees"),
        ("mixed", fields(longitude=[0.0, 90, 20, 200]), "has longitudes that neither go round once nor back"),
        ("wide", fields(longitude=[-700.0, 0, 700]), "has longitudes that neither go round once nor back"),
    ):
        path = save(tmp_path / f"{name}.nc", data)
        with pytest.raises(DataError, match=f"{name}.nc {reason}"):
            opened(path)


@pytest.mark.parametrize("turned", [False, True])
def test_straight_grids_may_say_where_every_cell_is(tmp_path, turned):
    data = fields(lat="y", lon="x")
    places = np.meshgrid(LATITUDE, LONGITUDE, indexing="ij")
    flat = data.drop_vars(["y", "x"]).assign(
        nav_lat=(("y", "x"), places[0], {"units": "degrees_north"}),
        nav_lon=(("y", "x"), places[1], {"units": "degrees_east"}),
    )
    flat = flat.transpose(..., "x", "y") if turned else flat
    source = opened(save(tmp_path / "a.nc", flat))
    np.testing.assert_allclose(kelvin(source, 1), truth(LATITUDE, LONGITUDE) + 1, atol=1e-4)
    flat.nav_lat[3, 3] += 1
    with pytest.raises(
        DataError, match="has no variable on axes of latitudes and longitudes; it has nav_lat, nav_lon, t2m"
    ):
        opened(save(tmp_path / "b.nc", flat))


def test_several_variables_are_listed(tmp_path):
    data = fields().assign(sp=fields().t2m * 3, flag=(("time",), np.arange(3)))
    path = save(tmp_path / "a.nc", data)
    with pytest.raises(ConfigError, match=r"a\.nc holds 2 variables, sp, t2m; choose one with --variable"):
        opened(path)
    assert opened(path, variable="sp").geometry["variable"] == "sp"
    np.testing.assert_allclose(kelvin(opened(path, variable="sp")), truth(LATITUDE, LONGITUDE) * 3, atol=1e-2)
    with pytest.raises(DataError, match="has no variable 'flag' on latitudes and longitudes; it has sp, t2m"):
        opened(path, variable="flag")
    assert candidates(path) == ["t2m on 9x16", "sp on 9x16"]
    assert File(path, likely="sp").grid.variable == "sp"
    save(tmp_path / "none.nc", data[["flag"]])
    with pytest.raises(DataError, match="has no variable on axes of latitudes and longitudes; it has flag"):
        opened(tmp_path / "none.nc")
    assert accepts(tmp_path / "none.nc") is None
    fields().to_netcdf(tmp_path / "group.nc", engine="h5netcdf", group="surface")
    with pytest.raises(DataError, match=r"has its variables in groups \(surface\), which are not read"):
        opened(tmp_path / "group.nc")


def test_folders_patterns_and_nothing(tmp_path):
    save(tmp_path / "in" / "a" / "one.nc")
    save(tmp_path / "in" / "b" / "two.nc", fields(times=1))
    (tmp_path / "in" / "README.md").write_text("x")
    assert [one.name for one in files(tmp_path / "in")[0]] == ["one.nc", "two.nc"]
    assert opened(tmp_path / "in").ids[-1] == "b/two.nc/2020-01-01T0000"
    pattern = str(tmp_path / "in" / "*" / "*.nc")
    assert opened(pattern).ids == opened(tmp_path / "in").ids
    assert accepts(tmp_path / "in" / "a" / "*.nc").reason == "t2m on 9x16 in one.nc"
    (tmp_path / "nothing").mkdir()
    for path, reason in (
        (tmp_path / "nothing", r"holds 0 files, none of \.nc, .*\.zarr$"),
        (tmp_path / "absent.nc", "does not exist; expected a file, a folder or a pattern such as"),
        (tmp_path / "*.grib", "does not exist"),
        (tmp_path / "in" / "README.md", "is not NetCDF"),
    ):
        with pytest.raises(DataError, match=reason):
            opened(path)
        assert accepts(path) is None
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    assert len(opened(tmp_path / "in")) == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(tmp_path):
    save(tmp_path / "a.nc")
    save(tmp_path / "b.nc").chmod(0)
    assert [tuple(problem) for problem in opened(tmp_path).problems] == [
        ("b.nc", "may not be read (permission denied)")
    ]


def test_a_file_that_may_not_be_read_is_one_line(tmp_path, monkeypatch):
    save(tmp_path / "a.nc")
    save(tmp_path / "b.nc")
    real = type(tmp_path).open

    def refuse(self, *given, **named):
        if self.name == "b.nc":
            raise PermissionError(13, "Permission denied")
        return real(self, *given, **named)

    monkeypatch.setattr(type(tmp_path), "open", refuse)
    assert [tuple(problem) for problem in opened(tmp_path).problems] == [
        ("b.nc", "may not be read (permission denied)")
    ]


def test_sets_and_networks_of_ours_are_no_fields(tmp_path, base):
    assert accepts(type(tmp_path)(base)) is None
    with pytest.raises(DataError, match="is a functaset or a base network, and holds no fields"):
        opened(base)
    shutil.copytree(base, tmp_path / "base.zarr")
    save(tmp_path / "a.nc")
    source = opened(tmp_path)
    assert len(source) == 3
    assert source.problems == []


def test_the_sample_of_the_package_is_read(tmp_path):
    folder = files.__globals__["__file__"].rsplit("/", 1)[0] + "/data/era5/sample"
    source = opened(folder, split="auto")
    assert source.found == ("found 24 fields of surface_temperature (K) on a global grid 145x192 in 1 file, 2 test")
    assert source.problems == []
    assert kelvin(source, 3).min() > 190


def test_hostile_files_are_read_or_refused_in_one_line(shared):
    folder = shared / "hostile" / "era5"
    outcome, texts = {}, []
    for path in sorted(one for one in folder.iterdir() if one.suffix != ".md"):
        accepts(path)
        try:
            source = MODALITY.open(path, MODALITY.options(), seed=0)
        except FunctaError as error:
            texts.append((path.name, str(error)))
            continue
        outcome[path.name] = 0
        for index in range(len(source)):
            try:
                source[index]
                outcome[path.name] += 1
            except FunctaError as error:
                texts.append((path.name, str(error)))
    for name, text in texts:
        assert name in text
        assert "\n" not in text
    assert len(outcome) >= 18
    assert {name for name, count in outcome.items() if count == 5} == {
        "all_nan_step.nc",
        "fill_not_declared.nc",
        "inf.nc",
    }
    assert not {"bad_signature.nc", "text.grib", "missing_chunk.zarr", "lat_out_of_range.nc"} & set(outcome)
    control = opened(folder / "control.nc")
    for name in ("transposed_lon_lat_time.nc", "lon_duplicated_360.nc", "renamed_lat_lon.nc", "control_v2.zarr"):
        same = opened(folder / name)
        for index in range(6):
            np.testing.assert_allclose(kelvin(same, index), kelvin(control, index), atol=1e-3)
    turned = opened(folder / "lon_minus180_180.nc")
    np.testing.assert_allclose(np.roll(kelvin(turned), -16, axis=1), kelvin(control), atol=1e-3)
