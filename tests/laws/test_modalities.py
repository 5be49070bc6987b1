"""Laws that every modality keeps, from its own `example`: a new file in modalities/ gets them with no edit here."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from functa_cli import plugins
from functa_cli.modality import Modality

NAMES = plugins.names("modalities")


@pytest.fixture(params=NAMES)
def plugin(request, tmp_path) -> tuple[Modality, Path]:
    module = plugins.load("modalities", request.param)
    module.example(tmp_path / "example")
    return module.MODALITY, tmp_path / "example"


@pytest.fixture
def modality(plugin) -> Modality:
    return plugin[0]


@pytest.fixture
def folder(plugin) -> Path:
    return plugin[1]


@pytest.fixture
def source(modality, folder):
    return modality.open(str(folder), modality.options(), seed=0)


def test_it_says_what_it_recognises_and_only_that(modality, folder, tmp_path):
    reason = modality.accepts(folder)
    assert reason
    assert "\n" not in reason
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("x")
    assert modality.accepts(tmp_path / "other") is None
    assert modality.accepts(tmp_path / "other" / "notes.txt") is None


def test_what_is_known_of_the_data_has_one_entry_each(modality, source):
    n = len(source)
    assert n >= 2
    assert len(source.ids) == len(set(source.ids)) == n
    assert all(isinstance(name, str) and name for name in source.ids)
    assert len(source.split) == n
    assert set(source.split) <= {"train", "test"}
    assert source.labels.shape == (n,)
    assert source.labels.dtype == np.int32
    assert source.labels.min() >= -1
    assert source.labels.max() < max(len(source.classes), 1)
    assert source.shapes.dtype == np.int32
    assert source.shapes.shape[0] == n
    assert source.shapes.min() >= 1
    assert source.found
    assert "\n" not in source.found
    assert list(source.problems) == []


def test_geometry_is_json_and_names_the_channels(source):
    assert json.loads(json.dumps(source.geometry)) == source.geometry
    assert isinstance(source.geometry["channels"], int)


def test_signals_have_the_shapes_types_and_ranges_of_the_contract(modality, source):
    for index in range(len(source)):
        coords, features, weights = source[index]
        n = int(np.prod(source.shapes[index]))
        assert coords.shape == (n, modality.coord_dim)
        assert features.shape == (n, source.geometry["channels"])
        assert weights.shape == (n,)
        assert {array.dtype for array in (coords, features, weights)} == {np.dtype(np.float32)}
        assert np.isfinite(coords).all()
        assert np.isfinite(features).all()
        assert weights.min() >= 0
        assert weights.max() > 0


def test_query_gives_the_coordinates_that_the_data_were_read_at(modality, source):
    for index in range(len(source)):
        shape = tuple(source.shapes[index].tolist())
        np.testing.assert_array_equal(modality.query(source.geometry, shape), source[index].coords)


def test_reading_is_repeatable(modality, folder, source):
    again = modality.open(str(folder), modality.options(), seed=0, geometry=source.geometry)
    assert list(again.ids) == list(source.ids)
    assert list(again.split) == list(source.split)
    assert again.geometry["channels"] == source.geometry["channels"]
    for index in reversed(range(len(source))):
        np.testing.assert_array_equal(again[index].features, source[index].features)


def test_writing_what_was_read_and_reading_it_again_gives_the_same(modality, source, tmp_path):
    names = modality.names(list(source.ids))
    assert len(set(names)) == len(source)
    for index, name in enumerate(names):
        shape = tuple(source.shapes[index].tolist())
        path = tmp_path / "written" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        modality.write(path, modality.assemble(source.geometry, source[index].features, shape))
        assert path.exists()
    again = modality.open(str(tmp_path / "written"), modality.options(), seed=0, geometry=source.geometry)
    assert sorted(again.ids) == sorted(names)
    where = {name: index for index, name in enumerate(again.ids)}
    for index, name in enumerate(names):
        back = again[where[name]]
        np.testing.assert_array_equal(again.shapes[where[name]], source.shapes[index])
        np.testing.assert_allclose(back.features, source[index].features, atol=1e-6)
        np.testing.assert_array_equal(back.coords, source[index].coords)


def test_writing_to_a_name_without_its_suffix_writes_that_very_file(modality, source, tmp_path):
    shape = tuple(source.shapes[0].tolist())
    array = modality.assemble(source.geometry, source[0].features, shape)
    modality.write(tmp_path / "half.partial", array)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["example", "half.partial"]


def test_what_a_network_predicts_can_always_be_written(modality, source, tmp_path, rng):
    shape = tuple(source.shapes[0].tolist())
    wild = rng.normal(0, 100, source[0].features.shape).astype(np.float32)
    wild[0] = np.nan
    modality.write(tmp_path / "wild", modality.assemble(source.geometry, wild, shape))
    assert (tmp_path / "wild").stat().st_size > 0


def test_any_grid_can_be_asked_for(modality, source):
    axes = source.shapes.shape[1]
    shape = modality.parse_resolution("6")
    assert shape == (6,) * axes
    assert modality.parse_resolution("x".join("7" * axes)) == (7,) * axes
    assert modality.query(source.geometry, shape).shape == (6**axes, modality.coord_dim)


def test_resolution_is_a_setting_of_the_data(modality, folder):
    source = modality.open(str(folder), modality.options(resolution="5"), seed=0)
    axes = source.shapes.shape[1]
    assert source.shapes.tolist() == [[5] * axes] * len(source)
    assert len(source[0].features) == 5**axes
    assert len(modality.open(str(folder), modality.options(limit=1), seed=0)) == 1


def test_a_sheet_can_be_made_with_and_without_originals(modality, source, tmp_path):
    shape = tuple(source.shapes[0].tolist())
    array = modality.assemble(source.geometry, source[0].features, shape)
    for number, rows in enumerate(([(array, array)] * 3, [(None, array)] * 3, [(array, array), (None, array)])):
        modality.sheet(tmp_path / f"{number}.png", rows, source.geometry)
        assert (tmp_path / f"{number}.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_is_unpickled(modality, folder, monkeypatch):
    def refuse(*given, **named):
        raise AssertionError("a pickle was loaded")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    source = modality.open(str(folder), modality.options(), seed=0)
    assert source[0].features.size > 0


def test_all_modalities_are_covered():
    assert "image" in NAMES
