"""Folders as data sets: what is listed, what is passed over, classes, splits, and the names of what is written."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import file_names, labels, listing, safe_id, seeded_share, splits

SUFFIXES = (".png", ".jpg")


def paths(*names: str) -> list[str]:
    return list(names)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_files_come_in_the_order_of_their_names_and_others_are_counted(tmp_path):
    touch(
        tmp_path, "b.png", "a/z.JPG", "a/b.png", "notes.txt", ".hidden.png", ".cache/x.png", "Thumbs.db", "c.png/d.png"
    )
    found = listing(tmp_path, SUFFIXES)
    assert found.names == ["a/b.png", "a/z.JPG", "b.png", "c.png/d.png"]
    assert found.root == tmp_path
    assert found.others == 2
    one = listing(tmp_path / "notes.txt", SUFFIXES)
    assert (one.names, one.root) == (paths("notes.txt"), tmp_path)


def test_loops_of_links_end_and_each_folder_is_read_once(tmp_path):
    touch(tmp_path, "data/a.png", "data/deep/b.png", "outside/c.png")
    os.symlink(tmp_path / "data", tmp_path / "data" / "deep" / "again")
    os.symlink(tmp_path / "outside", tmp_path / "data" / "x")
    os.symlink(tmp_path / "outside", tmp_path / "data" / "y")
    os.symlink(tmp_path / "data" / "self", tmp_path / "data" / "self")
    names = listing(tmp_path / "data", SUFFIXES).names
    assert names == ["a.png", "deep/b.png", "x/c.png"]


def test_folders_that_may_not_be_listed_are_named(tmp_path, monkeypatch):
    touch(tmp_path, "a.png", "locked/b.png")
    real = os.scandir

    def scandir(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = listing(tmp_path, SUFFIXES)
    assert found.names == ["a.png"]
    assert found.problems == [("locked/", "cannot be listed: Permission denied")]


def test_what_is_not_there_or_closed_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"does not exist; expected a file or a folder of \.png, \.jpg files"):
        listing(tmp_path / "none", SUFFIXES)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataError, match="may not be read"):
        listing(tmp_path, SUFFIXES)


def test_classes_are_first_folders_past_train_and_test():
    assert labels(paths("cat/1", "dog/2", "3"))[0].tolist() == [0, 1, -1]
    found, classes = labels(paths("train/cat/1", "test/dog/x/2", "train/3"))
    assert (found.tolist(), classes) == ([0, 1, -1], ("cat", "dog"))
    found, classes = labels(paths("test/1", "rock/2", "paper/3"))  # a class that is called test
    assert (found.tolist(), classes) == ([2, 1, 0], ("paper", "rock", "test"))
    assert labels(paths("1", "2"))[1] == ()


def test_split_folders_and_shares():
    names = paths("train/1", "Test/2", "val/3", "4")
    ids = names
    assert splits(names, ids, "auto", 0) == ["train", "test", "test", "train"]
    assert splits(names, ids, "none", 0) == ["train"] * 4
    assert splits(names, ids, "0.5", 0).count("test") == 2
    for rule in ("half", "1.0", "-0.1", "nan"):
        with pytest.raises(ConfigError, match="a split is auto, none, or a share in"):
            splits(names, ids, rule, 0)


@given(st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=30), st.floats(0, 0.99), st.integers(0, 9))
def test_a_share_depends_on_names_and_seed_alone(ids, share, seed):
    ids = sorted(ids)
    parts = dict(zip(ids, seeded_share(ids, share, seed)))
    assert dict(zip(ids[::-1], seeded_share(ids[::-1], share, seed))) == parts
    assert list(parts.values()).count("test") == min(round(share * len(ids)), len(ids) - 1)


FILES = st.sampled_from(["a.png", "a.jpg", "b.jpg", "a.jpg.png", "a.png.png"])
NAMES = FILES | st.tuples(FILES | st.just("a"), FILES).map("/".join)


@given(st.sets(NAMES, min_size=1, max_size=12))
def test_names_of_written_files_never_collide(ids):
    ids = [name for name in ids if not any(other.startswith(name + "/") for other in ids)]  # as in a real folder
    names = file_names(ids, ".png")
    assert len(set(names)) == len(ids)
    assert not [one for one in names if any(other.startswith(one + "/") for other in names)]


def test_names_stay_what_people_expect_and_inside_the_folder():
    assert file_names(["x/a.jpg", "b.png", "c"], ".png") == ["x/a.png", "b.png", "c.png"]
    assert file_names(["a.jpg", "a.png", "a.jpg.png"], ".png") == ["a.jpg.png", "a.png.png", "a.jpg.png.png"]
    assert file_names(["f.jpg", "f.png/x.png"], ".png") == ["f.jpg.png", "f.png/x.png"]
    assert file_names(["x/v1.5", "x/v1.6", "v2"], "") == ["x/v1.5", "x/v1.6", "v2"]  # folders have no suffix
    assert file_names(["a", "a/b"], "") == ["a_", "a/b"]
    assert file_names(["a", "a/b", "a_"], "") == ["a_", "a/b_", "a__"]
    for evil in ("../a.png", "/etc/a.png", "x/../../a.png", "C:\\a.png", "\\\\host\\a", "", ".", "a\0b"):
        with pytest.raises(DataError, match="outside of the folder"):
            file_names([evil], ".png")


def test_names_that_are_no_text_become_text():
    raw = os.fsdecode(b"caf\xe9.png")
    assert safe_id(raw) == "caf\\udce9.png"
    assert safe_id("é.png") == "é.png"
