"""Views of scenes: pictures and cameras of a set, read when they are asked for, and the rays of their pixels."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from functa_cli import pictures
from functa_cli.coords import rays
from functa_cli.errors import DataError
from functa_cli.folder import safe_id
from functa_cli.kept import Kept
from functa_cli.modality import Problem
from functa_cli.scenefiles import Files
from functa_cli.signal import Signal
from functa_cli.srn import Intrinsics, Scene, scenes

LOOKED_AT = 9  # pictures, at most, to tell the size of those of a scene

Size = tuple[int, int]  # rows, columns
View = tuple[int, np.ndarray]  # its place in the scene, and its colours uint8 [pixels, 3]


class Views:
    """The scenes of a folder or of zips; poses are read at once, pictures when asked for, by any thread.

    `size`: what pictures are resized to; None: as they are. `background`: behind transparent pixels. `limit` > 0: only
    the first that many scenes. `opengl`: as for `srn.scenes`.
    `problems`: what could not be used; more come while pictures are read.
    """

    def __init__(self, path: Path, size: Size | None, background: str, *, opengl: bool = False, limit: int = 0):
        """Raises DataError: nothing there, or no scene that can be used."""
        if not path.exists():
            raise DataError(f"{str(path)!r} does not exist; expected a folder or a .zip of scenes")
        self.files, self.size, self.background = Files(path), size, background
        self.scenes: list[Scene] = []
        self.cameras: list[Intrinsics] = []  # of the pictures as they are given out
        self._native: list[Size] = []  # of the pictures as they are stored
        found = list(self.files.problems)
        for scene in scenes(self.files, found, opengl=opengl):
            try:
                native = self._size_of(scene)
            except DataError as error:
                found.append((scene.id, str(error)))
                continue
            self.scenes.append(scene)
            self._native.append(native)
            self.cameras.append(scene.intrinsics.at(*(size or native)))
            if len(self.scenes) == limit:
                break
        self.problems = [Problem(safe_id(name), reason) for name, reason in found]
        if not self.scenes:
            raise DataError(f"{str(path)!r} holds {self._why_none()}")
        self._memory, self._bad, self._told = Kept(), set(), threading.Lock()

    def readable(self, index: int, order: Sequence[int], *, keep: bool = False) -> Iterator[View]:
        """Those of the views `order` of a scene whose pictures can be read, in that order; the others are told of once.

        `keep`: what is read stays in memory while it fits, for it will be asked for again.

        Raises:
            DataError: none of them can be read.
        """
        found, reason = False, "see above"
        for view in order:
            if (index, view) in self._bad:
                continue
            try:
                colours = self._kept(index, view) if keep else self._colours(index, view)
            except DataError as error:
                reason = str(error)
                self._tell(index, view, reason)
                continue
            found = True
            yield view, colours
        if not found:
            raise DataError(f"{self.scenes[index].id} has no view that can be read: {reason}")

    def signal(self, index: int, view: View, pixels: np.ndarray | None = None) -> Signal:
        """Rays [n, 6] and colours in [0, 1] [n, 3] of the `pixels` [n] of a view; None: of all, row by row."""
        place, colours = view
        camera = self.cameras[index]
        pixels = np.arange(len(colours)) if pixels is None else pixels
        row, column = np.divmod(pixels, camera.columns)
        coords = rays(self.scenes[index].poses[place], camera.focal, camera.centre, row, column)
        return Signal(coords, colours[pixels] / np.float32(255.0), np.ones(len(pixels), np.float32))

    def native(self, index: int) -> Size:
        """Size of the pictures of a scene as they are stored."""
        return self._native[index]

    def _why_none(self) -> str:
        """The last problem, which is that of a scene, and the first, which may have led to it."""
        if not self.problems:
            return "no scenes; expected folders with rgb/, pose/ and intrinsics.txt"
        first, last = self.problems[0], self.problems[-1]
        before = f" (first: {first.path} {first.reason})" if first != last else ""
        return f"no scene that can be used: {last.path} {last.reason}{before}"

    def _size_of(self, scene: Scene) -> Size:
        """Size of the pictures of a scene: the first that two of them share, so that an odd one costs only itself."""
        found: list[Size] = []
        reason = ""
        for name in spread(np.array(scene.pictures, object), LOOKED_AT):
            try:
                shape = pictures.read_header(self.files.read(name)).shape
            except DataError as error:
                reason = reason or f"{safe_id(name)} {error}"
                continue
            found.append(shape)
            if found.count(shape) == 2:
                found.insert(0, shape)
                break
        if not found:
            raise DataError(f"has no picture that can be read: {reason}")
        native, camera = found[0], scene.intrinsics
        if native[0] * camera.columns != native[1] * camera.rows:
            said = f"{camera.rows}x{camera.columns}"
            raise DataError(f"has pictures of {_text(native)} pixels and an intrinsics.txt for {said}")
        if self.size and native[0] * self.size[1] != native[1] * self.size[0]:
            raise DataError(f"has pictures of {_text(native)}; --resolution {_text(self.size)} has another aspect")
        return native

    def _tell(self, index: int, view: int, reason: str) -> None:
        with self._told:
            if (index, view) not in self._bad:
                self._bad.add((index, view))
                self.problems.append(Problem(safe_id(self.scenes[index].pictures[view]), reason))

    def _kept(self, index: int, view: int) -> np.ndarray:
        return self._memory.get((index, view), lambda: self._colours(index, view), lambda made: made.nbytes)

    def _colours(self, index: int, view: int) -> np.ndarray:
        """Colours uint8 [rows * columns, 3] of a view; the nearest ones where it was resized."""
        data, native = self.files.read(self.scenes[index].pictures[view]), self._native[index]
        shape = pictures.read_header(data).shape
        if shape != native:
            raise DataError(f"is {_text(shape)}, other views of its scene {_text(native)}")
        values = pictures.read(data, 3, self.background, self.size)
        return np.rint(values.reshape(-1, 3) * 255.0).astype(np.uint8)


def spread(values: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of `values`, evenly spread."""
    if len(values) <= count:
        return values
    return values[((np.arange(count) + 0.5) * len(values) / max(count, 1)).astype(int)]


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
