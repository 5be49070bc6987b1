"""Nested dictionaries of arrays in Zarr groups, and the fingerprint that tells base networks apart."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

Tree = dict[str, Any]  # names to arrays or to trees
MEANING = ("field", "inner", "render")  # tables of settings without which the numbers say nothing
COMPRESSOR = BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle")


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Paths such as "field/map/kernel" and arrays, sorted by path."""
    for name in sorted(tree):
        value = tree[name]
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{name}/")
        else:
            yield path + name, np.asarray(value)


def write_tree(group: zarr.Group, tree: Tree, where: str = "") -> None:
    """Write every leaf as one array; its dimensions get names of their own, so that xarray opens the store.

    `where`: begins these names, where a store has several trees.
    """
    for path, value in leaves(tree, where and f"{where}/"):
        name, path = path.replace("/", "."), path.removeprefix(where and f"{where}/")
        array = group.create_array(
            path,
            shape=value.shape,
            dtype=value.dtype,
            chunks=tuple(max(size, 1) for size in value.shape),
            compressors=[COMPRESSOR],
            dimension_names=[f"{name}.dim{axis}" for axis in range(value.ndim)],
        )
        array[...] = value


def read_tree(group: zarr.Group) -> Tree:
    """The tree below a group, as numpy arrays. Raises what zarr raises where it is damaged."""
    tree: Tree = {name: np.asarray(array[...]) for name, array in group.arrays()}
    tree.update({name: read_tree(inside) for name, inside in group.groups()})
    return tree


def fingerprint(tree: Tree, config: dict[str, Any]) -> str:
    """SHA-256 in hexadecimal of all leaves and of the settings in `config` that give them their meaning."""
    meaning = {key: config[key] for key in MEANING if key in config}
    digest = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode())
    for path, value in leaves(tree):
        digest.update(f"{path} {value.dtype.str} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
