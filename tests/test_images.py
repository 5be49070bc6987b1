"""Pictures of every kind, folders of every shape, and files that are broken."""

import os

import numpy as np
import pytest
from PIL import Image

from functa_cli.errors import ConfigError, DataError
from functa_cli.modalities.image import ImageSource, Options, accepts, example
from functa_cli.pictures import read


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def only(path, **options):
    source = ImageSource(path, Options(split="none", **options))
    return source, source[0].features.reshape(*source.shapes[0], -1)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "PNG"])
def test_lossless_formats_are_exact(tmp_path, colours, suffix):
    save(tmp_path / f"a.{suffix}", colours, **({"lossless": True} if suffix == "webp" else {}))
    np.testing.assert_allclose(only(tmp_path)[1], colours / 255.0, atol=1e-6)


def test_jpeg_is_near(tmp_path):
    smooth = np.tile(np.linspace(0, 255, 32).astype(np.uint8)[:, None, None], (1, 32, 3))
    save(tmp_path / "a.jpg", smooth, quality=95)
    np.testing.assert_allclose(only(tmp_path)[1], smooth / 255.0, atol=0.03)


def test_coordinates_are_row_and_column_cell_centres(tmp_path, colours):
    save(tmp_path / "a.png", colours)
    signal = ImageSource(tmp_path, Options())[0]
    np.testing.assert_allclose(signal.coords[0], [0.5 / 6, 0.5 / 8], atol=1e-7)
    np.testing.assert_allclose(signal.coords[1], [0.5 / 6, 1.5 / 8], atol=1e-7)
    np.testing.assert_allclose(signal.features[9], colours[1, 1] / 255.0, atol=1e-6)
    assert signal.weights.tolist() == [1.0] * 48


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    deep = np.array([[0, 300], [32768, 65535]], np.uint16)
    save(tmp_path / "a.png", deep)
    np.testing.assert_allclose(only(tmp_path)[1][..., 0], deep / 65535.0, atol=1e-6)


def test_alpha_is_blended_over_the_background(tmp_path):
    rgba = np.array([[[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 128]]], np.uint8)
    save(tmp_path / "a.png", rgba)
    white, black = only(tmp_path)[1], only(tmp_path, background="black")[1]
    np.testing.assert_allclose(white[0, :, 1] * 255, [0, 255, 127], atol=1)
    np.testing.assert_allclose(black[0, :, 0] * 255, [200, 0, 100], atol=1)


def test_palette_and_its_transparency(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "a.png", transparency=1)
    np.testing.assert_allclose(only(tmp_path)[1][0] * 255, [[255, 0, 0], [255, 255, 255]])


def test_cmyk_becomes_rgb_and_exif_turns_the_picture(tmp_path, colours):
    Image.fromarray(colours).convert("CMYK").save(tmp_path / "a.tif")
    assert only(tmp_path)[1].shape == (6, 8, 3)
    (tmp_path / "a.tif").unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colours).save(tmp_path / "a.png", exif=exif)
    source, turned = only(tmp_path)
    assert source.shapes[0].tolist() == [8, 6]
    np.testing.assert_allclose(turned, np.rot90(colours, -1) / 255.0, atol=1e-6)


def test_gray_sets_have_one_channel_and_mixed_sets_three(tmp_path, colours):
    save(tmp_path / "a.png", colours[..., 0])
    assert only(tmp_path)[1].shape == (6, 8, 1)
    save(tmp_path / "b.png", colours)
    source, gray = only(tmp_path)
    assert "(1 gray ones repeated)" in source.found
    assert gray.shape == (6, 8, 3)
    assert only(tmp_path, channels=1)[1].shape == (6, 8, 1)
    of_base = ImageSource(tmp_path, Options(), geometry={"channels": 1, "background": "white"})
    assert of_base.geometry["channels"] == 1


def test_resolution_crops_centrally_and_says_so(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    save(tmp_path / "a.png", wide)
    source, square = only(tmp_path, resolution="5")
    assert square.shape == (5, 5, 3)
    assert square.min() > 0.99
    assert source.found.endswith("each centre-cropped and resized to 5x5 (Lanczos)")


def test_classes_splits_and_order(tmp_path, colours):
    for name in ("train/cat/1.png", "train/dog/a/2.png", "test/cat/3.png", "test/dog/4.png"):
        save(tmp_path / name, colours)
    source = ImageSource(tmp_path, Options())
    assert source.ids == ["test/cat/3.png", "test/dog/4.png", "train/cat/1.png", "train/dog/a/2.png"]
    assert source.classes == ("cat", "dog")
    assert source.labels.tolist() == [0, 1, 0, 1]
    assert list(source.split) == ["test", "test", "train", "train"]
    assert list(ImageSource(tmp_path, Options(split="none")).split) == ["train"] * 4


def test_a_seeded_share_has_its_size_and_does_not_depend_on_order(tmp_path, colours):
    for number in range(20):
        save(tmp_path / f"{number}.png", colours[:2, :2])
    splits = [list(ImageSource(tmp_path, Options(split="0.25"), seed=seed).split) for seed in (0, 0, 1)]
    assert splits[0] == splits[1] != splits[2]
    assert splits[0].count("test") == 5
    assert ImageSource(tmp_path, Options(limit=3)).ids == ["0.png", "1.png", "10.png"]
    with pytest.raises(ConfigError, match="a split is auto, none, or a share"):
        ImageSource(tmp_path, Options(split="half"))


def test_loose_pictures_beside_classes_have_no_label(tmp_path, colours):
    save(tmp_path / "loose.png", colours)
    save(tmp_path / "cat" / "1.png", colours)
    assert ImageSource(tmp_path, Options()).labels.tolist() == [0, -1]


def test_hidden_files_links_and_loops(tmp_path, colours):
    save(tmp_path / "data" / "a.png", colours)
    save(tmp_path / "elsewhere" / "b.png", colours)
    (tmp_path / "data" / "._a.png").write_bytes(b"x")
    (tmp_path / "data" / "notes.txt").write_text("x")
    os.symlink(tmp_path / "data", tmp_path / "data" / "again")
    os.symlink(tmp_path / "elsewhere", tmp_path / "data" / "linked")
    assert ImageSource(tmp_path / "data", Options()).ids == ["a.png", "linked/b.png"]


def test_broken_files_are_named_and_left_out(tmp_path, colours):
    save(tmp_path / "good.png", colours)
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("hello")
    save(tmp_path / "cut.png", np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    source = ImageSource(tmp_path, Options())
    assert [problem.path for problem in source.problems] == ["empty.png", "text.jpg"]
    assert source.problems[0].reason == "is empty (0 bytes)"
    with pytest.raises(DataError, match=r"cut\.png cannot be decoded"):
        source[source.ids.index("cut.png")]


def test_several_frames_and_numbers_out_of_range_are_refused(tmp_path, colours):
    frames = [Image.fromarray(colours), Image.fromarray(colours[::-1])]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="holds 2 frames; expected one picture"):
        ImageSource(tmp_path, Options())
    (tmp_path / "a.tif").unlink()
    Image.fromarray(np.array([[0.5, 2.0]], np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(DataError, match=r"f\.tif holds numbers from 0\.5 to 2\.0; expected all in \[0, 1\]"):
        only(tmp_path)


def test_nothing_to_read_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"holds 0 files, none a picture; expected \.png"):
        ImageSource(tmp_path, Options())
    with pytest.raises(DataError, match="does not exist; expected a file or a folder"):
        ImageSource(tmp_path / "none", Options())
    with pytest.raises(ConfigError, match=r"data\.background is a colour"):
        ImageSource(tmp_path, Options(background="mauvish"))


def test_accepts_says_why(tmp_path):
    assert accepts(tmp_path) is None
    example(tmp_path)
    assert accepts(tmp_path) == (1, "6 .png files")


def outcome(reading):
    """What was read, or the one line that says why not."""
    try:
        found = reading()
    except DataError as error:
        found = str(error)
    assert "\n" not in found if isinstance(found, str) else np.isfinite(found).all()
    return found


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff", "bmp"])
def test_any_damage_is_read_or_refused_but_nothing_else(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    y, x = np.mgrid[:24, :20]
    save(path, np.stack([y * 9, x * 9, y * x // 3], axis=-1).astype(np.uint8))
    good, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for number in range(60):
        data = bytearray(good[: rng.integers(1, len(good))] if number % 3 == 0 else good)
        for place in rng.integers(0, len(data), number % 3 * 4):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        found = outcome(lambda: read(path, 3, "white"))
        if isinstance(found, str):
            refused += 1
        else:
            assert 0.0 <= found.min() <= found.max() <= 1.0
    assert refused >= 20


def test_photos_with_previews_links_to_nothing_and_pipes(tmp_path, colours):
    photo, preview = Image.fromarray(colours), Image.fromarray(colours[::2, ::2])
    photo.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[preview], quality=100)
    os.symlink(tmp_path / "nowhere", tmp_path / "b.png")
    os.mkfifo(tmp_path / "c.png")
    source = ImageSource(tmp_path, Options())
    assert source.ids == ["a.jpg"]
    assert source[0].features.shape == (48, 3)
    assert [tuple(problem) for problem in source.problems] == [
        ("b.png", "is a link to nothing"),
        ("c.png", "is not a regular file"),
    ]


def test_enlarging_and_plain_resizing_are_said(tmp_path, colours):
    save(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    save(tmp_path / "b.png", np.zeros((3, 3, 3), np.uint8))
    source = ImageSource(tmp_path, Options(resolution="4"))
    assert source.found.endswith("each resized to 4x4 (Lanczos), 1 of them enlarged")
    save(tmp_path / "c.png", colours)
    assert "each centre-cropped and resized to 4x4" in ImageSource(tmp_path, Options(resolution="4")).found


def test_a_crop_off_the_pixel_grid_stays_centred_and_inside(tmp_path):
    ramp = np.tile(np.arange(0, 250, 10, dtype=np.uint8)[None, :, None], (10, 1, 3))  # 25 columns
    ramp[:, :7] = ramp[:, 18:] = 255
    save(tmp_path / "a.png", ramp)
    square = only(tmp_path, resolution="10")[1]  # columns 7.5 to 17.5
    np.testing.assert_allclose(square[5, 2:8, 0], (np.arange(10)[2:8] + 7.5) * 10 / 255, atol=0.004)
    assert square.max() < 0.75


REFUSED = {
    "truncated.png", "truncated.jpg", "bad_crc.png", "zero_byte.png", "text_named.png", "huge_dims.png", "animated.gif",
}  # fmt: skip


def test_hostile_pictures_are_read_right_or_refused_in_one_line(shared):
    folder = shared / "hostile" / "images" / "single"
    for path in sorted(folder.iterdir()):
        found = outcome(lambda path=path: ImageSource(path, Options())[0].features)
        assert isinstance(found, str) == (path.name in REFUSED), (path.name, found)
        if path.name not in REFUSED:
            assert 0.0 <= found.min() <= found.max() <= 1.0
