"""Line plots as SVG, written by hand: a few lines over one axis each, with ticks, a legend and marks at the data."""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

COLOURS = ("#1f6fb4", "#d95f02", "#2a9d5c", "#7b4fa3", "#c0392b", "#5f6b76")
WIDTH, HEIGHT = 420, 300  # of one panel
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 34, 48
LEGEND, ENTRY = 18, 215  # height of a line of the legend, width of an entry


class Line(NamedTuple):
    """One line of a panel."""

    label: str
    points: Sequence[tuple[float, float]]
    colour: int = 0  # of COLOURS
    dashed: bool = False


class Panel(NamedTuple):
    """One plot; axes are linear or logarithmic."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log_x: bool = False
    log_y: bool = False


def write_svg(path: Path, panels: Sequence[Panel], columns: int = 2) -> None:
    """Write panels side by side, `columns` in a row, with one legend below for all labels."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    known: dict[str, Line] = {}
    for panel in panels:
        for line in panel.lines:
            known.setdefault(line.label, line)
    a_row = max(1, columns * WIDTH // ENTRY)
    height = rows * HEIGHT + LEGEND * -(-len(known) // a_row) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * WIDTH} {height}" '
        f'width="{columns * WIDTH}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        at = (number % columns * WIDTH, number // columns * HEIGHT)
        parts += [f'<g transform="translate({at[0]},{at[1]})">', *_panel(panel), "</g>"]
    for number, line in enumerate(known.values()):
        x, y = 14 + number % a_row * ENTRY, rows * HEIGHT + 6 + number // a_row * LEGEND
        parts.append(f'<path d="M{x},{y}h26" {_stroke(line)}/>')
        parts.append(f'<text x="{x + 32}" y="{y + 4}">{escape(line.label)}</text>')
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _panel(panel: Panel) -> list[str]:
    every = [point for line in panel.lines for point in line.points]
    across = _Axis([x for x, _ in every], panel.log_x, own=True)
    up = _Axis([y for _, y in every], panel.log_y)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + across.share(x) * (right - LEFT), bottom - up.share(y) * (bottom - TOP)

    parts = [f'<text x="{(LEFT + right) / 2}" y="20" text-anchor="middle" font-size="13">{escape(panel.title)}</text>']
    for value in across.ticks():
        x = LEFT + across.share(value) * (right - LEFT)
        parts.append(f'<path d="M{x:.1f},{TOP}V{bottom}" stroke="#e3e6e8"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{_number(value)}</text>')
    for value in up.ticks():
        y = bottom - up.share(value) * (bottom - TOP)
        parts.append(f'<path d="M{LEFT},{y:.1f}H{right}" stroke="#e3e6e8"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>')
    parts.append(f'<text x="{(LEFT + right) / 2}" y="{bottom + 36}" text-anchor="middle">{escape(panel.x)}</text>')
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">{escape(panel.y)}</text>'
    )
    for line in panel.lines:
        at = [place(*point) for point in sorted(line.points)]
        parts.append(f'<path d="M{" L".join(f"{x:.1f},{y:.1f}" for x, y in at)}" {_stroke(line)}/>')
        colour = COLOURS[line.colour % len(COLOURS)]
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at]
    return parts


class _Axis:
    """From values to shares of the axis, and its ticks; `own`: a logarithmic axis has them at its values, if few."""

    def __init__(self, values: Sequence[float], log: bool, *, own: bool = False):
        self.log, self.values, self.own = log, sorted(set(values)), own
        low, high = (math.log10(end) if log else end for end in (self.values[0], self.values[-1]))
        margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        self.ends = low - margin, high + margin

    def share(self, value: float) -> float:
        low, high = self.ends
        return ((math.log10(value) if self.log else value) - low) / (high - low)

    def ticks(self) -> list[float]:
        if self.log and self.own and len(self.values) <= 6:
            return self.values
        low, high = self.ends
        rough = max((high - low) / 4, 1.0 if self.log else 0.0)
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))
        places = [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
        if self.log:
            return [10.0**place for place in places] or [self.values[0], self.values[-1]]
        return places


def _stroke(line: Line) -> str:
    dashes = ' stroke-dasharray="5 4"' if line.dashed else ""
    return f'fill="none" stroke="{COLOURS[line.colour % len(COLOURS)]}" stroke-width="2"{dashes}'


def _number(value: float) -> str:
    if abs(value) >= 1e5:
        return f"{value / 1e6:,.3g}M" if abs(value) >= 1e6 else f"{value / 1e3:,.0f}k"
    return f"{value:,.6g}"
