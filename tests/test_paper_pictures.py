"""What the scripts of pictures in examples/paper/ measure, and the sheets that they draw."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "paper"))

import figure10
import figure15
import figure22
import heldout
import made
import strips

from functa_cli import basenet
from functa_cli.basefile import read_base

RED, BLUE = (200, 0, 0), (0, 0, 200)


def plain(colour: tuple[int, int, int], shape: tuple[int, int] = (8, 8)) -> np.ndarray:
    return np.full((*shape, 3), colour, np.uint8)


def test_a_sheet_has_its_pictures_in_rows_at_the_size_asked_for(tmp_path):
    cells = [strips.Cell(plain(RED), "1 dB"), strips.Cell(plain(BLUE, (4, 8)))]
    strips.write_strips(
        tmp_path / "a.png",
        [strips.Strip("one", cells, ["left", "right"]), strips.Strip("two\nlines", [strips.Cell(None), cells[0]])],
        size=40,
    )
    sheet = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).astype(int)
    red, blue = ((np.abs(sheet - colour).sum(-1) == 0) for colour in (RED, BLUE))
    assert (red.sum(), blue.sum()) == (2 * 40 * 40, 40 * 20)
    columns = np.flatnonzero(red.any(0))
    assert columns[-1] - columns[0] + 1 == 40 + strips.GAP + 40  # the second picture of the row below, no first
    rows = np.flatnonzero(blue.any(1))
    above = np.flatnonzero(red[:, columns[0]])
    assert rows.mean() == above.mean()  # lower pictures are in the middle of their row


def test_a_large_sheet_is_reduced_to_a_small_file(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    strips.write_strips(tmp_path / "a.png", [strips.Strip("", [strips.Cell(noise)])], size=400)
    assert (tmp_path / "a.png").stat().st_size < strips.LARGEST
    assert Image.open(tmp_path / "a.png").mode == "P"


@pytest.mark.parametrize(("n", "count", "chosen"), [(5, 9, [0, 1, 2, 3, 4]), (9, 3, [0, 4, 8]), (7, 1, [0])])
def test_data_are_chosen_evenly(n, count, chosen):
    assert heldout.spread(n, count).tolist() == chosen


def test_half_of_an_even_change_lies_in_half_of_the_points():
    before = np.zeros((10, 10, 3), np.float32)
    assert figure15.concentration(before, before + 1.0) == pytest.approx(0.5, abs=0.011)
    local = before.copy()
    local[2, 3] = 1.0
    assert figure15.concentration(before, local) == 0.01


def test_a_change_is_red_where_there_is_more_and_has_north_up():
    before, after = np.zeros((4, 6, 1)), np.zeros((4, 6, 1))
    after[0, 0], after[3, 5] = 1.0, -0.5
    picture = figure15.change(before, after, {})
    assert picture[0, 0].tolist() == figure15.MORE.tolist()
    assert picture[3, 5, 2] > picture[3, 5, 0]
    assert picture[1, 1].tolist() == [255, 255, 255]
    south_first = {"latitude": [-1.0, 0.0, 1.0, 2.0], "longitude": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]}
    assert np.array_equal(figure15.change(before, after, south_first), picture[::-1])
    solid = np.zeros((3, 4, 5, 1))
    solid[0, 3] = 1.0
    assert figure15.change(np.zeros_like(solid), solid, {})[0, 0].tolist() == figure15.MORE.tolist()


def test_edges_lose_half_of_their_contrast_where_one_array_shows_through_another():
    first, last = np.zeros((16, 16, 1)), np.zeros((16, 16, 1))
    first[:, 4:], last[:, 12:] = 1.0, 1.0
    mixed = figure10.edges(0.5 * first + 0.5 * last) / figure10.edges(first)
    assert mixed == pytest.approx(0.5)  # of the squares: two edges of a quarter each
    assert figure10.edges(np.ones((1, 4, 4, 2))) == 0.0


def test_the_spread_of_samples_is_that_of_their_noise():
    train = np.random.default_rng(0).standard_normal((500, 8))
    assert figure22.spread(0.5 * train + 3.0, train) == pytest.approx(50.0)


def test_a_store_tells_the_command_that_made_it():
    base = read_base(str(basenet.shipped("image", "base.zarr")))
    assert made.base_network(base) == "the network that ships"
    other = base._replace(fingerprint="another", info={"data": "/somewhere/photos"})
    told = made.base_network(other)
    assert told.startswith("`functa fit --modality image photos --")
    for flag in ("--latent-dim 256", "--steps 1500"):
        assert flag in told
    assert "--width" not in told  # as by default
