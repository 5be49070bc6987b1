"""The source of scenes: which views and rays of each are learnt from, encoded, and kept back to be scored."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from functa_cli.cameras import radius_of, up_of
from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import labels, number_of, splits
from functa_cli.modality import DataOptions, Shape, Source, by
from functa_cli.pictures import masked, parse_colour, parse_size
from functa_cli.signal import Signal, joined, pieces
from functa_cli.views import View, Views, spread

UNSEEN = 8  # views that are scored, at most
SCORED = 1 << 16  # rays of each of them, at most
PARTS = re.compile(r"(?:(.+)[_-])?(train|test|val|valid|validation)", re.I)  # train, cars_train


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
    """Scenes of a folder or of zips; poses are read at once, pictures when asked for.

    Raises:
        ConfigError: settings out of range. DataError: nothing there, or no scene that can be used.
    """

    shared_coords = False
    keeps_unseen = True

    def __init__(self, path: str | Path, options: Options, *, seed: int = 0, geometry: dict[str, Any] | None = None):
        background = (geometry or {}).get("background", options.background)
        parse_colour(background)
        _check(options)
        self.options, self.seed = options, seed
        size, opengl = parse_size(options.resolution) if options.resolution else None, options.axes == "opengl"
        self.views = Views(Path(path), size, background, opengl=opengl, limit=options.limit)
        self.problems = self.views.problems
        self.ids = [scene.id for scene in self.views.scenes]
        self.labels, self.classes, self.split = arranged(self.ids, options.split, seed)
        views = zip(self.views.scenes, self.views.cameras)
        self.shapes = np.array([(len(one.poses), camera.rows, camera.columns) for one, camera in views], np.int32)
        camera, poses = self.views.cameras[0], np.concatenate([scene.poses for scene in self.views.scenes])
        self.geometry = {
            "channels": 3,
            "background": background,
            "axes": options.axes,
            "focal": camera.focal / camera.rows,
            "centre": [camera.centre[0] / camera.columns, camera.centre[1] / camera.rows],
            "radius": radius_of(poses),
            "up": up_of(poses).tolist(),
        }
        self.found = self._sentence()

    def points(self, index: int) -> int:
        """How many rays a scene is encoded from."""
        return len(self._encoded(index)) * self._rays(index)

    def __getitem__(self, index: int) -> Signal:
        """The rays that a scene is encoded from: coords [n, 6] (origin, direction), colours [n, 3] in [0, 1]."""
        return joined(self._pieces(index))

    def blocks(self, index: int, points: int) -> Iterator[Signal]:
        """The same rays, read view by view."""
        waiting: list[Signal] = []
        held = 0
        for piece in self._pieces(index):
            for part in pieces(piece, points):
                if held + len(part.weights) > points:
                    yield joined(waiting)
                    waiting, held = [], 0
                waiting.append(part)
                held += len(part.weights)
        if waiting:
            yield joined(waiting)

    def sample(self, index: int, points: int, rng: np.random.Generator) -> Signal:
        """`points` rays of `views` views; of a training scene any, of others only those that the inner loop may see."""
        allowed = np.arange(self.shapes[index, 0]) if self.split[index] == "train" else self._seen(index)
        order = rng.permutation(allowed).tolist()
        count = min(self.options.views, len(allowed), points)
        chosen = list(islice(self.views.readable(index, order, keep=self.keeps), count))
        sizes = [points // len(chosen) + (place < points % len(chosen)) for place in range(len(chosen))]
        drawn = zip(chosen, [rng.integers(0, self._pixels(index), size) for size in sizes])
        return joined(self.views.signal(index, view, pixels) for view, pixels in drawn)

    def unseen(self, index: int) -> Signal | None:
        """Rays of at most 8 of the views that are held out, evenly spread: all, or of large pictures spread ones."""
        pixels = spread(np.arange(self._pixels(index)), SCORED)
        parts = []
        try:
            for view in self.views.readable(index, spread(self._held(index), UNSEEN).tolist()):
                parts.append(self.views.signal(index, view, pixels))
        except DataError:
            return None
        return joined(parts)

    def cells(self, index: int, chosen: np.ndarray | None = None) -> Signal:
        """Pixels of all views, held out or not, by (view, row, column)."""
        n = self._pixels(index)
        chosen = np.arange(int(np.prod(self.shapes[index]))) if chosen is None else np.asarray(chosen)
        whole = Signal(*(np.zeros((len(chosen), *tail), np.float32) for tail in ((6,), (3,), ())))
        numbers = chosen // n
        for view in self.views.readable(index, np.unique(numbers).tolist()):
            mine = numbers == view[0]
            for part, values in zip(whole, self.views.signal(index, view, chosen[mine] % n)):
                part[mine] = values
        return whole

    def hidden(self, index: int, mask: np.ndarray) -> np.ndarray:
        """A mask of all pixels of a scene, or of those of a view, which hides them in every view.

        Of pictures as they are stored it is resized as they are.
        """
        count, *size = self.shapes[index].tolist()
        if mask.shape[-2:] == self.views.native(index) != tuple(size):
            frames = mask.reshape(-1, *mask.shape[-2:])
            mask = np.stack([masked(frame, tuple(size)) for frame in frames]).reshape(*mask.shape[:-2], *size)
        return super().hidden(index, np.broadcast_to(mask, (count, *size)) if mask.shape == tuple(size) else mask)

    def pictures(self, index: int) -> Sequence[str]:
        """Names of the pictures of a scene, of one view each."""
        return self.views.scenes[index].pictures

    def preview(self, index: int) -> tuple[Signal, Shape]:
        """One view that is held out, or else any."""
        held, (count, rows, columns) = self._held(index).tolist(), self.shapes[index].tolist()
        view = next(self.views.readable(index, [*held[len(held) // 2 :], *held, *range(count)]))
        return self.views.signal(index, view), (1, rows, columns)

    def _held(self, index: int) -> np.ndarray:
        """Views that are kept from the inner loop, evenly spread."""
        count = int(self.shapes[index, 0])
        return spread(np.arange(count), min(round(self.options.holdout_views * count), count - 1))

    def _seen(self, index: int) -> np.ndarray:
        return np.setdiff1d(np.arange(self.shapes[index, 0]), self._held(index))

    def _encoded(self, index: int) -> np.ndarray:
        seen = self._seen(index)
        return spread(seen, self.options.encode_views or len(seen))

    def _pixels(self, index: int) -> int:
        return int(self.shapes[index, 1]) * int(self.shapes[index, 2])

    def _rays(self, index: int) -> int:
        """Rays that are encoded of one view."""
        return min(self.options.encode_rays or self._pixels(index), self._pixels(index))

    def _pieces(self, index: int) -> Iterator[Signal]:
        """Rays of each view that a scene is encoded from; another view stands in for one that cannot be read.

        Where there is none, weights of 0 keep the number of rays what `points` says.
        """
        wanted, count, n = self._encoded(index), self._rays(index), self._pixels(index)
        rng = np.random.default_rng([self.seed, number_of(self.ids[index])])
        spare = np.setdiff1d(self._seen(index), wanted)
        views = self.views.readable(index, [*wanted.tolist(), *spare.tolist()])
        for _ in wanted:
            pixels = np.sort(rng.choice(n, count, replace=False)) if count < n else np.arange(n)
            view: View | None = next(views, None)
            if view is None:
                yield Signal(*(np.zeros((count, *tail), np.float32) for tail in ((6,), (3,), ())))
            else:
                yield self.views.signal(index, view, pixels)

    def _sentence(self) -> str:
        counts, sizes = self.shapes[:, 0], sorted({tuple(shape) for shape in self.shapes[:, 1:].tolist()})
        views = f"{counts[0]} views" if len(set(counts.tolist())) == 1 else f"{counts.min()} to {counts.max()} views"
        size = by(sizes[0]) if len(sizes) == 1 else f"of {len(sizes)} sizes"
        classes = f" in {len(self.classes)} classes" if len(self.classes) > 1 else ""
        away = f"cameras {self.geometry['radius']:.3g} from the origin"
        s = "s" * (len(self.ids) != 1)
        return f"found {len(self.ids)} scene{s} of {views} {size}{classes}, {away}, {self.split.count('test')} test"


def arranged(ids: Sequence[str], rule: str, seed: int) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """Labels, classes and split of scenes by their folders, as in folder.py.

    Of a folder such as cars_train/ the last word is the part and the rest the class, as if it were train/cars/.
    """
    plain, parted = [], []
    for name in ids:
        *folders, last = name.split("/")
        found = [(place, match) for place, one in enumerate(folders) if (match := PARTS.fullmatch(one))]
        if not found:
            plain.append(name)
            parted.append(name)
            continue
        place, match = found[0]
        rest = "/".join([*folders[:place], *filter(None, [match[1]]), *folders[place + 1 :], last])
        plain.append(rest)
        parted.append(f"{match[2].lower()}/{rest}")
    return *labels(plain), splits(parted, ids, rule, seed)


def _check(options: Options) -> None:
    if options.views < 1:
        raise ConfigError(f"data.views is at least 1; found {options.views}")
    if not 0.0 <= options.holdout_views < 1.0:
        raise ConfigError(f"data.holdout_views is a share in [0, 1); found {options.holdout_views:g}")
    if min(options.encode_views, options.encode_rays) < 0:
        found = f"{options.encode_views} and {options.encode_rays}"
        raise ConfigError(f"data.encode_views and data.encode_rays are 0, which takes all, or more; found {found}")
