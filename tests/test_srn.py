"""The layout of SRN: names of pictures and poses, their text files, and the sizes of pictures."""

import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from functa_cli.coords import OPENCV_TO_OPENGL, rays
from functa_cli.errors import DataError
from functa_cli.modality import Problem
from functa_cli.srn import Intrinsics, format_intrinsics, format_pose, parse_intrinsics, parse_pose
from tests.scenes import FOCAL, colours_of, opened, poses, read, save_scene, views


def bomb() -> bytes:
    """A small PNG that says it has 60,000 x 60,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = [struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def pose_text(change) -> str:
    matrix = poses(6)[2]
    return format_pose(change(matrix.copy()))


def scaled(matrix):
    matrix[:3, :3] *= 2
    return matrix


def mirrored(matrix):
    matrix[:3, 0] *= -1
    return matrix


def last_row(matrix):
    matrix[3] = 0, 0, 1, 1
    return matrix


def not_a_number(matrix):
    matrix[1, 3] = np.nan
    return matrix


# Names


def test_pictures_and_poses_are_paired_by_name(tmp_path):
    scene = save_scene(tmp_path / "a", 6)
    (scene / "rgb/000001.png").unlink()
    (scene / "pose/000004.txt").unlink()
    (scene / "pose/000005.txt").unlink()
    found = views(scene)
    assert [tuple(problem) for problem in found.problems] == [
        ("a", "2 pictures have no pose: 000004, ..."),
        ("a", "1 pose has no picture: 000001"),
    ]
    shown = {colours_of(colours)[0]: found.scenes[0].poses[place] for place, colours in read(found).items()}
    assert sorted(shown) == [0, 2, 3]
    for view, pose in shown.items():
        np.testing.assert_array_equal(pose, poses(6)[view])


def test_other_files_are_passed_over(tmp_path):
    scene = save_scene(tmp_path / "data/a", 4)
    for name in ("notes.txt", ".DS_Store", "rgb/Thumbs.db", "rgb/.000009.png", "depth/000000.png", "pose/readme.md"):
        (scene / name).parent.mkdir(exist_ok=True)
        (scene / name).write_text("x")
    (tmp_path / "data/stray.txt").write_text("x")
    found = opened(tmp_path / "data")
    assert (found.ids, found.problems, found.shapes.tolist()) == (["a"], [], [[4, 6, 6]])


def test_a_scene_without_its_parts_costs_only_itself(tmp_path):
    save_scene(tmp_path / "good", 4)
    save_scene(tmp_path / "no_intrinsics", 4)
    (tmp_path / "no_intrinsics/intrinsics.txt").unlink()
    (tmp_path / "only_rgb/rgb").mkdir(parents=True)
    (tmp_path / "only_rgb/rgb/0.png").write_bytes((tmp_path / "good/rgb/000000.png").read_bytes())
    save_scene(tmp_path / "one_view", 1)
    (tmp_path / "empty/rgb").mkdir(parents=True)
    (tmp_path / "empty/pose").mkdir(parents=True)
    found = opened(tmp_path)
    assert found.ids == ["good"]
    assert dict(found.problems) == {
        "no_intrinsics": "has no intrinsics.txt; a scene has rgb/, pose/ and intrinsics.txt",
        "only_rgb": "has no pose/ and no intrinsics.txt; a scene has rgb/, pose/ and intrinsics.txt",
        "one_view": "has 1 usable view; expected at least 2",
    }


def test_poses_are_read_only_as_far_as_the_limit_goes(tmp_path):
    for name in "abc":
        save_scene(tmp_path / name, 4)
    (tmp_path / "c/pose/000000.txt").write_text("x")
    found = views(tmp_path, limit=2)
    assert [scene.id for scene in found.scenes] == ["a", "b"]
    assert found.problems == []


# Poses


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1 " * 17, "holds 17 numbers; a pose is a 4 x 4 matrix of 16"),
        ("1 " * 12, "holds 12 numbers; a pose is a 4 x 4 matrix of 16"),
        ("", "is empty"),
        ("a pose", "is not a pose of 16 numbers but something else"),
        ("\udcff\udc80" * 8, "is not a pose of 16 numbers but something else"),
        (pose_text(not_a_number), "holds numbers that are not finite"),
        (pose_text(last_row), "has the last row 0 0 1 1; that of a pose is 0 0 0 1"),
        (pose_text(scaled), "is not rigid: its 3 x 3 part is no rotation"),
        (pose_text(mirrored), "is mirrored: its 3 x 3 part has a determinant of -1"),
    ],
    ids=["17", "12", "empty", "text", "bytes", "nan", "row", "scaled", "mirrored"],
)
def test_a_bad_pose_costs_its_view_alone(tmp_path, text, reason):
    scene = save_scene(tmp_path / "a", 6)
    (scene / "pose/000002.txt").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = views(scene)
    assert found.problems == [Problem("pose/000002.txt", reason)]
    assert sorted(colours_of(colours)[0] for colours in read(found).values()) == [0, 1, 3, 4, 5]


def test_poses_may_have_any_white_space(tmp_path):
    matrix = poses(3)[1]
    plain = format_pose(matrix)
    for text in (plain, plain.replace(" ", "\t"), plain.replace(" ", "  \r\n") + "\r\n \t", plain.replace(" ", "\n")):
        np.testing.assert_array_equal(parse_pose(text.encode()), matrix)


def test_axes_of_opengl_are_turned_and_told_apart(tmp_path):
    save_scene(tmp_path / "cv/a", 4)
    save_scene(tmp_path / "gl/a", 4, turn=lambda pose: pose @ OPENCV_TO_OPENGL)
    first, second = opened(tmp_path / "cv"), opened(tmp_path / "gl", axes="opengl")
    np.testing.assert_array_equal(first[0].coords, second[0].coords)
    assert (first.geometry["axes"], second.geometry["axes"]) == ("opencv", "opengl")
    for name, axes, remedy in (("gl", "opencv", "give --axes opengl"), ("cv", "opengl", "leave --axes out")):
        with pytest.raises(DataError, match=rf"a has 4 cameras that all look away from the origin; .*{remedy}"):
            opened(tmp_path / name, axes=axes)


def test_poses_from_world_to_camera_are_told_apart_and_can_be_said(tmp_path):
    save_scene(tmp_path / "plain", 5)
    scene = save_scene(tmp_path / "inverse", 5, turn=np.linalg.inv)
    with pytest.raises(DataError, match="5 cameras at one place that look different ways; expected camera to world"):
        opened(scene)
    with (scene / "intrinsics.txt").open("a") as file:
        file.write("1\n")
    np.testing.assert_allclose(opened(scene).views.scenes[0].poses, poses(5), atol=1e-12)
    with (tmp_path / "plain/intrinsics.txt").open("a") as file:
        file.write("0\n")
    np.testing.assert_array_equal(opened(tmp_path / "plain").views.scenes[0].poses, poses(5))


# Intrinsics


def test_intrinsics_in_every_form_of_lines():
    expected = Intrinsics(65.625, (20.0, 40.5), 64, 48)
    text = "65.625000 20 40.5 0.\n0. 0. 0.\n1.\n64 48\n"
    for form in (text, text.replace("\n", "\r\n"), text.replace(" ", " \t"), text.replace("\n", "\n\n"), text[:-1]):
        assert parse_intrinsics(form.encode()) == (expected, False)
    assert parse_intrinsics(f"{text}0\n".encode()) == (expected, False)
    assert parse_intrinsics(f"{text}1.\n".encode()) == (expected, True)
    assert parse_intrinsics(format_intrinsics(expected).encode()) == (expected, False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has an intrinsics.txt that is not"),
        ("focal: big", "has an intrinsics.txt that is not"),
        ("65 0 32\n0 65 32\n0 0 1", "has an intrinsics.txt that is not"),
        ("64 64", "has an intrinsics.txt that is not"),
        ("1 2 3 4 5\n0 0 0\n1\n64 64", "has an intrinsics.txt that is not"),
        (
            "0. 32 32 0.\n0 0 0\n1\n64 64",
            "with the focal length 0 and the centre 32, 32; expected a focal length above",
        ),
        ("-5 32 32 0.\n0 0 0\n1\n64 64", "with the focal length -5"),
        ("nan 32 32 0.\n0 0 0\n1\n64 64", "with the focal length nan"),
        ("65 inf 32 0.\n0 0 0\n1\n64 64", "and the centre inf, 32"),
        ("65 32 32 0.\n0 0 0\n1\n64 0", "with pictures of 64 x 0 pixels"),
        ("65 32 32 0.\n0 0 0\n1\n64.5 64", "with pictures of 64.5 x 64 pixels"),
        ("65 32 32 0.\n0 0 0\n1\ninf inf", "with pictures of inf x inf pixels"),
    ],
)
def test_bad_intrinsics_are_one_line(text, reason):
    with pytest.raises(DataError, match=re.escape(reason)) as caught:
        parse_intrinsics(text.encode())
    assert "\n" not in str(caught.value)


def test_a_camera_follows_the_size_of_the_pictures(tmp_path):
    scene = save_scene(tmp_path / "a", 4, size=(8, 12))
    (scene / "intrinsics.txt").write_text("30. 15 7. 0.\n0. 0. 0.\n1.\n16 24\n")  # of pictures twice as large
    row, column = np.divmod(np.arange(96), 12)
    found = views(scene)
    assert found.cameras == [Intrinsics(15.0, (7.5, 3.5), 8, 12)]
    own = found.signal(0, next(found.readable(0, [2]))).coords
    np.testing.assert_array_equal(own, rays(poses(4)[2], 15.0, (7.5, 3.5), row, column))
    small = views(scene, (4, 6))
    assert small.cameras == [Intrinsics(7.5, (3.75, 1.75), 4, 6)]
    assert small.signal(0, next(small.readable(0, [2]))).features.shape == (24, 3)
    with pytest.raises(DataError, match="has pictures of 8x12; --resolution 6x6 has another aspect"):
        views(scene, (6, 6))


def test_the_centre_of_a_camera_moves_its_rays(tmp_path):
    """What is seen at the principal point is what lies straight ahead."""
    scene = save_scene(tmp_path / "a", 4, size=(6, 6))
    (scene / "intrinsics.txt").write_text(f"{FOCAL} 1.5 4.5 0.\n0. 0. 0.\n1.\n6 6\n")
    found = views(scene)
    coords = found.signal(0, next(found.readable(0, [1]))).coords.reshape(6, 6, 6)
    np.testing.assert_allclose(coords[4, 1, 3:], poses(4)[1][:3, 2], atol=1e-6)
    right, down = coords[4, 2, 3:] - coords[4, 1, 3:], coords[5, 1, 3:] - coords[4, 1, 3:]
    np.testing.assert_allclose(right, poses(4)[1][:3, 0] / FOCAL, atol=1e-6)
    np.testing.assert_allclose(down, poses(4)[1][:3, 1] / FOCAL, atol=1e-6)


# Pictures


def test_pictures_of_another_aspect_than_the_camera_are_refused(tmp_path):
    scene = save_scene(tmp_path / "a", 4, size=(6, 8))
    (scene / "intrinsics.txt").write_text("8. 4 4 0.\n0. 0. 0.\n1.\n8 8\n")
    with pytest.raises(DataError, match=r"a has pictures of 6x8 pixels and an intrinsics\.txt for 8x8"):
        views(scene)


def test_a_picture_of_another_size_costs_its_view_alone(tmp_path):
    scene = save_scene(tmp_path / "a", 5)
    for view in (0, 2):  # the first one is not what the others are measured by
        Image.new("RGB", (3 + view, 3 + view)).save(scene / f"rgb/{view:06d}.png")
    found = views(scene)
    assert sorted(read(found)) == [1, 3, 4]
    assert found.problems == [
        Problem("rgb/000000.png", "is 3x3, other views of its scene 6x6"),
        Problem("rgb/000002.png", "is 5x5, other views of its scene 6x6"),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda data: data[:-25], "cannot be decoded: "),
        (lambda data: b"", "is empty (0 bytes)"),
        (lambda data: b"hello", "is not a picture, whatever its name says"),
        (lambda data: bomb(), "claims "),
    ],
    ids=["cut", "empty", "text", "bomb"],
)
def test_a_damaged_picture_costs_its_view_alone_and_is_told_of_once(tmp_path, content, reason):
    scene = save_scene(tmp_path / "a", 5)
    file = scene / "rgb/000003.png"
    file.write_bytes(content(file.read_bytes()))
    found = views(scene)
    for _ in range(2):
        assert sorted(read(found)) == [0, 1, 2, 4]
    (problem,) = found.problems
    assert problem.path == "rgb/000003.png"
    assert problem.reason.startswith(reason)
    assert "\n" not in problem.reason


def test_a_scene_without_readable_pictures_costs_only_itself(tmp_path):
    save_scene(tmp_path / "a", 4)
    for file in (save_scene(tmp_path / "b", 4) / "rgb").iterdir():
        file.write_bytes(b"")
    found = opened(tmp_path)
    assert found.ids == ["a"]
    assert found.problems == [Problem("b", "has no picture that can be read: b/rgb/000000.png is empty (0 bytes)")]


def test_transparent_pixels_show_the_background(tmp_path):
    scene = save_scene(tmp_path / "a", 4)
    for file in (scene / "rgb").iterdir():
        picture = np.zeros((6, 6, 4), np.uint8)
        picture[:3] = 200, 100, 0, 255
        picture[3:5] = 200, 100, 0, 51
        Image.fromarray(picture).save(file)
    shown = read(views(scene, background="#0000ff"))[1].reshape(6, 6, 3)
    assert shown[0, 0].tolist() == [200, 100, 0]
    np.testing.assert_allclose(shown[4, 0], [40, 20, 204], atol=1)
    assert shown[5, 0].tolist() == [0, 0, 255]
    assert opened(scene).geometry["background"] == "white"
    assert opened(scene, given={"background": "black"}, background="red").geometry["background"] == "black"


@pytest.mark.parametrize(("kind", "mode"), [("jpg", "RGB"), ("webp", "RGB"), ("png", "L"), ("png", "P")])
def test_other_kinds_of_pictures_are_read_in_colour(tmp_path, kind, mode):
    scene = save_scene(tmp_path / "a", 3)
    for file in list((scene / "rgb").iterdir()):
        file.unlink()
        Image.new("RGB", (6, 6), (102, 102, 102)).convert(mode).save(file.with_suffix(f".{kind}"))
    shown = read(views(scene))
    assert len(shown) == 3
    np.testing.assert_allclose(shown[0], np.full((36, 3), 102), atol=3)
