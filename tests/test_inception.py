"""Inception features: values that the PyTorch port gives for the same weights, and files that are not such weights."""

import hashlib
import json

import numpy as np
import pytest

from functa_cli import inception, weightfiles
from functa_cli.errors import DataError
from functa_cli.inception import features, read_weights, shapes

# What pytorch-fid 0.3.0 gives in double precision for `drawn` and `pictures`: means over branches of the last block,
# and two features of each branch.
ENDS = [320, 704, 1088, 1472, 1856]
MEANS = [[5.79771, 6.69148, 6.27038, 5.5995, 5.92245, 7.56668], [3.6995, 4.25044, 3.92134, 3.49024, 3.74022, 4.91364]]
CHOSEN = [2, 9, 320, 332, 705, 714, 1089, 1103, 1475, 1484, 1856, 1872]
VALUES = [
    [13.33396, 6.88441, 16.44109, 10.50283, 1.31962, 2.75619, 29.44904, 3.10872, 11.38688, 3.11191, 9.48597, 26.62116],
    [9.71418, 4.16791, 9.86477, 5.62223, 0.60872, 1.98209, 19.04017, 1.65038, 6.87735, 2.29018, 7.10619, 18.97785],
]


def drawn() -> dict[str, np.ndarray]:
    """Weights of the whole network, of a generator whose numbers are the same in every numpy."""
    rng, found = np.random.RandomState(0), {}
    for name, shape in shapes().items():
        values = 2 * rng.random_sample(shape) - 1
        if len(shape) == 4:
            values *= np.sqrt(6 / np.prod(shape[1:]))
        elif name.endswith(("bn.weight", "running_var")):
            values = 1 + values / 2
        else:
            values /= 2
        found[name] = values.astype(np.float32)
    return found


def pictures() -> np.ndarray:
    """One picture with edges and one smooth one, float32 [2, 20, 640, 3]: rows are enlarged, columns left out."""
    row, column, colour = np.mgrid[:20, :640, :3]
    edges = (row // 3 + column // 5 + colour) % 3 / 2
    smooth = 0.5 + 0.5 * np.sin(row / 5 + colour) * np.cos(column / 70)
    return np.stack([edges, smooth]).astype(np.float32)


def save(path, arrays, *, note=None):
    """Write .safetensors as its description says: length, header, values."""
    header, start = ({"__metadata__": note} if note else {}), 0
    kinds = {"float16": "F16", "float32": "F32", "float64": "F64", "int64": "I64"}
    for name, value in arrays.items():
        places = [start, start + value.nbytes]
        header[name] = {"dtype": kinds[value.dtype.name], "shape": list(value.shape), "data_offsets": places}
        start += value.nbytes
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for value in arrays.values():
            file.write(value.tobytes())
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return save(tmp_path_factory.mktemp("weights") / "inception.safetensors", drawn(), note={"format": "pt"})


@pytest.fixture(scope="module")
def weights(file):
    return read_weights(file)[0]


def test_features_are_those_of_the_port(weights):
    found = features(weights, pictures())
    assert (found.shape, found.dtype) == ((2, 2048), np.float32)
    np.testing.assert_allclose([part.mean(1) for part in np.split(found, ENDS, axis=1)], np.transpose(MEANS), atol=1e-3)
    np.testing.assert_allclose(found[:, CHOSEN], VALUES, atol=1e-3)


def test_gray_is_repeated_and_batches_do_not_matter(weights, monkeypatch):
    gray = pictures()[..., :1]
    alone = features(weights, gray)
    monkeypatch.setattr(inception, "BATCH", 2)
    three = features(weights, np.repeat(gray, 3, axis=3)[[0, 1, 0]])
    np.testing.assert_allclose(three, alone[[0, 1, 0]], atol=1e-3)
    assert np.abs(alone[0] - alone[1]).max() > 1
    assert features(weights, gray[:0]).shape == (0, 2048)


def test_the_network_has_the_layers_that_the_port_has():
    found = shapes()
    kernels = {name: shape for name, shape in found.items() if name.endswith("conv.weight")}
    assert len(kernels) == 94
    assert len(found) == 5 * 94
    assert sum(np.prod(shape) for shape in kernels.values()) == 21_751_136


def test_weights_are_read_from_both_kinds_of_file_and_known_by_their_digest(file, weights, tmp_path):
    arrays = {name: value.astype(np.float64) for name, value in drawn().items()}
    other = {"fc.weight": np.ones((3, 2)), "Conv2d_1a_3x3.bn.num_batches_tracked": np.ones((), np.int64)}
    np.savez(tmp_path / "a.npz", **arrays, **other)
    again, _ = read_weights(tmp_path / "a.npz")
    assert again.keys() == weights.keys()
    for name, parts in weights.items():
        for part, value in parts.items():
            np.testing.assert_array_equal(again[name][part], value)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert read_weights(file, digest.upper())[1] == digest
    with pytest.raises(DataError, match=f"has SHA-256 {digest}; expected {'0' * 64}"):
        read_weights(file, "0" * 64)


def small(monkeypatch, **shape):
    """A network of two arrays, so that files of it are quickly written."""
    wanted = {"a.conv.weight": (2, 3, 1, 1), **{f"a.bn.{part}": (2,) for part in PARTS}}
    monkeypatch.setattr(inception, "shapes", lambda: wanted)
    arrays = {name: np.ones(size, np.float32) for name, size in wanted.items()}
    return arrays | {name: np.ones(size, np.float32) for name, size in shape.items()}


PARTS = ("weight", "bias", "running_mean", "running_var")


def test_half_precision_is_read_and_normalisation_folded(tmp_path, monkeypatch):
    arrays = small(monkeypatch)
    arrays["a.conv.weight"] = np.arange(6, dtype=np.float16).reshape(2, 3, 1, 1)
    arrays["a.bn.weight"] = np.array([2.0, -1.0])
    arrays["a.bn.running_var"] = np.array([4.0, 0.25]) - 1e-3
    found = read_weights(save(tmp_path / "a.safetensors", arrays))[0]["a"]
    np.testing.assert_allclose(found["kernel"][0, 0], [[0, -6], [1, -8], [2, -10]], rtol=1e-6)
    np.testing.assert_allclose(found["bias"], [0.0, 3.0], atol=1e-6)  # 1 - 1 x 2 / 2 and 1 + 1 / 0.5


@pytest.mark.parametrize("save_as", ["a.safetensors", "a.npz"])
def test_arrays_that_are_missing_or_of_another_shape_are_told(tmp_path, monkeypatch, save_as):
    def refused(arrays, said):
        path = tmp_path / save_as
        save(path, arrays) if save_as.endswith("s") else np.savez(path, **arrays)
        with pytest.raises(DataError, match=said) as error:
            read_weights(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    arrays = small(monkeypatch)
    refused({"model": np.ones(3)}, "lacks 5 of 5 arrays, first 'a.conv.weight'; expected the names of pytorch-fid")
    refused({**arrays, "a.bn.bias": np.ones((3, 1))}, "1 arrays of other shapes, first 'a.bn.bias': 3x1; expected 2")
    refused({**arrays, "a.bn.bias": np.array([1, np.nan])}, "'a.bn.bias' with values")
    refused({**arrays, "a.bn.running_var": np.array([1.0, -1])}, "'a.bn.running_var' with values")
    refused({**arrays, "a.bn.bias": np.ones(2, np.int64)}, "'a.bn.bias'")


def test_files_that_hold_no_weights_are_refused_in_one_line(tmp_path, monkeypatch):
    arrays = small(monkeypatch)
    whole = save(tmp_path / "whole.safetensors", arrays).read_bytes()
    odd = {name: {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]} for name in arrays}
    text = json.dumps(odd).encode()

    def refused(name, data, said):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=said) as error:
            read_weights(tmp_path / name)
        assert "\n" not in str(error.value)

    refused("a.pth", b"", r"never loaded; convert it .*torch.load\(FILE, weights_only=True\)")
    refused("a.h5", b"", "kind '.h5'; expected .safetensors or .npz")
    refused("a.safetensors", b"", "header cannot be read")
    refused("a.safetensors", b"\xff" * 100, "header cannot be read")
    refused("a.safetensors", (9).to_bytes(8, "little") + b"[" * 9, "header cannot be read")
    refused("a.safetensors", (2).to_bytes(8, "little") + b"[]", "header cannot be read")
    refused("a.safetensors", whole[:-1], "'a.bn.running_var' a place that it cannot have")
    refused("a.safetensors", len(text).to_bytes(8, "little") + text + bytes(99), "a place that it cannot have")
    refused("a.npz", whole, "no .npz file")
    np.savez(tmp_path / "b.npz", **{**arrays, "a.bn.bias": np.array([{}, {}])}, allow_pickle=True)
    refused("b.npz", (tmp_path / "b.npz").read_bytes(), "'a.bn.bias', which cannot be read")
    with pytest.raises(DataError, match="does not exist"):
        read_weights(tmp_path / "none.npz")
    monkeypatch.setattr(weightfiles, "LARGEST", 20_000)
    np.savez_compressed(tmp_path / "c.npz", **arrays, zeros=np.zeros(10_000))
    refused("c.npz", (tmp_path / "c.npz").read_bytes(), "unpacks to 8")
    refused("a.safetensors", bytes(20_001), "expected no more than")
