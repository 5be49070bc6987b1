"""Laws that every modality keeps, from its own `example`: a new file in modalities/ gets them with no edit here."""

import dataclasses
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from functa_cli import plugins
from functa_cli.basenet import detect
from functa_cli.cli.brought import flags
from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import file_names
from functa_cli.modality import Chosen, Modality

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


def own_target(modality, source, index: int):
    """The target that decodes a datum as it is shown beside its original."""
    return modality.target(source.geometry, tuple(source.shapes[index].tolist()), "", modality.decode_options())


def test_it_says_what_it_recognises_and_only_that(modality, folder, tmp_path):
    match = modality.accepts(folder)
    assert match.strength in (1, 2)
    assert match.reason
    assert "\n" not in match.reason
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("x")
    assert modality.accepts(tmp_path / "other") is None
    assert modality.accepts(tmp_path / "other" / "notes.txt") is None


def test_its_files_are_recognised_among_all_modalities(plugin, folder):
    name, _ = detect(str(folder))
    assert plugins.load("modalities", name).MODALITY is plugin[0]


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


def test_a_unit_comes_with_its_scale(source):
    assert ("unit" in source.geometry) == ("scale" in source.geometry)
    assert source.geometry.get("scale", 1) > 0


def test_every_axis_of_a_datum_has_a_name_for_rules(modality, source):
    assert len(modality.axes) == source.shapes.shape[1]
    assert len(set(modality.axes)) == len(modality.axes)
    assert all(name.isidentifier() for name in modality.axes)


def test_the_cells_of_a_datum_fill_its_grid_in_order(modality, source):
    for index in range(len(source)):
        n = int(np.prod(source.shapes[index]))
        whole = source.cells(index)
        check(modality, source, whole, n)
        if source.shared_coords:
            target = own_target(modality, source, index)
            np.testing.assert_array_equal(whole.coords, modality.query(target.geometry, target.shape, 0, n))
        chosen = np.array([n - 1, 0, n // 2])
        for part, few in zip(whole, source.cells(index, chosen)):
            np.testing.assert_array_equal(few, part[chosen])


def test_a_mask_of_another_shape_is_refused_in_one_line(source):
    own = tuple(source.shapes[0].tolist())
    mask = np.zeros(own, bool)
    mask[(0,) * len(own)] = True
    np.testing.assert_array_equal(source.hidden(0, mask), mask)
    with pytest.raises(DataError, match=source.ids[0]) as error:
        source.hidden(0, np.zeros([size + 1 for size in own], bool))
    assert "\n" not in str(error.value)


def check(modality, source, signal, n: int) -> None:
    coords, features, weights = signal
    assert coords.shape == (n, modality.coord_dim)
    assert features.shape == (n, source.geometry["channels"])
    assert weights.shape == (n,)
    assert {array.dtype for array in (coords, features, weights)} == {np.dtype(np.float32)}
    assert np.isfinite(coords).all()
    assert np.isfinite(features).all()
    assert weights.min() >= 0
    assert weights.max() > 0


def test_signals_have_the_shapes_types_and_ranges_of_the_contract(modality, source):
    for index in range(len(source)):
        check(modality, source, source[index], source.points(index))
        shown, shape = source.preview(index)
        check(modality, source, shown, int(np.prod(shape)))
        unseen = source.unseen(index)
        assert source.keeps_unseen or unseen is None
        if unseen is not None:
            check(modality, source, unseen, len(unseen.weights))


def test_blocks_are_the_signal_in_pieces(source):
    for index in range(len(source)):
        size = source.points(index) // 3 + 1
        pieces = list(source.blocks(index, size))
        assert all(len(piece.weights) <= size for piece in pieces)
        for whole, parts in zip(source[index], zip(*pieces)):
            np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_samples_have_the_asked_size_and_are_a_function_of_the_generator(modality, source):
    index = list(source.split).index("train")
    size = source.points(index) // 2
    drawn = [source.sample(index, size, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    for sample in drawn:
        check(modality, source, sample, size)
    for first, again in zip(drawn[0], drawn[1]):
        np.testing.assert_array_equal(first, again)
    assert not np.array_equal(drawn[0].coords, drawn[2].coords)
    if source.shared_coords:
        other = source.sample((index + 1) % len(source), size, np.random.default_rng(1))
        np.testing.assert_array_equal(other.coords, drawn[0].coords)


def test_query_gives_the_coordinates_that_the_data_were_read_at(modality, source):
    if not source.shared_coords and source.keeps_unseen:
        pytest.skip("what is decoded are other points than those that were read")
    for index in range(len(source)):
        target = own_target(modality, source, index)
        coords = source[index].coords
        np.testing.assert_array_equal(modality.query(target.geometry, target.shape, 0, len(coords)), coords)


def test_a_part_of_a_query_is_that_part_of_the_whole(modality, source):
    target = own_target(modality, source, 0)
    n = int(np.prod(target.shape))
    whole = modality.query(target.geometry, target.shape, 0, n)
    assert whole.shape == (n, modality.coord_dim)
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(modality.query(target.geometry, target.shape, 3, n - 2), whole[3 : n - 2])


def test_reading_is_repeatable(modality, folder, source):
    again = modality.open(str(folder), modality.options(), seed=0, geometry=source.geometry)
    assert list(again.ids) == list(source.ids)
    assert list(again.split) == list(source.split)
    assert again.geometry == source.geometry
    for name, values in source.columns.items():
        np.testing.assert_array_equal(again.columns[name], values)
        assert len(values) == len(source)
    for index in reversed(range(len(source))):
        for first, second in zip(source[index], again[index]):
            np.testing.assert_array_equal(first, second)


def shown_in(modality, source, tmp_path) -> Path:
    """A folder with what every datum shows, written in the modality's first form."""
    form = next(iter(modality.forms.values()))
    for index, name in enumerate(file_names(list(source.ids), form.suffix)):
        signal, shape = source.preview(index)
        path = tmp_path / "written" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        target = own_target(modality, source, index)
        form.write(path, modality.assemble(target.geometry, signal.features, shape), target.geometry)
        assert path.exists()
    return tmp_path / "written"


def test_writing_what_was_read_and_reading_it_again_gives_the_same(modality, source, tmp_path):
    if source.keeps_unseen:
        pytest.skip("what is shown is not all that there is of a datum")
    written = shown_in(modality, source, tmp_path)
    again = modality.open(str(written), modality.options(split="none"), seed=0, geometry=source.geometry)
    names = file_names(list(source.ids), next(iter(modality.forms.values())).suffix)
    assert len(again) == len(source)
    where = {name: place for name in names for place, one in enumerate(again.ids) if f"{one}/".startswith(f"{name}/")}
    for index, name in enumerate(names):
        first, shape = source.preview(index)
        back, its = again.preview(where[name])
        assert its == shape
        np.testing.assert_allclose(back.features, first.features, atol=1e-6)
        np.testing.assert_allclose(back.coords, first.coords, atol=1e-5)


def test_every_form_writes_that_very_path_and_what_a_network_predicts_can_always_be_written(modality, source, tmp_path):
    target = own_target(modality, source, 0)
    n = int(np.prod(target.shape))
    rng = np.random.default_rng(0)
    wild = rng.normal(0.5, 100, (n, source.geometry["channels"])).astype(np.float32)
    wild[0] = np.nan
    array = modality.assemble(target.geometry, wild, target.shape)
    for name, form in modality.forms.items():
        folder = tmp_path / "forms" / name
        folder.mkdir(parents=True)
        form.write(folder / "half.partial", array, target.geometry)
        assert [path.name for path in folder.iterdir()] == ["half.partial"]


def test_files_for_all_data_take_them_one_by_one(modality, source, tmp_path):
    rows = list(range(len(source)))
    target = own_target(modality, source, 0)
    for suffix, make in modality.collectors.items():
        columns = {name: np.asarray(values) for name, values in source.columns.items()}
        collector = make(tmp_path / f"all.{suffix}", Chosen(rows, list(source.ids), columns, target, "functa decode"))
        for row in rows:
            shown, shape = source.preview(row)
            collector.write(row, modality.assemble(target.geometry, shown.features, shape))
        collector.close(failed=False)
        assert (tmp_path / f"all.{suffix}").exists()


def test_any_grid_can_be_asked_for(modality, source):
    own = tuple(source.shapes[0].tolist())
    for text in ("6", "x".join("7" * (3 if modality.coord_dim == len(own) == 3 else min(len(own), 2)))):
        target = modality.target(source.geometry, own, text, modality.decode_options())
        assert target.shape[-1] == int(text[0])
        n = int(np.prod(target.shape))
        assert modality.query(target.geometry, target.shape, 0, n).shape == (n, modality.coord_dim)
    for wrong in ("0", "x", "6x", "-3", "6x6x6x6"):
        with pytest.raises(ConfigError):
            modality.target(source.geometry, own, wrong, modality.decode_options())


def test_resolution_is_a_setting_of_the_data(modality, folder, source):
    axes = source.shapes.shape[1]
    smaller = int(source.shapes[0, -1]) // 2
    small = modality.open(str(folder), modality.options(resolution=str(smaller)), seed=0)
    assert small.shapes.shape[1] == axes
    assert (small.shapes[:, -1] == smaller).all()
    assert len(small[0].features) == small.points(0)
    assert len(modality.open(str(folder), modality.options(limit=1), seed=0)) == 1


def test_a_sheet_can_be_made_with_and_without_originals(modality, source, tmp_path):
    signal, shape = source.preview(0)
    geometry = own_target(modality, source, 0).geometry
    array = modality.assemble(geometry, signal.features, shape)
    for number, rows in enumerate(([(array, array)] * 3, [(None, array)] * 3, [(array, array), (None, array)])):
        modality.sheet(tmp_path / f"{number}.png", rows, geometry)
        assert (tmp_path / f"{number}.png").read_bytes().startswith(b"\x89PNG")


def test_settings_with_a_help_text_are_flags_of_the_command_line(modality):
    for table in ("options", "decode_options"):
        known = flags(table)
        own = [item for item in dataclasses.fields(getattr(modality, table)) if "help" in item.metadata]
        assert all(item.name in known for item in own)


def test_nothing_is_unpickled(modality, folder, monkeypatch):
    def refuse(*given, **named):
        raise AssertionError("a pickle was loaded")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    source = modality.open(str(folder), modality.options(), seed=0)
    assert source[0].features.size > 0


def test_all_modalities_are_covered():
    assert "image" in NAMES
