"""The functaset on disk: what others read in it, what it refuses, and what it does with damage."""

import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import xarray
import zarr

from functa_cli import template
from functa_cli.basefile import begin_base, read_base
from functa_cli.basenet import restore
from functa_cli.checkpoint import load_state, save_state
from functa_cli.errors import StoreError
from functa_cli.store import Functaset
from functa_cli.trees import fingerprint, leaves
from tests.sets import contents, save_base

N = 7


def known(n: int = N, **changes) -> SimpleNamespace:
    fields = {
        "ids": [f"cat/{number}.png" for number in range(n)],
        "labels": np.arange(n, dtype=np.int32) % 3 - 1,
        "classes": ("cat", "dog"),
        "split": ["test" if number % 3 == 0 else "train" for number in range(n)],
        "shapes": np.array([[8, 6 + number] for number in range(n)], np.int32),
        "columns": {},
        "geometry": {"channels": 3},
    }
    return SimpleNamespace(**{**fields, **changes})


def begin(path, base, *, overwrite=False, shard=3, latent=(8,), steps=3, **changes) -> Functaset:
    return template.begin(
        str(path),
        base=read_base(base),
        latent_shape=latent,
        known=known(**changes),
        how={"steps": steps, "source": "here", "data": {"split": "auto"}},
        shard=shard,
        overwrite=overwrite,
    )


def fill(store: Functaset, first: int = 0) -> Functaset:
    for part in store.pending()[first:]:
        rows = np.arange(part.start, part.stop, dtype=np.float32)
        store.write(
            part, np.tile(rows.reshape(-1, *[1] * len(store.latent_shape)), (1, *store.latent_shape)), rows / 10
        )
    store.finalize()
    return store


@pytest.fixture
def full(tmp_path, base):
    return fill(begin(tmp_path / "set.zarr", base))


@pytest.mark.filterwarnings("error")
def test_xarray_and_zarr_read_it_without_us(full):
    data = xarray.open_zarr(full.path)
    assert dict(data.sizes) == {"datum": N, "latent": 8, "axis": 2}
    np.testing.assert_array_equal(data["modulations"][:, 0], np.arange(N))
    assert data["id"].values.tolist() == known().ids
    assert data["label"].values.tolist() == known().labels.tolist()
    assert data["split"].values.tolist() == known().split
    assert data["shape"].values.tolist() == known().shapes.tolist()
    assert data.attrs["functa"]["classes"] == ["cat", "dog"]
    tree = xarray.open_datatree(full.path, engine="zarr")
    kernel = dict(leaves(full.base.theta))["field/map/kernel"]
    np.testing.assert_array_equal(tree["base/field/map/kernel"], kernel)
    plain = zarr.open_group(full.path, mode="r")
    np.testing.assert_allclose(plain["mse"][:], np.arange(N) / 10, rtol=1e-6)
    assert plain["modulations"].shards == (3, 8)


def test_latent_shapes_of_several_axes_have_names_of_their_own(tmp_path, base):
    fill(begin(tmp_path / "set.zarr", base, latent=(2, 3, 4)))
    data = xarray.open_zarr(tmp_path / "set.zarr")["modulations"]
    assert dict(data.sizes) == {"datum": N, "latent0": 2, "latent1": 3, "latent2": 4}


def test_everything_but_the_results_is_there_before_the_first_datum(tmp_path, base):
    store = begin(tmp_path / "set.zarr", base)
    before = contents(tmp_path / "set.zarr")
    assert (store.ids, store.split, store.classes) == (known().ids, known().split, ("cat", "dog"))
    assert np.isnan(store.errors()).all()
    fill(store)
    after = contents(tmp_path / "set.zarr")
    changed = {name for name in after if before.get(name) != after[name]}
    assert {name.split("/")[0] for name in changed} == {"modulations", "mse", "zarr.json"}


def test_shards_are_whole_and_the_error_is_written_last(tmp_path, base, monkeypatch):
    store = begin(tmp_path / "set.zarr", base)
    assert store.shards() == [slice(0, 3), slice(3, 6), slice(6, 7)] == store.pending()
    with pytest.raises(StoreError, match="rows 0:2 are not a shard"):
        store.write(slice(0, 2), np.zeros((2, 8)), np.zeros(2))
    with pytest.raises(StoreError, match="hold NaN errors"):
        store.write(slice(0, 3), np.zeros((3, 8)), np.array([0, np.nan, 0]))
    written, put = [], zarr.Array.__setitem__
    monkeypatch.setattr(
        zarr.Array, "__setitem__", lambda array, *given: (written.append(array.path), put(array, *given))
    )
    store.write(slice(3, 6), np.zeros((3, 8)), np.array([0.1, np.inf, 0.3]))
    assert written == ["modulations", "mse"]
    assert store.pending() == [slice(0, 3), slice(6, 7)]


def test_one_writer_a_shard_in_any_order_gives_the_same_bytes(tmp_path, base, full):
    begin(tmp_path / "other.zarr", base)
    for turn in (2, 1, 0):
        fill(begin(tmp_path / "other.zarr", base), first=turn)
    assert contents(tmp_path / "other.zarr") == contents(full.path)


def test_finalizing_and_beginning_again_change_nothing(tmp_path, base, full):
    before = contents(full.path)
    fill(begin(full.path, base))
    assert contents(full.path) == before


def test_overwriting_gives_the_bytes_of_a_fresh_store(tmp_path, base, full):
    before = contents(full.path)
    fill(begin(full.path, base, overwrite=True, n=4))
    assert Functaset.open(full.path).n == 4
    fill(begin(full.path, base, overwrite=True))
    assert contents(full.path) == before


def test_another_request_is_refused_in_one_line(tmp_path, base, full):
    other = save_base(tmp_path / "other.zarr", seed=1)
    cases = {
        r"another setting \(steps 3, asked 5\)": {"steps": 5},
        r"another setting \(shard 3, asked 2\)": {"shard": 2},
        r"another base network \(base network [0-9a-f]{16}, asked [0-9a-f]{16}\)": {"base": other},
        r"begun with 7 other data \(now 6\)": {"n": 6},
        r"begun with 7 other data \(now with other names\)": {"ids": [f"{number}.png" for number in range(N)]},
        "other sizes or another split": {"shapes": np.ones((N, 2), np.int32)},
        r'another classes \(classes \["cat", "dog"\], asked \["bird"\]\)': {"classes": ("bird",)},
    }
    for text, changes in cases.items():
        with pytest.raises(StoreError, match=text) as caught:
            begin(full.path, changes.pop("base", base), **changes)
        assert "--overwrite replaces it" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_overwrite_never_replaces_what_is_not_ours(tmp_path, base):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    (tmp_path / "file.zarr").write_text("x")
    zarr.create_group(tmp_path / "theirs.zarr")
    zarr.create_array(tmp_path / "array.zarr", shape=(2,), dtype="f4")
    before = contents(tmp_path)
    for name in ("thesis", "file.zarr", "theirs.zarr", "array.zarr"):
        with pytest.raises(StoreError, match=f"will not write over|not one of functa's.*{name}|{name}"):
            begin(tmp_path / name, base, overwrite=True)
    assert contents(tmp_path) == before


def test_a_base_network_and_a_set_do_not_replace_each_other_unasked(tmp_path, base, full):
    copy = shutil.copytree(base, tmp_path / "base.zarr")
    with pytest.raises(StoreError, match=r"another kind \(kind base, asked functaset\)"):
        begin(copy, base)
    with pytest.raises(StoreError, match="exists and is complete"):
        begin_base(full.path, {})
    with pytest.raises(StoreError, match="holds a base network but no modulations"):
        Functaset.open(str(copy))


def test_stores_that_are_no_functaset_are_named(tmp_path):
    with pytest.raises(StoreError, match="does not exist; expected a functaset or base network"):
        Functaset.open(str(tmp_path / "none.zarr"))
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(StoreError, match="holds no Zarr group of format 3"):
        Functaset.open(str(tmp_path / "empty.zarr"))
    (tmp_path / "file.zarr").write_text("x")
    with pytest.raises(StoreError, match="is a file; expected"):
        Functaset.open(str(tmp_path / "file.zarr"))
    zarr.create_group(tmp_path / "theirs.zarr")
    with pytest.raises(StoreError, match="not one of functa's"):
        Functaset.open(str(tmp_path / "theirs.zarr"))


def edit(path, change) -> None:
    """Change the attributes of a store."""
    place = os.path.join(path, "zarr.json")
    with open(place) as file:
        metadata = json.load(file)
    change(metadata["attributes"]["functa"])
    with open(place, "w") as file:
        json.dump(metadata, file)


def load(path):
    """Everything that decoding asks of a store."""
    store = Functaset.open(str(path))
    restore(store.base)
    store.read(slice(0, store.n))
    return store.ids, store.labels, store.split, store.shapes, store.errors()


DAMAGE = {
    "newer format": (lambda path: edit(path, lambda a: a.update(format=2)), "has format 2, this version reads 1"),
    "no format": (lambda path: edit(path, lambda a: a.pop("format")), "has format None"),
    "no geometry": (lambda path: edit(path, lambda a: a.pop("geometry")), "attribute 'geometry' is None"),
    "odd config": (lambda path: edit(path, lambda a: a.update(config=3)), "attribute 'config' is 3"),
    "no channels": (lambda path: edit(path, lambda a: a.update(geometry={})), "geometry names no channels"),
    "other settings": (lambda path: edit(path, lambda a: a["config"]["field"].update(w0=1.0)), "match its fingerprint"),
    "not JSON": (lambda path: (path / "zarr.json").write_text("{"), "cannot be read"),
    "no array": (lambda path: shutil.rmtree(path / "mse"), "has no array 'mse'"),
    "no ids": (lambda path: shutil.rmtree(path / "id" / "c"), "'id' does not name every datum"),
    "no shapes": (lambda path: shutil.rmtree(path / "shape" / "c"), "'shape' holds grids without points"),
    "a shard gone": (lambda path: shutil.rmtree(path / "modulations" / "c" / "1"), "lost the modulations of 3 data"),
    "a shard cut": (
        lambda path: os.truncate(path / "modulations" / "c" / "1" / "0", 40),
        "'modulations' cannot be read",
    ),
    "an error cut": (lambda path: os.truncate(path / "mse" / "c" / "0", 5), "'mse' cannot be read"),
    "ids cut": (lambda path: os.truncate(path / "id" / "c" / "0", 20), "'id' cannot be read"),
    "weights gone": (lambda path: shutil.rmtree(path / "base/field/map/kernel/c"), "does not match its fingerprint"),
    "no base": (lambda path: shutil.rmtree(path / "base"), "base network cannot be read"),
    "half a base": (lambda path: shutil.rmtree(path / "base" / "inner"), "has no 'field' or no 'inner'"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_that_says_what(full, name, tmp_path):
    load(full.path)
    harm, text = DAMAGE[name]
    harm(tmp_path / "set.zarr")
    with pytest.raises(StoreError, match=text) as caught:
        load(full.path)
    assert "\n" not in str(caught.value)


def test_arrays_that_do_not_belong_together_are_refused(full):
    group = zarr.open_group(full.path, mode="r+")
    group.create_array("label", shape=(3,), dtype="int32", overwrite=True)
    with pytest.raises(StoreError, match=r"'label' is int32 \[3\], for 7 data"):
        Functaset.open(full.path)


def reseal(path, change) -> None:
    """Change a base network and make its fingerprint fit, as somebody with bad intentions would."""
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    change(group["base"])
    theta: dict = {}
    for name, array in group["base"].members(max_depth=None):
        if isinstance(array, zarr.Array):
            *folders, leaf = name.split("/")
            inside = theta
            for folder in folders:
                inside = inside.setdefault(folder, {})
            inside[leaf] = array[...]
    edit(path, lambda attrs: attrs.update(fingerprint=fingerprint(theta, attrs["config"])))


def test_base_networks_of_wrong_shape_or_kind_are_refused(full):
    def wider(tree):
        tree.create_array("field/out/bias", shape=(4,), dtype="float32", overwrite=True)

    reseal(full.path, wider)
    with pytest.raises(StoreError, match="do not have the shapes that its settings describe"):
        load(full.path)

    def longer(tree):
        tree.create_array("inner/start", shape=(9,), dtype="float32", overwrite=True)

    reseal(full.path, longer)
    with pytest.raises(StoreError, match="do not have the shapes that its settings describe"):
        load(full.path)

    def words(tree):
        tree.create_array("field/map/kernel", shape=(8, 32), dtype=str, overwrite=True)

    reseal(full.path, words)
    with pytest.raises(StoreError, match=r"holds 'field/map/kernel', which is not of numbers"):
        load(full.path)


def test_checkpoints_come_back_and_damaged_ones_are_named(tmp_path):
    path = str(tmp_path / "base.zarr")
    assert begin_base(path, {"config": {"seed": 0}}) is None
    assert begin_base(path, {"config": {"seed": 0}}) is None
    for step in (5, 10):
        save_state(path, {"a": np.arange(3.0) + step, "b": np.array(1)}, step)
    arrays, step = begin_base(path, {"config": {"seed": 0}})
    assert (step, arrays["a"].tolist()) == (10, [10.0, 11.0, 12.0])
    with pytest.raises(StoreError, match=r"begun with other data or settings \(seed 0, asked 1\)"):
        begin_base(path, {"config": {"seed": 1}})
    with pytest.raises(StoreError, match="is unfinished: functa was cut off"):
        read_base(path)
    chunk = tmp_path / "base.zarr" / "train" / "state" / "c" / "0"
    chunk.write_bytes(b"x" * chunk.stat().st_size)
    with pytest.raises(StoreError, match=r"the checkpoint in .* is damaged"):
        load_state(path)


def test_a_checkpoint_with_a_pickle_in_it_is_refused(tmp_path, monkeypatch):
    path = str(tmp_path / "base.zarr")
    begin_base(path, {})
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        save_state(path, {"a": np.array([{"evil": 1}], dtype=object)}, 1)
    real = np.savez
    monkeypatch.setattr(np, "savez", lambda file, **given: real(file, **{**given, "allow_pickle": True}))
    save_state(path, {"a": np.array([{"evil": 1}], dtype=object)}, 1)
    with pytest.raises(StoreError, match=r"the checkpoint in .* is damaged"):
        load_state(path)
