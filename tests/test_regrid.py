"""Cells of grids, and means over the cells of a coarser one."""

from itertools import pairwise

import numpy as np
import pytest

from functa_cli.regrid import Averaging, axes, edges, is_global, overlaps, parallels

POLES = np.linspace(90, -90, 19)
INNER = 90 - (np.arange(18) + 0.5) * 10
ROUND = np.arange(36) * 10.0
GAUSS = np.rad2deg(np.arcsin(np.polynomial.legendre.leggauss(20)[0][::-1]))


def areas(latitude, longitude) -> np.ndarray:
    """Areas [rows, columns] of the cells of a grid, a cell at a time."""
    high, wide = parallels(latitude), edges(longitude)
    return np.array(
        [
            [(np.sin(np.deg2rad(top)) - np.sin(np.deg2rad(bottom))) * (right - left)]
            for top, bottom in pairwise(high)
            for left, right in pairwise(wide)
        ]
    ).reshape(len(latitude), len(longitude))


def test_cells_reach_halfway_and_to_the_poles():
    np.testing.assert_allclose(parallels(POLES), [90, *np.arange(85, -86, -10), -90])
    np.testing.assert_allclose(parallels(INNER), np.linspace(90, -90, 19))
    assert parallels(GAUSS)[[0, -1]].tolist() == [90, -90]
    np.testing.assert_allclose(parallels(np.array([47.0, 45, 43])), [48, 46, 44, 42])
    np.testing.assert_allclose(edges(np.array([5.0])), [4.5, 5.5])


def test_global_grids_are_told_from_regional_ones():
    for latitude in (POLES, INNER, GAUSS):
        assert is_global(latitude, ROUND)
        assert is_global(latitude, ROUND - 180)
        assert not is_global(latitude, ROUND[:-1])
        assert not is_global(latitude[2:], ROUND)
        assert not is_global(latitude[:-2], ROUND)


@pytest.mark.parametrize(
    "latitude", [POLES, INNER, GAUSS, np.linspace(60, 30, 13)], ids=["poles", "inner", "gauss", "region"]
)
@pytest.mark.parametrize("shape", [(7, 12), (5, 7), (9, 36), (1, 1), (6, 1), (1, 5)])
def test_the_mean_over_the_area_stays(rng, latitude, shape):
    longitude = ROUND if is_global(latitude, ROUND) else np.linspace(-20, 15, 36)
    values = rng.normal(280, 20, (len(latitude), 36))
    average = Averaging(latitude, longitude, *shape)
    fine, coarse = areas(latitude, longitude), areas(average.latitude, average.longitude)
    got = average(values)
    assert got.dtype == np.float32
    assert got.shape == shape
    if 1 in shape:
        coarse = average.down.sum(1)[:, None] * average.across.sum(1)[None]
    np.testing.assert_allclose(np.average(got, weights=coarse), np.average(values, weights=fine), rtol=1e-6)
    np.testing.assert_allclose(average(np.full_like(values, 7.5)), 7.5, rtol=1e-6)


def test_aligned_cells_are_plain_means_of_blocks_in_sine_of_latitude(rng):
    values = rng.normal(size=(18, 36))
    average = Averaging(INNER, ROUND + 5, 6, 12)
    weights = np.diff(np.sin(np.deg2rad(np.linspace(90, -90, 19))))
    down = (values * weights[:, None]).reshape(6, 3, 36).sum(1) / weights.reshape(6, 3).sum(1)[:, None]
    np.testing.assert_allclose(average.latitude, [75, 45, 15, -15, -45, -75])
    # the coarse grid begins at the fine one's first longitude, so its cells begin half a cell of theirs before
    np.testing.assert_allclose(average.longitude, 5 + np.arange(12) * 30.0)
    rolled = np.roll(down, 1, axis=1)  # fine cell 35 is the first of the first coarse cell
    np.testing.assert_allclose(average(values), rolled.reshape(6, 12, 3).mean(2), rtol=1e-5)
    regional = Averaging(np.array([4.0, 2, 0, -2]), np.arange(6.0), 2, 3)
    np.testing.assert_allclose(regional.latitude, [3, -1])
    np.testing.assert_allclose(regional.longitude, [0.5, 2.5, 4.5])
    ones = regional(np.arange(24.0).reshape(4, 6))
    np.testing.assert_allclose(
        ones[0], np.average([[0.5, 2.5, 4.5], [6.5, 8.5, 10.5]], axis=0, weights=_sines(4, 2)), rtol=1e-6
    )


def _sines(*latitudes: float) -> list[float]:
    return [np.sin(np.deg2rad(one + 1)) - np.sin(np.deg2rad(one - 1)) for one in latitudes]


def test_cells_without_a_value_do_not_count(rng):
    values = rng.normal(size=(18, 36))
    holes = values.copy()
    holes[:3, :3] = np.nan
    average = Averaging(INNER, ROUND, 6, 12)
    got, full = average(holes), average(values)
    np.testing.assert_array_equal(np.isnan(got[1:]), False)
    np.testing.assert_array_equal(got[1:], full[1:])
    touched = np.flatnonzero(~np.isclose(got[0], full[0], equal_nan=False))
    assert set(touched) <= {0, 1}
    assert np.isnan(got[0, 0])  # two thirds of it are missing
    known = holes[:3, 2:5]
    area = np.repeat(np.diff(-np.sin(np.deg2rad([90, 80, 70, 60])))[:, None], 3, axis=1) * np.isfinite(known)
    np.testing.assert_allclose(got[0, 1], np.nansum(known * area) / area.sum(), rtol=1e-5)
    assert np.isnan(average(np.full((18, 36), np.nan))).all()


@pytest.mark.parametrize(
    ("latitude", "shape", "ends"),
    [(POLES, (361, 720), 90.0), (INNER, (360, 720), 89.75), (GAUSS, (180, 360), 89.5), (POLES, (1, 2), 0.0)],
)
def test_other_global_grids_begin_at_the_same_longitude_and_keep_the_poles(latitude, shape, ends):
    down, across = axes(latitude, ROUND - 180, *shape)
    assert (len(down), len(across)) == shape
    np.testing.assert_allclose([down[0], down[-1]], [ends, -ends])
    assert across[0] == -180
    np.testing.assert_allclose(np.diff(across), 360 / shape[1])
    assert np.all(np.diff(down) < 0)


def test_other_regional_grids_have_the_same_outer_edges():
    latitude, longitude = np.linspace(47, 36, 23), np.linspace(6, 18, 25)
    for rows, columns in ((46, 100), (7, 5), (23, 25)):
        down, across = axes(latitude, longitude, rows, columns)
        np.testing.assert_allclose(parallels(down)[[0, -1]], parallels(latitude)[[0, -1]])
        np.testing.assert_allclose(edges(across)[[0, -1]], edges(longitude)[[0, -1]])
    np.testing.assert_allclose(down, latitude)
    np.testing.assert_allclose(across, longitude)


def test_overlaps_are_lengths_shared_by_intervals(rng):
    coarse, fine = np.sort(rng.uniform(0, 10, 6)), np.sort(rng.uniform(0, 10, 14))
    got = overlaps(coarse, fine)
    for row in range(5):
        for column in range(13):
            shared = min(coarse[row + 1], fine[column + 1]) - max(coarse[row], fine[column])
            assert got[row, column] == pytest.approx(max(shared, 0))
    assert overlaps(np.array([350.0, 370]), np.array([0.0, 5, 20]), 360.0).tolist() == [[5, 5]]
