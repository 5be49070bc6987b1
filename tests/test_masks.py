"""Mask files of every kind for every modality, how they are paired with the data, and those that do not fit."""

import numpy as np
import pytest
from PIL import Image

from functa_cli import binvox, voxelfiles
from functa_cli.errors import DataError
from functa_cli.masks import Masks
from functa_cli.modalities import image, voxel
from functa_cli.voxels import Options, VoxelSource
from tests import gridded, scenes

LOWER = np.zeros((8, 8), bool)
LOWER[4:] = True
LEFT = LOWER.T[:, ::-1]


def save(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, mask)
    elif path.suffix == ".npz":
        np.savez_compressed(path, mask)
    elif path.suffix == ".binvox":
        binvox.write(path, mask)
    else:
        Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)).save(path)
    return path


def left(path, source, index=0) -> np.ndarray:
    """Where the masks of a path hide a datum, bool in its shape."""
    weights = Masks(path, source).weights(index)
    assert weights.dtype == np.float32
    return weights.reshape(source.shapes[index]) == 0


def refused(path, source, index=None) -> str:
    """The one line that says why masks are not taken; `index`: on reading that datum's, not before."""
    if index is None:
        with pytest.raises(DataError) as error:
            Masks(path, source)
    else:
        masks = Masks(path, source)
        with pytest.raises(DataError) as error:
            masks.weights(index)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def pictures(tmp_path):
    image.example(tmp_path / "pictures")
    return image.ImageSource(tmp_path / "pictures", image.Options())


@pytest.fixture
def shapes(tmp_path):
    voxel.example(tmp_path / "shapes")
    return VoxelSource(tmp_path / "shapes", Options())


@pytest.mark.parametrize("suffix", ["png", "bmp", "npy", "npz"])
def test_a_folder_of_masks_is_paired_by_name_whatever_the_suffix(tmp_path, pictures, suffix):
    for number, name in enumerate(pictures.ids):
        save(tmp_path / "masks" / f"{name.removesuffix('.png')}.{suffix}", LEFT if number == 2 else LOWER)
    save(tmp_path / "masks" / "more/unused.png", LOWER)
    masks = Masks(tmp_path / "masks", pictures)
    for index in range(len(pictures)):
        hidden = masks.weights(index).reshape(8, 8) == 0
        np.testing.assert_array_equal(hidden, LEFT if index == 2 else LOWER)


def test_one_file_is_for_all_data_or_has_one_mask_for_each(tmp_path, pictures):
    for name in ("one.png", "one.jpg", "one.npy", "one.npz"):
        np.testing.assert_array_equal(left(save(tmp_path / name, LEFT), pictures, 5), LEFT)
    every = np.stack([np.roll(LOWER, number, axis=0) for number in range(6)])
    for name in ("every.npy", "every.npz"):
        masks = Masks(save(tmp_path / name, every), pictures)
        for index in (3, 0, 5):
            np.testing.assert_array_equal(masks.weights(index).reshape(8, 8), ~every[index])
    assert refused(save(tmp_path / "few.npy", every[:4]), pictures) == (
        "the mask few.npy holds 4 masks for 6 data; give one for each"
    )


def test_stacks_too_large_to_hold_are_read_mask_by_mask(tmp_path, pictures, monkeypatch):
    every = np.stack([np.roll(LOWER, number, axis=0) for number in range(6)])
    path = save(tmp_path / "every.npy", every)
    monkeypatch.setattr("functa_cli.masks.LARGEST", 64)
    masks = Masks(path, pictures)
    np.testing.assert_array_equal(masks.weights(4).reshape(8, 8), ~every[4])
    monkeypatch.setattr("functa_cli.masks.LARGEST", 63)
    assert refused(path, pictures) == "the mask every.npy claims 6x8x8 values, too many for a mask"


def test_any_number_but_zero_hides_nan_too_and_a_npz_names_its_mask(tmp_path, pictures):
    values = np.zeros((8, 8))
    values[0, :3] = 0.2, -1, np.nan
    found = left(save(tmp_path / "a.npy", values), pictures)
    np.testing.assert_array_equal(np.argwhere(found), [[0, 0], [0, 1], [0, 2]])
    np.savez(tmp_path / "b.npz", other=LEFT, mask=LOWER)
    np.testing.assert_array_equal(left(tmp_path / "b.npz", pictures), LOWER)
    np.savez(tmp_path / "c.npz", other=LEFT, first=LOWER)
    assert refused(tmp_path / "c.npz", pictures) == (
        "the mask c.npz holds 2 arrays, none called 'mask': other, first; call the mask that"
    )


def test_masks_of_the_picture_as_it_is_stored_are_cropped_and_resized_as_it_is(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "data").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((16, 24), np.uint8)).save(tmp_path / f"data/{name}.png")
    source = image.ImageSource(tmp_path / "data", image.Options(resolution="8"))
    mask = np.zeros((16, 24), bool)
    mask[:4, :12] = True
    expected = np.zeros((8, 8), bool)
    expected[:2, :4] = True
    found = left(save(tmp_path / "stored.png", mask), source, 1)
    assert found[expected].all()
    assert not found[3:].any()
    assert not found[:, 5:].any()
    np.testing.assert_array_equal(left(save(tmp_path / "grid.png", LOWER), source), LOWER)
    said = refused(save(tmp_path / "other.png", np.zeros((8, 12), bool)), source)
    assert said == "the mask other.png is 8x12, a.png is 8x8; give a mask of that size"


@pytest.mark.parametrize("suffix", ["npy", "npz", "binvox"])
def test_masks_of_shapes_are_grids(tmp_path, shapes, suffix):
    half = np.zeros((8, 8, 8), bool)
    half[:, 5:] = True
    np.testing.assert_array_equal(left(save(tmp_path / f"half.{suffix}", half), shapes, 3), half)
    small = VoxelSource(tmp_path / "shapes", Options(resolution="4"))
    expected = np.zeros((4, 4, 4), bool)
    expected[:, 2:] = True  # a cell that is half hidden is hidden
    np.testing.assert_array_equal(left(tmp_path / f"half.{suffix}", small, 3), expected)
    said = refused(save(tmp_path / "flat.png", LOWER), shapes)
    assert said.startswith("the mask flat.png is 8x8, ball/1.npz is 8x8x8; ")


def test_a_mask_of_a_grid_that_is_no_cube_is_made_cubic_with_it(tmp_path):
    grid = np.ones((4, 8, 8), bool)
    np.save(tmp_path / "flat.npy", grid)
    assert voxelfiles.look(tmp_path / "flat.npy").shape == (4, 8, 8)
    source = VoxelSource(tmp_path / "flat.npy", Options())
    found = left(save(tmp_path / "mask.binvox", grid), source)
    np.testing.assert_array_equal(found.reshape(-1), source[0].features[:, 0] > 0)


def test_masks_of_fields_are_rows_from_north_to_south(tmp_path):
    source = gridded.opened(gridded.save(tmp_path / "t.nc"))
    mask = np.zeros((9, 16), bool)
    mask[:3] = True
    found = left(save(tmp_path / "mask.npy", mask), source, 2)
    np.testing.assert_array_equal(found, mask)
    assert (source[2].coords[found.reshape(-1), 2] > 0.3).all()
    named = save(tmp_path / "masks" / f"{source.ids[0]}.npy", mask)
    assert refused(named.parent.parent, source).startswith(f"2 of 3 data have no mask in {str(tmp_path / 'masks')!r}")


@pytest.fixture
def cars(tmp_path):
    scenes.set_of_two(tmp_path / "cars", count=3, size=(8, 8))
    return scenes.opened(tmp_path / "cars")


def test_masks_of_scenes_hide_pixels_of_all_views_or_of_those_that_have_one(tmp_path, cars):
    np.testing.assert_array_equal(left(save(tmp_path / "all.png", LOWER), cars), [LOWER] * 3)
    each = np.stack([LOWER, LEFT, ~LOWER])
    np.testing.assert_array_equal(left(save(tmp_path / "each.npy", each), cars), each)
    save(tmp_path / "masks/cars_train/a/rgb/000001.png", LOWER)
    save(tmp_path / "masks/cars_test/b/000002.png", LEFT)
    test, train = sorted(range(2), key=lambda index: cars.split[index])
    none = np.zeros((8, 8), bool)
    np.testing.assert_array_equal(left(tmp_path / "masks", cars, train), [none, LOWER, none])
    np.testing.assert_array_equal(left(tmp_path / "masks", cars, test), [none, none, LEFT])
    (tmp_path / "masks/cars_test/b/000002.png").unlink()
    assert "1 of 2 data have no mask" in refused(tmp_path / "masks", cars)
    save(tmp_path / "masks/cars_test/b.npy", each)
    np.testing.assert_array_equal(left(tmp_path / "masks", cars, test), each)


def test_masks_of_scenes_as_they_are_stored_are_resized_as_they_are(tmp_path, cars):
    small = scenes.opened(tmp_path / "cars", resolution="4")
    expected = np.zeros((4, 4), bool)
    expected[2:] = True
    found = left(save(tmp_path / "all.png", LOWER), small)
    np.testing.assert_array_equal(found[:, [0, 2, 3]], [expected[[0, 2, 3]]] * 3)
    np.testing.assert_array_equal(left(save(tmp_path / "each.npy", [LOWER] * 3), small), found)
    assert "is 2x8x8, cars_test/b is 3x8x8" in refused(save(tmp_path / "two.npy", [LOWER] * 2), cars)


def test_masks_that_are_not_there_or_no_masks_are_refused_in_one_line(tmp_path, pictures):
    assert "does not exist" in refused(tmp_path / "nowhere", pictures)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("x")
    assert "holds 1 files, none a mask; expected .png" in refused(tmp_path / "empty", pictures)
    assert "is no mask; expected .png" in refused(tmp_path / "empty" / "notes.txt", pictures)
    for name in pictures.ids[2:]:
        save(tmp_path / "some" / name, LOWER)
    said = refused(tmp_path / "some", pictures)
    assert said.startswith("2 of 6 data have no mask in ")
    assert "for round/1.png a file round/1 with one of .png, .jpg," in said
    assert said.endswith(f"the first mask there is {pictures.ids[2]}")
    save(tmp_path / "some/round/5.npy", LOWER)
    assert "holds two masks for 'round/5', round/5.npy and round/5.png; keep one" in refused(
        tmp_path / "some", pictures
    )


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.png", b"", "is empty (0 bytes)"),
        ("a.png", b"GIF89a", "is not a picture"),
        ("a.npy", b"", "is empty (0 bytes)"),
        ("a.npy", b"\x93NUMPY", "cannot be read as .npy"),
        ("a.npz", b"PK", "cannot be read as .npz"),
        ("a.binvox", b"#binvox 9\n", "is of binvox version"),
        ("a.npy", np.float64(1.0), "is one number, round/1.png is 8x8"),
        ("a.npy", np.zeros((8, 7)), "is 8x7, round/1.png is 8x8; give a mask of that size"),
        ("a.npy", np.zeros((6, 8, 8, 3)), "is 6x8x8x3, "),
        ("a.npy", np.array([["a"] * 8] * 8), "holds no numbers but <U1"),
        ("a.npy", np.full((8, 8), None), "holds no numbers but object; refusing"),
    ],
)
def test_hostile_masks_are_refused_in_one_line(tmp_path, pictures, name, data, says):
    path = tmp_path / name
    path.write_bytes(data) if isinstance(data, bytes) else np.save(path, data)
    assert refused(path, pictures).startswith(f"the mask {name} {says}")
    for other in pictures.ids[1:]:
        save(tmp_path / "masks" / other, LOWER)
    own = tmp_path / "masks" / pictures.ids[0].replace(".png", path.suffix)
    path.rename(own)
    Masks(own.parent.parent, pictures).weights(1)
    assert says.partition(",")[0] in refused(own.parent.parent, pictures, 0)


def test_a_mask_that_is_cut_is_refused(tmp_path, pictures):
    for suffix in ("png", "npy", "npz"):
        path = save(tmp_path / f"a.{suffix}", np.random.default_rng(0).random((8, 8)) < 0.5)
        path.write_bytes(path.read_bytes()[:-20])
        assert refused(path, pictures).startswith(f"the mask a.{suffix} ")
