"""Scenes in the layout of SRN (Sitzmann et al., 2019): a folder with rgb/, pose/ and intrinsics.txt for each.

A picture rgb/000012.png belongs to the pose pose/000012.txt, 16 numbers: camera to world, x right, y down, z forward.
The lines of intrinsics.txt are `focal cx cy 0.`, two that have no influence here, and `height width`, in pixels; a
number other than 0 on a fifth line says that the poses are world to camera.
"""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from functa_cli.coords import OPENCV_TO_OPENGL
from functa_cli.errors import DataError
from functa_cli.folder import safe_id
from functa_cli.scenefiles import PICTURES, Files

ROTATION = 1e-3  # how far a rotation may be from an orthonormal one
FEWEST = 2  # views of a scene
LONGEST = 1 << 16  # bytes of a text file

Kinds = dict[str, dict[str, str]]  # "rgb", "pose", "intrinsics" -> stem -> name
Reasons = list[tuple[str, str]]  # what could not be used, and why


class Intrinsics(NamedTuple):
    """A pinhole camera with square pixels, in pixels."""

    focal: float
    centre: tuple[float, float]  # x, y
    rows: int
    columns: int

    def at(self, rows: int, columns: int) -> "Intrinsics":
        """The same camera with pictures of another size; where the aspect differs, what is seen across changes."""
        x, y = self.centre
        down, across = rows / self.rows, columns / self.columns
        return Intrinsics(self.focal * down, (x * across, y * down), rows, columns)


class Scene(NamedTuple):
    """A scene whose text files are read and whose pictures are not."""

    id: str
    pictures: tuple[str, ...]  # names, in the order of their stems
    poses: np.ndarray  # [views, 4, 4] float64, camera to world, x right, y down, z forward
    intrinsics: Intrinsics


def scenes(files: Files, problems: Reasons, *, opengl: bool = False) -> Iterator[Scene]:
    """Scenes in the order of their names, read one by one; what cannot be used is added to `problems`.

    `opengl`: poses have y up and z backward; they are turned.
    """
    folders = _folders(files.names)
    for folder in sorted(folders):
        name = safe_id(folder or files.root.resolve().name)
        try:
            scene = _scene(files, name, folders[folder], problems, opengl=opengl)
        except DataError as error:
            problems.append((name, str(error)))
        else:
            yield scene


def parse_intrinsics(data: bytes) -> tuple[Intrinsics, bool]:
    """The camera in intrinsics.txt, and whether poses are world to camera. Raises DataError with the reason alone."""
    lines = [line.split() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    try:
        numbers = [[float(word) for word in line] for line in lines]
        inverse = len(numbers) > 4 and len(numbers[-1]) == 1 and bool(numbers.pop()[0])
        focal, x, y = numbers[0][:3]
        rows, columns = numbers[-1]
        if len(numbers) < 2 or len(numbers[0]) > 4:
            raise ValueError
    except (ValueError, IndexError):
        raise DataError(
            "has an intrinsics.txt that is not `focal cx cy 0.` on its first line and `height width` on its fourth"
        ) from None
    if not (np.isfinite([focal, x, y]).all() and focal > 0):
        raise DataError(
            f"has an intrinsics.txt with the focal length {focal:g} and the centre {x:g}, {y:g}; "
            "expected a focal length above 0, in pixels"
        )
    if not (rows >= 1 and columns >= 1 and rows % 1 == 0 and columns % 1 == 0):
        raise DataError(f"has an intrinsics.txt with pictures of {rows:g} x {columns:g} pixels")
    return Intrinsics(focal, (x, y), int(rows), int(columns)), inverse


def parse_pose(data: bytes) -> np.ndarray:
    """A pose [4, 4], a rigid motion. Raises DataError, whose text is the reason alone."""
    try:
        numbers = [float(word) for word in data.decode("utf-8").split()]
    except ValueError:
        raise DataError("is not a pose of 16 numbers but something else") from None
    if len(numbers) != 16:
        raise DataError(f"holds {len(numbers)} numbers; a pose is a 4 x 4 matrix of 16" if numbers else "is empty")
    matrix = np.array(numbers).reshape(4, 4)
    if not np.isfinite(matrix).all():
        raise DataError("holds numbers that are not finite")
    if np.abs(matrix[3] - [0, 0, 0, 1]).max() > ROTATION:
        shown = " ".join(f"{number:g}" for number in matrix[3])
        raise DataError(f"has the last row {shown}; that of a pose is 0 0 0 1")
    turn = matrix[:3, :3]
    if np.abs(turn @ turn.T - np.eye(3)).max() > ROTATION:
        raise DataError("is not rigid: its 3 x 3 part is no rotation")
    if np.linalg.det(turn) < 0:
        raise DataError("is mirrored: its 3 x 3 part has a determinant of -1")
    return matrix


def look_away(poses: np.ndarray) -> bool:
    """Whether all cameras [views, 4, 4] look away from the origin: a sign of other axes."""
    return bool((np.einsum("vi,vi->v", poses[:, :3, 2], poses[:, :3, 3]) > 0).all())


def format_pose(matrix: np.ndarray) -> str:
    """A pose as a line of 16 numbers that reads back as the same."""
    return " ".join(repr(float(number)) for number in matrix.reshape(-1)) + "\n"


def format_intrinsics(camera: Intrinsics) -> str:
    """intrinsics.txt of a camera."""
    x, y = camera.centre
    return f"{camera.focal!r} {x!r} {y!r} 0.\n0. 0. 0.\n1.\n{camera.rows} {camera.columns}\n"


def _folders(names: Sequence[str]) -> dict[str, Kinds]:
    """The files of each scene, by its folder ("" = the root itself)."""
    found: dict[str, Kinds] = {}
    for name in names:
        *folders, last = name.split("/")
        path, inner = PurePosixPath(last), folders[-1] if folders else ""
        if last == "intrinsics.txt":
            found.setdefault("/".join(folders), {}).setdefault("intrinsics", {})[""] = name
        elif inner in ("rgb", "pose") and path.suffix.lower() in (PICTURES if inner == "rgb" else (".txt",)):
            found.setdefault("/".join(folders[:-1]), {}).setdefault(inner, {})[path.stem] = name
    return found


def _scene(files: Files, name: str, kinds: Kinds, problems: Reasons, *, opengl: bool) -> Scene:
    lacking = [what for what in ("rgb", "pose", "intrinsics") if what not in kinds]
    if lacking:
        shown = " and no ".join("intrinsics.txt" if what == "intrinsics" else f"{what}/" for what in lacking)
        raise DataError(f"has no {shown}; a scene has rgb/, pose/ and intrinsics.txt")
    camera, inverse = parse_intrinsics(files.read(kinds["intrinsics"][""], LONGEST))
    kept, matrices = [], []
    for stem in _paired(name, kinds["rgb"], kinds["pose"], problems):
        try:
            matrices.append(parse_pose(files.read(kinds["pose"][stem], LONGEST)))
            kept.append(kinds["rgb"][stem])
        except DataError as error:
            problems.append((safe_id(kinds["pose"][stem]), str(error)))
    if len(kept) < FEWEST:
        raise DataError(f"has {len(kept)} usable view{'s' * (len(kept) != 1)}; expected at least {FEWEST}")
    poses = np.linalg.inv(np.stack(matrices)) if inverse else np.stack(matrices)
    poses = poses @ OPENCV_TO_OPENGL if opengl else poses
    _check(poses, opengl=opengl)
    return Scene(name, tuple(kept), poses, camera)


def _paired(name: str, pictures: dict[str, str], poses: dict[str, str], problems: Reasons) -> list[str]:
    """Stems that have both; the others are told of in one line a kind."""
    for ours, others, kind, other in ((pictures, poses, "picture", "pose"), (poses, pictures, "pose", "picture")):
        alone = sorted({*ours} - {*others})
        if alone:
            counted = f"1 {kind} has" if len(alone) == 1 else f"{len(alone)} {kind}s have"
            problems.append((name, f"{counted} no {other}: {safe_id(alone[0])}{', ...' * (len(alone) > 1)}"))
    return sorted({*pictures} & {*poses})


def _check(poses: np.ndarray, *, opengl: bool) -> None:
    """Raise DataError where all cameras together show that the poses mean something else."""
    places, ahead = poses[:, :3, 3], poses[:, :3, 2]
    size = np.linalg.norm(places, axis=1).max()
    if np.ptp(places, axis=0).max() < 1e-4 * size and np.ptp(ahead, axis=0).max() > 0.1:
        raise DataError(
            f"has {len(poses)} cameras at one place that look different ways; expected camera to world: if these "
            "poses are world to camera, invert them, or put a 1 on a fifth line of intrinsics.txt"
        )
    if look_away(poses):
        other = "leave --axes out" if opengl else "if they have y up and z backward, give --axes opengl"
        raise DataError(f"has {len(poses)} cameras that all look away from the origin; {other}")
