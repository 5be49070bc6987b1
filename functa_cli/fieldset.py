"""The source of gridded fields: each slice in time (and level, and member) of some files on one grid is a datum."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli.climate import File, Grid
from functa_cli.coords import sphere
from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import safe_id, seeded_share, splits
from functa_cli.gridfiles import files
from functa_cli.modality import DataOptions, Problem, Shape, Source
from functa_cli.pictures import parse_size
from functa_cli.regrid import Averaging, is_global
from functa_cli.signal import Signal
from functa_cli.slices import Selection, Slice
from functa_cli.units import conversion

OPEN = 8  # files that are kept open
PERIODS = ("first", "last")
TAKEN = {"id", "label", "split", "shape", "mse", "modulations", "base"}  # arrays of a functaset


@dataclass(frozen=True)
class Options(DataOptions):
    """Settings of gridded fields."""

    variable: str = field(default="", metadata={"help": "Name of the variable.  [default: the only one]"})
    select: str = field(
        default="", metadata={"help": "Only slices with these values of other dimensions, such as level=850,number=0."}
    )
    grid: str = field(
        default="181x360",
        metadata={"help": "Global grids finer than this are averaged to it, by area; native keeps them."},
    )
    area_weights: bool = field(default=False, metadata={"help": "Weigh each cell by its area in the loss."})


class FieldSource(Source):
    """Fields of one file, a folder, a Zarr or a glob; values are read slice by slice.

    With the `geometry` of a base network, values are turned into its unit and scaled by its range, and of several
    variables in a file its own is taken.
    """

    classes = ()

    def __init__(self, path: str | Path, options: Options, *, seed: int = 0, geometry: dict[str, Any] | None = None):
        self.options = options
        asked = parse_size(options.resolution) if options.resolution else None
        finest = parse_size(options.grid) if options.grid != "native" else None
        likely = geometry["variable"] if geometry else ""
        self._open = lru_cache(maxsize=OPEN)(lambda file: File(file, options.variable, likely))
        first, twice = self._gather(Path(path))
        count = len(self.ids)
        self.labels = np.full(count, -1, np.int32)
        self.split = _split(self.ids, options.split, seed)
        self._average = _averaging(first, asked, finest)
        grid = first if self._average is None else self._average
        self.latitude, self.longitude = np.round(grid.latitude, 9), np.round(grid.longitude, 9)
        self.shapes = np.tile(np.array([[len(self.latitude), len(self.longitude)]], np.int32), (count, 1))
        unit = geometry["unit"] if geometry else first.unit
        self._convert = conversion(first.unit, unit)
        low, high = (geometry["low"], geometry["high"]) if geometry else self._range()
        self.geometry = {
            "channels": 1,
            "variable": first.variable,
            "unit": unit,
            "attributes": first.attributes,
            "low": low,
            "high": high,
            "scale": (high - low) or 1.0,
            "latitude": self.latitude.tolist(),
            "longitude": self.longitude.tolist(),
            "time": first.times,
            "dimensions": first.dimensions,
        }
        self.found = self._sentence(first, twice)

    def __getitem__(self, index: int) -> Signal:
        """Coords [n, 3] on the unit sphere; values [n, 1], 0 to 1 over the training range; weights 0 where unknown."""
        values = (self._values(index) - self.geometry["low"]) / self.geometry["scale"]
        known = np.isfinite(values)
        weights = known.astype(np.float32)
        if self.options.area_weights:
            weights *= np.maximum(np.cos(np.deg2rad(self.latitude)), 1e-6)[:, None]
        features = np.where(known, values, 0.0).astype(np.float32)
        return Signal(self._coords, features.reshape(-1, 1), weights.reshape(-1))

    def _gather(self, path: Path) -> tuple[Grid, bool]:
        """List the slices of all files: ids and columns. Returns the first grid, and whether longitudes came twice.

        Raises:
            ConfigError: a file has several variables, or nothing is selected. DataError: nothing can be read.
        """
        found, self.root, self.problems = files(path)
        selection = Selection(self.options.select)
        first: Grid | None = None
        twice = False
        self._of: list[tuple[Path, Slice]] = []
        ids, columns = [], []
        for file in found:
            name = self._name(file)
            try:
                opened = self._open(file)
                _check_same(opened.grid, first or opened.grid)
            except DataError as error:
                self.problems.append(Problem(name, str(error)))
                continue
            except ConfigError as error:
                raise ConfigError(f"{name} {error}") from None
            first, twice = first or opened.grid, twice or opened.twice
            for one in selection.of(opened.grid.slices):
                time = one.time if opened.grid.times == first.times else float("nan")
                columns.append({"time": time, **one.extra})
                ids.append(f"{name}/{one.name}")
                self._of.append((file, one))
            if 0 < self.options.limit <= len(ids):
                break
        if first is None:
            why = "; ".join(f"{problem.path} {problem.reason}" for problem in self.problems[:1])
            raise DataError(f"{str(path)!r} holds no fields on latitudes and longitudes: {why}")
        selection.check()
        if not ids:
            raise ConfigError(f"--select {self.options.select}: no slice has all of these values")
        count = min(len(ids), self.options.limit or len(ids))
        self._of, self.ids, self.columns = self._of[:count], _unique(ids)[:count], _columns(columns[:count])
        return first, twice

    def _name(self, file: Path) -> str:
        return safe_id(file.relative_to(self.root).as_posix())

    def _values(self, index: int) -> np.ndarray:
        """Values [rows, columns] of a slice in the unit of the set, NaN where there are none."""
        file, one = self._of[index]
        try:
            values = self._convert(self._open(file).read(one))
        except DataError as error:
            raise DataError(f"{self._name(file)} {error}") from None
        return values if self._average is None else self._average(values)

    def _range(self) -> tuple[float, float]:
        """Lowest and highest value of the training data, read one slice after the other.

        Raises:
            DataError: none of them can be read.
        """
        low, high = np.inf, -np.inf
        reason: DataError | None = None
        for index in np.flatnonzero(np.array(self.split) == "train"):
            try:
                values = self._values(int(index))
            except DataError as error:
                reason = error  # told of when the datum is asked for
                continue
            low, high = np.fmin(low, np.nanmin(values)), np.fmax(high, np.nanmax(values))
        if not np.isfinite(low):
            raise DataError(f"none of the training data can be read: {reason}")
        return float(low), float(high)

    @cached_property
    def _coords(self) -> np.ndarray:
        return sphere(self.latitude, self.longitude)

    def _sentence(self, first: Grid, twice: bool) -> str:
        count, held = len(self.ids), len({file for file, _ in self._of})
        own = f"{len(first.latitude)}x{len(first.longitude)}"
        where = "global" if is_global(first.latitude, first.longitude) else "regional"
        text = f"found {count} field{'s' * (count != 1)} of {first.variable} ({first.unit}) on a {where} grid {own} "
        text += f"in {held} file{'s' * (held != 1)}, {self.split.count('test')} test"
        if self._average is not None:
            text += f"; averaged by area to {len(self.latitude)}x{len(self.longitude)}"
        return text + ("; the longitude that comes twice is dropped" if twice else "")


def _check_same(grid: Grid, first: Grid) -> None:
    """Raise DataError where a file is of another grid, variable or unit than the first one."""
    for axis in ("latitude", "longitude"):
        mine, its = getattr(grid, axis), getattr(first, axis)
        if mine.shape != its.shape or not np.allclose(mine, its, atol=1e-4):
            shape, other = (f"{len(each.latitude)}x{len(each.longitude)}" for each in (grid, first))
            raise DataError(f"is on another grid ({shape}) than the first file ({other}); a set has one grid")
    if (grid.variable, grid.unit) != (first.variable, first.unit):
        raise DataError(
            f"holds {grid.variable} ({grid.unit}), the first file {first.variable} ({first.unit}); give --variable"
        )


def _averaging(grid: Grid, asked: Shape | None, finest: Shape | None) -> Averaging | None:
    """Averaging to the grid of the set, or None where that is the files' own.

    Raises:
        ConfigError: `asked` is finer than the files' grid.
    """
    own = (len(grid.latitude), len(grid.longitude))
    wanted = asked or own
    if asked is None and finest is not None and is_global(grid.latitude, grid.longitude):
        wanted = (min(own[0], finest[0]), min(own[1], finest[1]))
    if wanted[0] > own[0] or wanted[1] > own[1]:
        raise ConfigError(
            f"--resolution {wanted[0]}x{wanted[1]} is finer than the data's {own[0]}x{own[1]}; "
            "encode at most at their own, and decode at any"
        )
    return None if wanted == own else Averaging(grid.latitude, grid.longitude, *wanted)


def _columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Columns of numbers; dimensions whose names an array of the store has are left to the ids."""
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in TAKEN]
    columns = {name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in names}
    return {name: values for name, values in columns.items() if np.isfinite(values).any()}


def _unique(ids: list[str]) -> list[str]:
    """Ids, with a number after those that come again."""
    seen: dict[str, int] = {}
    out = []
    for name in ids:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return out


def _split(ids: Sequence[str], rule: str, seed: int) -> list[str]:
    """As `folder.splits` does; "last:0.1" holds out the last tenth, since neighbours in time are alike."""
    word, colon, share = rule.partition(":")
    if not colon or word not in PERIODS:
        return splits(ids, ids, rule, seed) if rule != "auto" else seeded_share(ids, 0.1, seed)
    try:
        held = round(float(share) * len(ids))
    except ValueError:
        held = len(ids)
    if not 0 <= held < len(ids):
        raise ConfigError(f"a split in time is a share in [0, 1), such as last:0.1; found {rule!r}")
    parts = ["train"] * (len(ids) - held)
    return parts + ["test"] * held if word == "last" else ["test"] * held + parts
