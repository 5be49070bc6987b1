"""The contract of a modality: how its files become signals, and how decoded features become files again.

A modality is one file `modalities/<name>.py` that defines `MODALITY` and `example(folder)`, which writes a
tiny data set for the laws in the tests. Nothing else in the package knows a modality by name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from functa_cli.signal import Signal


@dataclass(frozen=True)
class DataOptions:
    """Settings that every modality has; a modality adds its own in a subclass."""

    resolution: str = ""  # "" keeps each datum's own grid; "64" or "64x48" resamples to that grid
    split: str = "auto"  # "auto": train/ and test/ folders, else a tenth is test; "0.2": that share; "none"
    limit: int = 0  # > 0: only the first that many data


class Problem(NamedTuple):
    """A file that could not be used."""

    path: str
    reason: str


class Known(Protocol):
    """What is known of data before they are read."""

    @property
    def ids(self) -> Sequence[str]:
        """Unique, stable names (relative paths)."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """int32 [datum]; an index into `classes`, -1 = none."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels."""
        ...

    @property
    def split(self) -> Sequence[str]:
        """Part of each datum, "train" or "test"."""
        ...

    @property
    def shapes(self) -> np.ndarray:
        """int32 [datum, axes]: the grid that each datum is read at."""
        ...


class Source(Known, Protocol):
    """The signals of one folder or file in a fixed order; features are read only when asked for."""

    @property
    def geometry(self) -> dict[str, Any]:
        """JSON: what `query` and `write` need besides a shape; {"channels": c} at least."""
        ...

    @property
    def found(self) -> str:
        """One sentence: what was found."""
        ...

    @property
    def problems(self) -> Sequence[Problem]:
        """Files left out while listing."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Signal:
        """Signal of one datum. Raises DataError that names the file."""
        ...


class Modality(NamedTuple):
    """What the verbs may ask of a modality."""

    coord_dim: int  # k: channels of Signal.coords
    field_dim: int  # input channels of the field
    options: type[DataOptions]
    preset: dict[str, Any]  # settings of fit that differ from the defaults for this modality
    accepts: Callable[[Path], str | None]  # why a path is of this modality ("3 .png files"), or None
    open: Callable[..., Source]  # open(path, options, *, seed, geometry=None) -> Source
    query: Callable[..., np.ndarray]  # query(geometry, shape) -> coords [n, k]
    assemble: Callable[..., np.ndarray]  # assemble(geometry, features [n, c], shape) -> array as users know it
    names: Callable[[list[str]], list[str]]  # ids -> names of the files that data are written to
    write: Callable[[Path, np.ndarray], None]  # write one assembled array to one file
    parse_resolution: Callable[[str], tuple[int, ...]]  # "256" -> (256, 256)
    sheet: Callable[..., None]  # sheet(path, [(original or None, reconstruction), ...], geometry)
    unit: str = "datum"  # what one datum is called where progress is counted
