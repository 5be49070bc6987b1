"""Decoding a set: which data, which grids, into what, and what happens to what is there already."""

import re
from pathlib import Path

import numpy as np
import pytest
import xarray
from PIL import Image

from functa_cli import basenet, evaluate
from functa_cli import decode as verb
from functa_cli.basefile import read_base
from functa_cli.coords import grid
from functa_cli.decode import decode
from functa_cli.encode import encode
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.modality import Target
from functa_cli.store import Functaset
from tests.sets import contents, run, save_pictures

pytestmark = pytest.mark.usefixtures("one_program")
SHAPES = [(8, 8), (8, 12), (10, 8), (8, 8), (20, 16)]


@pytest.fixture(scope="module")
def made(tmp_path_factory, base) -> Path:
    folder = tmp_path_factory.mktemp("decode")
    save_pictures(folder / "data", SHAPES)
    run(encode(str(folder / "data"), str(folder / "set.zarr"), base=base))
    return folder


@pytest.fixture
def store(made) -> str:
    return str(made / "set.zarr")


def expected(store: str, row: int, shape: tuple[int, int]) -> np.ndarray:
    """Picture of one datum, all points at once."""
    opened = Functaset.open(store)
    network = basenet.restore(opened.base)
    values = network.decoder(network.theta, opened.modulations[row], grid(shape))
    return np.rint(np.clip(np.asarray(values), 0, 1) * 255).reshape(*shape, 3)


def test_each_picture_at_its_own_size(tmp_path, store):
    result, _ = run(decode(store, str(tmp_path / "out")))
    assert (result["decoded"], result["resolution"]) == (5, None)
    opened = Functaset.open(store)
    for row, name in enumerate(opened.ids):
        found = np.asarray(Image.open(tmp_path / "out" / name), float)
        shape = tuple(opened.shapes[row].tolist())
        np.testing.assert_allclose(found, expected(store, row, shape), atol=1.01)
    assert sorted(contents(tmp_path / "out")) == sorted(opened.ids)


def test_any_resolution_from_the_store_alone(tmp_path, store):
    run(decode(store, str(tmp_path / "out"), resolution="30x20"))
    for row, name in enumerate(Functaset.open(store).ids):
        found = np.asarray(Image.open(tmp_path / "out" / name), float)
        np.testing.assert_allclose(found, expected(store, row, (30, 20)), atol=1.01)


def test_more_points_than_a_block_decode_to_the_same(store, monkeypatch):
    opened = Functaset.open(store)
    network = basenet.restore(opened.base)
    monkeypatch.setattr(evaluate, "BLOCK", 2)
    monkeypatch.setattr(evaluate, "plan", lambda b, n, width: type("P", (), {"points": 100}))
    ((_, features),) = evaluate.decoded(network, opened, {1: Target((30, 21), opened.geometry)})
    whole = np.asarray(network.decoder(network.theta, opened.modulations[1], grid((30, 21))))
    np.testing.assert_allclose(features, whole, atol=1e-5)


@pytest.mark.parametrize(
    ("select", "ids", "rows"),
    [
        ("1:3", (), [1, 2]),
        ("2", (), [2]),
        ("-1", (), [4]),
        ("::2", (), [0, 2, 4]),
        ("::-1", (), [4, 3, 2, 1, 0]),
        (None, (3, 0), [3, 0]),
        ("0:2", (1, 4), [0, 1, 4]),
        (None, (), [0, 1, 2, 3, 4]),
    ],
)
def test_a_slice_or_ids(store, select, ids, rows):
    opened = Functaset.open(store)
    assert verb.choose(opened, select, [opened.ids[row] for row in ids]) == rows


def test_wrong_choices_are_one_line(store):
    opened = Functaset.open(store)
    for select in ("a", "", "1:2:0", "1:2:3:4"):
        with pytest.raises(ConfigError, match="--select wants a slice"):
            verb.choose(opened, select, ())
    with pytest.raises(DataError, match="--select 9: chooses nothing: the set has 5 data"):
        verb.choose(opened, "9:", ())
    with pytest.raises(DataError, match=r"no datum named 'x' in the set; the first of 5 is 'a/000\.png'"):
        verb.choose(opened, None, ["x"])


def test_arrays_hold_values_and_ids_in_the_order_asked(tmp_path, store):
    ids = Functaset.open(store).ids
    for name in ("out.npz", "out.zarr"):
        run(decode(store, str(tmp_path / name), resolution="9", select="::-1"))
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        values, names = file["values"], file["id"]
    assert names.tolist() == ids[::-1]
    assert values.shape == (5, 9, 9, 3)
    np.testing.assert_allclose(values[0], expected(store, 4, (9, 9)), atol=1.01)
    data = xarray.open_zarr(tmp_path / "out.zarr", consolidated=False)
    assert data["id"].values.tolist() == ids[::-1]
    np.testing.assert_array_equal(data["values"], values)
    with pytest.raises(ConfigError, match=r"one \.npz file holds one size; give --resolution R"):
        run(decode(store, str(tmp_path / "own.npz")))


def test_chunks_of_a_zarr_are_filled_whatever_their_size(tmp_path, store, monkeypatch):
    monkeypatch.setattr("functa_cli.writers.CHUNK_BYTES", 2 * 9 * 9 * 3)
    run(decode(store, str(tmp_path / "small.zarr"), resolution="9"))
    small = xarray.open_zarr(tmp_path / "small.zarr", consolidated=False)["values"]
    assert small.encoding["chunks"] == (2, 9, 9, 3)
    np.testing.assert_allclose(small[4], expected(store, 4, (9, 9)), atol=1.01)


def test_what_is_there_is_left_alone_unless_asked(tmp_path, store):
    out = tmp_path / "out"
    (out / "a").mkdir(parents=True)
    (out / "a" / "000.png").write_text("mine")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"holds 'a/000\.png' already; --overwrite replaces it"):
        run(decode(store, str(out)))
    assert contents(out) == {"a/000.png": b"mine", "notes.txt": b"mine"}
    run(decode(store, str(out), overwrite=True))
    assert (out / "notes.txt").read_text() == "mine"
    assert len(contents(out)) == 6
    with pytest.raises(StoreError, match=r"holds 'a/000\.png' already"):
        run(decode(store, str(out)))


def test_a_cut_off_folder_is_continued_and_ends_the_same(tmp_path, store):
    run(decode(store, str(tmp_path / "whole")))
    for stop in (0, 1, 3):
        out = tmp_path / f"cut{stop}"
        events = decode(store, str(out))
        for _ in range(stop + 1):
            next(events)
        events.close()
        (out / ".functa-decode.partial").write_bytes(b"half a picture")
        kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
        run(decode(store, str(out)))
        assert contents(out) == contents(tmp_path / "whole")
        assert {path: path.stat().st_mtime_ns for path in kept} == kept
        assert len(kept) == stop + 1


def test_a_cut_off_folder_is_never_continued_with_something_else(tmp_path, store):
    out = str(tmp_path / "out")
    events = decode(store, out, resolution="9")
    next(events)
    events.close()
    with pytest.raises(StoreError, match="already; --overwrite replaces it"):
        run(decode(store, out, resolution="10"))
    run(decode(store, out, resolution="9"))
    events = decode(store, out, resolution="10", overwrite=True)
    next(events)
    events.close()
    run(decode(store, out, resolution="10"))
    sizes = {Image.open(path).size for path in Path(out).rglob("*.png")}
    assert sizes == {(10, 10)}


def test_decoding_never_writes_over_a_store_or_into_it(tmp_path, store, base):
    before = contents(Path(store))
    for out in (store, base):
        with pytest.raises(StoreError, match="decoding never replaces one"):
            run(decode(store, out, resolution="8", overwrite=True))
        with pytest.raises(StoreError, match="files are not written into it"):
            run(decode(store, out, form="files", overwrite=True))
    assert contents(Path(store)) == before
    (tmp_path / "x.zarr").mkdir()
    (tmp_path / "x.zarr" / "thesis.tex").write_text("x")
    with pytest.raises(StoreError, match="will not write over what is there"):
        run(decode(store, str(tmp_path / "x.zarr"), resolution="8", overwrite=True))
    run(decode(store, str(tmp_path / "y.zarr"), resolution="8"))
    with pytest.raises(StoreError, match=r"y\.zarr' exists; --overwrite"):
        run(decode(store, str(tmp_path / "y.zarr"), resolution="8"))
    run(decode(store, str(tmp_path / "y.zarr"), resolution="9", overwrite=True))
    with pytest.raises(StoreError, match="holds decoded data; expected a functaset"):
        Functaset.open(str(tmp_path / "y.zarr"))
    with pytest.raises(StoreError, match="holds decoded data; expected a base network"):
        read_base(str(tmp_path / "y.zarr"))


def test_places_that_cannot_be_are_one_line(tmp_path, store):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(StoreError, match="is a file; expected a folder"):
        run(decode(store, str(tmp_path / "file")))
    with pytest.raises(StoreError, match=r"is a folder; an \.npz is a file"):
        run(decode(store, str(tmp_path / "folder.npz"), resolution="8", overwrite=True))
    with pytest.raises(ConfigError, match="nothing to write"):
        run(decode(store, None))
    with pytest.raises(StoreError, match="exists; it is a folder"):
        run(decode(store, None, sheet=str(tmp_path / "folder.npz"), overwrite=True))


def test_sheet_shows_originals_beside_reconstructions(tmp_path, store, made):
    sheet = tmp_path / "new" / "sheet.png"
    _, warnings = run(decode(store, None, sheet=str(sheet), select="0:1", original=str(made / "data")))
    assert warnings == []
    picture = np.asarray(Image.open(sheet), float)
    cell = (picture.shape[1] - 8 - 1) // 2
    left = picture[4 : 4 + cell, 4 : 4 + cell][:: cell // 8, :: cell // 8][:8, :8]
    right = picture[4 : 4 + cell, 5 + cell : 5 + 2 * cell][:: cell // 8, :: cell // 8][:8, :8]
    np.testing.assert_array_equal(left, np.asarray(Image.open(made / "data" / "a" / "000.png"), float))
    np.testing.assert_allclose(right, expected(store, 0, (8, 8)), atol=1.01)
    with pytest.raises(StoreError, match=r"sheet\.png' exists; --overwrite"):
        run(decode(store, None, sheet=str(sheet)))


def test_sheet_says_when_originals_are_gone(tmp_path, base):
    save_pictures(tmp_path / "data", [(8, 8)] * 3)
    run(encode(str(tmp_path / "data"), str(tmp_path / "set.zarr"), base=base))
    (tmp_path / "data" / "a" / "000.png").write_bytes(b"")
    _, warnings = run(decode(str(tmp_path / "set.zarr"), None, sheet=str(tmp_path / "one.png")))
    assert re.fullmatch("1 originals cannot be read in .*", warnings[0])
    (tmp_path / "data").rename(tmp_path / "moved")
    _, warnings = run(decode(str(tmp_path / "set.zarr"), None, sheet=str(tmp_path / "two.png")))
    assert warnings[0].startswith("the originals are not shown: ")
    with pytest.raises(DataError, match="does not exist"):
        run(decode(str(tmp_path / "set.zarr"), None, sheet=str(tmp_path / "three.png"), original=str(tmp_path / "x")))


def test_data_that_were_not_encoded_are_left_out_and_counted(tmp_path, base):
    save_pictures(tmp_path / "data", [(8, 8)] * 3)
    broken = tmp_path / "data" / "a" / "000.png"
    broken.write_bytes(broken.read_bytes()[:-20])
    run(encode(str(tmp_path / "data"), str(tmp_path / "set.zarr"), base=base))
    result, warnings = run(decode(str(tmp_path / "set.zarr"), str(tmp_path / "out")))
    assert result["decoded"] == 2
    assert warnings == ["left out 1 data that are not encoded or failed"]
    with pytest.raises(StoreError, match="holds no encoded data among the 1 chosen"):
        run(decode(str(tmp_path / "set.zarr"), str(tmp_path / "none"), select="0"))


def test_mixed_sizes_compile_few_programs(tmp_path, base, monkeypatch):
    save_pictures(tmp_path / "data", [(8 + number, 40 - number) for number in range(25)])
    run(encode(str(tmp_path / "data"), str(tmp_path / "set.zarr"), base=base, steps=0))
    opened = Functaset.open(str(tmp_path / "set.zarr"))
    targets = {row: Target(tuple(shape), opened.geometry) for row, shape in enumerate(opened.shapes.tolist())}
    seen, real = set(), evaluate.decode_points

    def counted(decoder, theta, phi, coords):
        seen.add(coords.shape)  # runs once for every program, when it is traced
        return real(decoder, theta, phi, coords)

    monkeypatch.setattr(evaluate, "decode_points", counted)
    features = dict(evaluate.decoded(basenet.restore(opened.base), opened, targets))
    assert [len(features[row]) for row in targets] == [int(np.prod(one.shape)) for one in targets.values()]
    assert 1 <= len(seen) <= 6


def test_ids_that_would_leave_the_folder_are_refused(tmp_path, store):
    import shutil

    import zarr

    evil = shutil.copytree(store, tmp_path / "evil.zarr")
    names = zarr.open_group(evil, mode="r+")["id"]
    values = names[:].astype(object)
    values[1] = "../escaped.png"
    names[:] = values
    with pytest.raises(DataError, match="outside of the folder; refusing"):
        run(decode(str(evil), str(tmp_path / "out")))
    assert not (tmp_path / "escaped.png").exists()
