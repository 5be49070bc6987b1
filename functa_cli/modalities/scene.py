"""Scenes: pictures of one thing from many known cameras, as rays [n, 6] whose colours a volume renderer integrates."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from functa_cli.animations import write_gif, write_webp
from functa_cli.cameras import looking, orbit
from functa_cli.coords import OPENCV_TO_OPENGL, rays
from functa_cli.errors import ConfigError, DataError
from functa_cli.modality import DecodeOptions, Form, Geometry, Match, Modality, Shape, Target
from functa_cli.pictures import parse_size
from functa_cli.scenefiles import Files
from functa_cli.sheets import contact_sheet
from functa_cli.srn import Intrinsics, format_intrinsics, format_pose, look_away, parse_intrinsics, parse_pose
from functa_cli.viewset import Options, ViewSource

AROUND = 12  # cameras where decode is not told others
LOOKED_AT = 1_000  # folders


@dataclass(frozen=True)
class SceneDecodeOptions(DecodeOptions):
    """Settings of decode for scenes."""

    orbit: int = field(default=0, metadata={"help": f"Cameras on a circle around the scene.  [default: {AROUND}]"})
    elevation: float = field(default=25.0, metadata={"help": "Degrees above the horizon of that circle."})
    poses: str = field(default="", metadata={"help": "Folder of pose .txt files (or a scene) to render instead."})
    depth: bool = field(default=False, metadata={"help": "Render distances instead of colours."})
    samples: int = field(default=0, metadata={"help": "Points on each ray.  [default: as the network was trained]"})


def accepts(path: Path) -> Match | None:
    """Why a path is scene data: folders with rgb/ and pose/ in them, or a zip of such, alone or in a folder."""
    if path.is_file():
        count, zips, more = 0, [path] if path.suffix.lower() == ".zip" else [], False
    else:
        count, zips, more = _looked(path)
    inside = ""
    if not count and zips:
        held = [_zipped(one) for one in zips[:LOOKED_AT]]
        if path.is_file() and held == [None]:
            return Match(1, "a .zip that cannot be read")  # what is wrong with it, reading it tells
        count = sum(number or 0 for number in held)
        inside = " in a zip" if len(zips) == 1 else f" in {len(zips)} zips"
    if not count:
        return None
    return Match(2, f"{'at least ' * more}{count} scene{'s' * (count != 1)} (rgb/, pose/){inside}")


def target(geometry: Geometry, shape: Shape, resolution: str, options: SceneDecodeOptions) -> Target:
    """Decode at the views of an orbit, or at given poses; pictures keep their size or get the one asked for.

    Raises:
        ConfigError: not a size, or settings out of range. DataError: poses that cannot be read.
    """
    rows, columns = parse_size(resolution) if resolution else shape[1:]
    for name in ("orbit", "samples"):
        if getattr(options, name) < 0:
            raise ConfigError(f"--{name} is a number above 0; found {getattr(options, name)}")
    if not -89.0 <= options.elevation <= 89.0:
        raise ConfigError(f"--elevation is between -89 and 89 degrees; found {options.elevation:g}")
    if options.poses and options.orbit:
        raise ConfigError("--orbit and --poses both say where the cameras are; give one of them")
    if options.poses:
        poses = _poses(options.poses, geometry.get("axes", "opencv"))
    else:
        poses = orbit(options.orbit or AROUND, geometry["radius"], np.array(geometry["up"]), options.elevation)
    seen: dict[str, Any] = {"kind": "depth"} if options.depth else {}
    if options.samples:
        seen["samples"] = options.samples
    own = {**geometry, "poses": poses.reshape(-1, 16).tolist()}
    return Target((len(poses), rows, columns), own, {**seen, "stratified": False})


def query(geometry: Geometry, shape: Shape, start: int, stop: int) -> np.ndarray:
    """Rays [stop - start, 6] of these pixels of the views of a target."""
    _, rows, columns = shape
    camera = _camera(geometry, rows, columns)
    chosen = np.arange(start, stop)
    view, pixel = np.divmod(chosen, rows * columns)
    row, column = np.divmod(pixel, columns)
    found = np.zeros((len(chosen), 6), np.float32)
    for number in np.unique(view):
        mine = view == number
        pose = np.array(geometry["poses"][number]).reshape(4, 4)
        found[mine] = rays(pose, camera.focal, camera.centre, row[mine], column[mine])
    return found


def assemble(geometry: Geometry, features: np.ndarray, shape: Shape) -> np.ndarray:
    """Pictures uint8 [views, rows, columns, 3] from colours, or distances float32 [views, rows, columns]."""
    del geometry
    if features.shape[-1] == 1:
        return np.nan_to_num(features.astype(np.float32))[:, 0].reshape(shape)
    values: np.ndarray = np.clip(np.nan_to_num(features), 0.0, 1.0)
    return np.rint(values * 255.0).astype(np.uint8).reshape(*shape, 3)


def picture(array: np.ndarray) -> np.ndarray:
    """Assembled views as float32 [views, rows, columns, 3] in [0, 1], or [views, rows, columns, 1] of distances."""
    return (_shown(array) / np.float32(255.0)).reshape(*array.shape[:3], -1)


def write_folder(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Write a scene in the layout of SRN, so that it can be read again.

    Distances become depth/, 16-bit PNG; depth_scale.txt says which number stands for a distance of 1: 10,000, or a
    smaller power of ten where the scene is too large for that.
    """
    kind = "depth" if array.ndim == 3 else "rgb"
    for name in (kind, "pose"):
        (path / name).mkdir(parents=True, exist_ok=True)
    if kind == "depth":
        scale = 10.0 ** min(4, np.floor(np.log10(65535 / max(float(array.max()), 1e-6))))
        (path / "depth_scale.txt").write_text(f"{scale:g}\n")
        array = np.rint(np.clip(array * scale, 0, 65535)).astype(np.uint16)
    for number, (frame, pose) in enumerate(zip(array, geometry["poses"])):
        Image.fromarray(frame).save(path / kind / f"{number:06d}.png", format="PNG")
        (path / "pose" / f"{number:06d}.txt").write_text(format_pose(np.array(pose)))
    rows, columns = array.shape[1:3]
    (path / "intrinsics.txt").write_text(format_intrinsics(_camera(geometry, rows, columns)))


def sheet(path: Path, rows: Sequence[Sequence[np.ndarray | None]], geometry: Geometry) -> None:
    """Write a PNG of the first view of each."""
    contact_sheet(path, [[None if array is None else _shown(array)[0] for array in row] for row in rows], geometry)


def example(folder: Path) -> None:
    """Write three scenes of 4 views of 6 x 6 pixels, one of them a test scene: a ball of one colour each."""
    places = np.array([[1.3, 0.2, 0.1], [0.1, 0.3, 1.3], [-1.2, 0.4, 0.2], [0.2, 0.5, -1.2]])
    up = np.array([0.0, 1.0, 0.0])
    row, column = np.mgrid[:6, :6]
    ball = ((row - 2.5) ** 2 + (column - 2.5) ** 2 < 4)[..., None]
    for number, name in enumerate(("balls_train/a", "balls_train/b", "balls_test/c")):
        colour = np.array([40 + 80 * number, 200 - 60 * number, 90], np.uint8)
        frames = np.stack([np.where(ball, colour + 10 * view, 255).astype(np.uint8) for view in range(4)])
        shown = {"poses": looking(places, up).reshape(-1, 16).tolist(), "focal": 1.0, "centre": [0.5, 0.5]}
        write_folder(folder / name, frames, shown)


def _camera(geometry: Geometry, rows: int, columns: int) -> Intrinsics:
    x, y = geometry["centre"]
    return Intrinsics(geometry["focal"] * rows, (x * columns, y * rows), rows, columns)


def _looked(path: Path) -> tuple[int, list[Path], bool]:
    """Scenes in a folder, zips in it, and whether there may be more; looks at some folders only."""
    count, zips, seen = 0, [], {os.path.realpath(path)}
    for number, (here, inside, files) in enumerate(os.walk(path, followlinks=True)):
        zips += [Path(here, name) for name in sorted(files) if name.lower().endswith(".zip") and name[0] != "."]
        if {"rgb", "pose"} <= set(inside):
            count += 1
            inside.clear()
        targets = {name: os.path.realpath(os.path.join(here, name)) for name in sorted(inside) if name[0] != "."}
        inside[:] = [name for name, target in targets.items() if target not in seen]
        seen.update(targets.values())
        if number >= LOOKED_AT:
            return count, zips, True
    return count, zips, False


def _zipped(path: Path) -> int | None:
    """Scenes in a zip; None where it cannot be read."""
    try:
        names = Files(path).names
    except DataError:
        return None
    return len({f"/{name}".rsplit("/pose/", 1)[0] for name in names if "/pose/" in f"/{name}"})


def _shown(array: np.ndarray) -> np.ndarray:
    """Pictures of anything that `assemble` makes; distances become gray, the near ones bright."""
    if array.ndim == 4:
        return array
    near, far = float(array.min()), float(array.max())
    return np.rint(255.0 * (far - array) / max(far - near, 1e-6)).astype(np.uint8)


def _poses(folder: str, axes: str) -> np.ndarray:
    """Poses [views, 4, 4] of the .txt files in a folder, or of the scene that it is, in the order of their names.

    `axes`: those of the poses that the set was made from; ours are told apart from them by where the cameras look.
    """
    path = Path(folder)
    files = Files(path) if path.is_dir() else None
    names = [name for name in files.names if name.endswith(".txt")] if files else []
    inside = [name for name in names if name.startswith("pose/")]
    found = inside or [name for name in names if "/" not in name and name != "intrinsics.txt"]
    if files is None or not found:
        raise DataError(f"--poses {folder!r} holds no .txt files; expected a folder of poses, or a scene with pose/")
    name = "intrinsics.txt"
    try:
        inverse = bool(inside) and name in names and parse_intrinsics(files.read(name))[1]
        matrices = []
        for name in found:
            matrices.append(parse_pose(files.read(name)))
    except DataError as error:
        raise DataError(f"{str(path / name)!r} {error}") from None
    poses = np.linalg.inv(np.stack(matrices)) if inverse else np.stack(matrices)
    if look_away(poses):
        if axes != "opengl":
            raise DataError(f"--poses {folder!r} holds cameras that all look away from the origin; expected z forward")
        poses = poses @ OPENCV_TO_OPENGL
    return poses


MODALITY = Modality(
    coord_dim=6,
    field_dim=3,
    options=Options,
    preset={
        "render": {"kind": "volume", "samples": 16, "stratified": True},
        "field": {"w0": 10.0},
        "inner": {"rate": 1.0},
        "outer": {"batch": 8, "points": 512},
    },
    accepts=accepts,
    open=ViewSource,
    target=target,
    query=query,
    assemble=assemble,
    forms={
        "png": Form("", write_folder),
        "webp": Form(".webp", lambda path, array, geometry: write_webp(path, _shown(array))),
        "gif": Form(".gif", lambda path, array, geometry: write_gif(path, _shown(array))),
    },
    sheet=sheet,
    axes=("view", "row", "column"),
    unit="scene",
    decode_options=SceneDecodeOptions,
    picture=picture,
    worth=8.0,  # measured on seats from one view: 17.0 dB on the others, 14.7 with a worth of 1
    bits=8,
    paper={
        "field": {"w0": 5.0},
        "render": {"samples": 32, "stratified": False},
        "data": {"views": 16, "encode_views": 32, "encode_rays": 2048},
        "outer": {"batch": 8, "points": 8192},
    },
)
