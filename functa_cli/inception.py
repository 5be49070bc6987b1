"""The Inception-v3 network of the Frechet Inception distance: weights of its PyTorch port from a file, and features.

The network is the TensorFlow one of 2015-12-05 with which the distance is defined (Heusel et al., 2017), under the
names of the port `pytorch-fid`. It differs from Inception-v3 elsewhere: average pools do not count what is padded, and
the last block has a max pool.
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functa_cli.errors import DataError
from functa_cli.modality import by
from functa_cli.weightfiles import Arrays, arrays_of, read_bytes

Tree = dict[str, dict[str, np.ndarray]]  # layers by name -> "kernel" [rows, columns, in, out] and "bias" [out], float32

FEATURES = 2048
BATCH = 16  # pictures that are looked at together
SIDE = 299  # pixels
EPSILON = 1e-3  # of batch normalisation


def _a(pooled: int) -> str:
    return f"""branch1x1:64:1x1
        branch5x5_1:48:1x1 branch5x5_2:64:5x5
        branch3x3dbl_1:64:1x1 branch3x3dbl_2:96:3x3 branch3x3dbl_3:96:3x3
        avg branch_pool:{pooled}:1x1"""


def _c(width: int) -> str:
    return f"""branch1x1:192:1x1
        branch7x7_1:{width}:1x1 branch7x7_2:{width}:1x7 branch7x7_3:192:7x1
        branch7x7dbl_1:{width}:1x1 branch7x7dbl_2:{width}:7x1 branch7x7dbl_3:{width}:1x7 branch7x7dbl_4:{width}:7x1 \
branch7x7dbl_5:192:1x7
        avg branch_pool:192:1x1"""


def _e(pool: str) -> str:
    return f"""branch1x1:320:1x1
        branch3x3_1:384:1x1 branch3x3_2a:384:1x3
        branch3x3_1:384:1x1 branch3x3_2b:384:3x1
        branch3x3dbl_1:448:1x1 branch3x3dbl_2:384:3x3 branch3x3dbl_3a:384:1x3
        branch3x3dbl_1:448:1x1 branch3x3dbl_2:384:3x3 branch3x3dbl_3b:384:3x1
        {pool} branch_pool:192:1x1"""


# Blocks in order. A line is a branch: what it does one after the other to what the block gets; the block gives all
# branches side by side. A layer is name:channels:kernel (rows x columns), "/2" steps by two without padding, "/1" steps
# by one without padding, and nothing keeps the size.
NETWORK = {
    "": """Conv2d_1a_3x3:32:3x3/2 Conv2d_2a_3x3:32:3x3/1 Conv2d_2b_3x3:64:3x3 max/2 \
Conv2d_3b_1x1:80:1x1 Conv2d_4a_3x3:192:3x3/1 max/2""",
    "Mixed_5b.": _a(32),
    "Mixed_5c.": _a(64),
    "Mixed_5d.": _a(64),
    "Mixed_6a.": """branch3x3:384:3x3/2
        branch3x3dbl_1:64:1x1 branch3x3dbl_2:96:3x3 branch3x3dbl_3:96:3x3/2
        max/2""",
    "Mixed_6b.": _c(128),
    "Mixed_6c.": _c(160),
    "Mixed_6d.": _c(160),
    "Mixed_6e.": _c(192),
    "Mixed_7a.": """branch3x3_1:192:1x1 branch3x3_2:320:3x3/2
        branch7x7x3_1:192:1x1 branch7x7x3_2:192:1x7 branch7x7x3_3:192:7x1 branch7x7x3_4:192:3x3/2
        max/2""",
    "Mixed_7b.": _e("avg"),
    "Mixed_7c.": _e("max"),
}


class Step(NamedTuple):
    """A word of the table."""

    name: str  # of a layer, or of a pool: "avg", "max"
    channels: int  # that it gives; 0: as many as it gets
    kernel: tuple[int, int]
    stride: int
    padding: str


def _step(word: str) -> Step:
    what, _, stride = word.partition("/")
    name, channels, kernel = what.split(":") if ":" in what else (what, "0", "3x3")
    rows, columns = kernel.split("x")
    return Step(name, int(channels), (int(rows), int(columns)), int(stride or 1), "VALID" if stride else "SAME")


BLOCKS = {
    block: [[_step(word) for word in line.split()] for line in text.splitlines()] for block, text in NETWORK.items()
}


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays that a file of weights holds, kernels as [out, in, rows, columns]."""
    found: dict[str, tuple[int, ...]] = {}
    entering = 3
    for block, branches in BLOCKS.items():
        leaving = []
        for branch in branches:
            width = entering
            for step in (step for step in branch if step.channels):
                found[f"{block}{step.name}.conv.weight"] = (step.channels, width, *step.kernel)
                for part in ("weight", "bias", "running_mean", "running_var"):
                    found[f"{block}{step.name}.bn.{part}"] = (step.channels,)
                width = step.channels
            leaving.append((block, branch[-1].name, width))
        entering = sum(width for *_, width in leaving)
    return found


def read_weights(path: str | Path, sha256: str | None = None) -> tuple[Tree, str]:
    """Weights in a .safetensors or .npz file with the names of `pytorch-fid`, and the file's SHA-256 in hexadecimal.

    Names: see `shapes`; others in the file, such as those of the classifier, are not read. Batch normalisation is
    folded into the layers. `sha256`: the digest that the file has to have.

    Raises:
        DataError: not such a file, arrays that are missing or of another shape, or another digest.
    """
    try:
        data, digest = read_bytes(Path(path), sha256)
        return _folded(_checked(arrays_of(Path(path), data))), digest
    except DataError as error:
        raise DataError(f"Inception weights {str(path)!r}: the file {error}") from None


def features(weights: Tree, pictures: np.ndarray) -> np.ndarray:
    """Features float32 [n, 2048], the mean of the last block, of pictures [n, rows, columns, 1 or 3] in [0, 1].

    Gray is repeated. Pictures are resized to 299 x 299, bilinearly between pixel centres and without smoothing before
    (as `pytorch-fid` does with align_corners=False; TensorFlow's own resize took corners for centres, which moves
    distances by a little), and scaled to [-1, 1]. 16 at a time; compiled once for every shape of pictures.
    """
    weights = jax.tree.map(jnp.asarray, weights)
    found = [np.zeros((0, FEATURES), np.float32)]
    for start in range(0, len(pictures), BATCH):
        batch = np.asarray(pictures[start : start + BATCH], np.float32)
        filled = np.resize(
            batch, (min(BATCH, len(pictures)), *batch.shape[1:])
        )  # the last batch has the shape of others
        found.append(np.asarray(_features(weights, filled))[: len(batch)])
    return np.concatenate(found)


@jax.jit
def _features(weights: Any, pictures: jax.Array) -> jax.Array:
    count, _, _, channels = pictures.shape
    x = jax.image.resize(
        pictures, (count, SIDE, SIDE, channels), "bilinear", antialias=False, precision=lax.Precision.HIGHEST
    )
    x = jnp.broadcast_to(2.0 * x - 1.0, (count, SIDE, SIDE, 3))
    for block, branches in BLOCKS.items():
        x = jnp.concatenate([_branch(weights, block, branch, x) for branch in branches], axis=-1)
    return x.mean((1, 2))


def _branch(weights: Any, block: str, branch: list[Step], x: jax.Array) -> jax.Array:
    for step in branch:  # branches that begin alike are computed once: the compiler sees it
        if step.channels:
            x = _layer(x, step, **weights[block + step.name])
        else:
            x = (_largest if step.name == "max" else _average)(x, step)
    return x


def _layer(x: jax.Array, step: Step, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    x = lax.conv_general_dilated(
        x,
        kernel,
        (step.stride,) * 2,
        step.padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=lax.Precision.HIGHEST,
    )
    return jax.nn.relu(x + bias)


def _largest(x: jax.Array, step: Step) -> jax.Array:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, *step.kernel, 1), (1, step.stride, step.stride, 1), step.padding)


def _average(x: jax.Array, step: Step) -> jax.Array:
    """Mean over the pixels that are there."""
    window = (1, *step.kernel, 1), (1, step.stride, step.stride, 1), step.padding
    there = lax.reduce_window(jnp.ones((1, *x.shape[1:3], 1)), 0.0, lax.add, *window)
    return lax.reduce_window(x, 0.0, lax.add, *window) / there


def _checked(arrays: Arrays) -> dict[str, np.ndarray]:
    """The arrays of `shapes`, all of them finite numbers of the right shape."""
    wanted = shapes()
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise DataError(
            f"lacks {len(missing)} of {len(wanted)} arrays, first {missing[0]!r}; expected the names of pytorch-fid"
        )
    found = {name: arrays[name]() for name in wanted}
    odd = [name for name, shape in wanted.items() if found[name].shape != shape]
    if odd:
        was, expected = by(found[odd[0]].shape), by(wanted[odd[0]])
        raise DataError(f"has {len(odd)} arrays of other shapes, first {odd[0]!r}: {was}; expected {expected}")
    for name, value in found.items():
        if value.dtype.kind != "f" or not np.isfinite(value).all() or (name.endswith("_var") and value.min() < 0):
            raise DataError(f"holds {name!r} with values that no such array has (NaN, infinite or negative variance)")
    return found


def _folded(arrays: dict[str, np.ndarray]) -> Tree:
    """Layers whose batch normalisation is part of kernel and bias."""
    weights = {}
    for name in (name.removesuffix(".conv.weight") for name in arrays if name.endswith(".conv.weight")):
        kernel, scale, offset, mean, variance = (
            arrays[f"{name}.{part}"].astype(np.float64)
            for part in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
        )
        scale = scale / np.sqrt(variance + EPSILON)
        kernel = kernel.transpose(2, 3, 1, 0) * scale
        weights[name] = {"kernel": kernel.astype(np.float32), "bias": (offset - mean * scale).astype(np.float32)}
    return weights
