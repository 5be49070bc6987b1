"""The contract of a modality: how its files become signals, and how decoded features become files again.

A modality is one file `modalities/<name>.py` that defines `MODALITY` and `example(folder)`, which writes a
tiny data set for the laws in the tests. Nothing else in the package knows a modality by name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from functa_cli.errors import DataError
from functa_cli.kept import Kept
from functa_cli.signal import Signal, pieces

Shape = tuple[int, ...]
Geometry = dict[str, Any]  # JSON


def by(shape: Sequence[int]) -> str:
    """A shape as text, such as "64x64x64"."""
    return "x".join(str(int(size)) for size in shape)


@dataclass(frozen=True)
class DataOptions:
    """Settings that every modality has; a modality adds its own in a subclass.

    A field made with `metadata={"help": ...}` is a flag of fit and encode as well.
    """

    resolution: str = ""  # "" keeps each datum's own grid; "64" or "64x48" resamples to that grid
    split: str = "auto"  # "auto": train/ and test/ folders, else a tenth is test; "0.2": that share; "none"
    limit: int = 0  # > 0: only the first that many data


@dataclass(frozen=True)
class DecodeOptions:
    """Settings of decode that a modality has of its own: flags of decode, made as those of `DataOptions` are."""


class Problem(NamedTuple):
    """A file that could not be used."""

    path: str
    reason: str


class Match(NamedTuple):
    """Why a path is taken to be of a modality."""

    strength: int  # 1: names of files; 2: their layout or what is inside, which wins over names
    reason: str  # "40 .png files"


class Known(Protocol):
    """What is known of data before they are read."""

    ids: Sequence[str]  # unique, stable names (relative paths)
    labels: np.ndarray  # int32 [datum]; an index into `classes`, -1 = none
    classes: tuple[str, ...]  # names of the labels
    split: Sequence[str]  # part of each datum, "train" or "test"
    shapes: np.ndarray  # int32 [datum, axes]: the grid that each datum is read at
    columns: Mapping[str, np.ndarray]  # more that is kept of each datum, numbers [datum, ...] by name
    geometry: Geometry  # what `target`, `query` and forms need; {"channels": c} at least, see Modality


@dataclass
class Listed:
    """`Known` of data that are made, not read."""

    ids: Sequence[str]
    labels: np.ndarray
    classes: tuple[str, ...]
    split: Sequence[str]
    shapes: np.ndarray
    columns: Mapping[str, np.ndarray]
    geometry: Geometry


class Source:
    """The signals of one folder or file in a fixed order; features are read only when asked for.

    A modality's source sets the attributes and defines `__getitem__`; it overrides the rest where it knows better.
    """

    ids: Sequence[str]
    labels: np.ndarray
    classes: tuple[str, ...]
    split: Sequence[str]
    shapes: np.ndarray
    columns: Mapping[str, np.ndarray] = {}
    geometry: Geometry
    found: str  # one sentence: what was found
    problems: list[Problem]  # files left out while listing; more may come while data are read
    shared_coords = True  # data of one shape have the same coordinates, and `sample` draws the same points of them
    keeps_unseen = False  # `unseen` has points for some data
    keeps = True  # `sample` keeps what it reads while it fits; set to False where each datum is asked for once
    gaps = False  # set to True: NaN in files has weight 0 also where it is else an error, for the modalities that can

    def __len__(self) -> int:
        return len(self.ids)

    def points(self, index: int) -> int:
        """How many points `self[index]` has; reads nothing."""
        return int(np.prod(self.shapes[index]))

    def __getitem__(self, index: int) -> Signal:
        """All points of one datum that the inner loop may see. Raises DataError that names the file."""
        raise NotImplementedError

    def whole(self, index: int) -> Signal:
        """`self[index]`, kept in memory while it fits, for it will be asked for again."""
        kept = self.__dict__.setdefault("_kept", Kept())
        own = slice(1 if self.shared_coords else 0, None)  # shared coordinates are held once
        return kept.get(index, lambda: self[index], lambda signal: sum(part.nbytes for part in signal[own]))

    def generator(self, *seed: int, own: int) -> np.random.Generator:
        """Random numbers for `sample`, from `seed`, and from `own` where data need not draw the same points."""
        return np.random.default_rng([*seed, *([] if self.shared_coords else [own])])

    def sample(self, index: int, points: int, rng: np.random.Generator) -> Signal:
        """`points` random points for a step of fit, with weights that keep the loss what it is over all points.

        With `shared_coords` the choice may depend on `rng` and the shape alone: see `generator`.
        """
        signal = self.whole(index)
        chosen = np.sort(rng.choice(len(signal.coords), min(points, len(signal.coords)), replace=False))
        return Signal(*(part[chosen] for part in signal))

    def blocks(self, index: int, points: int) -> Iterator[Signal]:
        """The points of `self[index]` in order, at most `points` at a time: for data too large to be held at once."""
        yield from pieces(self[index], points)

    def unseen(self, index: int) -> Signal | None:
        """Points of a datum that are kept from the inner loop and only scored, such as views of a scene."""
        del index
        return None

    def cells(self, index: int, chosen: np.ndarray | None = None) -> Signal:
        """Points of the whole grid `shapes[index]`, the last axis fastest, or those that are `chosen` by number [m].

        The grid may have more points than the inner loop sees: all pixels of all views of a scene. What cannot be read
        has weight 0. Raises DataError where nothing can.
        """
        signal = self[index]
        return signal if chosen is None else Signal(*(part[chosen] for part in signal))

    def hidden(self, index: int, mask: np.ndarray) -> np.ndarray:
        """A mask of a datum, True = hidden, on the grid that it is read at; `mask`: bool as a file has it.

        Raises:
            DataError: it is of another shape; the text is the reason alone.
        """
        own = tuple(self.shapes[index].tolist())
        if mask.shape != own:
            raise DataError(
                f"is {by(mask.shape) or 'one number'}, {self.ids[index]} is {by(own)}; give a mask of that size"
            )
        return mask

    def pictures(self, index: int) -> Sequence[str]:
        """Names of the pictures that a datum consists of along its first axis, where masks may be given for each."""
        del index
        return ()

    def preview(self, index: int) -> tuple[Signal, Shape]:
        """Points of a datum that fill a grid, and its shape, to be shown beside what is decoded at them."""
        return self[index], tuple(self.shapes[index].tolist())


class Target(NamedTuple):
    """What a datum is decoded at."""

    shape: Shape
    geometry: Geometry  # the set's, with what the options of decode changed
    render: Mapping[str, Any] = {}  # settings of the renderer that differ from those of the network


class Form(NamedTuple):
    """A kind of file, or of folder, that one datum can be written as."""

    suffix: str  # ".png"; "" for a folder
    write: Callable[[Path, np.ndarray, Geometry], None]  # path as given, assembled array, geometry of the target


class Collector(Protocol):
    """A file that takes all data, one by one."""

    def write(self, row: int, array: np.ndarray) -> None:
        """Take the assembled array of row `row` of the set; rows come in the order in which they were announced."""
        ...

    def close(self, *, failed: bool) -> None:
        """Finish the file, or remove what was begun."""
        ...


class Chosen(NamedTuple):
    """Data that are written to one file."""

    rows: Sequence[int]  # of the set, in the order in which they come
    ids: Sequence[str]  # of these rows
    columns: Mapping[str, np.ndarray]  # of these rows
    target: Target
    history: str  # what made the file, for formats that record it


class Scores(NamedTuple):
    """Figures of a datum besides its error, from sums over its points.

    The functions use operators and methods only, so they work on numpy and jax arrays alike.
    """

    names: tuple[str, ...]  # ("accuracy", "iou")
    sums: Callable[[Any, Any, Any], list[Any]] | None  # values [..., n, c], features, weights [..., n] -> arrays [...]
    figures: Callable[[np.ndarray], np.ndarray]  # sums [datum, sums] -> [datum, names]


NO_SCORES = Scores((), None, lambda sums: np.zeros((len(sums), 0)))


class Modality(NamedTuple):
    """What the verbs may ask of a modality.

    `geometry["scale"]` and `geometry["unit"]`, where they are there, say what a feature difference of 1 is in the
    unit of the data, so that errors are told in it as well.

    `cloud` and `picture` are what sets of decoded data are compared by: points of a surface in [0, 1]^3, None where an
    array has no surface, and pictures in [0, 1].
    """

    coord_dim: int  # k: channels of Signal.coords
    field_dim: int  # input channels of the field
    options: type[DataOptions]
    preset: dict[str, Any]  # settings of fit that differ from the defaults for this modality, whatever the recipe
    accepts: Callable[[Path], Match | None]  # why a path is of this modality, or None
    open: Callable[..., Source]  # open(path, options, *, seed, geometry=None) -> Source; geometry: a base network's
    target: Callable[..., Target]  # target(geometry, own shape, resolution or "", decode options) -> Target
    query: Callable[[Geometry, Shape, int, int], np.ndarray]  # coords of the points start to stop of a target
    assemble: Callable[[Geometry, np.ndarray, Shape], np.ndarray]  # features [n, c] -> array as users know it
    forms: Mapping[str, Form]  # by the name that --as gives; the first is the default
    sheet: Callable[..., None]  # sheet(path, rows of assembled arrays or None, geometry): a PNG
    axes: tuple[str, ...] = ()  # names of the axes of `Source.shapes`, for rules and messages
    unit: str = "datum"  # what one datum is called where progress is counted
    decode_options: type[DecodeOptions] = DecodeOptions
    collectors: Mapping[str, Callable[[Path, Chosen], Collector]] = {}  # suffix without dot -> one file for all data
    scores: Scores = NO_SCORES
    paper: Mapping[str, Any] = {}  # settings that the paper has for this modality (A.3, A.6), for recipe paper
    cloud: Callable[..., np.ndarray | None] | None = None  # cloud(assembled array, n, rng) -> points [n, 3] or None
    picture: Callable[..., np.ndarray] | None = None  # picture(assembled array) -> float32 [k, rows, columns, 1 or 3]
    worth: float = 1.0  # independent values a modulation that a seen datum counts as: lambda of `functa impute`
    near: float = 0.0  # how far `functa impute` narrows a prior around the functum that is most like what is seen
    bits: int = 32  # of a value of the arrays as their files have them: 8 for pictures, 1 for occupancies
