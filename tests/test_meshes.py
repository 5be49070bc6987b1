"""Meshes: what is inside of them, and closed ones around what a network predicts."""

import numpy as np
import pytest

from functa_cli import meshes
from functa_cli.coords import grid
from functa_cli.errors import DataError
from functa_cli.modalities.voxel import MODALITY
from functa_cli.voxels import Options, VoxelSource
from tests.test_voxelfiles import outcome

trimesh = pytest.importorskip("trimesh")
pytest.importorskip("skimage")


def save(mesh, path):
    data = mesh.export(file_type=path.suffix[1:])
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def inside(size, *half):
    """Cells whose centres are in one of the boxes with these half sides, in sides of the grid."""
    centres = np.abs(grid((size,) * 3).astype(float) - 0.5)
    return np.any([(centres <= sides).all(1) for sides in half], axis=0).reshape((size,) * 3)


@pytest.fixture(scope="module")
def sphere():
    return trimesh.creation.icosphere(4)


@pytest.fixture(scope="module")
def ball():
    return (np.linalg.norm(grid((32,) * 3) - 0.5, axis=1) < 0.45).reshape((32,) * 3)


@pytest.mark.parametrize("suffix", ["off", "obj", "ply", "stl", "glb"])
def test_every_format_is_filled_and_fits_with_a_margin(tmp_path, sphere, ball, suffix):
    found = meshes.read(save(sphere, tmp_path / f"a.{suffix}"), 32)
    assert (found != ball).sum() <= 8


def test_axes_are_x_y_z_and_scaled_alike(tmp_path):
    box = trimesh.creation.box((4, 2, 1.2))
    box.apply_translation((7, -3, 100))
    np.testing.assert_array_equal(meshes.read(save(box, tmp_path / "a.stl"), 40), inside(40, (0.45, 0.225, 0.135)))


def test_edges_through_cell_centres_do_not_leak(tmp_path):
    box = trimesh.creation.box((1, 1, 1)).subdivide().subdivide()
    assert meshes.read(save(box, tmp_path / "a.stl"), 20).sum() == 18**3


def test_solids_may_overlap(tmp_path):
    two = trimesh.util.concatenate([trimesh.creation.box((1, 0.5, 0.5)), trimesh.creation.box((0.5, 0.6, 0.5))])
    wanted = inside(40, (0.45, 0.225, 0.225), (0.225, 0.27, 0.225))
    np.testing.assert_array_equal(meshes.read(save(two, tmp_path / "a.ply"), 40), wanted)


def test_turned_faces_and_small_holes_do_little_harm(tmp_path, sphere, ball, rng):
    some = rng.random(len(sphere.faces)) < 0.3
    turned = np.where(some[:, None], sphere.faces[:, ::-1], sphere.faces)
    for faces, most in ((turned, 8), (sphere.faces[:, ::-1], 8), (sphere.faces[rng.random(len(some)) > 0.01], 60)):
        mesh = trimesh.Trimesh(sphere.vertices, faces, process=False)
        assert (meshes.read(save(mesh, tmp_path / "a.off"), 32) != ball).sum() <= most


def test_sheets_enclose_nothing(tmp_path):
    box, sheets = trimesh.creation.box((1, 1, 0.2)), trimesh.creation.box((0.5, 0.5, 0.4))
    sheets.apply_translation((0, 0, 0.4))
    sheets.update_faces(np.abs(sheets.face_normals[:, 2]) > 0.5)  # below and above
    both = trimesh.util.concatenate([box, sheets])
    found = meshes.read(save(both, tmp_path / "a.ply"), 40)
    alone = meshes.read(save(box, tmp_path / "b.ply"), 40)
    assert found.sum() == alone.sum()


def test_many_triangles_are_taken_in_parts(tmp_path, sphere, monkeypatch):
    whole = meshes.read(save(sphere, tmp_path / "a.off"), 32)
    monkeypatch.setattr(meshes, "PAIRS", 100)
    np.testing.assert_array_equal(meshes.read(tmp_path / "a.off", 32), whole)


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.obj", b"", "is empty"),
        ("a.off", b"OFF\n3 1 0\n0 0 0\n", "cannot be read as .off"),
        ("a.glb", b"glTF\x02\0\0\0\xff\xff\xff\x7f", "cannot be read as .glb"),
        ("a.stl", b"\0" * 100, "is a mesh|holds a mesh|cannot be read"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "without triangles|cannot be read"),
        ("a.obj", b"v 0 0 0\nv 1 0 0\nv 0 nan 0\nf 1 2 3\n", "not finite|cannot be read"),
        ("a.obj", b"v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n", "without extent|without triangles"),
    ],
)
def test_what_is_no_mesh_is_refused_in_one_line(tmp_path, name, data, text):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=text) as caught:
        meshes.read(tmp_path / name, 8)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["off", "obj", "ply", "stl", "glb"])
def test_any_damage_is_read_or_refused_but_nothing_else(tmp_path, suffix):
    good = save(trimesh.creation.icosphere(1), tmp_path / f"a.{suffix}").read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for number in range(40):
        data = bytearray(good[: rng.integers(0, len(good))] if number % 2 == 0 else good)
        for place in rng.integers(0, len(data), number % 2 * 6) if data else ():
            data[place] = rng.integers(256)
        (tmp_path / f"a.{suffix}").write_bytes(data)
        refused += outcome(lambda: meshes.read(tmp_path / f"a.{suffix}", 8)) is not None
    assert refused >= 5


def test_meshes_and_grids_are_one_set(tmp_path, sphere):
    save(sphere, tmp_path / "a.obj")
    np.save(tmp_path / "b.npy", np.ones((16, 16, 16), bool))
    source = VoxelSource(tmp_path, Options(resolution="16", split="none"))
    assert source.found == "found 1 grid 16^3 and 1 mesh made 16^3 by point-in-mesh, 0 test"
    assert 0.3 < source[0].features.mean() < 0.45
    assert VoxelSource(tmp_path, Options()).shapes.tolist() == [[64] * 3, [16] * 3]


def test_without_the_extra_it_says_what_to_install(tmp_path, sphere, monkeypatch):
    save(sphere, tmp_path / "a.obj")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"a\.obj is a mesh, which needs .*: pip install 'functa\[mesh\]'"):
        VoxelSource(tmp_path, Options())


@pytest.mark.parametrize("kind", ["glb", "ply", "obj", "stl"])
def test_decoded_meshes_are_closed_and_right_way_out(tmp_path, ball, kind):
    soft = np.clip(3 * (0.5 - np.linalg.norm(grid((32,) * 3) - 0.5, axis=1)), 0, 1).reshape((32,) * 3)
    for array, volume in ((ball.astype(np.float32), ball.mean()), (soft, 4 / 3 * np.pi / 27)):
        MODALITY.forms[kind].write(tmp_path / "half", array.astype(np.float32), {"threshold": 0.5})
        with (tmp_path / "half").open("rb") as file:
            mesh = trimesh.load_scene(file, file_type=kind).to_mesh()
        mesh.merge_vertices()
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        assert abs(mesh.volume / volume - 1) < 0.03


def test_shapes_at_the_border_are_closed_and_keep_their_place(tmp_path):
    world = {"translate": [1.0, 2.0, 3.0], "scale": 10.0}
    MODALITY.forms["ply"].write(tmp_path / "a.ply", np.ones((8, 8, 8), np.float32), {"world": world})
    mesh = trimesh.load_mesh(tmp_path / "a.ply")
    assert mesh.is_watertight
    np.testing.assert_allclose(mesh.bounds, [[1, 2, 3], [11, 12, 13]], atol=1e-5)


def test_any_field_has_a_closed_surface(rng):
    for field in (rng.random((9, 10, 11)), rng.random((20, 20, 20)) > 0.5, (rng.random((10, 10, 10)) * 4).round() / 4):
        mesh = trimesh.Trimesh(*meshes.surface(field), process=False)
        assert mesh.is_watertight
        assert mesh.volume > 0
    with pytest.raises(DataError, match=r"nothing is above the threshold 0\.5"):
        meshes.surface(np.full((4, 4, 4), 0.4))
