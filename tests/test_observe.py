"""What is observed: every rule on a tiny grid, its spellings, and what is said where it does not fit."""

import numpy as np
import pytest

from functa_cli import binvox, observe, rules
from functa_cli.errors import ConfigError, DataError
from functa_cli.modalities import image, voxel
from functa_cli.modality import Source
from functa_cli.partly import Observed
from functa_cli.signal import Signal
from functa_cli.voxels import Options, VoxelSource
from tests import gridded, scenes

AXES = {"picture": ("row", "column"), "solid": ("x", "y", "z"), "scene": ("view", "row", "column"), "sound": ("time",)}


class Memory(Source):
    """A source of arrays [*shape, channels] that are held."""

    def __init__(self, *arrays, ids=None):
        self.arrays = arrays
        self.ids = ids or [f"datum{number}" for number in range(len(arrays))]
        self.shapes = np.array([array.shape[:-1] for array in arrays], np.int32)

    def __getitem__(self, index):
        values = self.arrays[index].reshape(-1, self.arrays[index].shape[-1])
        return Signal(np.zeros((len(values), 1)), values, np.ones(len(values)))


def seen(texts, shape, kind, *, seed=0, values=None, ids=None) -> np.ndarray:
    """What rules see of a datum, bool of `shape`."""
    source = Memory(np.zeros((*shape, 1)) if values is None else values, ids=ids)
    parsed = [rules.parse(text, AXES[kind]) for text in ([texts] if isinstance(texts, str) else texts)]
    found = observe.weights(parsed, source, 0, seed)
    assert found.dtype == np.float32
    assert set(np.unique(found)) <= {0.0, 1.0}
    return found.reshape(shape).astype(bool)


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("x:0:3", [0, 1, 2]),
        ("x:3:", [3, 4, 5, 6, 7]),
        ("x::2", [0, 1]),
        ("x:-2:", [6, 7]),
        ("x::-8", []),
        ("x:1:6:2", [1, 3, 5]),
        ("x::-3", [0, 1, 2, 3, 4]),
        ("x:::-3", [1, 4, 7]),
        ("x:0.5:", [4, 5, 6, 7]),
        ("x:.25:0.5", [2, 3]),
        ("x:-0.25:", [6, 7]),
        ("x:0.0:1.0", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("x:-0.01:", []),
        ("x:6:99", [6, 7]),
        ("x:9:12", []),
    ],
)
def test_a_range_is_a_slice_of_one_axis(text, cells):
    if not cells:
        with pytest.raises(DataError, match=f"^datum0 has nothing that --observe {text} sees$"):
            seen(text, (8, 3, 2), "solid")
        return
    expected = np.zeros((8, 3, 2), bool)
    expected[cells] = True
    np.testing.assert_array_equal(seen(text, (8, 3, 2), "solid"), expected)


def test_ranges_are_along_the_axis_that_they_name_and_all_of_them_count():
    found = seen(["column:2:5", "row:1:"], (4, 6), "picture")
    expected = np.zeros((4, 6), bool)
    expected[1:, 2:5] = True
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(seen("time:::2", (5,), "sound"), [True, False, True, False, True])
    assert seen([], (2, 3), "picture").all()


def test_a_random_share_is_that_many_points_drawn_for_each_datum_alone():
    found = seen("random:0.05", (20, 20), "picture")
    assert found.sum() == 20
    np.testing.assert_array_equal(found, seen("random:0.05", (20, 20), "picture"))
    assert (found != seen("random:0.05", (20, 20), "picture", seed=1)).any()
    assert (found != seen("random:0.05", (20, 20), "picture", ids=["other"])).any()
    assert seen(["random:0.5", "random:0.5"], (40, 40), "picture").mean() == pytest.approx(0.25, abs=0.05)
    assert seen("random:0.0001", (4, 4), "picture").sum() == 1
    assert seen("random:1", (4, 4), "picture").all()


def neighbours_that_agree(found: np.ndarray, axis: int) -> float:
    return float((found == np.roll(found, 1, axis)).mean())


def test_blobs_see_their_share_and_hang_together_but_not_from_view_to_view():
    found = seen("blobs:0.7", (40, 48), "picture")
    assert found.mean() == pytest.approx(0.7, abs=1e-3)
    assert neighbours_that_agree(found, 0) > 0.85
    assert neighbours_that_agree(found, 1) > 0.85
    assert (found[:, 0] == found[:, -1]).mean() > 0.85  # longitudes meet there
    np.testing.assert_array_equal(found, seen("blobs:0.7", (40, 48), "picture"))
    assert (found != seen("blobs:0.7", (40, 48), "picture", seed=1)).any()
    views = seen("blobs:0.5", (6, 32, 32), "scene")
    assert neighbours_that_agree(views, 0) < 0.7
    assert neighbours_that_agree(views, 1) > 0.85


SOLID = np.zeros((5, 4, 3, 1), np.float32)
SOLID[1:4, 1, 0] = 1.0
SOLID[2, 2, 1] = 0.6
SOLID[0, 3, 2] = 0.5  # is not above a half


@pytest.mark.parametrize(
    ("text", "cell", "cells"),
    [
        ("lidar:+x", (slice(None), 1, 0), [0, 1]),
        ("lidar:-x", (slice(None), 1, 0), [3, 4]),
        ("lidar:+x,-x", (slice(None), 1, 0), [0, 1, 3, 4]),
        ("lidar:+y", (2, slice(None), 1), [0, 1, 2]),
        ("lidar:-y", (2, slice(None), 1), [2, 3]),
        ("lidar:+z", (1, 1), [0]),
        ("lidar:-z", (1, 1), [0, 1, 2]),
        ("lidar:+x", (slice(None), 3, 2), [0, 1, 2, 3, 4]),
    ],
)
def test_a_scan_sees_the_first_occupied_cell_and_the_free_space_before_it(text, cell, cells):
    ray = seen(text, (5, 4, 3), "solid", values=SOLID)[cell]
    np.testing.assert_array_equal(np.flatnonzero(ray), cells)


def test_views_are_chosen_by_number():
    assert np.flatnonzero(seen("views:3", (5, 2, 2), "scene").all((1, 2))).tolist() == [3]
    assert np.flatnonzero(seen("views:0,-1", (5, 2, 2), "scene").any((1, 2))).tolist() == [0, 4]
    assert np.flatnonzero(seen("view:::2", (5, 2, 2), "scene").any((1, 2))).tolist() == [0, 2, 4]
    with pytest.raises(DataError, match=r"^datum0 has the views 0 to 4, and no view 5$"):
        seen("views:0,5", (5, 2, 2), "scene")


def test_a_rectangle_is_hidden_in_pictures_and_in_every_view():
    expected = np.ones((8, 10), bool)
    expected[2:4, 5:] = False
    np.testing.assert_array_equal(seen("rect:2:4,5:", (8, 10), "picture"), expected)
    np.testing.assert_array_equal(seen("rect:0.25:0.5,0.5:1.0", (8, 10), "picture"), expected)
    np.testing.assert_array_equal(seen("rect:2:4,5:", (2, 8, 10), "scene"), [expected] * 2)


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("q:0:3", "solid", "names no axis of these data, which are x, y, z, nor another rule"),
        ("x", "solid", "is no rule"),
        ("", "picture", "is no rule"),
        ("row:3", "picture", "has no range FIRST:STOP[:STEP]"),
        ("row:1:2:3:4", "picture", "has no range"),
        ("row:a:3", "picture", "has 'a', which is neither a cell nor a share"),
        ("row:1.5:", "picture", "has '1.5', which is neither"),
        ("row:nan:", "picture", "has 'nan'"),
        ("row:::0", "picture", "has a step that is 0"),
        ("row:::0.5", "picture", "has a step that is 0 or no whole number"),
        ("random:0", "picture", "has no share in (0, 1]"),
        ("random:1.01", "picture", "has no share"),
        ("random:5%", "picture", "has no share"),
        ("blobs:", "picture", "has no share"),
        ("lidar:+x", "picture", "scans shapes in space; these data have the axes row, column"),
        ("lidar:+row", "scene", "scans shapes in space"),
        ("lidar:x", "solid", "has no direction 'x'; known: +x, -x, +y, -y, +z, -z"),
        ("lidar:+x,", "solid", "has no direction ''"),
        ("views:1", "picture", "needs an axis 'view'; those of these data are row, column"),
        ("views:1-3", "scene", "is no list of views"),
        ("rect:1:2", "picture", "is no rectangle"),
        ("rect:1:2:2,0:1", "picture", "has no range FIRST:STOP;"),
        ("rect:0:1,0:1", "solid", "needs an axis 'row'"),
    ],
)
def test_what_is_no_rule_is_refused_in_one_line_that_shows_some(text, kind, says):
    with pytest.raises(ConfigError) as error:
        rules.parse(text, AXES[kind])
    said = str(error.value)
    assert said.startswith(f"--observe {text!r} {says}")
    assert "\n" not in said
    for example in said.partition("rules are such as ")[2].split(", "):
        assert rules.parse(example, AXES[kind]).text == example


def test_nothing_observed_is_an_error_and_everything_a_warning():
    assert observe.check(np.array([0.0, 1.0]), "a") is None
    assert "a: all of it is observed" in (observe.check(np.array([0.5, 1.0]), "a") or "")
    with pytest.raises(DataError, match=r"^a: nothing of it is observed"):
        observe.check(np.zeros(3), "a")


def test_rules_fit_the_points_that_the_data_are_read_at(tmp_path):
    voxel.example(tmp_path / "shapes")
    shapes = VoxelSource(tmp_path / "shapes", Options())
    ball = next(index for index, name in enumerate(shapes.ids) if name.startswith("ball"))
    chosen = observe.weights([rules.parse("y:0:0.5", voxel.MODALITY.axes)], shapes, ball, 0) > 0
    assert (shapes.cells(ball, np.flatnonzero(chosen)).coords[:, 1] < 0.5).all()
    scan = observe.weights([rules.parse("lidar:+z", voxel.MODALITY.axes)], shapes, ball, 0) > 0
    signal = shapes.cells(ball)
    hit = signal.coords[scan & (signal.features[:, 0] > 0)]
    assert len(np.unique(hit[:, :2], axis=0)) == len(hit) > 10  # one cell a ray
    assert (hit[:, 2] < 0.5).all()
    image.example(tmp_path / "pictures")
    pictures = image.ImageSource(tmp_path / "pictures", image.Options())
    chosen = observe.weights([rules.parse("row:4:", image.MODALITY.axes)], pictures, 0, 0) > 0
    assert (pictures.cells(0, np.flatnonzero(chosen)).coords[:, 0] > 0.5).all()
    fields = gridded.opened(gridded.save(tmp_path / "t.nc"))
    chosen = observe.weights([rules.parse("row:0:1", ("row", "column"))], fields, 0, 0) > 0
    np.testing.assert_allclose(fields.cells(0).coords[chosen][:, 2], 1.0)  # the first row is the North Pole


def test_all_views_of_a_scene_can_be_observed_those_held_out_too(tmp_path):
    scenes.set_of_two(tmp_path, count=5)
    source = scenes.opened(tmp_path, encode_rays=3)
    assert len(source[0].weights) < 5 * 36
    whole = source.cells(0)
    assert len(whole.weights) == 5 * 36
    assert scenes.colours_of(whole.features) == [0, 1, 2, 3, 4]
    chosen = observe.weights([rules.parse("views:1,4", ("view", "row", "column"))], source, 0, 0) > 0
    assert scenes.colours_of(source.cells(0, np.flatnonzero(chosen)).features) == [1, 4]
    (tmp_path / "cars_test/b/rgb/000001.png").write_bytes(b"no picture")
    again = scenes.opened(tmp_path, encode_rays=3).cells(0)
    np.testing.assert_array_equal(again.weights.reshape(5, 36).sum(1), [36, 0, 36, 36, 36])
    with pytest.raises(DataError, match="no view that can be read"):
        scenes.opened(tmp_path).cells(0, np.arange(36, 40))


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_nan_in_a_grid_of_voxels_is_unseen_where_gaps_are_allowed(tmp_path, suffix):
    grids = (np.random.default_rng(0).random((2, 4, 4, 4)) < 0.5).astype(np.float32)
    grids[0, :2] = np.nan
    path = tmp_path / f"a.{suffix}"
    (np.save if suffix == "npy" else np.savez)(path, grids)
    source = VoxelSource(path, Options())
    with pytest.raises(DataError, match="holds numbers from nan"):
        source.cells(0)
    source = VoxelSource(path, Options())
    source.gaps = True
    for signal in (source[0], source.whole(0), next(source.blocks(0, 64))):
        np.testing.assert_array_equal(signal.weights.reshape(4, 4, 4), ~np.isnan(grids[0]))
        np.testing.assert_array_equal(signal.features.reshape(4, 4, 4), np.nan_to_num(grids[0]))
    assert source[1].weights.all()
    drawn = source.sample(0, 40, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn.weights > 0, drawn.coords[:, 0] > 0.5)
    small = VoxelSource(path, Options(resolution="2"))
    small.gaps = True
    np.testing.assert_array_equal(small[0].weights.reshape(2, 2, 2).min((1, 2)), [0, 1])


def test_gaps_change_nothing_for_grids_that_have_none(tmp_path):
    binvox.write(tmp_path / "a.binvox", np.eye(4, dtype=bool)[..., None] & np.ones(4, bool))
    plain, open_ = VoxelSource(tmp_path, Options()), VoxelSource(tmp_path, Options())
    open_.gaps = True
    for first, second in zip(plain[0], open_[0]):
        np.testing.assert_array_equal(first, second)


# what is looked at of many points


def test_some_points_have_rare_values_among_them_and_the_means_of_all(rng):
    n = 20_000
    features = (rng.random((n, 1)) < 0.02).astype(np.float32)
    whole = Signal(rng.random((n, 3)).astype(np.float32), features, np.ones(n, np.float32))
    observed = Observed(0, np.arange(n), whole, None)
    assert observed.some(n, 0, "a") is whole
    some = observed.some(2_000, 0, "a")
    assert len(some.weights) == 2_000
    assert 0.4 < float(some.features.mean()) < 0.6
    assert float(some.weights.sum()) == pytest.approx(n / 10, rel=0.1)
    error = (0.3 + whole.coords[:, 0] - whole.features[:, 0]) ** 2
    chosen = (0.3 + some.coords[:, 0] - some.features[:, 0]) ** 2
    assert np.average(chosen, weights=some.weights) == pytest.approx(error.mean(), rel=0.1)
    np.testing.assert_array_equal(observed.some(2_000, 0, "a").coords, some.coords)
    assert (observed.some(2_000, 0, "b").coords != some.coords).any()
