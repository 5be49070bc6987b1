"""Rules of what is observed: ranges of axes, a random share, blobs, a lidar scan, views, all but a rectangle."""

import contextlib
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from functa_cli.errors import ConfigError, DataError
from functa_cli.modality import Shape

VIEW = "view"  # the axis along which a datum is several pictures
PICTURE = ("row", "column")
BLOB = 0.06  # width of the noise that blobs are cut from, as a share of the shortest side
OCCUPIED = 0.5
EXAMPLES = {"random": "0.05", "blobs": "0.7", "lidar": "+{first}", "views": "0,5", "rect": "8:24,0.2:0.8"}
Edge = int | float | None  # of a range: a cell, a share of the axis, or where the axis ends


class Grid(NamedTuple):
    """What a rule is told of a datum."""

    name: str
    shape: Shape
    features: Callable[[], np.ndarray]  # [n, c], the last axis of the shape fastest; read when they are asked for
    rng: np.random.Generator


class Rule(NamedTuple):
    """A rule for data of some axes."""

    text: str  # as it was given
    seen: Callable[[Grid], np.ndarray]  # bool, of a shape that broadcasts to the grid's


def parse(text: str, axes: Sequence[str]) -> Rule:
    """A rule from its spelling for data with these `axes`: a range AXIS:FIRST:STOP[:STEP], or one of `EXAMPLES`.

    Ranges are in cells and mean what slices of Python mean; a number with a point, such as 0.5, is that share of the
    axis. `random` and `blobs` see that share of the points. `lidar:+x` sees what rays along +x pass through and the
    first occupied cell, `lidar:+x,-x` what either scan sees. `views:0,5` sees those views. `rect` hides its inside.

    Raises:
        ConfigError: no such rule, or none for these data.
    """
    head, colon, rest = text.partition(":")
    try:
        if not colon:
            raise ConfigError("is no rule")
        if head in KINDS:
            return Rule(text, KINDS[head](rest, tuple(axes)))
        if head not in axes:
            raise ConfigError(f"names no axis of these data, which are {_list(axes)}, nor another rule")
        return Rule(text, partial(_chosen, axis=_axis(head, axes), edges=_edges(rest, most=3)))
    except ConfigError as error:
        raise ConfigError(f"--observe {text!r} {error}; rules are such as {_list(_examples(axes))}") from None


def _random(rest: str, axes: Sequence[str]) -> Callable[[Grid], np.ndarray]:
    del axes
    share = _share(rest)
    return lambda grid: _highest(grid.rng.random(grid.shape), share)


def _blobs(rest: str, axes: Sequence[str]) -> Callable[[Grid], np.ndarray]:
    """Smooth noise cut at a level; views are cut each for itself, and the noise goes round."""
    share, smooth = _share(rest), np.array([axis != VIEW for axis in axes])

    def seen(grid: Grid) -> np.ndarray:
        from scipy.ndimage import gaussian_filter

        width = BLOB * min(size for size, each in zip(grid.shape, smooth) if each)
        noise = grid.rng.standard_normal(grid.shape)
        return _highest(gaussian_filter(noise, width * smooth, mode="wrap"), share)

    return seen


def _lidar(rest: str, axes: Sequence[str]) -> Callable[[Grid], np.ndarray]:
    """Figure 7: along each ray the first occupied cell and those before it; the whole ray where it hits nothing."""
    if len(axes) != 3 or VIEW in axes:
        raise ConfigError(f"scans shapes in space; these data have the axes {_list(axes)}")
    scans = []
    for one in rest.split(","):
        if not one or one[0] not in "+-" or one[1:] not in axes:
            known = [sign + axis for axis in axes for sign in "+-"]
            raise ConfigError(f"has no direction {one!r}; known: {_list(known)}")
        scans.append((axes.index(one[1:]), slice(None, None, -1 if one[0] == "-" else 1)))

    def seen(grid: Grid) -> np.ndarray:
        features = grid.features()
        if features.shape[1] != 1:
            raise DataError(f"{grid.name} has {features.shape[1]} values a point; a scan needs one, its occupancy")
        solid, found = (features > OCCUPIED).reshape(grid.shape), np.zeros(grid.shape, bool)
        for axis, order in scans:
            along = (slice(None),) * axis + (order,)
            ray = solid[along]
            found[along] |= np.cumsum(ray, axis=axis) - ray == 0
        return found

    return seen


def _views(rest: str, axes: Sequence[str]) -> Callable[[Grid], np.ndarray]:
    axis = _axis(VIEW, axes)
    if not re.fullmatch(r"-?\d+(,-?\d+)*", rest):
        raise ConfigError("is no list of views")
    chosen = [int(one) for one in rest.split(",")]

    def seen(grid: Grid) -> np.ndarray:
        count = grid.shape[axis]
        wrong = [one for one in chosen if not -count <= one < count]
        if wrong:
            raise DataError(f"{grid.name} has the views 0 to {count - 1}, and no view {wrong[0]}")
        found = np.zeros(count, bool)
        found[chosen] = True
        return _along(found, axis, len(grid.shape))

    return seen


def _rect(rest: str, axes: Sequence[str]) -> Callable[[Grid], np.ndarray]:
    ranges = rest.split(",")
    if len(ranges) != 2:
        raise ConfigError("is no rectangle")
    sides = [(_axis(name, axes), _edges(one, most=2)) for name, one in zip(PICTURE, ranges)]

    def seen(grid: Grid) -> np.ndarray:
        rows, columns = (_chosen(grid, axis, edges) for axis, edges in sides)
        return ~(rows & columns)

    return seen


KINDS: dict[str, Callable[[str, Sequence[str]], Callable[[Grid], np.ndarray]]] = {
    "random": _random,
    "blobs": _blobs,
    "lidar": _lidar,
    "views": _views,
    "rect": _rect,
}


def _chosen(grid: Grid, axis: int, edges: tuple[Edge, ...]) -> np.ndarray:
    """Cells of an axis that a slice has."""
    size = grid.shape[axis]
    found = np.zeros(size, bool)
    found[slice(*(_place(edge, size) for edge in edges))] = True
    return _along(found, axis, len(grid.shape))


def _place(edge: Edge, size: int) -> int | None:
    """A share as the cell at which it ends; one below 0 counts from the far end."""
    return round((edge + (edge < 0)) * size) if isinstance(edge, float) else edge


def _along(values: np.ndarray, axis: int, axes: int) -> np.ndarray:
    return values.reshape([-1 if place == axis else 1 for place in range(axes)])


def _highest(values: np.ndarray, share: float) -> np.ndarray:
    """Where the highest `share` of values is, at least one of them."""
    count = max(1, round(share * values.size))
    found = np.zeros(values.size, bool)
    found[np.argpartition(values.reshape(-1), values.size - count)[values.size - count :]] = True
    return found.reshape(values.shape)


def _axis(name: str, axes: Sequence[str]) -> int:
    if name not in axes:
        raise ConfigError(f"needs an axis {name!r}; those of these data are {_list(axes)}")
    return list(axes).index(name)


def _share(text: str) -> float:
    if not re.fullmatch(r"\d*\.?\d+", text) or not 0.0 < float(text) <= 1.0:
        raise ConfigError("has no share in (0, 1]")
    return float(text)


def _edges(text: str, most: int) -> tuple[Edge, ...]:
    parts = text.split(":")
    if not 2 <= len(parts) <= most:
        raise ConfigError(f"has no range FIRST:STOP{'[:STEP]' * (most > 2)}")
    edges = tuple(_edge(part) for part in parts)
    if most > 2 and len(edges) > 2 and (edges[2] == 0 or isinstance(edges[2], float)):
        raise ConfigError("has a step that is 0 or no whole number")
    return edges


def _edge(text: str) -> Edge:
    if not text:
        return None
    if re.fullmatch(r"-?\d{1,9}", text):
        return int(text)
    if re.fullmatch(r"-?[01]?\.\d+", text) and abs(float(text)) <= 1.0:
        return float(text)
    raise ConfigError(f"has {text!r}, which is neither a cell nor a share of the axis such as 0.5")


def _examples(axes: Sequence[str]) -> list[str]:
    """A rule of each kind that there is for these axes."""
    found = [f"{axes[-1]}:0:0.5"] if axes else []
    for head, example in EXAMPLES.items():
        rest = example.format(first=axes[0] if axes else "")
        with contextlib.suppress(ConfigError):
            KINDS[head](rest, axes)
            found.append(f"{head}:{rest}")
    return found


def _list(words: Sequence[str]) -> str:
    return ", ".join(words) or "none"
