"""Files of scenes: in folders, in zips and in places that hold neither; whole, damaged and malicious."""

import os
import re
import signal
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from functa_cli import scenefiles
from functa_cli.errors import DataError
from functa_cli.modalities.scene import accepts
from functa_cli.modality import Match, Problem
from tests.scenes import colours_of, opened, read, save_scene, set_of_two, views, zipped


def test_folders_and_zips_read_alike(tmp_path):
    set_of_two(tmp_path / "data")
    zipped(tmp_path / "data", tmp_path / "data.zip")
    zipped(tmp_path / "data", tmp_path / "in/a/folder/data.zip")
    (tmp_path / "in/README.txt").write_text("read me")
    first = opened(tmp_path / "data")
    for path in (tmp_path / "data.zip", tmp_path / "in"):
        other = opened(path)
        assert other.ids == first.ids == ["cars_test/b", "cars_train/a"]
        assert (other.split, other.classes, other.geometry) == (first.split, first.classes, first.geometry)
        assert other.problems == []
        for index in range(2):
            for ours, theirs in zip(first[index], other[index]):
                np.testing.assert_array_equal(ours, theirs)


def test_several_zips_of_a_folder_have_names_of_their_own(tmp_path):
    for name in ("cars_train", "cars_test"):
        zipped(save_scene(tmp_path / name / "a", 4).parent, tmp_path / f"all/{name}.zip")
    (tmp_path / "all/broken.zip").write_bytes((tmp_path / "all/cars_test.zip").read_bytes()[:-50])
    found = opened(tmp_path / "all")
    assert found.ids == ["cars_test/a", "cars_train/a"]
    assert list(found.split) == ["test", "train"]
    assert found.classes == ("cars",)
    assert [(path, reason.split(" (")[0]) for path, reason in found.problems] == [
        ("broken.zip", "cannot be read as a zip")
    ]


def test_zips_beside_scenes_are_passed_over(tmp_path):
    save_scene(tmp_path / "data/a", 4)
    zipped(tmp_path / "data", tmp_path / "data/copy.zip")
    assert opened(tmp_path / "data").ids == ["a"]


def test_the_folder_or_zip_may_be_the_scene_itself(tmp_path, monkeypatch):
    save_scene(tmp_path / "chair", 4)
    zipped(tmp_path / "chair", tmp_path / "sofa.zip")
    monkeypatch.chdir(tmp_path / "chair")
    assert [opened(path).ids for path in (tmp_path / "chair", tmp_path / "sofa.zip", Path())] == [
        ["chair"],
        ["sofa"],
        ["chair"],
    ]


@pytest.mark.parametrize("made", ["cut", "empty", "text", "inside"])
def test_a_zip_that_cannot_be_read_is_one_line(tmp_path, made):
    save_scene(tmp_path / "data/a", 4)
    data = zipped(tmp_path / "data", tmp_path / "a.zip").read_bytes()
    content = {"cut": data[: len(data) // 2], "empty": b"", "text": b"not a zip", "inside": data}[made]
    if made == "inside":  # the list of names is whole, and what it points to is not
        content = data[:30] + bytes(byte ^ 255 for byte in data[30:-400]) + data[-400:]
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError) as caught:
        opened(tmp_path / "a.zip")
    assert "\n" not in str(caught.value)
    assert "a.zip' " in str(caught.value)
    match = accepts(tmp_path / "a.zip")
    assert match is not None
    assert made == "inside" or match == Match(1, "a .zip that cannot be read")


def test_names_that_lead_out_of_a_zip_are_passed_over(tmp_path):
    save_scene(tmp_path / "data/a", 4)
    path = zipped(tmp_path / "data", tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        for file in (tmp_path / "data/a").rglob("*.*"):
            inner = file.relative_to(tmp_path / "data/a").as_posix()
            archive.write(file, f"../out/{inner}")
            archive.write(file, f"b\\{inner}".replace("/", "\\"))  # as some programs of Windows write it
            archive.write(file, f"__MACOSX/c/{inner}")
        entry = zipfile.ZipInfo("/etc/rgb/0.png")
        archive.writestr(entry, b"")
    found = opened(path)
    assert found.ids == ["a", "b"]
    (problem,) = found.problems
    assert problem.path == "a.zip"
    assert re.fullmatch(r"10 names in it lead out of it and are passed over, such as \.\./out/.*", problem.reason)


def claim(path: Path, name: str, size: int) -> None:
    """Let the list of a zip say that a file in it has `size` bytes."""
    data = bytearray(path.read_bytes())
    place = data.rindex(name.encode()) - 46
    assert data[place : place + 4] == b"PK\x01\x02"
    data[place + 24 : place + 28] = struct.pack("<I", size)
    path.write_bytes(data)


def test_what_claims_to_be_huge_inside_a_zip_is_not_unpacked(tmp_path):
    save_scene(tmp_path / "data/a", 6)
    with (tmp_path / "data/a/pose/000001.txt").open("a") as file:
        file.write(" " * 100_000)
    path = zipped(tmp_path / "data", tmp_path / "a.zip")
    claim(path, "a/rgb/000004.png", 4_000_000_000)
    found = views(path)
    assert len(read(found)) == 4
    assert found.problems == [
        Problem("a/pose/000001.txt", "claims more than 65,536 bytes inside its zip"),
        Problem("a/rgb/000004.png", "claims more than 268,435,456 bytes inside its zip"),
    ]
    found = views(tmp_path / "data")
    assert found.problems[0].reason.endswith(" bytes; expected at most 65,536")


def test_nothing_to_read_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match=r"none' does not exist; expected a folder or a \.zip of scenes"):
        views(tmp_path / "none")
    with pytest.raises(DataError, match=r"holds no scenes; expected folders with rgb/, pose/ and intrinsics\.txt"):
        views(tmp_path)
    assert accepts(tmp_path) is None
    scene = save_scene(tmp_path / "a", 3)
    for file in (scene / "pose").iterdir():
        file.write_text("1 2 3")
    with pytest.raises(DataError) as caught:
        views(tmp_path)
    assert str(caught.value).endswith(
        "holds no scene that can be used: a has 0 usable views; expected at least 2 "
        "(first: a/pose/000000.txt holds 3 numbers; a pose is a 4 x 4 matrix of 16)"
    )


def test_loops_of_links_end(tmp_path):
    save_scene(tmp_path / "data/a", 4)
    (tmp_path / "data/a/again").symlink_to(tmp_path / "data")
    (tmp_path / "data/self").symlink_to("self")
    assert opened(tmp_path / "data").ids == ["a"]
    assert accepts(tmp_path / "data").reason == "1 scene (rgb/, pose/)"


@pytest.fixture
def ten_seconds():
    """A call that waits longer for a file than ten seconds fails."""

    def fail(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, 10, 1)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_links_to_nothing_and_pipes_are_not_waited_for(tmp_path, ten_seconds):
    scene = save_scene(tmp_path / "a", 6)
    for name in ("rgb/000001.png", "pose/000002.txt"):
        (scene / name).unlink()
        (scene / name).symlink_to("nowhere")
    for name in ("rgb/000003.png", "pose/000004.txt"):
        (scene / name).unlink()
        os.mkfifo(scene / name)
    found = views(scene)
    assert [colours_of(colours)[0] for colours in read(found).values()] == [0, 5]
    assert dict(found.problems) == {
        "pose/000002.txt": "is a link to nothing",
        "pose/000004.txt": "is not a regular file",
        "rgb/000001.png": "is a link to nothing",
        "rgb/000003.png": "is not a regular file",
    }


def test_files_that_may_not_be_read_cost_their_views_alone(tmp_path, monkeypatch):
    scene = save_scene(tmp_path / "a", 6)
    real = Path.read_bytes

    def refusing(path: Path) -> bytes:
        if (path.parent.name, path.stem) in (("rgb", "000001"), ("pose", "000002")):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", refusing)
    found = views(scene)
    assert sorted(colours_of(colours)[0] for colours in read(found).values()) == [0, 3, 4, 5]
    assert [path for path, _ in found.problems] == ["pose/000002.txt", "rgb/000001.png"]
    assert {reason for _, reason in found.problems} == {"may not be read (permission denied)"}


def test_a_folder_that_may_not_be_read_is_told_of(tmp_path):
    save_scene(tmp_path / "a", 4)
    scene = save_scene(tmp_path / "b", 4)
    zipped(scene, tmp_path / "c.zip")
    scene.chmod(0)
    (tmp_path / "c.zip").chmod(0)
    if os.access(scene, os.R_OK):
        pytest.skip("root may read everything")
    try:
        assert opened(tmp_path).ids == ["a"]
        assert opened(tmp_path).problems[0].reason == "cannot be listed: Permission denied"
        with pytest.raises(DataError, match="may not be read"):
            opened(tmp_path / "c.zip")
    finally:
        scene.chmod(0o700)


def test_threads_share_one_zip(tmp_path):
    save_scene(tmp_path / "data/a", 12)
    files = scenefiles.Files(zipped(tmp_path / "data", tmp_path / "a.zip"))
    expected = {name: (tmp_path / "data" / name).read_bytes() for name in files.names}
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert dict(zip(files.names, pool.map(files.read, files.names))) == expected
