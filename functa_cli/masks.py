"""Mask files: pictures whose white is unseen, and arrays whose nonzero numbers are, beside the data that they hide."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from functa_cli import pictures
from functa_cli.arrayfiles import LARGEST, Array, opened
from functa_cli.errors import DataError
from functa_cli.folder import listing, safe_id
from functa_cli.modality import Source, by

SUFFIXES = (*pictures.SUFFIXES, ".npy", ".npz", ".binvox")
WHITE = 0.5  # above it a picture is white
NAMED = "mask"  # the array that is meant where a file holds several


class Masks:
    """The masks of a source's data, read when they are asked for.

    `path`: one file, for all data or with an array [datum, ...] that has one for each; or a folder of files that are
    named as the data are, whatever their suffixes. Where a datum is several pictures, each may have a mask, and those
    without are seen wholly. Axes are in the order in which the data are read, as `functa decode` writes them.

    Raises:
        DataError: there are none, some data have none, or the one file does not fit.
    """

    def __init__(self, path: str | Path, source: Source):
        self.source, self._last = source, ("", np.zeros(0, bool))
        self.path = Path(path)
        found, self.is_one = listing(self.path, SUFFIXES), self.path.is_file()
        names = [name for name in found.names if Path(name).suffix.lower() in SUFFIXES]
        if not names:
            seen = "is no mask" if self.is_one else f"holds {found.others} files, none a mask"
            raise DataError(f"{str(path)!r} {seen}; expected {', '.join(SUFFIXES)}")
        self.root = found.root
        if self.is_one:
            self._of = [{None: names[0]} for _ in source.ids]
            self.weights(0)
            return
        named: dict[str, str] = {}
        for name in names:
            stem = str(PurePosixPath(name).with_suffix(""))
            if stem in named:
                raise DataError(f"{str(path)!r} holds two masks for {stem!r}, {named[stem]} and {name}; keep one")
            named[stem] = name
        self._of = [_paired(named, name, source.pictures(index)) for index, name in enumerate(source.ids)]
        missing = [name for name, mine in zip(source.ids, self._of) if not mine]
        if missing:
            wanted = _stems(missing[0])[-1]
            raise DataError(
                f"{len(missing)} of {len(source)} data have no mask in {str(path)!r}: for {missing[0]} a file {wanted} "
                f"with one of {', '.join(SUFFIXES)} is expected; the first mask there is {safe_id(names[0])}"
            )

    def weights(self, index: int) -> np.ndarray:
        """What the masks leave of a datum, float32 [n] of 0 and 1, for the points that `source.cells(index)` has.

        Raises:
            DataError: a mask cannot be read, or is of another shape than the datum.
        """
        hidden = np.zeros(tuple(self.source.shapes[index].tolist()), bool)
        for part, name in self._of[index].items():
            try:
                mask = self.source.hidden(index, self._read(name, index))
            except DataError as error:
                raise DataError(f"the mask {safe_id(name)} {error}") from None
            if part is None:
                hidden |= mask
            else:
                hidden[part] |= mask[part]
        return (~hidden).reshape(-1).astype(np.float32)

    def _read(self, name: str, index: int) -> np.ndarray:
        """The mask of a datum as its file has it, bool; the last file that was read is kept."""
        stacked = self.is_one and self._last[1].ndim > self.source.shapes.shape[1]
        if self._last[0] == name:
            return self._last[1][index] if stacked else self._last[1]
        path = self.root / name
        if path.suffix.lower() in pictures.SUFFIXES:
            values = pictures.read(path, 1, "black")[..., 0] > WHITE
        else:
            with opened(path) as arrays:
                array = _chosen(arrays)
                stacked = self.is_one and len(array.shape) == self.source.shapes.shape[1] + 1
                if stacked and array.shape[0] != len(self.source):
                    raise DataError(f"holds {array.shape[0]} masks for {len(self.source)} data; give one for each")
                if math.prod(array.shape[stacked:]) > LARGEST // array.dtype.itemsize:
                    raise DataError(f"claims {by(array.shape)} values, too many for a mask")
                if stacked and math.prod(array.shape) > LARGEST // array.dtype.itemsize:
                    return array.read(index) != 0
                values = array.read(None) != 0
        self._last = name, values
        return values[index] if stacked else values


def _chosen(arrays: Sequence[Array]) -> Array:
    """The array that is meant: the only one, or the one called mask."""
    named = list(arrays) if len(arrays) == 1 else [array for array in arrays if array.name == NAMED]
    if not named:
        held = ", ".join(one.name for one in arrays)[:80]
        raise DataError(f"holds {len(arrays)} arrays, none called {NAMED!r}: {held}; call the mask that")
    if named[0].dtype.kind not in "biuf":
        raise DataError(f"holds no numbers but {named[0].dtype}; refusing to read it")
    return named[0]


def _stems(name: str) -> list[str]:
    """What the mask of a datum or picture may be called, without its suffix."""
    return [name, str(PurePosixPath(name).with_suffix(""))]


def _paired(named: Mapping[str, str], name: str, parts: Sequence[str]) -> dict[int | None, str]:
    """The mask of a datum (None), or else those of its pictures, whose own folder may be left out."""
    for stem in _stems(name):
        if stem in named:
            return {None: named[stem]}
    found: dict[int | None, str] = {}
    for place, part in enumerate(parts):
        path = PurePosixPath(part)
        stems = [stem for stem in (*_stems(part), str(path.parent.parent / path.stem)) if stem in named]
        if stems:
            found[place] = named[stems[0]]
    return found
