"""Scenes in the layout of SRN (Sitzmann et al., 2019): rgb/, pose/ and intrinsics.txt, in folders or inside a zip.

A picture rgb/000012.png belongs to the pose pose/000012.txt, 16 numbers: camera to world, x right, y down, z forward.
intrinsics.txt has `focal cx cy 0.` on its first line and `height width` on its last one, in pixels.
"""

import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from functa_cli.errors import DataError
from functa_cli.folder import listing, safe_id

PICTURES = (".png", ".jpg", ".jpeg", ".webp")
ROTATION = 1e-3  # how far a rotation may be from an orthonormal one
FEWEST = 2  # views of a scene
LARGEST = 1 << 28  # bytes of one file inside a zip


class Files:
    """Names of the files of a data set, and what is in them; in a folder or in zips, which are never unpacked.

    A folder without scenes of its own is read as the zips that lie in it. Where there are several, the names of what
    is in each begin with its own.
    """

    def __init__(self, path: Path):
        """Raises DataError: nothing there, or a zip that cannot be read."""
        self.problems: list[tuple[str, str]] = []
        self._zipped: dict[str, tuple[zipfile.ZipFile, str]] = {}
        self._lock = threading.Lock()  # a zip has one place where it reads
        if path.is_file():
            self.root = path.with_suffix("")
            try:
                self._add(path, "", path.name)
            except DataError as error:
                raise DataError(f"{str(path)!r} {error}") from None
            self.names = sorted(self._zipped)
            return
        found = listing(path, (*PICTURES, ".txt", ".zip"))
        self.root = found.root
        self.problems.extend(found.problems)
        zips = [name for name in found.names if name.lower().endswith(".zip")]
        self.names = [name for name in found.names if name not in zips]
        if any({"rgb", "pose"} & {*name.split("/")[:-1]} for name in self.names):
            return
        for name in zips:
            try:
                self._add(path / name, f"{name[:-4]}/" if len(zips) > 1 else "", name)
            except DataError as error:
                self.problems.append((name, str(error)))
        self.names = sorted({*self.names, *self._zipped})

    def read(self, name: str) -> bytes:
        """Bytes of a file. Raises DataError, whose text is the reason alone."""
        try:
            if name not in self._zipped:
                return (self.root / name).read_bytes()
            archive, inside = self._zipped[name]
            with self._lock:
                if archive.getinfo(inside).file_size > LARGEST:
                    raise DataError(f"claims more than {LARGEST >> 20} MB inside its zip")
                return archive.read(inside)
        except PermissionError:
            raise DataError("may not be read (permission denied)") from None
        except DataError:
            raise
        except Exception as error:  # zipfile passes on what its decoders raise
            what = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"cannot be read: {what}") from None

    def _add(self, path: Path, front: str, shown: str) -> None:
        """Take in what a zip holds, under names that begin with `front`."""
        archive = _opened(path)
        outside = []
        for inside in archive.namelist():
            plain = inside.replace("\\", "/").removeprefix("./")
            parts = PurePosixPath(plain).parts
            if ".." in parts or plain.startswith("/"):
                outside.append(inside)
            elif not plain.endswith("/") and not any(part.startswith((".", "__MACOSX")) for part in parts):
                self._zipped[front + plain] = archive, inside
        if outside:
            reason = f"{len(outside)} names in it lead out of it and are passed over, such as {safe_id(outside[0])}"
            self.problems.append((shown, reason))


class Intrinsics(NamedTuple):
    """A pinhole camera, in pixels."""

    focal: float
    centre: tuple[float, float]  # x, y
    rows: int
    columns: int

    def at(self, rows: int, columns: int) -> "Intrinsics":
        """The same camera with pictures of another size."""
        x, y = self.centre
        down, across = rows / self.rows, columns / self.columns
        return Intrinsics(self.focal * down, (x * across, y * down), rows, columns)


class Scene(NamedTuple):
    """A scene whose text files are read and whose pictures are not."""

    id: str
    pictures: tuple[str, ...]  # names, in the order of their stems
    poses: np.ndarray  # [views, 4, 4] float64, camera to world, x right, y down, z forward
    intrinsics: Intrinsics


def scenes(files: Files, *, opengl: bool = False) -> tuple[list[Scene], list[tuple[str, str]]]:
    """Scenes in the order of their names, and the files and folders that cannot be used, with the reason.

    `opengl`: poses have y up and z backward; they are turned.
    """
    folders: dict[str, dict[str, dict[str, str]]] = {}
    for name in files.names:
        parts = name.split("/")
        if parts[-1] == "intrinsics.txt":
            folders.setdefault("/".join(parts[:-1]), {}).setdefault("intrinsics", {})["."] = name
        elif len(parts) > 1 and parts[-2] in ("rgb", "pose"):
            suffix = PurePosixPath(parts[-1]).suffix.lower()
            if suffix in (PICTURES if parts[-2] == "rgb" else (".txt",)):
                kinds = folders.setdefault("/".join(parts[:-2]), {})
                kinds.setdefault(parts[-2], {})[PurePosixPath(parts[-1]).stem] = name
    found, problems = [], list(files.problems)
    for folder in sorted(folders):
        name = safe_id(folder or files.root.name)
        try:
            found.append(_scene(files, name, folders[folder], problems, opengl=opengl))
        except DataError as error:
            problems.append((name, str(error)))
    return found, problems


def _scene(
    files: Files, name: str, kinds: dict[str, dict[str, str]], problems: list[tuple[str, str]], *, opengl: bool
) -> Scene:
    lacking = [what for what in ("rgb", "pose", "intrinsics") if what not in kinds]
    if lacking:
        shown = ", ".join("intrinsics.txt" if what == "intrinsics" else f"{what}/" for what in lacking)
        raise DataError(f"has no {shown}; a scene has rgb/, pose/ and intrinsics.txt")
    intrinsics = parse_intrinsics(files.read(kinds["intrinsics"]["."]))
    pictures, poses = kinds["rgb"], kinds["pose"]
    alone = sorted({*pictures} ^ {*poses})
    if alone:
        what = "pose" if alone[0] in pictures else "picture"
        problems.append((name, f"{len(alone)} views lack a partner; the first, {safe_id(alone[0])}, has no {what}"))
    kept, matrices = [], []
    for stem in sorted({*pictures} & {*poses}):
        try:
            matrix = parse_pose(files.read(poses[stem]))
        except DataError as error:
            problems.append((safe_id(poses[stem]), str(error)))
            continue
        kept.append(pictures[stem])
        matrices.append(matrix)
    if len(kept) < FEWEST:
        raise DataError(f"has {len(kept)} usable views; expected at least {FEWEST}")
    stacked = np.stack(matrices)
    if opengl:
        stacked = stacked @ np.diag([1.0, -1.0, -1.0, 1.0])
    ahead = -np.einsum("vi,vi->v", stacked[:, :3, 2], stacked[:, :3, 3])
    if (ahead < 0).all():
        other = "leave --axes out" if opengl else "if they have y up and z backward, give --axes opengl"
        raise DataError(f"all {len(kept)} cameras look away from the origin; {other}")
    return Scene(name, tuple(kept), stacked, intrinsics)


def parse_intrinsics(data: bytes) -> Intrinsics:
    """The camera in intrinsics.txt. Raises DataError, whose text is the reason alone."""
    lines = [line.split() for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    try:
        numbers = [[float(word) for word in line] for line in lines]
        focal, x, y = numbers[0][:3]
        rows, columns = numbers[-1]
        if len(numbers) < 2 or len(numbers[0]) not in (3, 4):
            raise ValueError
    except (ValueError, IndexError):
        raise DataError(
            "has an intrinsics.txt that is not `focal cx cy 0.` on its first line and `height width` on its last"
        ) from None
    if not (np.isfinite([focal, x, y]).all() and focal > 0):
        raise DataError(
            f"has a focal length of {focal:g} and a centre of {x:g}, {y:g}; expected a focal length above 0"
        )
    if not (rows >= 1 and columns >= 1 and rows == int(rows) and columns == int(columns)):
        raise DataError(f"has an intrinsics.txt with pictures of {rows:g} x {columns:g} pixels")
    return Intrinsics(focal, (x, y), int(rows), int(columns))


def parse_pose(data: bytes) -> np.ndarray:
    """A pose [4, 4]. Raises DataError, whose text is the reason alone."""
    try:
        numbers = [float(word) for word in data.decode("utf-8").split()]
    except ValueError:
        raise DataError("is not a pose of 16 numbers but text") from None
    if len(numbers) != 16:
        raise DataError(f"holds {len(numbers)} numbers; a pose is a 4 x 4 matrix of 16")
    matrix = np.array(numbers).reshape(4, 4)
    if not np.isfinite(matrix).all():
        raise DataError("holds numbers that are not finite")
    if np.abs(matrix[3] - [0, 0, 0, 1]).max() > ROTATION:
        raise DataError(f"has the last row {_shown(matrix[3])}; that of a pose is 0 0 0 1")
    turn = matrix[:3, :3]
    if np.abs(turn @ turn.T - np.eye(3)).max() > ROTATION:
        raise DataError("is not rigid: its 3 x 3 part is no rotation")
    if np.linalg.det(turn) < 0:
        raise DataError("is mirrored: its 3 x 3 part has a determinant of -1")
    return matrix


def format_pose(matrix: np.ndarray) -> str:
    """A pose as a line of 16 numbers that reads back as the same."""
    return " ".join(repr(float(number)) for number in matrix.reshape(-1)) + "\n"


def format_intrinsics(camera: Intrinsics) -> str:
    """intrinsics.txt of a camera."""
    x, y = camera.centre
    return f"{camera.focal!r} {x!r} {y!r} 0.\n0. 0. 0.\n1.\n{camera.rows} {camera.columns}\n"


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        if path.stat().st_size == 0:
            raise DataError("is empty (0 bytes)")
        return zipfile.ZipFile(path)
    except PermissionError:
        raise DataError("may not be read (permission denied)") from None
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise DataError(f"cannot be read as a zip ({error}); a part may be missing, fetch it again") from None


def _shown(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:g}" for number in numbers)
