"""Voxels: shapes as grids of occupancy (A.1), from voxel files and meshes, and back to both."""

import contextlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli import binvox, meshes, voxelfiles
from functa_cli.coords import grid
from functa_cli.errors import DataError
from functa_cli.folder import listing
from functa_cli.modality import DecodeOptions, Form, Geometry, Match, Modality, Scores, Shape, Target, by
from functa_cli.occupancy import surface_points
from functa_cli.shading import shaded
from functa_cli.shapes import SUFFIXES
from functa_cli.sheets import contact_sheet
from functa_cli.voxelfiles import parse_sizes
from functa_cli.voxels import Options, VoxelSource

NAMED = (".binvox", *meshes.SUFFIXES)  # names that say enough; arrays are looked into
LOOKED_AT = 3  # arrays, by `accepts`
LARGEST_READ = 256  # cells along an axis of those that it reads


@dataclass(frozen=True)
class VoxelDecodeOptions(DecodeOptions):
    """Settings of decode for voxels."""

    threshold: float = field(default=0.5, metadata={"help": "Probability above which a cell is occupied."})


def accepts(path: Path) -> Match | None:
    """Why a path is voxel data: arrays that hold occupancies, or names; looks at 1,000 files and into 3 at most."""
    found = listing(path, SUFFIXES, most=1000)
    names = [name for name in found.names if Path(name).suffix.lower() in SUFFIXES]
    for name in [name for name in names if Path(name).suffix.lower() not in NAMED][:LOOKED_AT]:
        with contextlib.suppress(DataError):
            held = voxelfiles.look(found.root / name)
            if len(set(held.shape)) == 1:
                if held.shape[0] <= LARGEST_READ:
                    next(voxelfiles.grids(found.root / name))
                count = "a grid" if held.count is None else f"{held.count} grids"
                return Match(2, f"{count} of {by(held.shape)} voxels in {Path(name).name}")
    kinds = [Path(name).suffix.lower() for name in names if Path(name).suffix.lower() in NAMED]
    if not kinds:
        return None
    common = max(sorted(set(kinds)), key=kinds.count)
    if path.is_file():
        return Match(1, f"a {common} file")
    return Match(1, f"{kinds.count(common)}{'+' if len(names) >= 1000 else ''} {common} files")


def target(geometry: Geometry, shape: Shape, resolution: str, options: VoxelDecodeOptions) -> Target:
    """Decode at the grid that `resolution` names, or at the shape's own."""
    return Target(parse_sizes(resolution) if resolution else shape, {**geometry, "threshold": options.threshold})


def query(geometry: Geometry, shape: Shape, start: int, stop: int) -> np.ndarray:
    """Coordinates [stop - start, 3] of these cells of a grid of `shape`."""
    del geometry
    return grid(shape, start, stop)


def assemble(geometry: Geometry, features: np.ndarray, shape: Shape) -> np.ndarray:
    """Probability of occupancy, float32 [x, y, z] in [0, 1], from features [n, 1]; others are clipped, NaN is 0."""
    del geometry
    return np.clip(np.nan_to_num(features, nan=0.0), 0.0, 1.0).astype(np.float32).reshape(shape)


def write_npz(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Write occupancy, bool [x, y, z], as array `voxels`."""
    with path.open("wb") as file:
        np.savez_compressed(file, voxels=array > _threshold(geometry))


def write_binvox(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Write occupancy as .binvox, at the place in the world that the data had."""
    low, scale = _world(geometry)
    binvox.write(path, array > _threshold(geometry), tuple(low), scale)


def write_mesh(path: Path, array: np.ndarray, geometry: Geometry, *, kind: str) -> None:
    """Write the surface at the threshold, in the unit cube or at the place in the world that the data had."""
    low, scale = _world(geometry)
    vertices, faces = meshes.surface(array, _threshold(geometry))
    meshes.write(path, vertices * scale + low, faces, kind)


def sheet(path: Path, rows: Any, geometry: Geometry) -> None:
    """Write a PNG of shaded shapes."""
    draw = partial(shaded, level=_threshold(geometry))
    contact_sheet(path, [[None if array is None else draw(array) for array in row] for row in rows], geometry)


def cloud(array: np.ndarray, points: int, rng: np.random.Generator) -> np.ndarray | None:
    """Points float32 [points, 3] in [0, 1] on the surface at probability 0.5; None where no cell is occupied."""
    return surface_points(array > 0.5, points, rng)


def example(folder: Path) -> None:
    """Write six grids of 8 x 8 x 8 cells in two classes: balls and boxes."""
    centres = grid((8, 8, 8)) - 0.5
    for number in range(6):
        size = 0.25 + 0.05 * number
        inside = np.linalg.norm(centres, axis=1) < size if number % 2 else np.abs(centres).max(1) < 0.8 * size
        path = folder / ("ball" if number % 2 else "box") / f"{number}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_npz(path, inside.reshape(8, 8, 8).astype(np.float32), {})


def sums(values: Any, features: Any, weights: Any) -> list[Any]:
    """Weight of cells that are right, of all, of those that both call occupied, and of those that either does."""
    said, true = values[..., 0] > 0.5, features[..., 0] > 0.5
    return [
        ((said == true) * weights).sum(-1),
        weights.sum(-1),
        ((said & true) * weights).sum(-1),
        ((said | true) * weights).sum(-1),
    ]


def figures(found: np.ndarray) -> np.ndarray:
    """Voxel accuracy (A.3) and intersection over union [datum, 2]; two empty shapes have an IoU of 1."""
    right, total, both, either = np.asarray(found, np.float64).T
    iou = np.where(either > 0, both / np.maximum(either, 1e-12), 1.0)
    return np.stack([right / np.maximum(total, 1e-12), iou], axis=-1)


def _threshold(geometry: Geometry) -> float:
    return geometry.get("threshold", 0.5)


def _world(geometry: Geometry) -> tuple[np.ndarray, float]:
    """World coordinates of the grid's lowest corner, and the length of its side."""
    world = geometry.get("world", {})
    return np.array(world.get("translate", (0.0, 0.0, 0.0))), world.get("scale", 1.0)


MODALITY = Modality(
    coord_dim=3,
    field_dim=3,
    options=Options,
    preset={"data": {"resolution": ""}},
    accepts=accepts,
    open=VoxelSource,
    target=target,
    query=query,
    assemble=assemble,
    forms={
        "npz": Form(".npz", write_npz),
        "binvox": Form(".binvox", write_binvox),
        **{kind: Form(f".{kind}", partial(write_mesh, kind=kind)) for kind in ("glb", "ply", "obj", "stl")},
    },
    sheet=sheet,
    axes=("x", "y", "z"),
    unit="shape",
    decode_options=VoxelDecodeOptions,
    scores=Scores(("accuracy", "iou"), sums, figures),
    cloud=cloud,
    worth=2.0,  # both measured on parts: shapes come in families, and what a functum gets wrong is a thin shell
    near=0.95,
    bits=1,
)
