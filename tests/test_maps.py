"""Maps and globes: north is up, east is right, and missing cells are gray."""

import numpy as np
import pytest

from functa_cli import maps
from functa_cli.maps import COLOURS, LAND, coloured, drawn, legend

GRIDS = {
    "0 to 360 with poles": (np.linspace(90, -90, 73), np.arange(144) * 2.5),
    "-180 to 180": (90 - (np.arange(72) + 0.5) * 2.5, np.arange(144) * 2.5 - 180),
}
WARM, COLD = COLOURS[-1], COLOURS[0]


def marked(grid, south, north, west, east):
    """A field that is 1 in a box and 0 elsewhere."""
    latitude, longitude = GRIDS[grid]
    turned = (longitude + 180) % 360 - 180
    inside = ((latitude > south) & (latitude < north))[:, None] & ((turned > west) & (turned < east))[None]
    return inside.astype(float), latitude, longitude


def middle(picture) -> tuple[float, float]:
    """Mean row and column of what is warm."""
    red = picture[..., 0].astype(int) - picture[..., 2]
    rows, columns = np.nonzero(red > 40)
    return rows.mean(), columns.mean()


@pytest.mark.parametrize("grid", GRIDS)
def test_a_map_has_greenwich_in_its_middle_and_north_up(grid):
    picture = drawn(*marked(grid, -35, 36, -17, 51), 0, 1)  # about Africa
    assert picture.dtype == np.uint8
    assert picture.shape == (360 + 8 + 360, 720, 3)
    row, column = middle(picture[:360])
    assert abs(row - (90 - 0.5) * 2) < 4
    assert abs(column - (180 + 17) * 2) < 4
    north = middle(drawn(*marked(grid, 60, 80, -60, -20), 0, 1)[:360])  # about Greenland
    assert north[0] < 60
    assert north[1] < 300


@pytest.mark.parametrize("grid", GRIDS)
def test_globes_face_africa_and_the_pacific(grid):
    africa = drawn(*marked(grid, 10, 30, 10, 30), 0, 1)[368:]
    row, column = middle(africa)
    assert abs(row - 180) < 8
    assert abs(column - 180) < 8
    east = middle(drawn(*marked(grid, 10, 30, 40, 60), 0, 1)[368:])
    assert east[1] > 230
    assert middle(drawn(*marked(grid, 40, 60, 10, 30), 0, 1)[368:])[0] < 130
    hawaii = middle(drawn(*marked(grid, 10, 30, -170, -150), 0, 1)[368:])
    assert abs(hawaii[1] - 540) < 8
    assert (africa[0, 0] == 255).all()
    assert (africa[180, 180] == WARM).all()


def test_every_cell_of_a_map_has_its_own_colour(rng):
    latitude, longitude = np.linspace(85, -85, 18), np.arange(36) * 10.0 - 175
    values = rng.random((18, 36))
    picture = drawn(values, latitude, longitude, 0, 1)
    np.testing.assert_array_equal(picture[:360][10::20, 10::20], coloured(values, 0, 1))


def test_a_region_is_a_map_alone_whose_degrees_are_as_long_both_ways():
    latitude, longitude = np.linspace(62, 58, 9), np.linspace(4, 12, 17)
    values = np.zeros((9, 17))
    values[:, 12:] = 1
    picture = drawn(values, latitude, longitude, 0, 1)
    assert picture.shape[1] == maps.WIDTH
    assert picture.shape[0] == pytest.approx(720 * 4.5 / 8.5 / np.cos(np.deg2rad(60)), abs=2)
    assert (picture[:, -10] == WARM).all()
    assert (picture[:, 10] == COLD).all()
    assert drawn(np.zeros((1, 1)), np.array([50.0]), np.array([5.0]), 0, 1).shape[1] == 720
    assert drawn(np.zeros((40, 2)), np.linspace(80, -80, 40), np.array([5.0, 6.0]), 0, 1).shape[0] == maps.TALLEST


def test_colours_go_from_cold_to_warm_and_unknown_is_gray():
    got = coloured(np.array([-5.0, 0.0, 0.5, 1.0, 9.0, np.nan]), 0, 1)
    assert got.tolist()[:2] == [COLD.tolist()] * 2
    assert got.tolist()[3:] == [WARM.tolist()] * 2 + [LAND.tolist()]
    np.testing.assert_allclose(got[2], (COLOURS[3] + COLOURS[4]) / 2, atol=0.6)
    assert coloured(np.array([3.0]), 3, 3).tolist() == [COLD.tolist()]


def test_a_legend_shows_the_run_of_colours_between_its_values():
    bar = legend(200.0, 318.6, "K")
    assert bar.shape == (24, 720, 3)
    assert (bar[12, 180] == COLD).all()
    assert (bar[12, 539] == WARM).all()
    written = (bar < 128).all(axis=2)
    assert written[:, :180].any()
    assert written[:, 540:].any()
