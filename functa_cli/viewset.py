"""The source of scenes: pictures from known cameras as rays, some views of each kept from the inner loop."""

import hashlib
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from functa_cli import pictures
from functa_cli.cameras import up_of
from functa_cli.coords import rays
from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import labels, safe_id, splits
from functa_cli.kept import Kept
from functa_cli.modality import DataOptions, Problem, Shape, Source
from functa_cli.signal import Signal
from functa_cli.srn import Files, Intrinsics, scenes

UNSEEN = 8  # views that are scored, at most
PARTS = re.compile(r"(.*?)[_-]?(train|test|val|valid|validation)", re.I)  # cars_train


@dataclass(frozen=True)
class Options(DataOptions):
    """Settings of scene data."""

    views: int = field(default=8, metadata={"help": "Views of each scene that a step of fit looks at."})
    encode_views: int = field(default=16, metadata={"help": "Views that a scene is encoded from; 0 = all it may see."})
    encode_rays: int = field(default=1024, metadata={"help": "Random rays of each of these views; 0 = all."})
    holdout_views: float = field(
        default=0.2, metadata={"help": "Share of the views of every scene that is kept from encode and scored."}
    )
    background: str = field(default="white", metadata={"help": "Colour that transparent pixels are blended over."})
    axes: Literal["opencv", "opengl"] = field(
        default="opencv", metadata={"help": "Axes of the poses: y down and z forward, or y up and z backward."}
    )


class ViewSource(Source):
    """Scenes of a folder or a zip; poses are read at once, pictures when asked for."""

    shared_coords = False
    keeps_unseen = True

    def __init__(self, path: str | Path, options: Options, *, seed: int = 0, geometry: dict[str, Any] | None = None):
        if geometry is not None:
            background = geometry.get("background", options.background)
        else:
            background = options.background
        pictures.parse_colour(background)
        if options.views < 1 or not 0.0 <= options.holdout_views < 1.0:
            raise ConfigError("data.views is at least 1 and data.holdout_views a share in [0, 1)")
        self.options, self.seed, self.background = options, seed, background
        self.size = pictures.parse_size(options.resolution) if options.resolution else None
        if not Path(path).exists():
            raise DataError(f"{str(path)!r} does not exist; expected a folder or a .zip of scenes")
        self.files = Files(Path(path))
        found, problems = scenes(self.files, opengl=options.axes == "opengl")
        self.problems: list[Problem] = [Problem(safe_id(name), reason) for name, reason in problems]
        self.scenes, cameras = [], []
        for scene in found:
            try:
                cameras.append(self._camera(scene.pictures, scene.intrinsics))
            except DataError as error:
                self.problems.append(Problem(scene.id, str(error)))
                continue
            self.scenes.append(scene)
            if options.limit and len(self.scenes) == options.limit:
                break
        if not self.scenes:
            first = f"; {self.problems[0].path} {self.problems[0].reason}" if self.problems else ""
            raise DataError(
                f"{str(path)!r} holds no scenes{first}; expected folders with rgb/, pose/ and intrinsics.txt"
            )
        self.cameras: list[Intrinsics] = cameras
        self.ids = [scene.id for scene in self.scenes]
        self._label()
        self.shapes = np.array(
            [[len(scene.pictures), camera.rows, camera.columns] for scene, camera in zip(self.scenes, cameras)],
            np.int32,
        )
        first, poses = cameras[0], self.scenes[0].poses
        self.geometry = {
            "channels": 3,
            "background": background,
            "rows": first.rows,
            "columns": first.columns,
            "focal": first.focal / first.rows,
            "centre": [first.centre[0] / first.columns, first.centre[1] / first.rows],
            "radius": float(np.median(np.linalg.norm(poses[:, :3, 3], axis=1))),
            "up": up_of(poses).tolist(),
        }
        self._pixels, self._bad = Kept(), set()
        self._told = threading.Lock()
        self.found = self._sentence()

    def points(self, index: int) -> int:
        """How many rays a scene is encoded from."""
        return len(self._encoded(index)) * self._rays(index)

    def __getitem__(self, index: int) -> Signal:
        """The rays that a scene is encoded from: coords [n, 6] (origin, direction), colours [n, 3]."""
        return _joined(self._pieces(index))

    def blocks(self, index: int, points: int) -> Iterator[Signal]:
        """The same rays, view by view."""
        waiting: list[Signal] = []
        held = 0
        for piece in self._pieces(index):
            for start in range(0, len(piece.weights), points):
                part = Signal(*(column[start : start + points] for column in piece))
                if held + len(part.weights) > points:
                    yield _joined(waiting)
                    waiting, held = [], 0
                waiting.append(part)
                held += len(part.weights)
        if waiting:
            yield _joined(waiting)

    def sample(self, index: int, points: int, rng: np.random.Generator) -> Signal:
        """`points` rays of `views` views; of a training scene any, of others only those that the inner loop may see."""
        scene, camera = self.scenes[index], self.cameras[index]
        allowed = np.arange(len(scene.pictures)) if self.split[index] == "train" else self._seen(index)
        order = rng.permutation(allowed)
        count = min(self.options.views, len(allowed), points)
        chosen = [view for view, _ in zip(self._readable(index, order.tolist()), range(count))]
        sizes = [points // len(chosen) + (place < points % len(chosen)) for place in range(len(chosen))]
        n = camera.rows * camera.columns
        parts = [self._view(index, view, rng.integers(0, n, size)) for view, size in zip(chosen, sizes)]
        return _joined(parts)

    def unseen(self, index: int) -> Signal | None:
        """All rays of at most 8 of the views that are held out, evenly spread."""
        held = np.setdiff1d(np.arange(len(self.scenes[index].pictures)), self._seen(index))
        views = list(self._readable(index, _spread(held, UNSEEN).tolist(), strict=False))
        return _joined([self._view(index, view, None) for view in views]) if views else None

    def preview(self, index: int) -> tuple[Signal, Shape]:
        """One view that is held out, or the first one."""
        held = np.setdiff1d(np.arange(len(self.scenes[index].pictures)), self._seen(index))
        middle = held[len(held) // 2 :].tolist() + held.tolist() + list(range(len(self.scenes[index].pictures)))
        view = next(self._readable(index, middle))
        camera = self.cameras[index]
        return self._view(index, view, None), (1, camera.rows, camera.columns)

    def _camera(self, names: Sequence[str], intrinsics: Intrinsics) -> Intrinsics:
        for name in names:
            try:
                native = pictures.read_header(self.files.read(name)).shape
                break
            except DataError as error:
                last = f"{safe_id(name)} {error}"
        else:
            raise DataError(f"has no readable picture; {last}")
        camera = intrinsics.at(*native)
        if self.size is None:
            return camera
        if native[0] * self.size[1] != native[1] * self.size[0]:
            raise DataError(
                f"is {native[0]}x{native[1]}, and --resolution {self.options.resolution} has another aspect"
            )
        return camera.at(*self.size)

    def _label(self) -> None:
        """Labels and split, from folders such as cars_train/ and cars_test/."""
        names, stems = [], []
        for name in self.ids:
            first, _, rest = name.partition("/")
            match = PARTS.fullmatch(first) if rest else None
            names.append(f"{match[2].lower()}/{rest}" if match else name)
            stems.append(f"{match[1] or first}/{rest}" if match else name)
        self.labels, self.classes = labels(stems)
        self.split = splits(names, self.ids, self.options.split, self.seed)

    def _seen(self, index: int) -> np.ndarray:
        """Views that the inner loop may see; the others are spread evenly between them."""
        count = len(self.scenes[index].pictures)
        held = min(round(self.options.holdout_views * count), count - 1)
        places = ((np.arange(held) + 0.5) * count / max(held, 1)).astype(int)
        return np.setdiff1d(np.arange(count), places)

    def _encoded(self, index: int) -> np.ndarray:
        seen = self._seen(index)
        return _spread(seen, self.options.encode_views or len(seen))

    def _rays(self, index: int) -> int:
        camera = self.cameras[index]
        return min(self.options.encode_rays or camera.rows * camera.columns, camera.rows * camera.columns)

    def _pieces(self, index: int) -> Iterator[Signal]:
        """Rays of each view that a scene is encoded from; another view stands in for one that cannot be read."""
        camera, wanted, count = self.cameras[index], self._encoded(index), self._rays(index)
        digest = int.from_bytes(hashlib.sha256(self.ids[index].encode()).digest()[:8], "big")
        rng = np.random.default_rng([self.seed, digest])
        n = camera.rows * camera.columns
        spare = np.setdiff1d(self._seen(index), wanted)
        views = self._readable(index, [*wanted.tolist(), *spare.tolist()])
        for place in range(len(wanted)):
            pixels = np.sort(rng.choice(n, count, replace=False)) if count < n else np.arange(n)
            view = next(views, None)
            if view is None and place == 0:
                raise DataError(f"{self.ids[index]} has no readable view")
            if view is None:
                yield Signal(*(np.zeros((count, *tail), np.float32) for tail in ((6,), (3,), ())))
            else:
                yield self._view(index, view, pixels)

    def _readable(self, index: int, order: Sequence[int], *, strict: bool = True) -> Iterator[int]:
        """Those of the views `order` whose pictures can be read, in that order; the others are told of once."""
        found, last = False, "it has none to show"
        for view in order:
            if (index, view) in self._bad:
                continue
            try:
                self._picture(index, view)
            except DataError as error:
                last = str(error)
                with self._told:
                    if (index, view) not in self._bad:
                        self._bad.add((index, view))
                        self.problems.append(Problem(safe_id(self.scenes[index].pictures[view]), last))
                continue
            found = True
            yield view
        if strict and not found:
            raise DataError(f"{self.ids[index]} has no readable view: {last}")

    def _picture(self, index: int, view: int) -> np.ndarray:
        """Colours uint8 [rows * columns, 3] of a view; the nearest ones where it was resized."""
        scene, camera = self.scenes[index], self.cameras[index]

        def make() -> np.ndarray:
            values = pictures.read(self.files.read(scene.pictures[view]), 3, self.background, self.size)
            if values.shape[:2] != (camera.rows, camera.columns):
                found = "x".join(map(str, values.shape[:2]))
                raise DataError(f"is {found}, the other views of its scene {camera.rows}x{camera.columns}")
            return np.rint(values.reshape(-1, 3) * 255.0).astype(np.uint8)

        return self._pixels.get((index, view), make, lambda made: made.nbytes)

    def _view(self, index: int, view: int, pixels: np.ndarray | None) -> Signal:
        """Rays and colours of some pixels of a view, of all where `pixels` is None."""
        scene, camera = self.scenes[index], self.cameras[index]
        colours = self._picture(index, view)
        pixels = np.arange(len(colours)) if pixels is None else pixels
        row, column = np.divmod(pixels, camera.columns)
        coords = rays(scene.poses[view], camera.focal, camera.centre, row, column)
        return Signal(coords, colours[pixels] / np.float32(255.0), np.ones(len(pixels), np.float32))

    def _sentence(self) -> str:
        counts, sizes = self.shapes[:, 0], sorted({tuple(shape) for shape in self.shapes[:, 1:].tolist()})
        views = f"{counts[0]} views" if len(set(counts.tolist())) == 1 else f"{counts.min()} to {counts.max()} views"
        size = "x".join(map(str, sizes[0])) if len(sizes) == 1 else f"{len(sizes)} sizes"
        classes = f" in {len(self.classes)} classes" if len(self.classes) > 1 else ""
        text = f"found {len(self.ids)} scene{'s' * (len(self.ids) != 1)} of {views} {size}{classes}"
        return f"{text}, {self.split.count('test')} test"


def _spread(values: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of `values`, evenly spread."""
    if len(values) <= count:
        return values
    return values[((np.arange(count) + 0.5) * len(values) / count).astype(int)]


def _joined(parts: Iterable[Signal]) -> Signal:
    return Signal(*(np.concatenate(column) for column in zip(*parts)))
