"""Coordinates of points: cells of grids in [0, 1], places on the unit sphere, and rays of cameras."""

import math

import numpy as np

# SRN poses have y down and z forward; the released code turns them into y up and z backward (OpenGL).
OPENCV_TO_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def grid(shape: tuple[int, ...], start: int = 0, stop: int | None = None) -> np.ndarray:
    """Cell centres of a grid of `shape` in [0, 1], (row, column) order: float32 [n, axes], the last axis fastest.

    `start`, `stop`: only these of the points, without making the others.
    """
    chosen = np.arange(start, math.prod(shape) if stop is None else stop)
    places = np.unravel_index(chosen, shape)
    axes = [((np.arange(size) + 0.5) / size).astype(np.float32) for size in shape]
    return np.stack([axis[place] for axis, place in zip(axes, places)], axis=-1)


def sphere(latitude: np.ndarray, longitude: np.ndarray, start: int = 0, stop: int | None = None) -> np.ndarray:
    """Points on the unit sphere (A.1) of the grid latitude [rows] x longitude [columns], degrees: float32 [n, 3].

    (cos lat cos lon, cos lat sin lon, sin lat), longitude fastest; `start`, `stop` as for `grid`.
    """
    rows, columns = len(latitude), len(longitude)
    chosen = np.arange(start, rows * columns if stop is None else stop)
    row, column = np.divmod(chosen, columns)
    high, round_ = np.deg2rad(np.asarray(latitude, np.float64)), np.deg2rad(np.asarray(longitude, np.float64))
    flat = np.cos(high)[row]
    points = np.stack([flat * np.cos(round_)[column], flat * np.sin(round_)[column], np.sin(high)[row]], axis=-1)
    return points.astype(np.float32)


def rays(
    pose: np.ndarray, focal: float, centre: tuple[float, float], row: np.ndarray, column: np.ndarray
) -> np.ndarray:
    """Rays through the centres of pixels (Listing 1 as the released code has it): float32 [n, 6].

    `pose` [4, 4]: camera to world, x right, y down, z forward (SRN, OpenCV). `focal` and `centre` (x, y) in pixels.
    `row`, `column` [n]: pixels. A ray is its origin and its direction, whose component along the view axis is 1.
    """
    turned = np.asarray(pose, np.float64) @ OPENCV_TO_OPENGL
    across = (column + 0.5 - centre[0]) / focal
    down = (row + 0.5 - centre[1]) / focal
    directions = np.stack([across, -down, -np.ones_like(across)], axis=-1) @ turned[:3, :3].T
    origins = np.broadcast_to(turned[:3, 3], directions.shape)
    return np.concatenate([origins, directions], axis=-1).astype(np.float32)
