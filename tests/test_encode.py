"""Encoding folders of pictures: sizes, padding, files that are broken, and figures that mean what they are called."""

import os

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from functa_cli import basenet, buckets
from functa_cli.basefile import read_base
from functa_cli.encode import encode
from functa_cli.errors import DataError, StoreError
from functa_cli.events import Progress
from functa_cli.inner import Fit, fit_modulations
from functa_cli.modalities.image import ImageSource, Options
from functa_cli.signal import Signal
from functa_cli.store import Functaset
from tests.sets import contents, run, save_base, save_pictures, shell

pytestmark = pytest.mark.usefixtures("one_program")


@pytest.fixture
def data(tmp_path):
    save_pictures(tmp_path / "data", [(8, 8)] * 5 + [(8, 12)] * 3)
    return str(tmp_path / "data")


def one_by_one(base: str, folder: str, steps: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Modulations and errors of each picture on its own, nothing padded."""
    network = basenet.restore(read_base(base))
    source = ImageSource(folder, Options())
    fits = []
    for index in range(len(source)):
        signal = source[index]
        batch = Signal(signal.coords, signal.features[None], signal.weights[None])
        fits.append(fit_modulations(network.decoder, network.theta, batch, steps=steps, rate=network.config.inner.rate))
    return np.concatenate([fit.phi for fit in fits]), np.concatenate([fit.mse[:, -1] for fit in fits])


def test_every_row_is_what_the_inner_loop_finds_for_that_picture_alone(tmp_path, base, data):
    result, warnings = run(encode(data, str(tmp_path / "out.zarr"), base=base, shard=3))
    store = Functaset.open(str(tmp_path / "out.zarr"))
    phi, mse = one_by_one(base, data)
    np.testing.assert_allclose(store.modulations[:], phi, atol=1e-5)
    np.testing.assert_allclose(store.errors(), mse, rtol=1e-4)
    assert np.abs(phi).max() > 1e-3
    assert warnings == []
    assert store.ids == list(ImageSource(data, Options()).ids)
    assert store.shapes.tolist() == ImageSource(data, Options()).shapes.tolist()
    assert store.fingerprint == read_base(base).fingerprint
    assert result["encoded"] == 8


def test_both_figures_are_given_and_named(tmp_path, base, data):
    result, _ = run(encode(data, str(tmp_path / "out.zarr"), base=base))
    mse = Functaset.open(str(tmp_path / "out.zarr")).errors()
    assert result["psnr"] == pytest.approx(-10 * np.log10(mse.mean()), abs=1e-3)
    assert result["psnr_mean_of_data"] == pytest.approx(np.mean(-10 * np.log10(mse)), abs=1e-3)
    test = np.array(Functaset.open(str(tmp_path / "out.zarr")).split) == "test"
    assert result["psnr_test"] == pytest.approx(-10 * np.log10(mse[test].mean()), abs=1e-3)


def test_forty_sizes_are_encoded_with_few_programs(tmp_path, base, monkeypatch):
    sizes = [(8 + number, 40 - number // 2) for number in range(40)]
    save_pictures(tmp_path / "data", sizes)
    seen = []

    def counting(network, steps):
        def fit(theta, batch):
            seen.append(batch.features.shape)
            b = batch.features.shape[0]
            return Fit(jnp.zeros((b, 8)), jnp.full((b, steps + 1), 0.1), jnp.zeros((b, 0)))

        return fit

    monkeypatch.setattr(basenet, "compiled_fit", counting)
    result, _ = run(encode(str(tmp_path / "data"), str(tmp_path / "out.zarr"), base=base))
    assert result["encoded"] == 40 == len(seen)
    assert len({shape[1] for shape in seen}) <= 8
    assert max(shape[1] for shape in seen) == max(rows * columns for rows, columns in sizes)


def test_buckets_waste_little_and_are_few():
    shapes = np.array([[rows, columns] for rows in range(16, 300, 7) for columns in range(16, 300, 11)])
    points = buckets.padded_points(shapes)
    waste = [points[tuple(shape)] / np.prod(shape) for shape in shapes.tolist() if np.prod(shape) > 512]
    assert min(waste) >= 1.0
    assert max(waste) <= 1.35
    assert len(set(points.values())) <= 30
    assert buckets.padded_points(np.array([[64, 64]] * 9)) == {(64, 64): 4096}
    many = buckets.padded_points(np.array([[64, 64]] * 1100 + [[65, 65]]))
    assert many == {(64, 64): 4096, (65, 65): 4225}
    for count in range(1, 300):
        for most in (1, 3, 10, 64):
            plan = list(buckets.batches(count, most, 1_000_000))
            assert sum(taken for taken, _ in plan) == count
            assert all(taken <= size <= min(most, 2 * taken) for taken, size in plan)
            assert len({size for _, size in plan} | {1, most}) <= 5
    assert list(buckets.batches(80, 64, 4096)) == [(64, 64), (16, 64)]
    assert list(buckets.batches(80, 64, 100_000)) == [(64, 64), (16, 16)]


def test_the_batch_size_does_not_matter(tmp_path, base, data):
    for batch in (1, 3):
        run(encode(data, str(tmp_path / f"{batch}.zarr"), base=base, batch=batch))
    one, three = (Functaset.open(str(tmp_path / f"{batch}.zarr")) for batch in (1, 3))
    np.testing.assert_allclose(one.modulations[:], three.modulations[:], atol=1e-5)


def test_the_inner_loop_may_look_at_some_points_and_errors_are_of_all(tmp_path, base, data):
    made = {}
    for name, points in (("all", 0), ("more", 96), ("some", 70), ("again", 70)):
        result, _ = run(encode(data, str(tmp_path / name), base=base, points=points))
        store = Functaset.open(str(tmp_path / name))
        made[name] = store.modulations[:], store.errors(), result
    small = np.prod(store.shapes, axis=1) <= 70
    assert small.sum() == 5
    np.testing.assert_array_equal(made["more"][0], made["all"][0])
    np.testing.assert_array_equal(made["again"][0], made["some"][0])
    np.testing.assert_allclose(made["some"][0][small], made["all"][0][small], atol=1e-6)
    assert (np.abs(made["some"][0] - made["all"][0])[~small].max(axis=1) > 1e-4).all()
    network, source = basenet.restore(read_base(base)), ImageSource(data, Options())
    for row in range(len(source)):
        values = network.decoder(network.theta, jnp.asarray(made["some"][0][row]), source[row].coords)
        assert np.mean((values - source[row].features) ** 2) == pytest.approx(made["some"][1][row], rel=1e-4)


def test_steps_and_resolution_are_settings_of_the_set(tmp_path, base, data):
    out = str(tmp_path / "out.zarr")
    layers = [{"data": {"resolution": "6x4"}}]
    run(encode(data, out, base=base, steps=0, layers=layers))
    store = Functaset.open(out)
    assert store.shapes.tolist() == [[6, 4]] * 8
    np.testing.assert_array_equal(store.modulations[:], 0)
    with pytest.raises(StoreError, match=r"steps 0, asked 3"):
        run(encode(data, out, base=base, layers=layers))
    with pytest.raises(StoreError, match=r"resolution 6x4, asked ''"):
        run(encode(data, out, base=base, steps=0))
    result, _ = run(encode(data, out, base=base, overwrite=True))
    assert result["encoded"] == 8


def test_a_picture_that_turns_out_broken_keeps_its_row(tmp_path, base, data):
    cut = tmp_path / "data" / "a" / "000.png"
    cut.write_bytes(cut.read_bytes()[:-30])
    (tmp_path / "data" / "a" / "text.png").write_text("hello")
    out = str(tmp_path / "out.zarr")
    result, warnings = run(encode(data, out, base=base))
    assert (result["encoded"], result["skipped"]) == (7, 2)
    assert warnings[0] == "skipped a/text.png: is not a picture, whatever its name says"
    assert warnings[1].startswith("skipped a/000.png cannot be decoded: ")
    assert warnings[2] == "1 of 8 data are not encoded; each keeps its row, with an mse of inf"
    store = Functaset.open(out)
    assert store.ids[0] == "a/000.png"
    assert np.isinf(store.errors()[0])
    assert np.isfinite(store.errors()[1:]).all()
    phi, _ = one_by_one(base, str(tmp_path / "data" / "b"))
    np.testing.assert_allclose(store.modulations[4:], phi, atol=1e-5)
    events, before = encode(data, out, base=base, strict=True), contents(tmp_path / "out.zarr")
    with pytest.raises(DataError, match=r"2 files could not be read or encoded and were skipped \(--strict\)"):
        list(events)
    assert contents(tmp_path / "out.zarr") == before


def test_what_diverges_is_named_and_keeps_its_row(tmp_path, base, data, monkeypatch):
    real = basenet.compiled_fit

    def diverging(network, steps):
        fit = real(network, steps)

        def broken(theta, batch):
            found = fit(theta, batch)
            return found._replace(phi=found.phi.at[1].set(jnp.nan)) if len(found.phi) > 1 else found

        return broken

    monkeypatch.setattr(basenet, "compiled_fit", diverging)
    result, warnings = run(encode(data, str(tmp_path / "out.zarr"), base=base))
    assert result["skipped"] == 2
    assert warnings[0] == "skipped a/002.png: its modulations diverge"
    assert np.isinf(Functaset.open(str(tmp_path / "out.zarr")).errors()).sum() == 2


def test_a_set_of_broken_pictures_ends_with_one_line(tmp_path, base):
    save_pictures(tmp_path / "data", [(8, 8)])
    path = tmp_path / "data" / "a" / "000.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="none of 1 data could be encoded; see the warnings above"):
        list(encode(str(tmp_path / "data"), str(tmp_path / "out.zarr"), base=base))


def test_gray_pictures_suit_an_rgb_network_and_colour_suits_a_gray_one(tmp_path, base):
    save_pictures(tmp_path / "gray", [(8, 8)] * 2, gray=True)
    save_pictures(tmp_path / "colour", [(8, 8)] * 2)
    gray_base = save_base(tmp_path / "gray.zarr", channels=1)
    for folder, network in (("gray", base), ("colour", gray_base)):
        result, _ = run(encode(str(tmp_path / folder), str(tmp_path / f"{folder}-set.zarr"), base=network))
        assert result["encoded"] == 2


def test_one_file_is_a_set_of_one(tmp_path, base, data):
    result, _ = run(encode(f"{data}/a/000.png", str(tmp_path / "out.zarr"), base=base))
    store = Functaset.open(str(tmp_path / "out.zarr"))
    assert (result["encoded"], store.ids, store.split, store.labels.tolist()) == (1, ["000.png"], ["train"], [-1])


def test_odd_names_and_equal_stems_stay_apart(tmp_path, base):
    picture = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "data" / "folder.png").mkdir(parents=True)
    names = ["x.jpg", "x.png", "folder.png/x.png", "new\nline.png", "ü 写真%20'\".png", "-dash.png", "a" * 240 + ".png"]
    for name in names:
        picture.save(tmp_path / "data" / name)
    raw = os.fsencode(tmp_path / "data") + b"/\xff.png"
    with open(raw, "wb") as file:
        picture.save(file, "PNG")
    run(encode(str(tmp_path / "data"), str(tmp_path / "out.zarr"), base=base))
    assert sorted(Functaset.open(str(tmp_path / "out.zarr")).ids) == sorted([*names, "\\udcff.png"])


def test_progress_counts_every_datum_once(tmp_path, base, data):
    events = list(encode(data, str(tmp_path / "out.zarr"), base=base, shard=3))
    counts = [event.done for event in events if isinstance(event, Progress)]
    assert counts == sorted(set(counts))
    assert counts[-1] == 8
    assert all(event.metrics["psnr"] > 0 for event in events if isinstance(event, Progress))


def test_nothing_to_encode_is_one_line(tmp_path, base):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"found nothing in .* that a modality reads"):
        list(encode(str(tmp_path / "empty"), str(tmp_path / "out.zarr"), base=base))
    with pytest.raises(DataError, match="does not exist"):
        list(encode(str(tmp_path / "none"), str(tmp_path / "out.zarr"), base=base))
    (tmp_path / "data.zarr").write_text("not a store")
    with pytest.raises(DataError, match="found nothing in"):
        list(encode(str(tmp_path / "data.zarr"), str(tmp_path / "out.zarr"), base=base))
    assert not (tmp_path / "out.zarr").exists()


def test_the_wrong_base_is_one_line(tmp_path, base, data):
    save_pictures(tmp_path / "folder", [(8, 8)])
    for path, text in (("folder", "holds no Zarr group of format 3"), ("none.zarr", "does not exist")):
        with pytest.raises(StoreError, match=text):
            list(encode(data, str(tmp_path / "out.zarr"), base=str(tmp_path / path)))


BROKEN = {
    "truncated.png", "truncated.jpg", "bad_crc.png", "zero_byte.png", "text_named.png", "huge_dims.png", "animated.gif",
}  # fmt: skip


def test_hostile_pictures_and_folders_are_encoded_or_refused_in_one_line(tmp_path, base, shared):
    folders = sorted(path for path in (shared / "hostile" / "images").iterdir() if path.is_dir())
    files = sorted((shared / "hostile" / "images" / "single").iterdir())
    assert len(folders) >= 10
    layers = [{"data": {"resolution": "8"}}]
    for number, path in enumerate([*folders, *files]):
        out = tmp_path / f"{number}.zarr"
        events = encode(str(path), str(out), base=base, modality="image", steps=0, layers=layers)
        if path.name in BROKEN:
            with pytest.raises(DataError) as caught:
                list(events)
            assert "\n" not in str(caught.value)
            continue
        result, warnings = run(events)
        assert result["encoded"] > 0, path
        assert Functaset.open(str(out)).pending() == []
        if path.name == "single":
            named = " ".join(warnings)
            assert [name for name in sorted(BROKEN) if name not in named] == ["animated.gif"]
            assert result["skipped"] == len(BROKEN) - 1


def test_the_command_names_what_it_skips_and_strict_fails_at_the_end(tmp_path, base, data):
    (tmp_path / "data" / "b" / "empty.png").write_bytes(b"")
    done = shell("encode", data, tmp_path / "out.zarr", "--base", base, "--strict", check=1)
    assert "skipped b/empty.png: is empty (0 bytes)" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("1 files could not be read or encoded and were skipped (--strict)")
    assert Functaset.open(str(tmp_path / "out.zarr")).pending() == []


def test_a_pattern_of_files_is_detected(tmp_path):
    from functa_cli.modalities import era5

    era5.example(tmp_path)
    assert basenet.detect(str(tmp_path / "*.nc"))[0] == "era5"
    with pytest.raises(DataError, match="does not exist"):
        basenet.detect(str(tmp_path / "*.grib"))


def test_a_base_network_beside_for_another_kind_is_passed_over(tmp_path, base, monkeypatch):
    (tmp_path / "base.zarr").symlink_to(base)
    monkeypatch.chdir(tmp_path)
    assert basenet.find(None, "image")[1] == "base network base.zarr"
    found, where = basenet.find(None, "era5")
    assert found.modality == "era5"
    assert where == "the base network that ships with the package (./base.zarr is for image)"
