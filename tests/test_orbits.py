"""What is decoded of scenes: cameras, pictures, animations and distances; encoded and decoded end to end."""

from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from functa_cli import basefile, basenet, meta
from functa_cli.basefile import Base
from functa_cli.cameras import looking, orbit, radius_of, up_of
from functa_cli.config import to_dict
from functa_cli.coords import OPENCV_TO_OPENGL, rays
from functa_cli.decode import decode
from functa_cli.encode import encode
from functa_cli.errors import ConfigError, DataError
from functa_cli.modalities.scene import MODALITY, SceneDecodeOptions, accepts, assemble, query, sheet, target
from functa_cli.srn import format_pose, parse_pose
from functa_cli.store import Functaset
from functa_cli.trees import fingerprint
from tests.scenes import FOCAL, RADIUS, opened, poses, save_scene, set_of_two
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


# Cameras


def test_cameras_look_at_the_origin():
    for pose in looking(np.array([[0.3, 1.0, -0.5], [-2.0, 0.0, 0.1]]), np.array([0.0, 1.0, 0.0])):
        parse_pose(format_pose(pose).encode())  # rigid
        np.testing.assert_allclose(pose[:3, 2], -pose[:3, 3] / np.linalg.norm(pose[:3, 3]), atol=1e-12)
        assert abs(pose[1, 0]) < 1e-12  # level
        assert pose[1, 1] < 0  # y down


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
    for factor, scale in ((1.0, 10_000), (0.01, 10_000), (100.0, 100)):
        folder = tmp_path / str(factor)
        MODALITY.forms["png"].write(folder, array * factor, geometry)
        assert float((folder / "depth_scale.txt").read_text()) == scale
        found = np.stack([np.asarray(Image.open(file)) for file in sorted((folder / "depth").iterdir())])
        assert found.dtype == np.uint16
        np.testing.assert_allclose(found / scale, array * factor, atol=0.51 / scale)
        assert len(list((folder / "pose").iterdir())) == 2
    assert not (tmp_path / "1.0/rgb").exists()


def test_near_things_are_bright_on_a_sheet(tmp_path):
    array = np.full((1, 8, 8), 1.8, np.float32)
    array[0, 4:] = 0.8
    sheet(tmp_path / "a.png", [(random_frames(1, (8, 8)), array)], {})
    picture = np.asarray(Image.open(tmp_path / "a.png"), float)
    right = picture[:, picture.shape[1] // 2 + 10 : -10]
    assert right[20].mean() < 1
    assert right[-20].mean() > 254


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
