"""How figures read on the command line: metrics with their units, rates, times left, and the summary at the end."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from functa_cli.events import Progress
from functa_cli.wording import is_psnr, label, plural, value

Clock = Callable[[], float]


class Throttle:
    """Lets a progress event through at most once in `seconds`; what it held back is not lost, see `rest`."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic):
        self.seconds, self.clock = seconds, clock
        self.last = float("-inf")
        self.held: Progress | None = None

    def offer(self, event: Progress) -> Iterator[Progress]:
        """Yield `event` if it is time, with the rarer metrics of the ones held back before it."""
        if self.held is not None:
            event = event._replace(metrics={**self.held.metrics, **event.metrics})
        self.held = event
        if self.clock() - self.last >= self.seconds:
            yield from self.rest()

    def rest(self) -> Iterator[Progress]:
        """Yield the event that is held back, if any."""
        if self.held is not None:
            event, self.held, self.last = self.held, None, self.clock()
            yield event


class Pace:
    """Units per second over the last minute, so that compiling and slower phases do not spoil the estimate."""

    def __init__(self, window: float = 60.0, clock: Clock = time.monotonic):
        self.window, self.clock = window, clock
        self.seen: deque[tuple[float, int]] = deque()
        self.total = 0

    def at(self, event: Progress) -> str:
        """Return such as "35.1 steps/s, 0:21 left" ("" while there is nothing to go by)."""
        now = self.clock()
        if self.seen and (event.total != self.total or event.done < self.seen[-1][1]):
            self.seen.clear()  # another job has begun
        self.total = event.total
        while len(self.seen) > 2 and now - self.seen[0][0] > self.window:
            self.seen.popleft()
        self.seen.append((now, event.done))
        seconds, units = now - self.seen[0][0], event.done - self.seen[0][1]
        if seconds <= 0 or units <= 0:
            return ""
        speed = rate(units / seconds, event.unit)
        if event.done >= event.total:
            return speed
        return f"{speed}, {duration((event.total - event.done) * seconds / units)} left"


def rate(per_second: float, unit: str) -> str:
    """Return such as "35.1 steps/s", or "2.4 s/step" for slow ones."""
    if per_second < 1:
        return f"{1 / per_second:.1f} s/{unit}"
    return f"{per_second:,.{0 if per_second >= 100 else 1}f} {plural(unit)}/s"


def duration(seconds: float) -> str:
    """Return such as "0:21" or "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(event: Progress) -> str:
    """Return such as "120/2000 steps"."""
    return f"{event.done}/{event.total} {plural(event.unit)}"


def metrics(values: Mapping[str, float]) -> list[str]:
    """Return such as ["PSNR 24.1 dB", "PSNR heldout 23.0 dB"]."""
    return [
        f"{label(key)} {found:.1f} dB" if is_psnr(key) else f"{label(key)} {found:.4g}" for key, found in values.items()
    ]


def print_summary(values: Mapping[str, Any]) -> None:
    """Print the result of a run on stdout."""
    text = summary(values)
    if text:
        print(text, flush=True)


def summary(values: Mapping[str, Any]) -> str:
    """Lines of a name and a value each, in columns; what is None is left out."""
    tables = {key: item for key, item in values.items() if _is_table(item)}
    rows = [(label(key), value(key, item)) for key, item in values.items() if item is not None and key not in tables]
    return "\n".join([*_columns(rows), *(line for table in tables.values() for line in ["", *_table(table)])])


def _is_table(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines of a heading and a row each."""
    return _columns([tuple(map(label, rows[0])), *(tuple(value(*item) for item in row.items()) for row in rows)])


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """A line a row, each column but the last filled up to its longest."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
