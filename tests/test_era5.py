"""Fields on the sphere as data: what is a datum, on which grid, on which scale; and what is decoded."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from functa_cli.coords import sphere
from functa_cli.errors import ConfigError, DataError
from functa_cli.fieldset import FieldSource, Options
from functa_cli.modalities.era5 import MODALITY, assemble, query, sheet, target
from functa_cli.modality import DecodeOptions
from tests.gridded import LATITUDE, LONGITUDE, fields, kelvin, opened, save, truth

LEVELS = {"level": [850.0, 500.0], "number": [0, 1, 2]}


def test_a_step_is_a_signal_at_points_of_the_unit_sphere(tmp_path):
    source = opened(save(tmp_path / "a.nc"))
    coords, features, weights = source[1]
    assert coords.shape == (144, 3)
    np.testing.assert_allclose(np.linalg.norm(coords, axis=1), 1, atol=1e-6)
    row, column = 2, 5  # 45 degrees north, 112.5 east
    x = [
        np.cos(np.pi / 4) * np.cos(np.deg2rad(112.5)),
        np.cos(np.pi / 4) * np.sin(np.deg2rad(112.5)),
        np.sin(np.pi / 4),
    ]
    np.testing.assert_allclose(coords[row * 16 + column], x, atol=1e-6)
    low, high = source.geometry["low"], source.geometry["high"]
    wanted = (truth(LATITUDE, LONGITUDE)[row, column] + 1 - low) / (high - low)
    assert features[row * 16 + column, 0] == pytest.approx(wanted, abs=1e-5)
    assert (weights == 1).all()
    assert [features.dtype, weights.dtype, coords.dtype] == [np.float32] * 3
    assert source.geometry["scale"] == high - low
    assert source.geometry["unit"] == "K"


def test_what_was_found_is_said(tmp_path):
    save(tmp_path / "a.nc", fields(times=20))
    assert FieldSource(tmp_path, Options()).found == (
        "found 20 fields of t2m (K) on a global grid 9x16 in 1 file, 2 test"
    )
    save(tmp_path / "b.nc", fields(longitude=[*LONGITUDE, 360.0], times=1))
    assert opened(tmp_path, resolution="5x8").found == (
        "found 21 fields of t2m (K) on a global grid 9x16 in 2 files, 0 test; averaged by area to 5x8; "
        "the longitude that comes twice is dropped"
    )
    save(tmp_path / "c" / "one.nc", fields([50.0, 40, 30], [5.0, 6], times=1))
    assert opened(tmp_path / "c").found == "found 1 field of t2m (K) on a regional grid 3x2 in 1 file, 0 test"


def test_every_step_level_and_member_is_a_datum_with_its_coordinates(tmp_path):
    path = save(tmp_path / "a.nc", fields(times=2, dims=LEVELS))
    source = opened(path)
    assert len(source) == 12
    assert source.ids[:2] == ["a.nc/2020-01-01T0000,level=850,number=0", "a.nc/2020-01-01T0000,level=850,number=1"]
    for index in range(12):
        time, level, number = (source.columns[name][index] for name in ("time", "level", "number"))
        warmer = (time - 1577836800) / 21600 + 100 * (level == 500) + 100 * number
        np.testing.assert_allclose(kelvin(source, index), truth(LATITUDE, LONGITUDE) + warmer, atol=1e-3)


@pytest.mark.parametrize(
    ("select", "kept"),
    [("level=500", 6), ("number=2", 4), ("level=850,number=1", 2), (" level = 500 , number=0", 2), ("", 12)],
)
def test_slices_are_chosen_by_value(tmp_path, select, kept):
    source = opened(save(tmp_path / "a.nc", fields(times=2, dims=LEVELS)), select=select)
    assert len(source) == kept
    for part in filter(None, select.replace(" ", "").split(",")):
        name, value = part.split("=")
        assert set(source.columns[name]) == {float(value)}


def test_wrong_choices_name_what_there_is(tmp_path):
    path = save(tmp_path / "a.nc", fields(times=1, dims=LEVELS))
    for select, reason in (
        ("levl=850", "--select levl=850: the data have no dimension 'levl'; they have level, number"),
        ("level=925", "--select level=925: the data have no level=925; they have 500, 850"),
        ("level", "--select wants dimensions with values, such as level=850,number=0; found 'level'"),
        ("level=x", "--select wants dimensions with values"),
        ("=3", "--select wants dimensions with values"),
    ):
        with pytest.raises(ConfigError, match=reason):
            opened(path, select=select)
    with pytest.raises(ConfigError, match="they have none besides time, latitude and longitude"):
        opened(save(tmp_path / "b.nc"), select="level=850")


def test_levels_may_lie_in_files_of_their_own(tmp_path):
    for name, values in (("a", [850.0]), ("b", [500.0, 200.0])):
        save(tmp_path / f"{name}.nc", fields(times=1, dims={"level": values}))
    assert opened(tmp_path, select="level=200").ids == ["b.nc/2020-01-01T0000,level=200"]
    with pytest.raises(ConfigError, match="no level=100; they have 200, 500, 850"):
        opened(tmp_path, select="level=100")


def test_names_that_come_twice_are_numbered_and_a_limit_stops_early(tmp_path):
    data = fields(times=3)
    data["time"] = ("time", np.zeros(3), data.time.attrs)
    source = opened(save(tmp_path / "a.nc", data))
    name = "a.nc/2020-01-01T0000"
    assert source.ids == [name, f"{name}#2", f"{name}#3"]
    (tmp_path / "b.nc").write_text("never looked at")
    short = opened(tmp_path, limit=2)
    assert short.ids == [name, f"{name}#2"]
    assert short.problems == []
    assert len(short.columns["time"]) == len(short.split) == len(short.shapes) == 2


def test_other_grids_variables_and_units_are_left_out_by_name(tmp_path):
    save(tmp_path / "a.nc")
    save(tmp_path / "b.nc", fields(LATITUDE[1:]))
    save(tmp_path / "c.nc", fields(longitude=LONGITUDE + 1))
    save(tmp_path / "d.nc", fields(name="t850"))
    save(tmp_path / "e.nc", fields(units="Pa"))
    save(tmp_path / "f.nc", fields(LATITUDE[::-1], LONGITUDE + 1e-6))
    source = opened(tmp_path)
    assert len(source) == 6
    assert [tuple(problem) for problem in source.problems] == [
        ("b.nc", "is on another grid (8x16) than the first file (9x16); a set has one grid"),
        ("c.nc", "is on another grid (9x16) than the first file (9x16); a set has one grid"),
        ("d.nc", "holds t850 (K), the first file t2m (K); give --variable"),
        ("e.nc", "holds t2m (Pa), the first file t2m (K); give --variable"),
    ]


def test_the_range_is_that_of_the_training_data(tmp_path):
    data = fields(times=10)
    source = opened(save(tmp_path / "a.nc", data), split="last:0.3")
    assert source.split == ["train"] * 7 + ["test"] * 3
    values = truth(LATITUDE, LONGITUDE)
    assert source.geometry["low"] == pytest.approx(values.min(), abs=1e-4)
    assert source.geometry["high"] == pytest.approx(values.max() + 6, abs=1e-4)
    assert source[9].features.max() > 1
    assert source[6].features.max() == pytest.approx(1, abs=1e-6)
    first = opened(tmp_path / "a.nc", split="first:0.2")
    assert first.split == ["test"] * 2 + ["train"] * 8
    assert first.geometry["low"] == pytest.approx(values.min() + 2, abs=1e-4)
    for wrong in ("last:1", "first:x", "last:-0.1"):
        with pytest.raises(ConfigError, match="a split in time is a share"):
            opened(tmp_path / "a.nc", split=wrong)
    with pytest.raises(ConfigError, match="a split is auto, none, or a share"):
        opened(tmp_path / "a.nc", split="middle:0.1")


def test_a_network_fixes_range_unit_and_variable(tmp_path):
    base = {"variable": "sp", "unit": "K", "low": 200.0, "high": 400.0, "channels": 1}
    kept = json.dumps(base)
    data = fields().assign(sp=fields().t2m - 273.15)
    data.sp.attrs = {"units": "celsius"}
    source = opened(save(tmp_path / "a.nc", data), geometry=base)
    assert json.dumps(base) == kept
    assert (source.geometry["low"], source.geometry["high"], source.geometry["scale"]) == (200, 400, 200)
    assert (source.geometry["variable"], source.geometry["unit"]) == ("sp", "K")
    np.testing.assert_allclose(kelvin(source), truth(LATITUDE, LONGITUDE), atol=1e-3)
    cold = opened(tmp_path / "a.nc", variable="t2m", geometry={**base, "unit": "degC", "low": -50.0, "high": 50.0})
    np.testing.assert_allclose(kelvin(cold), truth(LATITUDE, LONGITUDE) - 273.15, atol=1e-3)
    save(tmp_path / "b.nc", fields(units="Pa"))
    reason = "the data are in 'Pa', the base network is for 'K'; fit one for these data: functa fit"
    with pytest.raises(DataError, match=reason):
        opened(tmp_path / "b.nc", geometry=base)


def test_a_network_need_not_have_seen_the_grid(tmp_path):
    first = opened(save(tmp_path / "a.nc"))
    region = opened(save(tmp_path / "b.nc", fields([50.0, 40, 30], [5.0, 6, 7, 8])), geometry=first.geometry)
    assert region.shapes[0].tolist() == [3, 4]
    np.testing.assert_allclose(kelvin(region), truth([50.0, 40, 30], [5.0, 6, 7, 8]), atol=1e-3)
    assert region.geometry["latitude"] == [50, 40, 30]


def test_constant_fields_have_a_scale(tmp_path):
    data = fields()
    data.t2m[:] = 280.0
    source = opened(save(tmp_path / "a.nc", data))
    assert (source[0].features == 0).all()
    assert source.geometry["scale"] == 1
    assert (kelvin(source) == 280).all()


def test_cells_can_weigh_as_much_as_their_area(tmp_path):
    data = fields(LATITUDE[1:-1])
    data.t2m[0, 0, 0] = np.nan
    weights = opened(save(tmp_path / "a.nc", data), area_weights=True)[0].weights.reshape(7, 16)
    assert weights[0, 0] == 0
    np.testing.assert_allclose(weights[:, 1], np.cos(np.deg2rad(LATITUDE[1:-1])), rtol=1e-6)
    assert (opened(save(tmp_path / "b.nc"), area_weights=True)[0].weights > 0).all()


def test_fine_global_grids_are_averaged_and_others_stay(tmp_path):
    fine = np.linspace(90, -90, 25), np.arange(48) * 7.5
    path = save(tmp_path / "a.nc", fields(*fine))
    for options, shape in (
        ({"grid": "13x24"}, (13, 24)),
        ({"grid": "9x360"}, (9, 48)),
        ({}, (25, 48)),
        ({"grid": "native"}, (25, 48)),
        ({"grid": "13x24", "resolution": "25x48"}, (25, 48)),
        ({"grid": "native", "resolution": "7x12"}, (7, 12)),
    ):
        source = opened(path, **options)
        assert tuple(source.shapes[0]) == shape
        assert source.points(0) == np.prod(shape) == len(source[0].features)
        np.testing.assert_array_equal(source[0].coords, sphere(source.latitude, source.longitude))
        np.testing.assert_allclose(kelvin(source), truth(source.latitude, source.longitude), atol=3)
    region = save(tmp_path / "b.nc", fields(np.linspace(60, 30, 25), np.linspace(0, 40, 48)))
    assert tuple(opened(region, grid="13x24").shapes[0]) == (25, 48)
    with pytest.raises(
        ConfigError, match="--resolution 26x48 is finer than the data's 25x48; encode at most at their own"
    ):
        opened(path, resolution="26x48")
    with pytest.raises(ConfigError, match="a resolution is R or ROWSxCOLUMNS"):
        opened(path, grid="fine")


def test_averages_are_of_areas_and_never_of_strides(tmp_path, rng):
    latitude = 90 - (np.arange(24) + 0.5) * 7.5
    data = fields(latitude, np.arange(48) * 7.5, times=1)
    data.t2m[0] = rng.normal(280, 10, (24, 48))
    source = opened(save(tmp_path / "a.nc", data), grid="8x12")
    area = np.cos(np.deg2rad(latitude))[:, None] * np.ones((1, 48))
    coarse = np.cos(np.deg2rad(source.latitude))[:, None] * np.ones((1, 12))
    assert np.average(kelvin(source), weights=coarse) == pytest.approx(np.average(data.t2m[0], weights=area), abs=1e-2)
    assert kelvin(source).std() < 4


def test_values_are_read_when_asked_for_and_few_files_stay_open(tmp_path, monkeypatch):
    from functa_cli import fieldset

    for number in range(12):
        save(tmp_path / f"{number:02d}.nc", fields(times=1))
    reads = []
    real = fieldset.File.read
    monkeypatch.setattr(fieldset.File, "read", lambda self, one: (reads.append(one.name), real(self, one))[1])
    base = opened(tmp_path, limit=1).geometry
    del reads[:]
    source = opened(tmp_path, geometry=base)
    assert reads == []
    source[3]
    assert len(reads) == 1
    assert source._open.cache_info().currsize == fieldset.OPEN


def test_a_target_is_another_grid_over_the_same_part_of_the_sphere(tmp_path):
    source = opened(save(tmp_path / "a.nc"))
    own = target(source.geometry, (9, 16), "", DecodeOptions())
    assert own.geometry == source.geometry
    fine = target(source.geometry, (9, 16), "361x720", DecodeOptions())
    assert fine.shape == (361, 720)
    assert fine.geometry["latitude"] == np.linspace(90, -90, 361).tolist()
    assert fine.geometry["longitude"] == (np.arange(720) / 2).tolist()
    assert source.geometry["latitude"] == LATITUDE.tolist()
    points = query(fine.geometry, fine.shape, 720 * 180, 720 * 181)
    np.testing.assert_allclose(points[180], [0, 1, 0], atol=1e-6)
    region = opened(save(tmp_path / "b.nc", fields([50.0, 40, 30], [5.0, 6, 7, 8])))
    fine = target(region.geometry, (3, 4), "6x4", DecodeOptions())
    np.testing.assert_allclose(fine.geometry["latitude"], [52.5, 47.5, 42.5, 37.5, 32.5, 27.5])
    assert fine.geometry["longitude"] == [5, 6, 7, 8]


def test_assembled_fields_are_in_the_unit_of_the_data():
    geometry = {"low": 200.0, "scale": 100.0}
    got = assemble(geometry, np.array([[0.0], [0.5], [1.2], [np.nan], [np.inf], [-np.inf]], np.float32), (2, 3))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [[200, 250, 320], [200, 300, 200]])


def test_forms_and_sheets(tmp_path):
    source = opened(save(tmp_path / "a.nc"))
    array = assemble(source.geometry, source[0].features, (9, 16))
    MODALITY.forms["npz"].write(tmp_path / "a.npz", array, source.geometry)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["values"], array)
        assert file["latitude"].tolist() == source.geometry["latitude"]
    MODALITY.forms["png"].write(tmp_path / "a.png", array, source.geometry)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size == (720, 360 + 8 + 360 + 24)
    sheet(tmp_path / "sheet.png", [(array, array), (None, array)], source.geometry)
    sheet(tmp_path / "fine.png", [(np.zeros((20, 40)), array)], source.geometry)
    for name in ("sheet.png", "fine.png"):
        with Image.open(tmp_path / name) as picture:
            assert len(picture.convert("RGB").getcolors(1 << 20)) > 100


def test_the_regional_sets_are_read(shared):
    folder = shared / "era5-t2m-regional"
    italy = FieldSource(folder / "era5_t2m_italy_3h.nc", Options())
    assert italy.found == "found 244 fields of t2m (K) on a regional grid 43x48 in 1 file, 24 test"
    assert 280 < kelvin(italy, 100).mean() < 300
    assert (np.diff(italy.columns["time"]) == 3 * 3600).all()


def test_grib_and_netcdf_of_the_same_data_are_alike(shared):
    pytest.importorskip("cfgrib")
    folder = shared / "era5-ens3deg"
    first, second = (opened(Path(folder) / f"era5_t_members0-4.{suffix}") for suffix in ("nc", "grib"))
    keys = [
        list(zip(*(source.columns[name] for name in ("time", "number", "isobaricInhPa")))) for source in (first, second)
    ]
    assert sorted(keys[0]) == sorted(keys[1])
    for index in (0, 17, 39):
        other = keys[1].index(keys[0][index])
        np.testing.assert_allclose(kelvin(first, index), kelvin(second, other), atol=0.01)
