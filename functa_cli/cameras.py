"""Cameras around a scene: which way is up, and orbits. Poses are camera to world, x right, y down, z forward."""

import math

import numpy as np


def up_of(poses: np.ndarray) -> np.ndarray:
    """The signed axis [3] that is nearest to the mean upward direction of cameras [views, 4, 4]."""
    mean = -poses[:, :3, 1].mean(axis=0)
    axis = np.zeros(3)
    place = int(np.abs(mean).argmax())
    axis[place] = 1.0 if mean[place] >= 0 else -1.0
    return axis


def radius_of(poses: np.ndarray) -> float:
    """Median distance of cameras [views, 4, 4] from the origin."""
    return float(np.median(np.linalg.norm(poses[:, :3, 3], axis=1)))


def orbit(count: int, radius: float, up: np.ndarray, elevation: float) -> np.ndarray:
    """Poses [count, 4, 4] of cameras on a circle around the axis `up`, looking at the origin; elevation in degrees."""
    side = np.roll(up, 1)
    third = np.cross(up, side)
    high = math.radians(elevation)
    angles = 2.0 * np.pi * np.arange(count) / count
    flat = np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * third
    return looking(radius * (math.cos(high) * flat + math.sin(high) * up), up)


def looking(places: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Poses [count, 4, 4] of cameras at `places` [count, 3] that look at the origin."""
    ahead = -places / np.linalg.norm(places, axis=1, keepdims=True)
    right = np.cross(ahead, up)
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    down = np.cross(ahead, right)
    poses = np.tile(np.eye(4), (len(places), 1, 1))
    poses[:, :3, :] = np.stack([right, down, ahead, places], axis=-1)
    return poses
