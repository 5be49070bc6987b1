"""Files of voxels in every format, and files that are broken, made up, or meant to harm."""

import os
import zipfile

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from functa_cli import binvox, voxelfiles
from functa_cli.errors import DataError
from functa_cli.modalities.voxel import accepts
from functa_cli.voxels import Options, VoxelSource


@pytest.fixture
def voxels():
    """A grid bool [5, 6, 7] that no change of axes leaves alone."""
    return np.random.default_rng(0).random((5, 6, 7)) < 0.3


def only(path, variable=""):
    return next(voxelfiles.grids(path, variable))


def outcome(reading):
    """The one line that says why something is not read, or None where it is."""
    try:
        reading()
    except DataError as error:
        said = str(error)
    else:
        return None
    assert "\n" not in said
    return said


def reason(path, variable=""):
    """The one line that says why a file is not read."""
    said = outcome(lambda: voxelfiles.look(path, variable)) or outcome(lambda: list(voxelfiles.grids(path, variable)))
    assert said
    return said


def check(path):
    """Read all that there is at a path."""
    source = VoxelSource(path, Options())
    for index in range(len(source)):
        assert set(np.unique(source[index].features)) <= {0.0, 1.0}


def header(dim="2 2 2", first="#binvox 1", more=""):
    return f"{first}\ndim {dim}\n{more}translate 1 2 3\nscale 4\ndata\n".encode()


def test_binvox_has_y_fastest_then_z_then_x(tmp_path):
    path = tmp_path / "a.binvox"
    path.write_bytes(header("2 3 4") + bytes([0, 1, 1, 1, 0, 22]))
    assert np.argwhere(only(path)).tolist() == [[0, 1, 0]]
    path.write_bytes(header("2 3 4") + bytes([0, 4, 1, 1, 0, 19]))
    assert np.argwhere(only(path)).tolist() == [[0, 0, 1]]
    path.write_bytes(header("2 3 4") + bytes([0, 12, 1, 1, 0, 11]))
    assert np.argwhere(only(path)).tolist() == [[1, 0, 0]]
    assert voxelfiles.look(path) == voxelfiles.Held((2, 4, 3), translate=(1.0, 2.0, 3.0), scale=4.0)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.4, 1.0])
def test_binvox_comes_back_as_written(tmp_path, share):
    grid = np.random.default_rng(1).random((9, 17, 12)) < share
    binvox.write(tmp_path / "a.binvox", grid, (-1.5, 0.25, 3.0), 2.5)
    np.testing.assert_array_equal(only(tmp_path / "a.binvox"), grid)
    assert voxelfiles.look(tmp_path / "a.binvox")[3:] == ((-1.5, 0.25, 3.0), 2.5)


def test_binvox_reads_lines_it_does_not_know_and_runs_of_no_length(tmp_path):
    path = tmp_path / "a.binvox"
    path.write_bytes(header(more="# made by hand\ncolor 1 2 3\n") + bytes([1, 3, 0, 0, 2, 1, 0, 4]))
    assert only(path).sum() == 4


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is empty"),
        (header(first="#voxbin 1"), "does not begin with '#binvox'"),
        (header(first="#binvox 9"), "version '9'; expected 1"),
        (header("2 two 2"), "three whole numbers"),
        (header("2 2"), "three whole numbers"),
        (header("-2 2 2"), "claims -2 x 2 x 2 cells"),
        (header("100000 100000 100000"), "claims grids of 100000x100000x100000 cells; expected at most 512"),
        (header().replace(b"data\n", b""), "no 'data' line"),
        (header().replace(b"scale 4", b"scale nan"), "not finite"),
        (header().replace(b"scale 4", b"scale wide"), "not numbers"),
        (header() + bytes([0, 7]), "holds 7 voxels, its header said 8: it is cut short"),
        (header() + bytes([0, 9]), "holds 9 voxels, its header said 8: its header is wrong"),
        (header() + bytes([0, 7, 1]), "within a run"),
    ],
)
def test_binvox_that_is_wrong_is_refused(tmp_path, data, text):
    (tmp_path / "a.binvox").write_bytes(data)
    assert text in reason(tmp_path / "a.binvox")


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, ">f4", np.float16, float])
def test_arrays_of_every_number_are_occupancies(tmp_path, voxels, kind):
    for order in "CF":
        np.save(tmp_path / "a.npy", np.asarray(voxels.astype(kind), order=order))
        np.testing.assert_array_equal(only(tmp_path / "a.npy"), voxels)
    np.savez(tmp_path / "a.npz", other=np.zeros(3), voxels=voxels.astype(kind))
    np.testing.assert_array_equal(only(tmp_path / "a.npz"), voxels)


def test_probabilities_are_cut_at_a_half_and_255_is_one(tmp_path, voxels):
    np.save(tmp_path / "a.npy", np.where(voxels, 0.51, 0.5))
    np.testing.assert_array_equal(only(tmp_path / "a.npy"), voxels)
    np.save(tmp_path / "a.npy", voxels.astype(np.uint8) * 255)
    np.testing.assert_array_equal(only(tmp_path / "a.npy"), voxels)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (np.nan, "numbers from nan"),
        (np.inf, "to inf; expected occupancies in [0, 1]"),
        (-0.1, "numbers from -0.1"),
        (1.5, "to 1.5"),
        (7, "integers from 0 to 7; expected 0 and 1, or 0 and 255"),
        (-1, "integers from -1 to 0"),
    ],
)
def test_other_numbers_are_refused(tmp_path, values, text):
    grid = np.zeros((4, 4, 4), type(values))
    grid[1, 2, 3] = values
    np.save(tmp_path / "a.npy", grid)
    assert text in reason(tmp_path / "a.npy")


def test_labels_between_0_and_255_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(64, dtype=np.uint8).reshape(4, 4, 4) * 4 + 3)
    assert "integers from 3 to 255" in reason(tmp_path / "a.npy")


def test_which_array_is_meant(tmp_path, voxels):
    np.savez(tmp_path / "a.npz", mask=voxels, label=np.int64(3))
    np.testing.assert_array_equal(only(tmp_path / "a.npz"), voxels)
    np.savez(tmp_path / "a.npz", mask=~voxels, inside=voxels)
    assert reason(tmp_path / "a.npz").endswith("none called voxels (inside, mask); give --variable NAME")
    np.testing.assert_array_equal(only(tmp_path / "a.npz", "inside"), voxels)
    assert "holds no array 'solid', which --variable names; it holds inside, mask" in reason(
        tmp_path / "a.npz", "solid"
    )


@pytest.mark.parametrize("shape", [(3, 5, 6, 7), (3, 1, 5, 6, 7), (3, 5, 6, 7, 1)])
def test_stacks_are_read_grid_by_grid(tmp_path, shape):
    stack = np.random.default_rng(0).random(shape) < 0.3
    np.save(tmp_path / "a.npy", stack)
    np.save(tmp_path / "f.npy", np.asfortranarray(stack))
    np.savez_compressed(tmp_path / "a.npz", voxels=stack)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=stack.astype(np.uint8), compression="gzip")
        file["label"] = np.arange(3)
    for name in ("a.npy", "f.npy", "a.npz", "a.h5"):
        held = voxelfiles.look(tmp_path / name)
        assert (held.count, held.shape) == (3, (5, 6, 7))
        for first in range(3):
            got = np.array(list(voxelfiles.grids(tmp_path / name, first=first)))
            np.testing.assert_array_equal(got, stack.reshape(3, 5, 6, 7)[first:])


def test_matlab_files_old_and_new(tmp_path, voxels):
    savemat(tmp_path / "a.mat", {"instance": voxels.astype(np.uint8), "angle": 30.0})
    np.testing.assert_array_equal(only(tmp_path / "a.mat"), voxels)
    with h5py.File(tmp_path / "b.mat", "w", userblock_size=512) as file:  # version 7.3
        file["instance"] = voxels.astype(np.uint8).transpose()
    np.testing.assert_array_equal(only(tmp_path / "b.mat"), voxels)
    savemat(tmp_path / "c.mat", {"instance": np.array([[[{"a": 1}] * 4] * 4] * 4, object)})
    assert "no numbers but object; refusing" in reason(tmp_path / "c.mat")


class Harm:
    """Says so in a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_objects_are_refused_and_never_unpickled(tmp_path):
    grid = np.empty((4, 4, 4), object)
    grid[:] = Harm(tmp_path / "harmed")
    np.save(tmp_path / "a.npy", grid, allow_pickle=True)
    np.savez(tmp_path / "a.npz", voxels=grid)
    for name in ("a.npy", "a.npz"):
        assert "no numbers but object; refusing to read it" in reason(tmp_path / name)
    np.load(tmp_path / "a.npy", allow_pickle=True)  # it would have shown
    assert (tmp_path / "harmed").exists()


def test_headers_that_claim_too_much_are_refused_before_anything_is_made(tmp_path):
    for shape in ((10**5,) * 3, (800, 800, 800)):
        with (tmp_path / "a.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|b1", "fortran_order": False, "shape": shape})
        assert "cut short" in reason(tmp_path / "a.npy")
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.write(tmp_path / "a.npy", "voxels.npy")
        assert "expected at most 512 an axis" in reason(tmp_path / "a.npz")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("voxels", (800, 800, 800), bool, chunks=(80, 80, 80))
    assert "expected at most 512 an axis" in reason(tmp_path / "a.h5")


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4), (2, 3, 4, 4, 4), (64, 64, 3)])
def test_arrays_that_are_no_grids_are_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape, bool))
    assert reason(tmp_path / "a.npy").startswith(f"holds an array {list(shape)}")


def test_archives_without_arrays_and_with_evil_names(tmp_path, voxels):
    np.savez(tmp_path / "a.npz")
    assert reason(tmp_path / "a.npz") == "holds no arrays"
    np.save(tmp_path / "v.npy", voxels)
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "a.npz", "w") as archive:
        archive.write(tmp_path / "v.npy", "../evil.npy")
    np.testing.assert_array_equal(only(tmp_path / "in" / "a.npz"), voxels)
    assert not (tmp_path / "evil.npy").exists()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["voxels"] = h5py.ExternalLink("elsewhere.h5", "voxels")
    assert reason(tmp_path / "a.h5") == "holds no arrays"


def test_damage_in_an_archive_is_found(tmp_path, voxels):
    np.save(tmp_path / "v.npy", voxels)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "a.npz", "w", method, compresslevel=0) as archive:
            archive.write(tmp_path / "v.npy", "voxels.npy")
        data = bytearray((tmp_path / "a.npz").read_bytes())
        data[data.index(voxels.tobytes()) + 8] ^= 1
        (tmp_path / "a.npz").write_bytes(data)
        assert "CRC" in reason(tmp_path / "a.npz")


def test_what_is_no_file_or_may_not_be_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.npy")
    os.symlink(tmp_path / "nowhere", tmp_path / "link.npz")
    assert reason(tmp_path / "pipe.npy") == "is not a regular file"
    assert reason(tmp_path / "link.npz") == "is a link to nothing"
    np.save(tmp_path / "a.npy", np.zeros((4, 4, 4), bool))

    def refused(*given, **named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", refused)
    assert reason(tmp_path / "a.npy") == "may not be read (permission denied)"


@pytest.mark.parametrize("suffix", ["binvox", "npy", "npz", "mat", "h5"])
def test_any_damage_is_read_or_refused_but_nothing_else(tmp_path, suffix):
    grid, path = np.random.default_rng(0).random((12, 12, 12)) < 0.2, tmp_path / f"a.{suffix}"
    if suffix == "binvox":
        binvox.write(path, grid)
    elif suffix == "npy":
        np.save(path, grid)
    elif suffix == "npz":
        np.savez_compressed(path, voxels=grid)
    elif suffix == "mat":
        savemat(path, {"instance": grid.astype(np.uint8)})
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("voxels", data=grid, compression="gzip")
    good, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for number in range(60):
        data = bytearray(good[: rng.integers(0, len(good))] if number % 3 == 0 else good)
        for place in rng.integers(0, len(data), number % 3 * 6) if data else ():
            data[place] = rng.integers(256)
        path.write_bytes(data)
        refused += outcome(lambda: check(path)) is not None
    assert refused >= 20


TAKEN = {
    "big_endian.npy", "control.binvox", "control.mat", "control.npy", "control.npz", "empty_shape.binvox", "stack.h5",
    "extra_header_lines.binvox", "full_shape.binvox", "mixed_resolution", "ndim4_channel.npy", "two_arrays.npz",
    "uint8_255.npy", "value_2.binvox", "zero_run.binvox", "zip_path_traversal.npz",
}  # fmt: skip


def test_hostile_files_are_read_right_or_refused_in_one_line(shared, capfd):
    for path in sorted((shared / "hostile" / "voxels").iterdir()):
        match = accepts(path)
        taken = outcome(lambda path=path: check(path)) is None
        assert taken == (path.name in TAKEN), path.name
        assert match or not taken
    assert capfd.readouterr() == ("", "")
