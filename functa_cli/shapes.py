"""The shapes that a folder holds, as grids and as meshes: what they are, before any of them is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from functa_cli import meshes, voxelfiles
from functa_cli.arrayfiles import OPENERS
from functa_cli.errors import DataError
from functa_cli.folder import listing, safe_id
from functa_cli.modality import Problem, by
from functa_cli.voxelfiles import Held

SUFFIXES = (*OPENERS, *meshes.SUFFIXES)
MESH_SIZE = 64  # cells along an axis that a mesh is read at where no resolution is given


class Found(NamedTuple):
    """A shape that was found."""

    name: str  # of its file, below the folder
    place: int | None  # in a stack
    held: Held

    @property
    def is_mesh(self) -> bool:
        """Whether it is a mesh, which has no grid of its own."""
        return Path(self.name).suffix.lower() in meshes.SUFFIXES


def shapes_in(path: Path, size: int, variable: str, limit: int) -> tuple[Path, list[Found], list[Problem]]:
    """The folder that names are below, its shapes, and the files that cannot be used at `size` cells an axis (0: any).

    `variable`: as for `voxelfiles.look`. `limit` > 0: the first so many.

    Raises:
        DataError: there is no shape.
    """
    files, lacking = listing(path, SUFFIXES), meshes.missing()
    found, problems = [], [Problem(safe_id(name), reason) for name, reason in files.problems]
    for name in files.names:
        try:
            held = _held(files.root / name, size, variable, lacking)
        except DataError as error:
            problems.append(Problem(safe_id(name), str(error)))
            continue
        found.extend(Found(name, place, held) for place in ([None] if held.count is None else range(held.count)))
        if limit and len(found) >= limit:
            break
    if not found:
        seen = f"{len(files.names)} unusable files" if files.names else f"{files.others} files, none of voxels"
        first = f"; {problems[0].path} {problems[0].reason}" if problems else ""
        raise DataError(f"{str(path)!r} holds {seen}{first}; expected {', '.join(SUFFIXES)} files")
    return files.root, found[: limit or None], problems


def counted(found: Sequence[Found], size: int) -> str:
    """Such as "573 grids 64^3 and 2 meshes made 64^3 by point-in-mesh"."""
    said, meshes_ = [], sum(one.is_mesh for one in found)
    few = [f"{shape[0]}^3" if len(set(shape)) == 1 else by(shape) for shape in _sizes(found)]
    if few:
        grids = len(found) - meshes_
        sizes = few[0] if len(few) == 1 else f"of {len(few)} sizes ({few[0]} to {few[-1]})"
        said.append(f"{grids} grid{'s' * (grids != 1)} {sizes}")
    if meshes_:
        said.append(f"{meshes_} mesh{'es' * (meshes_ != 1)} made {size or MESH_SIZE}^3 by point-in-mesh")
    return " and ".join(said)


def changed(found: Sequence[Found], size: int) -> str:
    """What will be done to the grids, as further parts of a sentence."""
    sizes, text = _sizes(found), ""
    if any(len(set(shape)) > 1 for shape in sizes):
        text += "; those that are no cubes are filled up with empty cells"
    if size and any(max(shape) != size for shape in sizes):
        text += f"; reduced to {size}^3 (mean above 0.05)"
    return text


def _sizes(found: Sequence[Found]) -> list[tuple[int, int, int]]:
    return sorted({one.held.shape for one in found if not one.is_mesh}, key=max)


def _held(path: Path, size: int, variable: str, lacking: str | None) -> Held:
    if path.suffix.lower() in meshes.SUFFIXES:
        if lacking:
            raise DataError(lacking)
        meshes.check(path)
        side = size or MESH_SIZE
        return Held((side, side, side))
    held = voxelfiles.look(path, variable)
    if size > max(held.shape):
        raise DataError(f"is {by(held.shape)}, and --resolution {size} would enlarge it; give a smaller one")
    return held
