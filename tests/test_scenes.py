"""Scenes as data: which views are learnt from, encoded and kept back; cameras of what is decoded; files; end to end."""

from pathlib import Path
from unittest.mock import Mock

import jax
import numpy as np
import pytest
from PIL import Image

from functa_cli import basefile, basenet, meta, pictures
from functa_cli.basefile import Base
from functa_cli.cameras import orbit, radius_of, up_of
from functa_cli.config import to_dict
from functa_cli.coords import OPENCV_TO_OPENGL, rays
from functa_cli.decode import decode
from functa_cli.encode import encode
from functa_cli.errors import ConfigError, DataError, FunctaError
from functa_cli.kept import Kept
from functa_cli.modalities.scene import MODALITY, SceneDecodeOptions, accepts, assemble, query, sheet, target
from functa_cli.srn import format_pose
from functa_cli.store import Functaset
from functa_cli.trees import fingerprint
from functa_cli.viewset import arranged
from tests.scenes import FOCAL, RADIUS, colours_of, opened, poses, save_scene, set_of_two, zipped
from tests.sets import run

GEOMETRY = {
    "channels": 3,
    "background": "white",
    "axes": "opencv",
    "focal": 1.0,
    "centre": [0.5, 0.5],
    "radius": 2.0,
    "up": [0.0, 1.0, 0.0],
}


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """A training scene a and a test scene b of ten views each."""
    folder = tmp_path_factory.mktemp("scenes")
    set_of_two(folder)
    return folder


def aimed(geometry=GEOMETRY, shape=(5, 8, 8), resolution="", **options):
    return target(geometry, shape, resolution, SceneDecodeOptions(**options))


def eyes(found) -> np.ndarray:
    return np.array(found.geometry["poses"]).reshape(-1, 4, 4)


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


# Cameras


@pytest.mark.parametrize("up", [(0, 1, 0), (0, 0, 1), (0, -1, 0), (1, 0, 0)])
@pytest.mark.parametrize("elevation", [-30.0, 0.0, 60.0])
def test_an_orbit_looks_at_the_origin_from_a_circle_around_the_axis_that_points_up(up, elevation):
    axis = up_of(poses(20, up))
    np.testing.assert_array_equal(axis, up)
    around = orbit(8, 2.5, axis, elevation)
    places, ahead, down = around[:, :3, 3], around[:, :3, 2], around[:, :3, 1]
    assert radius_of(around) == pytest.approx(2.5)
    np.testing.assert_allclose(np.linalg.norm(places, axis=1), 2.5)
    np.testing.assert_allclose(places @ axis, 2.5 * np.sin(np.deg2rad(elevation)), atol=1e-12)
    np.testing.assert_allclose(ahead, -places / 2.5, atol=1e-12)
    assert (down @ axis < 0).all()
    np.testing.assert_allclose(np.linalg.det(around), 1)
    flat = places - np.outer(places @ axis, axis)
    steps = np.einsum("vi,vi->v", flat, np.roll(flat, 1, axis=0)) / np.einsum("vi,vi->v", flat, flat)
    np.testing.assert_allclose(steps, np.cos(2 * np.pi / 8))


def test_the_way_up_and_the_distance_are_found_in_the_data(tmp_path):
    for up in ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0)):
        save_scene(tmp_path / str(up) / "a", 6, up=up)
        geometry = opened(tmp_path / str(up)).geometry
        assert geometry["up"] == list(up)
        assert geometry["radius"] == pytest.approx(RADIUS)


def test_decoding_looks_from_an_orbit_at_the_size_of_the_pictures():
    found = aimed(orbit=7, elevation=10.0)
    assert found.shape == (7, 8, 8)
    np.testing.assert_allclose(eyes(found), orbit(7, 2.0, np.array([0.0, 1.0, 0.0]), 10.0))
    assert found.render == {"stratified": False}
    assert aimed().shape == (12, 8, 8)
    assert aimed(resolution="16").shape == (12, 16, 16)
    assert aimed(depth=True, samples=64).render == {"kind": "depth", "samples": 64, "stratified": False}
    assert "poses" not in GEOMETRY


def test_the_rays_of_a_query_are_those_of_its_cameras():
    geometry = {**GEOMETRY, "focal": 1.2, "centre": [0.25, 0.75]}
    found = aimed(geometry, resolution="4x6", orbit=3)
    row, column = np.divmod(np.arange(24), 6)
    whole = [rays(pose, 1.2 * 4, (1.5, 3.0), row, column) for pose in eyes(found)]
    np.testing.assert_array_equal(query(found.geometry, found.shape, 0, 72), np.concatenate(whole))
    np.testing.assert_array_equal(query(found.geometry, found.shape, 20, 50), np.concatenate(whole)[20:50])


def test_the_query_of_the_own_cameras_gives_the_rays_that_were_read(two):
    source = opened(two, holdout_views=0.0, encode_views=0, encode_rays=0)
    found = target(source.geometry, (10, 6, 6), "", SceneDecodeOptions(poses=str(two / "cars_train/a")))
    np.testing.assert_allclose(query(found.geometry, found.shape, 0, 360), source[1].coords, atol=1e-6)


@pytest.mark.parametrize("layout", ["scene", "pose", "axes", "inverse"])
def test_poses_come_from_a_folder_or_a_scene(tmp_path, layout):
    turn = {"axes": lambda pose: pose @ OPENCV_TO_OPENGL, "inverse": np.linalg.inv}.get(layout, np.array)
    scene = save_scene(tmp_path / "a", 5, turn=turn)
    if layout == "inverse":
        with (scene / "intrinsics.txt").open("a") as file:
            file.write("1\n")
    geometry = {**GEOMETRY, "axes": "opengl"} if layout == "axes" else GEOMETRY
    found = aimed(geometry, poses=str(scene / "pose" if layout == "pose" else scene))
    assert found.shape == (5, 8, 8)
    np.testing.assert_allclose(eyes(found), poses(5), atol=1e-12)


def test_bad_poses_and_settings_are_one_line(tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text/0.txt").write_text("left")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").write_text(format_pose(poses(2)[0]))
    (tmp_path / "away").mkdir()
    (tmp_path / "away/0.txt").write_text(format_pose(poses(2)[0] @ OPENCV_TO_OPENGL))
    for options, error, text in (
        ({"poses": str(tmp_path / "none")}, DataError, r"holds no \.txt files; expected a folder of poses"),
        ({"poses": str(tmp_path / "empty")}, DataError, r"holds no \.txt files"),
        ({"poses": str(tmp_path / "file.txt")}, DataError, r"holds no \.txt files"),
        ({"poses": str(tmp_path / "text")}, DataError, r"0\.txt' is not a pose of 16 numbers"),
        ({"poses": str(tmp_path / "away")}, DataError, "all look away from the origin; expected z forward"),
        ({"poses": str(tmp_path), "orbit": 3}, ConfigError, "give one of them"),
        ({"orbit": -1}, ConfigError, "--orbit is a number above 0; found -1"),
        ({"samples": -4}, ConfigError, "--samples is a number above 0; found -4"),
        ({"elevation": 90.0}, ConfigError, "between -89 and 89 degrees; found 90"),
        ({"elevation": float("nan")}, ConfigError, "between -89 and 89 degrees; found nan"),
    ):
        with pytest.raises(error, match=text) as caught:
            aimed(**options)
        assert "\n" not in str(caught.value)


# Files


def random_frames(count: int, size=(6, 8), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *size, 3), np.uint8)


def test_a_scene_that_was_written_reads_back_as_it_was(tmp_path):
    frames, found = random_frames(4), aimed(resolution="6x8", orbit=4)
    MODALITY.forms["png"].write(tmp_path / "out/a", frames, found.geometry)
    assert accepts(tmp_path / "out") is not None
    source = opened(tmp_path / "out", holdout_views=0.0, encode_rays=0)
    assert source.problems == []
    signal = source[0]
    np.testing.assert_array_equal(assemble({}, signal.features, (4, 6, 8)), frames)
    np.testing.assert_allclose(signal.coords, query(found.geometry, found.shape, 0, 192), atol=1e-6)
    np.testing.assert_array_equal(source.views.scenes[0].poses, eyes(found))
    assert source.geometry["focal"] == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["gif", "webp"])
@pytest.mark.parametrize("shape", [(5, 6, 8, 3), (1, 6, 8, 3), (5, 6, 8)])
def test_animations_have_a_frame_for_each_view(tmp_path, kind, shape):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, shape, np.uint8) if len(shape) == 4 else rng.uniform(0.8, 1.8, shape)
    MODALITY.forms[kind].write(tmp_path / "a.partial", array.astype(np.uint8 if len(shape) == 4 else float), {})
    with Image.open(tmp_path / "a.partial") as image:
        assert image.format == kind.upper()
        assert getattr(image, "n_frames", 1) == shape[0]
        assert image.size == (8, 6)
        image.seek(shape[0] - 1)
        last = np.asarray(image.convert("RGB"), float)
    if len(shape) == 4 and kind == "gif":  # 48 colours fit in its palette
        np.testing.assert_allclose(last, array[-1], atol=1)
    assert last.std() > 10


def test_distances_are_written_as_numbers_with_their_scale(tmp_path):
    geometry = aimed(orbit=2).geometry
    distances = np.linspace(0.8, 1.8, 128, dtype=np.float32)[:, None]
    array = assemble(geometry, distances, (2, 8, 8))
    assert array.shape == (2, 8, 8)
    for factor, scale in ((1.0, 10_000), (100.0, 100)):
        folder = tmp_path / str(scale)
        MODALITY.forms["png"].write(folder, array * factor, geometry)
        assert float((folder / "depth_scale.txt").read_text()) == scale
        found = np.stack([np.asarray(Image.open(file)) for file in sorted((folder / "depth").iterdir())])
        assert found.dtype == np.uint16
        np.testing.assert_allclose(found / scale, array * factor, atol=0.51 / scale)
        assert len(list((folder / "pose").iterdir())) == 2
    assert not (tmp_path / "10000/rgb").exists()


def test_near_things_are_bright_on_a_sheet(tmp_path):
    array = np.full((1, 8, 8), 1.8, np.float32)
    array[0, 4:] = 0.8
    sheet(tmp_path / "a.png", [(random_frames(1, (8, 8)), array)], {})
    picture = np.asarray(Image.open(tmp_path / "a.png"), float)
    right = picture[:, picture.shape[1] // 2 + 10 : -10]
    assert right[20].mean() < 1
    assert right[-20].mean() > 254


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


# End to end


@pytest.fixture(scope="module")
def store(two, tmp_path_factory) -> str:
    """The two scenes, encoded with an untrained network of width 8."""
    folder = tmp_path_factory.mktemp("encoded")
    field, render = {"width": 8, "depth": 3, "latent_dim": 4}, {"samples": 4}
    config = basenet.settings("scene", [{"field": field, "render": render}])
    network = basenet.create(config, 3)
    theta = meta.start(network.theta, network.decoder.latent_shape, config.inner, 0)
    theta, settings = jax.tree.map(np.asarray, theta), to_dict(config)
    geometry = opened(two).geometry
    base = Base(theta, settings, "scene", geometry, fingerprint(theta, settings), {})
    basefile.begin_base(str(folder / "base.zarr"), {}, overwrite=True)
    basefile.finish_base(str(folder / "base.zarr"), base)
    layers = [{"data": {"encode_views": 4, "encode_rays": 20}}]
    run(encode(str(two), str(folder / "set.zarr"), base=str(folder / "base.zarr"), layers=layers))
    return str(folder / "set.zarr")


def seen_by(network):
    """see(modulations, rays): what the network shows there."""
    return jax.jit(lambda phi, coords: network.decoder(network.theta, phi, coords))


def test_a_set_of_scenes_is_encoded_and_scored_on_views_it_did_not_see(store, two):
    opened_set = Functaset.open(store)
    assert list(opened_set.ids) == ["cars_test/b", "cars_train/a"]
    assert list(opened_set.split) == ["test", "train"]
    unseen, seen = opened_set.figure("mse_unseen"), opened_set.errors()
    assert np.isfinite(unseen).all()
    assert np.isfinite(seen).all()
    network = basenet.restore(opened_set.base)
    source, see = opened(two, encode_views=4, encode_rays=20), seen_by(network)
    for index in range(2):
        for signal, expected in ((source[index], seen[index]), (source.unseen(index), unseen[index])):
            values = see(opened_set.modulations[index], signal.coords)
            found = np.mean((np.asarray(values) - signal.features) ** 2)
            assert found == pytest.approx(expected, rel=1e-4)


def test_an_orbit_is_decoded_into_pictures_poses_and_animations(store, tmp_path):
    view = {"orbit": 5, "elevation": 40.0, "samples": 6}
    result, _ = run(decode(store, str(tmp_path / "out"), view=view, sheet=str(tmp_path / "sheet.png")))
    assert (result["decoded"], result["resolution"]) == (2, "5x6x6")
    kept = Functaset.open(store)
    network = basenet.restore(kept.base, {"samples": 6, "stratified": False})
    see = seen_by(network)
    around = orbit(5, kept.geometry["radius"], np.array([0.0, 1.0, 0.0]), 40.0)
    row, column = np.divmod(np.arange(36), 6)
    for index, name in enumerate(kept.ids):
        for number, pose in enumerate(around):
            coords = rays(pose, FOCAL, (3.0, 3.0), row, column)
            values = np.asarray(see(kept.modulations[index], coords))
            shown = np.asarray(Image.open(tmp_path / f"out/{name}/rgb/{number:06d}.png"), float)
            np.testing.assert_allclose(shown, np.clip(values, 0, 1).reshape(6, 6, 3) * 255, atol=1.01)
    again = opened(tmp_path / "out")
    assert (again.ids, again.problems, again.shapes.tolist()) == (list(kept.ids), [], [[5, 6, 6]] * 2)
    assert (tmp_path / "sheet.png").exists()
    run(decode(store, str(tmp_path / "turn"), view=view, form="webp"))
    assert {file.name for file in (tmp_path / "turn").rglob("*.webp")} == {"a.webp", "b.webp"}


def test_distances_are_decoded_between_near_and_far(store, tmp_path, two):
    view = {"poses": str(two / "cars_test/b/pose"), "depth": True}
    run(decode(store, str(tmp_path / "out"), view=view, ids=["cars_test/b"]))
    files = sorted((tmp_path / "out/cars_test/b/depth").iterdir())
    assert len(files) == 10
    values = np.stack([np.asarray(Image.open(file)) for file in files]) / 10_000
    assert values.min() >= 0.8 - 1e-4
    assert values.max() <= 1.8 + 1e-4
    assert values.std() > 0
    run(decode(store, str(tmp_path / "out.npz"), view=view, ids=["cars_test/b"]))
    raw = np.load(tmp_path / "out.npz")["values"]
    np.testing.assert_allclose(raw[0], values, atol=1e-4)
