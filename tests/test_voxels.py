"""Voxels: sets of grids, points near surfaces, copies with stretched axes, scores, and what is decoded."""

from unittest.mock import Mock

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from functa_cli import voxelfiles
from functa_cli.coords import grid
from functa_cli.errors import ConfigError, DataError
from functa_cli.modalities.voxel import MODALITY, VoxelDecodeOptions, accepts, assemble, example, sheet, target
from functa_cli.modality import Match
from functa_cli.occupancy import bits, near_surface, reduced, stretch
from functa_cli.shading import shaded
from functa_cli.voxels import Options, VoxelSource


def ball(size: int, radius: float = 0.3) -> np.ndarray:
    return (np.linalg.norm(grid((size,) * 3) - 0.5, axis=1) < radius).reshape((size,) * 3)


def save(path, voxels):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, voxels=voxels)


def opened(path, *, seed=0, **options):
    return VoxelSource(path, Options(**{"split": "none", **options}), seed=seed)


def test_a_grid_is_a_signal_in_axes_x_y_z(tmp_path):
    voxels = np.zeros((4, 4, 4), bool)
    voxels[1, 2, 3] = True
    save(tmp_path / "a.npz", voxels)
    coords, features, weights = opened(tmp_path)[0]
    np.testing.assert_allclose(coords[features[:, 0] == 1], [[1.5 / 4, 2.5 / 4, 3.5 / 4]])
    np.testing.assert_array_equal(coords, grid((4, 4, 4)))
    assert weights.tolist() == [1.0] * 64


def test_what_was_found_is_said(tmp_path):
    for name in ("train/chair/a", "train/sofa/b", "test/chair/c"):
        save(tmp_path / f"{name}.npz", ball(8))
    source = VoxelSource(tmp_path, Options())
    assert source.found == "found 3 grids 8^3 in 2 classes, 1 test"
    assert source.labels.tolist() == [0, 0, 1]
    save(tmp_path / "train/sofa/d.npz", ball(12))
    save(tmp_path / "train/sofa/e.npz", ball(12)[:, :6])
    assert "5 grids of 3 sizes (8^3 to " in VoxelSource(tmp_path, Options()).found
    said = VoxelSource(tmp_path, Options(resolution="4", augment=3)).found
    assert said.endswith(
        "2 classes, 1 test; those that are no cubes are filled up with empty cells; reduced to 4^3 (mean above 0.05); "
        "3 copies of each training shape, axes scaled by 0.75 to 1.25"
    )


def test_folders_of_modelnet(tmp_path):
    for name in ("chair/30/train/a_1", "chair/30/test/b_1", "sofa/30/train/c_1", "sofa/30/test/d_1"):
        save(tmp_path / f"{name}.npz", ball(8))
    source = VoxelSource(tmp_path, Options())
    assert source.classes == ("chair", "sofa")
    assert list(source.split) == ["test", "train", "test", "train"]


def test_stacks_are_data_of_their_own_and_an_archive_is_gone_through_once(tmp_path, monkeypatch):
    stack = np.stack([ball(8, 0.2 + 0.05 * number) for number in range(5)])
    np.savez_compressed(tmp_path / "a.npz", voxels=stack)
    for order in ([0, 1, 2, 3, 4], [3, 0, 4, 1, 2]):
        for method in ("__getitem__", "whole"):
            source = opened(tmp_path)
            for index in order:
                got = getattr(source, method)(index).features.reshape(8, 8, 8)
                np.testing.assert_array_equal(got, stack[index])
    assert source.ids == [f"a.npz#000{number}" for number in range(5)]
    opening = Mock(side_effect=voxelfiles.grids)
    monkeypatch.setattr(voxelfiles, "grids", opening)
    source = opened(tmp_path)
    assert sum(source[index].features.sum() for index in range(5)) == stack.sum()
    assert opening.call_count == 1
    assert opened(tmp_path, limit=2).ids == source.ids[:2]


def test_a_broken_file_costs_only_itself(tmp_path):
    save(tmp_path / "a.npz", ball(8))
    save(tmp_path / "small.npz", ball(6))
    (tmp_path / "b.binvox").write_bytes(b"")
    source = opened(tmp_path, resolution="8")
    assert source.ids == ["a.npz"]
    assert [tuple(problem) for problem in source.problems] == [
        ("b.binvox", "is empty (0 bytes)"),
        ("small.npz", "is 6x6x6, and --resolution 8 would enlarge it; give a smaller one"),
    ]
    data = (tmp_path / "a.npz").read_bytes()
    np.save(tmp_path / "c.npy", np.full((8, 8, 8), np.nan))
    source = opened(tmp_path, resolution="8")
    assert source[0].features.sum() == ball(8).sum()
    with pytest.raises(DataError, match=r"^c\.npy holds numbers from nan"):
        source[1]
    (tmp_path / "a.npz").write_bytes(data[:-30])
    assert opened(tmp_path).ids == ["c.npy", "small.npz"]


def test_nothing_to_read_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"holds 0 files, none of voxels; expected \.binvox"):
        opened(tmp_path)
    (tmp_path / "a.npy").write_text("hello")
    with pytest.raises(DataError, match=r"holds 1 unusable files; a\.npy cannot be read as \.npy"):
        opened(tmp_path)
    save(tmp_path / "b.npz", ball(8))
    for options, text in (
        ({"augment": 0}, "augment is a number of copies"),
        ({"surface": 1.0}, r"surface is a share in \[0, 1\); found 1.0"),
        ({"resolution": "8x4x8"}, "resolution of voxels is one number"),
        ({"resolution": "eight"}, "a resolution is R or XxYxZ"),
    ):
        with pytest.raises(ConfigError, match=text):
            opened(tmp_path, **options)


def test_grids_that_are_no_cubes_are_centred_in_one(tmp_path):
    save(tmp_path / "a.npz", np.ones((8, 4, 6), bool))
    full = opened(tmp_path)[0].features.reshape(8, 8, 8)
    assert full[:, 2:6, 1:7].all()
    assert full.sum() == 8 * 4 * 6


def test_reduction_takes_the_mean_above_five_percent():
    voxels = np.zeros((40, 40, 40), bool)
    voxels[0, 0, 0] = True  # 1 of 8: above 5 %
    assert np.argwhere(reduced(voxels, 20)).tolist() == [[0, 0, 0]]
    assert not reduced(voxels, 10).any()  # 1 of 64
    voxels[:4, :4, :4].flat[:50] = True  # 50 of 1,000 is not above 5 %, 51 is
    assert not reduced(voxels, 4).any()
    voxels[9, 9, 9] = True
    assert reduced(voxels, 4).sum() == 1
    blocks = np.random.default_rng(0).random((12, 12, 12)) < 0.04
    means = blocks.reshape(4, 3, 4, 3, 4, 3).mean((1, 3, 5))
    np.testing.assert_array_equal(reduced(blocks, 4), means > 0.05)
    assert abs(reduced(ball(50), 16).mean() - ball(50).mean()) < 0.04


def test_cells_near_a_surface_have_both_kinds_around_them():
    voxels = np.random.default_rng(0).random((70, 9, 9)) < 0.02  # more than one slab
    padded = np.pad(voxels, 1, mode="edge")
    around = [padded[x : x + 70, y : y + 9, z : z + 9] for x in range(3) for y in range(3) for z in range(3)]
    np.testing.assert_array_equal(near_surface(voxels), np.any(around, 0) & ~np.all(around, 0))


@pytest.mark.parametrize("scales", [(1.0, 1.0, 1.0), (0.77, 1.0, 1.23), (1.21, 0.83, 0.91)])
def test_a_stretch_draws_evenly_from_what_it_shows(rng, scales):
    voxels = rng.random((10, 10, 10)) < 0.1
    chart = stretch(10, np.array(scales))
    cells, inside = chart.cells(np.arange(1000))
    shown = bits(voxels).at(cells) & inside
    np.testing.assert_array_equal(chart.grid(voxels).reshape(-1), shown)
    centres = (grid((10, 10, 10)).astype(float) - 0.5) / scales + 0.5
    whole = ((centres >= 0) & (centres < 1)).all(1)
    nearest = np.clip(np.floor(centres * 10).astype(int), 0, 9)
    np.testing.assert_array_equal(shown, voxels[tuple(nearest.T)] & whole)
    drawn, total = chart.draw(np.flatnonzero(voxels), 40 * shown.sum(), rng)
    assert total == shown.sum()
    counts = np.bincount(drawn, minlength=1000)
    np.testing.assert_array_equal(counts > 0, shown)
    assert counts[shown].std() < 1.3 * np.sqrt(40)
    assert chart.draw(np.zeros(0, int), 5, rng)[1] == 0


@pytest.mark.parametrize("augment", [1, 3])
@pytest.mark.parametrize("surface", [0.0, 0.5, 0.8])
def test_samples_estimate_the_error_over_all_cells_without_bias(tmp_path, surface, augment):
    save(tmp_path / "a.npz", ball(16))
    source = opened(tmp_path, surface=surface, augment=augment)
    rng, index = np.random.default_rng(1), augment - 1

    def errors(signal):
        return (signal.features[:, 0] - 0.3 - signal.coords[:, 1] * signal.coords[:, 0]) ** 2

    whole = source[index]
    estimates, near = [], []
    for _ in range(400):
        drawn = source.sample(index, 256, rng)
        assert drawn.features.shape == (256, 1)
        estimates.append((drawn.weights * errors(drawn)).mean())
        near.append(drawn.weights.mean())
    spread = np.std(estimates) / np.sqrt(400)
    assert abs(np.mean(estimates) - errors(whole).mean()) < 4 * spread
    assert abs(np.mean(near) - 1) < 0.01
    lookup = {tuple(coords): value for coords, value in zip(whole.coords.tolist(), whole.features[:, 0])}
    assert all(lookup[tuple(coords)] == value for coords, value in zip(drawn.coords.tolist(), drawn.features[:, 0]))


def test_a_share_is_drawn_near_the_surface(tmp_path, rng):
    save(tmp_path / "a.npz", ball(32))
    save(tmp_path / "empty.npz", np.zeros((32, 32, 32), bool))
    source = opened(tmp_path, surface=0.7)
    close = near_surface(ball(32)).reshape(-1)
    index = np.floor(source.sample(0, 1000, rng).coords * 32).astype(int)
    assert 0.7 <= close[np.ravel_multi_index(tuple(index.T), (32,) * 3)].mean() < 0.8
    assert not source.shared_coords
    assert set(source.sample(1, 1000, rng).weights.tolist()) == {1.0}
    plain = opened(tmp_path, surface=0.0)
    assert plain.shared_coords
    first, second = (plain.sample(one, 100, np.random.default_rng(5)) for one in (0, 1))
    np.testing.assert_array_equal(first.coords, second.coords)
    assert len(plain.sample(0, 10**6, rng).features) == 32**3


def test_blocks_are_the_whole_in_pieces(tmp_path):
    voxels = ball(12)
    voxels[0, 0, 0] = True
    save(tmp_path / "a.npz", voxels)
    source = opened(tmp_path, augment=4)
    assert (source.columns["scales"].min(0) < 0.95).all()  # so that cells outside are shown
    for index in range(4):
        parts = list(source.blocks(index, 500))
        assert [len(part.weights) for part in parts] == [500, 500, 500, 228]
        for whole, pieces in zip(source[index], zip(*parts)):
            np.testing.assert_array_equal(np.concatenate(pieces), whole)


def test_augmentation_is_seeded_recorded_and_for_training_alone(tmp_path):
    for number in range(10):
        save(tmp_path / f"{number}.npz", ball(16))
    source = VoxelSource(tmp_path, Options(augment=4, split="0.2"), seed=1)
    assert len(source) == 8 * 4 + 2
    assert source.split.count("test") == 2
    assert source.columns["scales"].shape == (34, 3)
    assert source.columns["scales"].dtype == np.float32
    copies = np.array(["@" in name for name in source.ids])
    assert (source.columns["scales"][~copies] == 1).all()
    assert {source.split[index] for index in np.flatnonzero(copies)} == {"train"}
    drawn = source.columns["scales"][copies]
    assert 0.75 <= drawn.min() < 0.85 < 1.15 < drawn.max() <= 1.25
    assert len(np.unique(drawn)) == drawn.size
    again = VoxelSource(tmp_path, Options(augment=2, split="0.2"), seed=1)
    where = source.ids.index(again.ids[1])
    assert again.ids[1].endswith(".npz@01")
    np.testing.assert_array_equal(again.columns["scales"][1], source.columns["scales"][where])
    other = VoxelSource(tmp_path, Options(augment=4, split="none"), seed=2)
    assert not np.isin(other.columns["scales"][1], source.columns["scales"]).any()
    extent = source[where].coords[source[where].features[:, 0] == 1]
    lengths = extent.max(0) - extent.min(0) + 1 / 16
    np.testing.assert_allclose(lengths, 0.625 * source.columns["scales"][where], atol=0.13)
    assert source[where - 1].features.sum() == ball(16).sum()


def test_large_grids_are_shown_reduced(tmp_path):
    save(tmp_path / "a.npz", ball(136))
    shown, shape = opened(tmp_path).preview(0)
    assert shape == (128, 128, 128)
    np.testing.assert_array_equal(shown.features.reshape(shape), reduced(ball(136), 128))


def test_accuracy_and_overlap():
    true = np.array([1, 1, 0, 0, 0, 0, 1, 0], np.float32)[:, None]
    said = np.array([0.9, 0.4, 0.6, 0.1, -3, 0.5, 0.8, 9], np.float32)[:, None]
    weights = np.array([1, 1, 1, 1, 1, 1, 1, 0], np.float32)  # the last is padding
    for kind in (np, jnp):
        sums = MODALITY.scores.sums(kind.asarray(said), kind.asarray(true), kind.asarray(weights))
        figures = MODALITY.scores.figures(np.array([[float(one) for one in sums], [8, 8, 0, 0]]))
        np.testing.assert_allclose(figures, [[5 / 7, 2 / 4], [1, 1]])


def test_accepts_looks_into_arrays(tmp_path):
    assert accepts(tmp_path) is None
    example(tmp_path / "a")
    assert accepts(tmp_path / "a") == Match(2, "a grid of 8x8x8 voxels in 1.npz")
    np.save(tmp_path / "a.npy", np.zeros((4, 8, 8, 8), bool))
    assert accepts(tmp_path / "a.npy") == Match(2, "4 grids of 8x8x8 voxels in a.npy")
    for number, values in enumerate(([[1.0]], np.zeros((9, 9, 3)), np.zeros((9, 9)), np.full((4, 4, 4), 273.0))):
        np.save(tmp_path / f"{number}.npy", values)
        assert accepts(tmp_path / f"{number}.npy") is None
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.obj").write_text("")
    assert accepts(tmp_path / "b") == Match(1, "1 .obj files")


def test_decoding_takes_any_grid_and_a_threshold():
    options = VoxelDecodeOptions(threshold=0.3)
    made = target({"channels": 1}, (8, 8, 8), "16", options)
    assert made.shape == (16, 16, 16)
    assert target({"channels": 1}, (8, 8, 8), "", options).shape == (8, 8, 8)
    assert target({"channels": 1}, (8, 8, 8), "4x5x6", options).shape == (4, 5, 6)
    wild = np.array([np.nan, -5, 0.31, 7, 0.29, np.inf, -np.inf, 0.5], np.float32)[:, None]
    array = assemble(made.geometry, wild, (2, 2, 2))
    np.testing.assert_allclose(array.reshape(-1), [0, 0, 0.31, 1, 0.29, 1, 0, 0.5])
    assert made.geometry == {"channels": 1, "threshold": 0.3}


@pytest.mark.parametrize("form", ["npz", "binvox"])
def test_written_grids_keep_their_threshold_and_their_place(tmp_path, form):
    world = {"translate": [1.0, -2.0, 0.5], "scale": 3.0}
    array = np.random.default_rng(0).random((6, 6, 6)).astype(np.float32)
    MODALITY.forms[form].write(tmp_path / f"a.{form}", array, {"channels": 1, "threshold": 0.8, "world": world})
    source = opened(tmp_path)
    np.testing.assert_array_equal(source[0].features.reshape(6, 6, 6), array > 0.8)
    assert source.geometry.get("world") == (world if form == "binvox" else None)


def test_shapes_are_drawn_lit_from_above(tmp_path):
    picture = shaded(ball(32).astype(np.float32))
    assert picture.shape == (160, 160, 3)
    shape = np.ptp(picture.astype(int), axis=2) > 30  # it is blue, the rest gray
    rows, columns = np.nonzero(shape)
    assert abs(rows.mean() - 79.5) < 2
    assert abs(columns.mean() - 79.5) < 2
    assert abs(np.sqrt(shape.sum() / np.pi) - 0.3 * 160 / 1.3) < 2  # the radius
    assert picture[60:70, 70:90].mean() > picture[95:105, 70:90].mean() + 20
    assert (picture[~shape] < 235).mean() > 0.03  # the shadow
    blank = shaded(np.zeros((8, 8, 8)))
    assert np.unique(blank).tolist() == [250]
    assert (shaded(ball(32), level=2.0) == 250).all()
    assert not np.array_equal(shaded(np.ones((4, 8, 160))), blank)
    sheet(tmp_path / "s.png", [(ball(8), ball(8)), (None, ball(8))], {})
    assert Image.open(tmp_path / "s.png").width > 2 * 160
