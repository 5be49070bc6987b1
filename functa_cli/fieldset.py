"""The source of gridded fields: each slice in time (and level, and member) of some files on one grid is a datum."""

import glob
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli.climate import SUFFIXES, File, Grid, Slice, is_zarr, seconds
from functa_cli.coords import sphere
from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import listing, safe_id, seeded_share, splits
from functa_cli.modality import DataOptions, Problem, Shape, Source
from functa_cli.pictures import parse_size
from functa_cli.regrid import Averaging, is_global
from functa_cli.signal import Signal

SINCE_1970 = {"units": "seconds since 1970-01-01", "calendar": "standard"}
OPEN = 8  # files that are kept open
PERIODS = ("first", "last")


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
    """Fields of one file, a folder, a Zarr or a glob; values are read slice by slice."""

    def __init__(self, path: str | Path, options: Options, *, seed: int = 0, geometry: dict[str, Any] | None = None):
        self.options = options
        asked = parse_size(options.resolution) if options.resolution else None
        finest = parse_size(options.grid) if options.grid != "native" else None
        wanted = _selected(options.select)
        files, self.root, self.problems = _files(Path(path))
        self._open = lru_cache(maxsize=OPEN)(lambda file: File(file, options.variable))
        self._of: list[tuple[Path, Slice]] = []
        ids, columns = [], []
        first: Grid | None = None
        twice = False
        for file in files:
            name = safe_id(_name(file, self.root))
            try:
                opened = self._open(file)
                first = first or opened.grid
                _check_same(opened.grid, first)
                chosen = [one for one in opened.grid.slices if _matches(one, wanted, opened.grid.slices)]
            except DataError as error:
                self.problems.append(Problem(name, str(error)))
                continue
            except ConfigError as error:
                raise ConfigError(f"{name} {error}") from None
            twice |= opened.twice
            for one in chosen:
                since = seconds(one.time, opened.grid.times)
                columns.append({"time": one.time if since is None else since, **one.extra})
                ids.append(f"{name}/{one.name}")
                self._of.append((file, one))
            if options.limit and len(ids) >= options.limit:
                break
        if first is None or not ids:
            reason = f"; {self.problems[0].path} {self.problems[0].reason}" if self.problems else ""
            what = f"no slices with {options.select!r}" if first is not None and wanted else "no fields"
            raise DataError(
                f"{str(path)!r} holds {what}{reason}; expected latitudes and longitudes in NetCDF, Zarr or GRIB"
            )
        count = min(len(ids), options.limit) if options.limit else len(ids)
        self._of, self.ids = self._of[:count], _unique(ids)[:count]
        self.columns = _columns(columns[:count])
        self.labels, self.classes = np.full(count, -1, np.int32), ()
        self.split = _split(self.ids, options.split, seed)
        self._regrid(first, asked, finest)
        self.shapes = np.tile(np.array([[len(self.latitude), len(self.longitude)]], np.int32), (count, 1))
        unit, convert = first.unit, _same
        if geometry is not None:
            unit, convert = geometry["unit"], _conversion(first.unit, geometry["unit"])
        self._convert = convert
        low, high = (geometry["low"], geometry["high"]) if geometry is not None else self._range()
        self.geometry = {
            "channels": 1,
            "variable": first.variable,
            "unit": unit,
            "attributes": first.attributes,
            "low": low,
            "high": high,
            "scale": (high - low) or 1.0,
            "latitude": np.round(self.latitude, 9).tolist(),
            "longitude": np.round(self.longitude, 9).tolist(),
            "time": SINCE_1970 if seconds(self._of[0][1].time, first.times) is not None else first.times,
        }
        self.found = self._sentence(first, twice)

    def __getitem__(self, index: int) -> Signal:
        """Coords [n, 3] on the unit sphere; values [n, 1], 0 to 1 over the training range; weights 0 where unknown."""
        values = (self._values(index) - self.geometry["low"]) / self.geometry["scale"]
        known = np.isfinite(values)
        weights = known.astype(np.float32)
        if self.options.area_weights:
            weights = weights * np.maximum(np.cos(np.deg2rad(self.latitude)), 1e-6)[:, None].astype(np.float32)
        features = np.where(known, values, 0.0).astype(np.float32)
        return Signal(self._coords(), features.reshape(-1, 1), weights.reshape(-1).astype(np.float32))

    def _values(self, index: int) -> np.ndarray:
        """Values [rows, columns] of a slice in the unit of the set, NaN where there are none."""
        file, one = self._of[index]
        try:
            values = self._convert(self._open(file).read(one))
        except DataError as error:
            raise DataError(f"{safe_id(_name(file, self.root))} {error}") from None
        return values if self._average is None else self._average(values)

    def _range(self) -> tuple[float, float]:
        """Lowest and highest value of the training data, read one slice after the other."""
        low, high = np.inf, -np.inf
        for index in np.flatnonzero(np.array(self.split) == "train"):
            try:
                values = self._values(int(index))
            except DataError:
                continue  # told of when the datum is asked for
            low, high = min(low, float(np.nanmin(values))), max(high, float(np.nanmax(values)))
        if not np.isfinite(low):
            file, one = self._of[0]
            self._open(file).read(one)
            raise DataError("none of the training data can be read")
        return low, high

    def _regrid(self, grid: Grid, asked: Shape | None, finest: Shape | None) -> None:
        """Decide on the grid of the set: the files' own, or a coarser one that is averaged to."""
        own = (len(grid.latitude), len(grid.longitude))
        wanted = asked
        if wanted is None and finest and is_global(grid.latitude, grid.longitude):
            finer = own[0] > finest[0] or own[1] > finest[1]
            wanted = (min(own[0], finest[0]), min(own[1], finest[1])) if finer else None
        self._average = None
        self.latitude, self.longitude = grid.latitude, grid.longitude
        if wanted is None or wanted == own:
            return
        if wanted[0] > own[0] or wanted[1] > own[1]:
            raise ConfigError(
                f"--resolution {wanted[0]}x{wanted[1]} is finer than the data's {own[0]}x{own[1]}; "
                "encode at most at their own, and decode at any"
            )
        self._average = Averaging(grid.latitude, grid.longitude, *wanted)
        self.latitude, self.longitude = self._average.latitude, self._average.longitude

    def _coords(self) -> np.ndarray:
        if not hasattr(self, "_points"):
            self._points = sphere(*_axes(self.geometry))
        return self._points

    def _sentence(self, first: Grid, twice: bool) -> str:
        files = len({file for file, _ in self._of})
        own = f"{len(first.latitude)}x{len(first.longitude)}"
        where = "global" if is_global(first.latitude, first.longitude) else "regional"
        text = (
            f"found {len(self.ids)} fields of {first.variable} ({first.unit}) on a {where} grid {own} in {files} file"
        )
        text += f"{'s' * (files != 1)}, {self.split.count('test')} test"
        if self._average is not None:
            text += f"; averaged by area to {len(self.latitude)}x{len(self.longitude)}"
        return text + ("; the longitude that comes twice is dropped" if twice else "")


def _axes(geometry: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(geometry["latitude"]), np.array(geometry["longitude"])


def _files(path: Path) -> tuple[list[Path], Path, list[Problem]]:
    """Files of a path or a glob pattern, what their names are relative to, and folders that cannot be listed.

    Raises:
        DataError: there are none.
    """
    if not path.exists():
        matched = sorted(map(Path, glob.glob(str(path), recursive=True)))
        if not matched:
            raise DataError(f"{str(path)!r} does not exist; expected a file, a folder or a pattern such as 't2m/*.nc'")
        return matched, matched[0].parent, []
    if path.is_file() or is_zarr(path):
        return [path], path.parent, []
    found = listing(path, SUFFIXES)
    stores = sorted(one for one in path.iterdir() if one.is_dir() and is_zarr(one))
    names = [path / name for name in found.names] + stores
    if not names:
        raise DataError(f"{str(path)!r} holds {found.others} files, none of {', '.join((*SUFFIXES, '.zarr'))}")
    return sorted(names), path, [Problem(safe_id(name), reason) for name, reason in found.problems]


def _name(file: Path, root: Path) -> str:
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name


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


def _selected(text: str) -> dict[str, float]:
    """`"level=850,number=0"` by name. Raises ConfigError for anything else."""
    found = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise ConfigError(f"--select wants dimensions with values, such as level=850,number=0; found {text!r}")
    return found


def _matches(one: Slice, wanted: dict[str, float], slices: tuple[Slice, ...]) -> bool:
    """Whether a slice has the wanted values. Raises ConfigError where there is no such dimension or value."""
    for name, value in wanted.items():
        if name not in one.extra:
            known = ", ".join(one.extra) or "none besides time, latitude and longitude"
            raise ConfigError(f"has no dimension {name!r} to --select from; it has {known}")
        if value != one.extra[name]:
            known = sorted({each.extra[name] for each in slices})
            if value not in known:
                raise ConfigError(f"has no {name}={value:g}; it has {', '.join(f'{each:g}' for each in known[:12])}")
            return False
    return True


def _columns(rows: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Columns of numbers; dimensions whose names an array of the store has are left to the ids."""
    taken = {"id", "label", "split", "shape", "mse", "modulations", "base"}
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in taken]
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


def _split(ids: list[str], rule: str, seed: int) -> list[str]:
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


def _same(values: np.ndarray) -> np.ndarray:
    return values


def _conversion(have: str, want: str) -> Callable[[np.ndarray], np.ndarray]:
    """Function from the unit of the data to that of a base network. Raises DataError where there is none."""
    if have == want:
        return _same
    if {have, want} == {"K", "degC"}:
        shift = 273.15 if want == "K" else -273.15
        return lambda values: values + shift
    raise DataError(f"the data are in {have!r}, the base network is for {want!r}; fit one for these data: functa fit")
