"""Small sets of scenes whose pictures say which view they are of, for the tests of scenes."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from functa_cli.cameras import looking
from functa_cli.srn import Intrinsics, format_intrinsics, format_pose
from functa_cli.views import Views
from functa_cli.viewset import Options, ViewSource

FOCAL = 6.0
RADIUS = 1.3


def poses(count: int, up=(0.0, 1.0, 0.0)) -> np.ndarray:
    """Poses [count, 4, 4] of cameras in a spiral around the origin, at a distance of 1.3."""
    angles = np.linspace(0, 5, count)
    height = np.linspace(0.1, 0.8, count)[:, None]
    up, side = np.array(up), np.roll(up, 1)
    flat = np.cos(angles)[:, None] * side + np.sin(angles)[:, None] * np.cross(up, side)
    return looking(RADIUS * (np.sqrt(1 - height**2) * flat + height * up), up)


def save_scene(
    folder: Path, count: int, *, size=(6, 6), number: int = 0, up=(0.0, 1.0, 0.0), turn: Callable[[Any], Any] = np.array
) -> Path:
    """Write a scene; the red of a view is ten times its number, its green that of the scene, its blue the pixel."""
    rows, columns = size
    for name in ("rgb", "pose"):
        (folder / name).mkdir(parents=True)
    for view, pose in enumerate(poses(count, up)):
        picture = np.full((rows, columns, 3), 10 * view, np.uint8)
        picture[..., 1] = 10 * number
        picture[..., 2] = np.arange(rows * columns).reshape(rows, columns) % 256
        Image.fromarray(picture).save(folder / f"rgb/{view:06d}.png")
        (folder / f"pose/{view:06d}.txt").write_text(format_pose(turn(pose)))
    camera = Intrinsics(FOCAL * rows / 6, (columns / 2, rows / 2), rows, columns)
    (folder / "intrinsics.txt").write_text(format_intrinsics(camera))
    return folder


def set_of_two(folder: Path, count: int = 10, **options) -> None:
    """Write cars_train/a and cars_test/b."""
    save_scene(folder / "cars_train/a", count, number=1, **options)
    save_scene(folder / "cars_test/b", count, number=2, **options)


def colours_of(features: np.ndarray) -> list[int]:
    """Views that colours [n, 3] are from, by their red: uint8, or in [0, 1]."""
    values = features if features.dtype == np.uint8 else np.rint(features * 255)
    return sorted({int(red) // 10 for red in values[:, 0]})


def zipped(folder: Path, path: Path) -> Path:
    """Pack what is in a folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder))
    return path


def opened(path: Path, *, seed: int = 0, given: dict | None = None, **options) -> ViewSource:
    return ViewSource(path, Options(**options), seed=seed, geometry=given)


def views(path: Path, size=None, background: str = "white", **options) -> Views:
    return Views(path, size, background, **options)


def read(found: Views, index: int = 0) -> dict[int, np.ndarray]:
    """Colours of the views of a scene that can be read, by their places."""
    return dict(found.readable(index, range(len(found.scenes[index].poses))))
