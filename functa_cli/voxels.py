"""A folder of voxel grids and meshes as a source: 0 and 1 at the cell centres of the unit cube, in axes (x, y, z)."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from functa_cli import meshes, voxelfiles
from functa_cli.coords import grid
from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import labels, number_of, safe_id, splits
from functa_cli.kept import Kept
from functa_cli.modality import DataOptions, Geometry, Shape, Source, by
from functa_cli.occupancy import Bits, Stretch, bits, cubic, near_surface, reduced, stretch
from functa_cli.shapes import changed, counted, shapes_in
from functa_cli.signal import Signal
from functa_cli.voxelfiles import Held, parse_sizes

PREVIEW = 128  # cells along an axis
LEAST, MOST = 0.75, 1.25  # scales of the axes (A.1)


@dataclass(frozen=True)
class Options(DataOptions):
    """Settings of voxel data. `limit` counts shapes, before they are augmented."""

    augment: int = field(
        default=1,
        metadata={"help": "Copies of each training shape: itself, and others with axes scaled by 0.75 to 1.25 (A.1)."},
    )
    surface: float = field(
        default=0.5, metadata={"help": "Share of the points of a step of fit that is drawn near the surface."}
    )
    variable: str = field(
        default="", metadata={"help": "Name of the array in .npz, .mat and .h5 files that hold several."}
    )


class VoxelSource(Source):
    """Grids of a folder; headers are read at once, voxels when asked for."""

    def __init__(self, path: str | Path, options: Options, *, seed: int = 0, geometry: Geometry | None = None):
        del geometry  # a base network fixes nothing that is not so for all voxels
        if options.augment < 1:
            raise ConfigError(f"data.augment is a number of copies, 1 or more; found {options.augment}")
        if not 0.0 <= options.surface < 1.0:
            raise ConfigError(f"data.surface is a share in [0, 1); found {options.surface}")
        self.options, self.size = options, _side(options.resolution)
        self.root, self.of, self.problems = shapes_in(Path(path), self.size, options.variable, options.limit)
        names = [one.name for one in self.of]
        ids = [safe_id(name) + ("" if place is None else f"#{place:04d}") for name, place, _ in self.of]
        marks, self.classes = labels(names)
        parts = splits(names, ids, options.split, seed)
        copies = [options.augment if part == "train" else 1 for part in parts]
        self.numbers = np.repeat(np.arange(len(ids)), copies)  # the shape of each datum
        self.copies = np.concatenate([np.arange(count) for count in copies])
        self.ids = [ids[one] + (f"@{copy:02d}" if copy else "") for one, copy in zip(self.numbers, self.copies)]
        self.labels, self.split = marks[self.numbers], [parts[one] for one in self.numbers]
        self.sides = np.array([self.size or max(one.held.shape) for one in self.of], np.int32)
        self.shapes = np.repeat(self.sides[self.numbers, None], 3, axis=1)
        self.alike = len(set(self.sides.tolist())) == 1
        self.shared_coords = options.surface == 0.0 and self.alike
        if options.augment > 1:
            drawn = [_scales(seed, ids[one], copy) for one, copy in zip(self.numbers, self.copies)]
            self.columns = {"scales": np.array(drawn, np.float32)}
        self.geometry = {"channels": 1, "shape": self.shapes[0].tolist() if self.alike else None}
        worlds = {(one.held.translate, one.held.scale) for one in self.of}
        if len(worlds) == 1 and (world := worlds.pop())[0] is not None:
            self.geometry["world"] = {"translate": list(world[0]), "scale": world[1]}
        self.found = f"found {counted(self.of, self.size)}{_in_classes(self)}{changed(self.of, self.size)}"
        if options.augment > 1:
            self.found += f"; {options.augment} copies of each training shape, axes scaled by {LEAST} to {MOST}"
        self._grids, self._near = Kept(1 << 28), Kept(3 << 28)
        self._last: tuple[int, Bits] | None = None
        self._stream: tuple[str, int, Iterator[np.ndarray]] | None = None
        self._swept: set[str] = set()
        self._lost: dict[int, Bits] = {}  # cells that are NaN, of the shapes that have some
        self._lock = threading.Lock()

    def __getitem__(self, index: int) -> Signal:
        return self._signal(index, self._grid(index, keep=False))

    def whole(self, index: int) -> Signal:
        """`self[index]`, whose grid is kept in memory as bits while it fits."""
        return self._signal(index, self._grid(index, keep=True))

    def sample(self, index: int, points: int, rng: np.random.Generator) -> Signal:
        """`points` cells, drawn with replacement, a share of them near the surface.

        Weights are those of importance sampling: a cell that both ways of drawing together draw with density q counts
        1 / (cells q), so that the weighted errors estimate the mean error over all cells without bias.
        """
        packed, shape, cells = self._grid(index, keep=self.keeps), self._shape(index), self.points(index)
        if points >= cells and self.alike:
            return self._signal(index, packed)
        stretched, wanted = self._stretch(index), round(points * self.options.surface)
        near, total, mark = np.zeros(0, np.int64), 0, packed
        if wanted:
            surface, mark = self._surface(index, packed)
            if stretched:
                near, total = stretched.draw(surface, wanted, rng)
            elif len(surface):
                near, total = surface[rng.integers(0, len(surface), wanted)], len(surface)
        chosen = np.concatenate([near, rng.integers(0, cells, points - len(near))])
        weights = np.ones(points, np.float32)
        if total:
            share = len(near) / points
            close = _at(mark, stretched, chosen)
            weights = (1.0 / ((1.0 - share) + share * cells / total * close)).astype(np.float32)
        axis = _axis(shape[0])
        coords = np.stack([axis[place] for place in np.unravel_index(chosen, shape)], axis=-1)
        values = _at(packed, stretched, chosen).astype(np.float32)[:, None]
        return Signal(coords, values, weights * self._seen(index, chosen))

    def blocks(self, index: int, points: int) -> Iterator[Signal]:
        """The cells in order, at most `points` at a time, made from the grid's bits."""
        packed, shape, stretched = self._grid(index, keep=False), self._shape(index), self._stretch(index)
        for start in range(0, self.points(index), points):
            stop = min(start + points, self.points(index))
            cells = np.arange(start, stop)
            values = _at(packed, stretched, cells).astype(np.float32)[:, None]
            yield Signal(grid(shape, start, stop), values, self._seen(index, cells))

    def hidden(self, index: int, mask: np.ndarray) -> np.ndarray:
        """A mask of the grid, or of that in the file, which is made cubic and reduced as that is."""
        number = int(self.numbers[index])
        if mask.shape == self.of[number].held.shape:
            mask = reduced(cubic(mask), int(self.sides[number]))
        return super().hidden(index, mask)

    def preview(self, index: int) -> tuple[Signal, Shape]:
        """A datum at no more than 128 cells along an axis, for pictures."""
        if self.shapes[index, 0] <= PREVIEW:
            return super().preview(index)
        packed, stretched = self._grid(index, keep=False), self._stretch(index)
        voxels = packed.grid() if stretched is None else stretched.grid(packed.grid())
        shape = (PREVIEW,) * 3
        values = reduced(voxels, PREVIEW).reshape(-1, 1).astype(np.float32)
        return Signal(_grid(shape), values, np.ones(len(values), np.float32)), shape

    def _shape(self, index: int) -> Shape:
        return tuple(self.shapes[index].tolist())

    def _stretch(self, index: int) -> Stretch | None:
        if not self.copies[index]:
            return None
        return stretch(int(self.shapes[index, 0]), self.columns["scales"][index])

    def _signal(self, index: int, packed: Bits) -> Signal:
        stretched, voxels = self._stretch(index), packed.grid()
        values = (stretched.grid(voxels) if stretched else voxels).reshape(-1, 1).astype(np.float32)
        return Signal(_grid(self._shape(index)), values, self._seen(index, np.arange(len(values))))

    def _seen(self, index: int, cells: np.ndarray) -> np.ndarray:
        """Weights [n] of cells of a datum that was read: 0 where its file has NaN."""
        lost = self._lost.get(int(self.numbers[index]))
        if lost is None:
            return np.ones(len(cells), np.float32)
        return (~_at(lost, self._stretch(index), cells)).astype(np.float32)

    def _grid(self, index: int, *, keep: bool) -> Bits:
        """The grid of a datum before it is stretched. With `keep` it stays in memory; else the last one alone does."""
        number, last = int(self.numbers[index]), self._last
        if last is not None and last[0] == number:
            return last[1]
        name, _, held = self.of[number]
        if keep and held.packed and name not in self._swept:  # all in one go through the archive
            self._swept.add(name)
            for other in np.flatnonzero([one.name == name for one in self.of]).tolist():
                self._grids.get(other, partial(self._read, other), lambda grid: grid.nbytes)
        packed = self._grids.get(number, partial(self._read, number), lambda grid: grid.nbytes if keep else 1 << 62)
        self._last = number, packed
        return packed

    def _surface(self, index: int, packed: Bits) -> tuple[np.ndarray, Bits]:
        """Cells near the surface of a datum before it is stretched, int32, and the same as bits."""

        def make() -> tuple[np.ndarray, Bits]:
            near = near_surface(packed.grid())
            return np.flatnonzero(near).astype(np.int32), bits(near)

        if not self.keeps:
            return make()
        return self._near.get(int(self.numbers[index]), make, lambda made: made[0].nbytes + made[1].nbytes)

    def _read(self, number: int) -> Bits:
        one, side = self.of[number], int(self.sides[number])
        name, place, held = one
        try:
            if one.is_mesh:
                return bits(meshes.read(self.root / name, side))
            voxels = self._stored(name, place, held)
            if voxels.shape != held.shape:
                raise DataError(f"is {by(voxels.shape)}, it was {by(held.shape)} when it was listed")
            if self.gaps and (lost := voxelfiles.missing(self.root / name, self.options.variable, place)) is not None:
                self._lost[number] = bits(reduced(cubic(lost), side))
            return bits(reduced(cubic(voxels), side))
        except DataError as error:
            raise DataError(f"{safe_id(name)} {error}") from None

    def _stored(self, name: str, place: int | None, held: Held) -> np.ndarray:
        """A grid as its file holds it; an archive stays open for the next grid of its stack."""
        begin = partial(voxelfiles.grids, self.root / name, self.options.variable, gaps=self.gaps)
        if not held.packed or place is None:
            return next(begin(place or 0))
        with self._lock:
            stream, self._stream = self._stream, None
            left = stream[2] if stream is not None and stream[:2] == (name, place) else begin(place)
            voxels = next(left)
            self._stream = name, place + 1, left
        return voxels


def _side(resolution: str) -> int:
    sizes = parse_sizes(resolution) if resolution else (0,)
    if len(set(sizes)) > 1:
        raise ConfigError(f"data.resolution of voxels is one number, such as 64; found {resolution!r}")
    return sizes[0]


def _scales(seed: int, name: str, copy: int) -> np.ndarray:
    """Scales [3] of the axes of a copy; the first copy is the shape itself."""
    if copy == 0:
        return np.ones(3)
    return np.random.default_rng([seed, number_of(name), int(copy)]).uniform(LEAST, MOST, 3)


def _at(packed: Bits, stretched: Stretch | None, cells: np.ndarray) -> np.ndarray:
    """Values, bool [n], of cells of a grid as it is stretched."""
    if stretched is None:
        return packed.at(cells)
    shown, inside = stretched.cells(cells)
    return packed.at(shown) & inside


_grid = lru_cache(maxsize=2)(grid)  # data of one shape come one after the other, and grids can be large


@lru_cache(maxsize=8)
def _axis(size: int) -> np.ndarray:
    """Cell centres along an axis, the numbers that `grid` gives."""
    return grid((size,))[:, 0]


def _in_classes(source: VoxelSource) -> str:
    count = len(source.classes)
    return f"{f' in {count} class' + 'es' * (count != 1) if count else ''}, {source.split.count('test')} test"
