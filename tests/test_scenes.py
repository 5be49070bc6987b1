"""Scenes as data: which views are learnt from, encoded, and kept back to be scored."""

from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from functa_cli import basenet, pictures
from functa_cli.coords import rays
from functa_cli.errors import ConfigError, DataError, FunctaError
from functa_cli.kept import Kept
from functa_cli.modalities.scene import accepts
from functa_cli.viewset import arranged
from tests.scenes import FOCAL, colours_of, opened, poses, save_scene, set_of_two, zipped


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """A training scene a and a test scene b of ten views each."""
    folder = tmp_path_factory.mktemp("scenes")
    set_of_two(folder)
    return folder


# What it says


def test_what_was_found_is_said(two, tmp_path):
    assert opened(two).found == "found 2 scenes of 10 views 6x6, cameras 1.3 from the origin, 1 test"
    save_scene(tmp_path / "one/a", 4)
    assert opened(tmp_path).found == "found 1 scene of 4 views 6x6, cameras 1.3 from the origin, 0 test"
    save_scene(tmp_path / "two/b", 6, size=(8, 8))
    said = "found 2 scenes of 4 to 6 views of 2 sizes in 2 classes, cameras 1.3 from the origin, 0 test"
    assert opened(tmp_path).found == said


def test_what_made_it_decide_is_said(two, tmp_path):
    assert accepts(two).reason == "2 scenes (rgb/, pose/)"
    assert accepts(zipped(two, tmp_path / "zips/a.zip")).reason == "2 scenes (rgb/, pose/) in a zip"
    assert accepts(tmp_path / "zips").reason == "2 scenes (rgb/, pose/) in a zip"
    zipped(two / "cars_test/b", tmp_path / "zips/b.zip")
    assert accepts(tmp_path / "zips").reason == "3 scenes (rgb/, pose/) in 2 zips"
    (tmp_path / "zips/c.zip").write_bytes(b"PK")
    (tmp_path / "pictures.zip").write_bytes(zipped(two / "cars_test/b/rgb", tmp_path / "p.zip").read_bytes())
    assert accepts(tmp_path / "pictures.zip") is None
    assert accepts(tmp_path / "none") is None


def test_of_many_scenes_some_decide(tmp_path, monkeypatch):
    monkeypatch.setattr("functa_cli.modalities.scene.LOOKED_AT", 20)
    for number in range(30):
        (tmp_path / f"{number}/rgb").mkdir(parents=True)
        (tmp_path / f"{number}/pose").mkdir()
    assert accepts(tmp_path).reason == "at least 20 scenes (rgb/, pose/)"


def test_settings_out_of_range_are_one_line(two):
    for options, text in (
        ({"views": 0}, r"data\.views is at least 1; found 0"),
        ({"holdout_views": 1.0}, r"data\.holdout_views is a share in \[0, 1\); found 1"),
        ({"holdout_views": float("nan")}, r"data\.holdout_views is a share"),
        ({"encode_rays": -1}, r"0, which takes all, or more; found 16 and -1"),
        ({"background": "reddish"}, r"data\.background is a colour"),
        ({"resolution": "6x"}, "a resolution is"),
    ):
        with pytest.raises(ConfigError, match=text):
            opened(two, **options)


# Parts and classes


@pytest.mark.parametrize(
    ("names", "split", "classes"),
    [
        (["cars_train/a", "cars_test/b"], ["train", "test"], ("cars",)),
        (["cars-train/a", "cars_val/b", "chairs_train/c"], ["train", "test", "train"], ("cars", "chairs")),
        (["train/a", "test/b"], ["train", "test"], ()),
        (["train/cars/a", "test/cars/b"], ["train", "test"], ("cars",)),
        (["cars/train/a", "cars/test/b"], ["train", "test"], ("cars",)),
        (["srn/cars_train/a", "srn/cars_test/b"], ["train", "test"], ("srn",)),
        (["strain/a", "contest/b"], ["train", "train"], ("contest", "strain")),
        (["a", "b"], ["train", "train"], ()),
    ],
)
def test_parts_and_classes_come_from_the_names_of_folders(names, split, classes):
    _, found, parts = arranged(names, "auto", 0)
    assert (found, parts) == (classes, split)


def test_a_share_may_be_held_out_instead():
    names = [f"cars_train/{number}" for number in range(20)]
    assert arranged(names, "0.25", 0)[2].count("test") == 5
    assert arranged(["cars_train/a", "cars_test/b"], "none", 0)[2] == ["train", "train"]


# Views that are seen


def test_views_that_are_held_out_are_never_encoded(two):
    source = opened(two, holdout_views=0.3, encode_views=0, encode_rays=0)
    for index in range(2):
        seen, held = colours_of(source[index].features), colours_of(source.unseen(index).features)
        assert len(held) == 3
        assert sorted([*seen, *held]) == list(range(10))
        assert np.diff(held).min() >= 3  # spread
        assert colours_of(np.concatenate([block.features for block in source.blocks(index, 50)])) == seen
        shown, shape = source.preview(index)
        assert shape == (1, 6, 6)
        assert colours_of(shown.features) == [held[1]]


def test_training_scenes_are_learnt_from_all_views_and_test_scenes_from_those_they_may_see(two):
    source = opened(two, holdout_views=0.3, views=3)
    drawn = {index: set() for index in range(2)}
    for index in range(2):
        for seed in range(60):
            views = colours_of(source.sample(index, 90, np.random.default_rng(seed)).features)
            assert len(views) == 3
            drawn[index].update(views)
    assert list(source.split) == ["test", "train"]
    assert drawn[1] == set(range(10))
    assert drawn[0] == set(range(10)) - set(colours_of(source.unseen(0).features))


def test_of_two_views_one_is_seen(tmp_path):
    source = opened(save_scene(tmp_path / "a", 2), holdout_views=0.9)
    assert colours_of(source[0].features) == [0]
    assert colours_of(source.unseen(0).features) == [1]
    source = opened(tmp_path / "a", holdout_views=0.0)
    assert colours_of(source[0].features) == [0, 1]
    assert source.unseen(0) is None
    assert source.problems == []
    assert colours_of(source.preview(0)[0].features) == [0]


def test_unseen_points_are_bounded(tmp_path, monkeypatch):
    source = opened(save_scene(tmp_path / "a", 20), holdout_views=0.5)
    assert len(source.unseen(0).weights) == 8 * 36
    monkeypatch.setattr("functa_cli.viewset.SCORED", 9)
    some = source.unseen(0)
    assert len(some.weights) == 8 * 9
    assert len(np.unique(some.coords, axis=0)) == 8 * 9


def test_rays_belong_to_their_pixels(two):
    """Every pixel says in its colour which view and pixel it is."""
    source = opened(two)
    for signal in (source[1], source.unseen(1), source.sample(1, 100, np.random.default_rng(0)), source.preview(1)[0]):
        pixels = np.rint(signal.features * 255).astype(int)
        row, column = np.divmod(pixels[:, 2], 6)
        for view in np.unique(pixels[:, 0]) // 10:
            mine = pixels[:, 0] == 10 * view
            expected = rays(poses(10)[view], FOCAL, (3.0, 3.0), row[mine], column[mine])
            np.testing.assert_array_equal(signal.coords[mine], expected)


def test_encoding_takes_some_rays_of_some_views(two):
    source = opened(two, encode_views=4, encode_rays=7)
    assert source.points(0) == 28
    first = source[0]
    assert first.coords.shape == (28, 6)
    assert len(colours_of(first.features)) == 4
    np.testing.assert_array_equal(first.weights, np.ones(28))
    assert len(np.unique(first.coords, axis=0)) == 28
    np.testing.assert_array_equal(opened(two, encode_views=4, encode_rays=7)[0].coords, first.coords)
    assert not np.array_equal(opened(two, encode_views=4, encode_rays=7, seed=1)[0].coords, first.coords)
    assert opened(two, encode_views=0, encode_rays=0).points(0) == 8 * 36


def test_blocks_are_never_larger_than_asked(two):
    source = opened(two, encode_views=5, encode_rays=10)
    for size in (1, 7, 10, 33, 50, 1000):
        blocks = list(source.blocks(0, size))
        assert max(len(block.weights) for block in blocks) <= size
        np.testing.assert_array_equal(np.concatenate([block.coords for block in blocks]), source[0].coords)


def test_other_views_stand_in_for_damaged_ones(tmp_path):
    scene = save_scene(tmp_path / "a", 10)
    source = opened(scene, encode_views=4, encode_rays=9)
    for view in colours_of(source[0].features)[:2]:
        (scene / f"rgb/{view:06d}.png").write_bytes(b"")
    source = opened(scene, encode_views=4, encode_rays=9)
    signal = source[0]
    assert (signal.weights == 1).all()
    assert len(signal.weights) == source.points(0) == 36
    assert len(colours_of(signal.features)) == 4
    assert len(source.problems) == 2


def test_where_no_view_is_left_points_have_no_weight(tmp_path):
    scene = save_scene(tmp_path / "a", 10)
    source = opened(scene, encode_views=0, encode_rays=9)
    views = colours_of(source[0].features)
    for view in views[2:]:
        (scene / f"rgb/{view:06d}.png").write_bytes(b"")
    source = opened(scene, encode_views=0, encode_rays=9)
    signal = source[0]
    assert len(signal.weights) == source.points(0) == 9 * len(views)
    assert signal.weights.tolist() == [1.0] * 18 + [0.0] * (9 * len(views) - 18)
    assert colours_of(signal.features[:18]) == views[:2]
    assert np.isfinite(signal.coords).all()
    drawn = source.sample(0, 50, np.random.default_rng(0))
    assert (drawn.weights == 1).all()
    assert len(drawn.weights) == 50


def test_a_scene_whose_pictures_vanish_is_named(tmp_path):
    scene = save_scene(tmp_path / "data/a", 4)
    source = opened(tmp_path / "data")
    for file in (scene / "rgb").iterdir():
        file.unlink()
    for read in (
        lambda: source[0],
        lambda: list(source.blocks(0, 10)),
        lambda: source.preview(0),
        lambda: source.sample(0, 10, np.random.default_rng(0)),
    ):
        with pytest.raises(DataError, match=r"^a has no view that can be read: "):
            read()
    assert source.unseen(0) is None
    assert len(source.problems) == 4


@pytest.mark.parametrize("points", [1, 3, 64, 1000])
def test_samples_have_exactly_the_points_asked_for(two, points):
    signal = opened(two, views=8).sample(1, points, np.random.default_rng(0))
    assert [part.shape for part in signal] == [(points, 6), (points, 3), (points,)]
    assert (signal.weights == 1).all()


def test_a_step_reads_only_the_views_it_looks_at_and_each_once(two, monkeypatch):
    source = opened(two, views=2)
    reading = Mock(side_effect=pictures.read)
    monkeypatch.setattr(pictures, "read", reading)
    source.sample(1, 64, np.random.default_rng(0))
    assert reading.call_count == 2
    for seed in range(100):
        source.sample(1, 64, np.random.default_rng(seed))
    assert reading.call_count == 10


def test_memory_holds_what_training_asks_for_again_and_nothing_that_encode_reads(two):
    source = opened(two)
    for signal in (source[1], source.unseen(1), source.preview(1)[0], *source.blocks(1, 50)):
        assert len(signal.weights)
    free = Kept()._left
    assert source.views._memory._left == free
    source.sample(1, 64, np.random.default_rng(0))
    assert source.views._memory._left == free - 8 * 36 * 3
    signal = source.whole(1)
    assert source.whole(1) is signal
    assert source.__dict__["_kept"]._left == free - sum(part.nbytes for part in signal)  # rays are most of it


# Real data and hostile files


def test_every_hostile_scene_is_read_or_refused_with_one_line(shared):
    folder = shared / "hostile" / "srn"
    outcomes = {}
    for path in [*sorted(folder.iterdir()), folder]:
        try:
            accepts(path)
            source = opened(path)
            for index in range(len(source)):
                source.sample(index, 100, np.random.default_rng(0))
                for signal in (source[index], source.unseen(index), source.preview(index)[0]):
                    assert np.isfinite(signal.coords).all()
            outcomes[path.name] = [reason for _, reason in source.problems]
        except FunctaError as error:
            outcomes[path.name] = str(error)
    refused = {name for name, found in outcomes.items() if isinstance(found, str)}
    assert not [name for name, found in outcomes.items() if "\n" in "".join(found)]
    assert refused == {
        *(f"intrinsics_{what}" for what in ("3x3", "garbage", "zero_focal")),
        *("non_square_views", "pose_opengl", "pose_world_to_camera", "stray_file_beside_scenes.txt"),
    } | {name for name in outcomes if name == "empty_scene"}
    fine = {name for name, found in outcomes.items() if found == []}
    assert {"control", "pose_crlf_tabs", "junk_in_scene", "intrinsics_off_centre", "three_views"} <= fine
    assert opened(folder / "pose_opengl", axes="opengl").problems == []


def test_rays_of_coloured_pixels_pass_near_the_origin(shared):
    """Each seat fits into a ball of diameter 1; what is white is background."""
    source = opened(shared / "srn-seats64", limit=4)
    for index in range(4):
        for signal in (source[index], source.unseen(index)):
            drawn = signal.features.min(axis=1) < 0.9
            assert drawn.mean() > 0.02
            origin, ahead = signal.coords[drawn, :3], signal.coords[drawn, 3:]
            away = np.linalg.norm(np.cross(origin, ahead), axis=1) / np.linalg.norm(ahead, axis=1)
            assert away.max() < 0.55
            everywhere = signal.coords[:, :3], signal.coords[:, 3:]
            assert (np.linalg.norm(np.cross(*everywhere), axis=1) / np.linalg.norm(everywhere[1], axis=1)).max() > 0.6


def test_the_sample_ships_as_a_zip_in_a_folder():
    sample = basenet.shipped("scene", "sample")
    assert sample is not None
    assert accepts(sample).reason == "14 scenes (rgb/, pose/) in a zip"
    source = opened(sample)
    assert source.found == "found 14 scenes of 24 views 64x64, cameras 1.3 from the origin, 2 test"
    assert source.problems == []
    assert source.classes == ("seats",)
    assert source[0].coords.shape == (16 * 1024, 6)
    assert (sample / "seats.zip").stat().st_size < 1_500_000
