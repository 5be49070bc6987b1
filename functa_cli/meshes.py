"""Meshes to occupancy, by the winding number at cell centres, and probabilities to meshes, by marching cubes.

Needs the extra `mesh` (trimesh, scikit-image), which is imported when it is used.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli.errors import DataError
from functa_cli.folder import check_regular

SUFFIXES = (".off", ".obj", ".ply", ".stl", ".glb")
SHARE = 0.9  # of the grid's side that the longest side of a mesh takes
PAIRS = 1 << 21  # of a triangle and a column of cells that are looked at together
OFFSET = np.array([1.31e-4, 0.79e-4])  # cells: columns aside from edges, which often pass through cell centres
INSTALL = "needs trimesh and scikit-image: pip install 'functa[mesh]'"


def missing() -> str | None:
    """Why meshes can be neither read nor written, or None."""
    found = all(importlib.util.find_spec(name) for name in ("trimesh", "skimage"))
    return None if found else f"is a mesh, which {INSTALL}"


def check(path: Path) -> None:
    """Raise DataError where `path` is no file with something in it; the text is the reason alone."""
    check_regular(path)
    if path.stat().st_size == 0:
        raise DataError("is empty (0 bytes)")


def read(path: Path, size: int) -> np.ndarray:
    """Occupancy, bool [size, size, size] in axes (x, y, z), of the mesh in `path`.

    The mesh is moved and scaled, all axes alike, so that its longest side takes 90 % of the grid and it is centred. A
    cell is occupied where the surface winds around its centre, as most of the three axes say, so that solids may
    overlap, faces may be turned and a few may be missing. What is thinner than a cell may be lost.

    Raises:
        DataError: not a mesh; the text is the reason alone.
    """
    corners = _triangles(path)
    low, high = corners.min((0, 1)), corners.max((0, 1))
    longest = float((high - low).max())
    if not longest > 0:
        raise DataError("holds a mesh without extent")
    corners = ((corners - (low + high) / 2) / longest * SHARE + 0.5) * size
    votes = np.zeros((size, size, size), np.int8)
    for axis in range(3):
        order = [(axis + 1) % 3, (axis + 2) % 3, axis]
        votes += _votes(corners[..., order], size).transpose(np.argsort(order))
    return votes > 0


def surface(field: np.ndarray, level: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Closed surface where a field [x, y, z] over the unit cube crosses `level`, seen from outside.

    Returns vertices [v, 3] in [0, 1] and faces int [f, 3],
    counter-clockwise from outside.

    Raises:
        DataError: nothing is above `level`, or scikit-image is not installed.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError:
        raise DataError(f"a mesh {INSTALL}") from None
    padded = np.pad(field.astype(np.float32), 1)  # a shape that touches the border is closed there
    if not padded.max() > level:
        raise DataError(f"nothing is above the threshold {level:g}, so there is no surface to write; lower --threshold")
    padded[np.abs(padded - level) < 1e-5] = level - 1e-5  # a surface through a corner would pinch there
    vertices, faces, _, _ = marching_cubes(padded, level, gradient_direction="ascent", method="lorensen")
    return (vertices.astype(np.float64) - 0.5) / np.array(field.shape), faces


def write(path: Path, vertices: np.ndarray, faces: np.ndarray, kind: str) -> None:
    """Write a mesh as "glb", "ply", "obj" or "stl".

    Raises:
        DataError: trimesh is not installed.
    """
    try:
        import trimesh
    except ImportError:
        raise DataError(f"a mesh {INSTALL}") from None
    data: Any = trimesh.Trimesh(vertices, faces, process=False).export(file_type=kind)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def _triangles(path: Path) -> np.ndarray:
    """Corners of the triangles of a mesh file: float64 [f, 3, 3]; nothing beside the file is read."""
    try:
        import trimesh
    except ImportError:
        raise DataError(f"is a mesh, which {INSTALL}") from None
    try:
        check(path)
        with path.open("rb") as file:
            scene = trimesh.load_scene(file, file_type=path.suffix[1:].lower(), process=False, skip_materials=True)
        corners = np.asarray(scene.to_mesh().triangles, np.float64)
    except (DataError, MemoryError):
        raise
    except PermissionError:
        raise DataError("may not be read (permission denied)") from None
    except Exception as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"cannot be read as {path.suffix.lower()}: {what}") from None
    if not len(corners):
        raise DataError("holds a mesh without triangles")
    if not np.isfinite(corners).all():
        raise DataError("holds a mesh with corners that are not finite")
    return corners


def _votes(corners: np.ndarray, size: int) -> np.ndarray:
    """1 inside, -1 outside, 0 unknown, int8 [x, y, z], by rays along z; `corners` [f, 3, 3] in cells.

    Each ray sums the turns of the surfaces that it crosses. Where they do not add up to 0 at its end, faces are turned
    or missing: then it counts crossings, and where their number is odd it knows nothing.
    """
    turns, crossings = np.zeros((2, size * size * (size + 1)), np.int32)
    low = np.clip(np.ceil(corners[..., :2].min(1) - 0.5 - OFFSET), 0, size).astype(int)
    high = np.clip(np.floor(corners[..., :2].max(1) - 0.5 - OFFSET) + 1, 0, size).astype(int)
    wide = np.maximum(high - low, 0)
    pairs = wide[:, 0] * wide[:, 1]
    used = np.flatnonzero(pairs)
    groups = np.cumsum(pairs[used]) // PAIRS
    for part in np.split(used, np.flatnonzero(np.diff(groups)) + 1) if len(used) else ():
        which = np.repeat(part, pairs[part])
        within = np.arange(len(which)) - np.repeat(np.cumsum(pairs[part]) - pairs[part], pairs[part])
        column = low[which] + np.stack([within // wide[which, 1], within % wide[which, 1]], axis=-1)
        hit, height, sign = _crossed(corners[which], column + 0.5 + OFFSET)
        first = np.clip(np.ceil(height - 0.5), 0, size).astype(int)  # the lowest centre above the crossing
        places = ((column[hit, 0] * size + column[hit, 1]) * (size + 1)) + first
        cells = len(turns)
        turns += np.bincount(places, sign, cells).astype(np.int32)
        crossings += np.bincount(places, minlength=cells).astype(np.int32)
    winding = np.cumsum(turns.reshape(size, size, size + 1), axis=2)
    crossed = np.cumsum(crossings.reshape(size, size, size + 1), axis=2)
    inside = np.where(winding[..., -1:] == 0, winding != 0, crossed % 2 == 1)
    known = (winding[..., -1:] == 0) | (crossed[..., -1:] % 2 == 0)
    return np.where(known, np.where(inside, 1, -1), 0)[..., :size].astype(np.int8)


def _crossed(corners: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which vertical lines through `points` [p, 2] cross their triangles [p, 3, 3], at which height, and the turn.

    The turn is 1 where the ray, going up, enters, and -1 where it leaves.
    """
    flat, height = corners[..., :2] - points[:, None], corners[..., 2]
    areas = np.stack([_cross(flat[:, 1], flat[:, 2]), _cross(flat[:, 2], flat[:, 0]), _cross(flat[:, 0], flat[:, 1])])
    total = areas.sum(0)
    hit = ((areas >= 0).all(0) | (areas <= 0).all(0)) & (np.abs(total) > 1e-12)
    return hit, (areas[:, hit] * height[hit].T).sum(0) / total[hit], -np.sign(total[hit])


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
