"""Sets of point clouds against sets: brute force as the oracle, and cases whose answer is known; clouds of grids."""

import numpy as np
import pytest

from functa_cli import coverage
from functa_cli.coverage import chamfer, matrix, scores
from functa_cli.modalities import image, scene, voxel


def clouds(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).random((*shape, 3)).astype(np.float32)


def plain(a: np.ndarray, b: np.ndarray) -> float:
    squared = ((a[:, None].astype(float) - b[None]) ** 2).sum(-1)
    return squared.min(1).mean() + squared.min(0).mean()


def test_the_distance_of_clouds_counted_by_hand():
    a = np.array([[0.0, 0, 0], [1, 0, 0]])
    b = np.array([[0.0, 0, 0], [0, 3, 0], [0, 0, 0.5]])
    assert chamfer(a, b) == pytest.approx((0 + 1) / 2 + (0 + 9 + 0.25) / 3)


@pytest.mark.parametrize("block", [1, 25, coverage.BLOCK])
def test_the_matrix_is_the_distance_of_every_pair_whatever_the_blocks(monkeypatch, block):
    monkeypatch.setattr(coverage, "BLOCK", block)
    a, b = clouds(5, 12), clouds(3, 7, seed=1)
    expected = [[plain(one, other) for other in b] for one in a]
    np.testing.assert_allclose(matrix(a, b), expected, rtol=1e-6)
    np.testing.assert_allclose(matrix(a, a), [[plain(one, other) for other in a] for one in a], rtol=1e-6, atol=1e-12)


def test_scores_of_sets_whose_answer_is_known():
    at = np.arange(6.0)[:, None, None] * [[1.0, 0, 0]]
    shape = clouds(20) * 0.1
    reference = shape + at
    near = reference + np.array([0.0, 0.01, 0])
    apart = reference + np.array([100.0, 0, 0])
    one = np.repeat(reference[:1], 6, axis=0)
    # every reference cloud has its own sample, which is nearer than any other cloud
    good = scores(near, reference)
    assert good["cov"] == 1.0
    assert good["mmd"] == pytest.approx(np.mean([plain(n, r) for n, r in zip(near, reference)]), rel=1e-5)
    assert good["nna"] == 0.0
    assert scores(apart, reference)["nna"] == 1.0
    assert scores(apart, reference)["cov"] == pytest.approx(1 / 6)
    between = shape[None] + np.array([0.0, 0.4])[:, None, None] * [1, 0, 0]  # both are nearest to the first one
    assert scores(between, reference)["cov"] == pytest.approx(1 / 6)
    collapsed = scores(one, reference)
    assert collapsed["cov"] == pytest.approx(1 / 6)
    assert collapsed["mmd"] == pytest.approx(np.mean([plain(reference[0], r) for r in reference]), rel=1e-5)


def test_scores_are_those_of_brute_force_for_sets_of_other_sizes():
    samples, reference = clouds(4, 9), clouds(7, 11, seed=1)
    both = [*samples, *reference]
    table = np.array([[np.inf if a is b else plain(a, b) for b in both] for a in both])
    own = np.arange(11) < 4
    expected = {
        "cov": len(set(table[:4, 4:].argmin(1))) / 7,
        "mmd": table[:4, 4:].min(0).mean(),
        "nna": np.mean(own[table.argmin(1)] == own),
    }
    assert scores(samples, reference) == pytest.approx(expected, rel=1e-6)


def test_two_sets_of_one_source_are_told_apart_by_chance_alone():
    rng = np.random.default_rng(0)
    sizes = rng.uniform(0.5, 2.0, (2, 40, 1, 3))
    a, b = clouds(2, 40, 30) * sizes
    assert 0.35 < scores(a, b)["nna"] < 0.65
    assert scores(a, 1.5 * b)["nna"] > scores(a, b)["nna"]


def test_points_lie_on_the_faces_of_occupied_cells_evenly_by_area():
    grid = np.zeros((4, 4, 4), np.float32)
    grid[1:3, 1, 0:3] = 0.9  # a box of 2 x 1 x 3 cells, which touches the side z = 0
    grid[3, 3, 3] = 0.4  # not occupied
    points = voxel.cloud(grid, 4000, np.random.default_rng(0))
    assert points.dtype == np.float32
    assert points.shape == (4000, 3)
    low, high = np.array([0.25, 0.25, 0.0]), np.array([0.75, 0.5, 0.75])
    assert np.all((points >= low) & (points <= high))
    on = np.stack([points == low, points == high])  # [side, n, axis]
    assert np.all(on.any((0, 2)))
    area = np.array([3.0, 6.0, 2.0])
    np.testing.assert_allclose(on.mean(1), np.tile(area / (2 * area.sum()), (2, 1)), atol=0.025)
    for axis in range(3):  # and all over each face
        rest = [other for other in range(3) if other != axis]
        middle = points[on[0, :, axis]][:, rest].mean(0)
        np.testing.assert_allclose(middle, ((low + high) / 2)[rest], atol=0.03)


def test_clouds_of_a_seed_are_the_same_and_grids_without_shapes_have_none():
    whole = np.ones((3, 3, 3), np.float32)
    one, same, other = (voxel.cloud(whole, 50, np.random.default_rng(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.any(one != other)
    assert np.all(((one == 0) | (one == 1)).any(1))  # a full grid has the surface of the cube
    assert voxel.cloud(0 * whole, 50, np.random.default_rng(0)) is None
    assert voxel.MODALITY.cloud is voxel.cloud


@pytest.mark.parametrize("shape", [(2, 4), (2, 4, 3)])
def test_pictures_of_images(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) * 10
    found = image.MODALITY.picture(array)
    assert (found.shape, found.dtype) == ((1, 2, 4, 3 if len(shape) == 3 else 1), np.float32)
    np.testing.assert_allclose(found.reshape(shape) * 255, array, rtol=1e-6)
    np.testing.assert_array_equal(image.MODALITY.picture(np.full(shape, 255, np.uint8)), 1)


def test_pictures_of_scenes_are_their_views():
    views = np.random.default_rng(0).integers(0, 256, (3, 2, 4, 3), dtype=np.uint8)
    found = scene.MODALITY.picture(views)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, views / 255.0, atol=1e-6)
    distances = scene.MODALITY.picture(np.array([[[1.0, 2.0], [3.0, 5.0]]], np.float32))
    np.testing.assert_allclose(distances[0, ..., 0], [[1.0, 0.75], [0.5, 0.0]], atol=0.005)
    assert distances.shape == (1, 2, 2, 1)
