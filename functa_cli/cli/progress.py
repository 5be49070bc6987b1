"""Events on the screen: a bar on a terminal, plain lines where stderr is a file, JSON lines on stdout for pipelines."""

import json
import math
import os
import sys
import time
from types import TracebackType
from typing import Any, TextIO

from functa_cli.events import Event, Note, Progress, Result

PLAIN_EVERY = 5.0  # seconds between lines where there is no terminal
JSON_EVERY = 1.0
UNITS = {"psnr": "PSNR {:.2f} dB", "psnr_heldout": "held out {:.2f} dB"}


class Screen:
    """Shows events; nothing but the result goes to stdout, or all events as JSON."""

    def __init__(self, *, as_json: bool, quiet: bool):
        self.as_json, self.quiet = as_json, quiet
        self.terminal = sys.stderr.isatty()
        self.last, self.begun, self.first = -math.inf, 0.0, 0
        self.kept: dict[str, float] = {}
        self.bar: Any = None
        self.task: Any = None
        self.out: TextIO = sys.stdout

    def __enter__(self) -> "Screen":
        if self.as_json:
            # Libraries below may write to file descriptor 1; what they write goes to stderr.
            sys.stdout.flush()
            with_real = os.dup(1)
            os.dup2(2, 1)
            self.out = os.fdopen(with_real, "w")
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        if self.as_json:
            self.out.flush()
            os.dup2(self.out.fileno(), 1)
            self.out.close()
            self.out = sys.stdout

    def show(self, event: Event) -> None:
        """Show one event."""
        if isinstance(event, Note):
            self._note(event)
        elif isinstance(event, Progress):
            self._progress(event)
        else:
            self._result(event)

    def line(self, text: str) -> None:
        """A line on stderr, even when quiet."""
        print(text, file=sys.stderr, flush=True)

    def error(self, text: str) -> None:
        """One line that says what went wrong."""
        text = " ".join(text.split())
        self.line(f"\x1b[31merror:\x1b[0m {text}" if self._coloured() else f"error: {text}")

    def _note(self, note: Note) -> None:
        if self.as_json:
            self._json({"event": "note", "text": note.text, "warning": note.warning})
        if self.quiet:
            return
        text = f"warning: {note.text}" if note.warning else note.text
        text = "\\n".join(text.splitlines())
        if self.bar is not None:
            from rich.text import Text

            self.bar.console.print(Text(text, style="yellow" if note.warning else ""), soft_wrap=True)
        else:
            self.line(f"\x1b[33m{text}\x1b[0m" if note.warning and self._coloured() else text)

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        if not self.begun:
            self.begun, self.first = now, event.done
        self.kept.update(event.metrics)
        last = event.done >= event.total
        if self.as_json and (last or now - self.last >= JSON_EVERY):
            self.last = now
            metrics = {key: _number(value) for key, value in event.metrics.items()}
            seconds = round(now - self.begun, 3)
            about = {"done": event.done, "total": event.total, "unit": event.unit, "seconds": seconds}
            self._json({"event": "progress", **about, **metrics})
        if self.quiet or self.as_json:
            return
        if self.terminal:
            self._draw(event)
        elif last or now - self.last >= PLAIN_EVERY:
            self.last = now
            self.line(f"{event.done}/{event.total} {event.unit}s {self._figures(event, now)}".rstrip())

    def _draw(self, event: Progress) -> None:
        if self.bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (
                BarColumn(),
                TextColumn("{task.completed}/{task.total} {task.description}"),
                TimeRemainingColumn(),
            )
            self.bar = Bar(*columns, console=Console(stderr=True), transient=False)
            self.task = self.bar.add_task("", total=event.total, completed=event.done)
            self.bar.start()
        words = f"{event.unit}s {self._figures(event, time.monotonic())}"
        self.bar.update(self.task, completed=event.done, description=words)

    def _figures(self, event: Progress, now: float) -> str:
        parts = [UNITS.get(key, key + " {:.4g}").format(value) for key, value in self.kept.items()]
        elapsed, done = now - self.begun, event.done - self.first
        if elapsed > 0 and done > 0:
            parts.append(f"{done / elapsed:.1f} {event.unit}s/s")
            if not self.terminal and event.done < event.total:
                parts.append(f"{_clock((event.total - event.done) * elapsed / done)} left")
        return " ".join(parts)

    def _result(self, result: Result) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        if self.as_json:
            self._json({"event": "result", **{key: _number(value) for key, value in result.values.items()}})
            return
        width = max(len(key) for key in result.values)
        for key, value in result.values.items():
            print(f"{key.ljust(width)}  {_text(value)}", file=self.out)
        self.out.flush()

    def _json(self, value: dict[str, Any]) -> None:
        print(json.dumps(value), file=self.out, flush=True)

    def _coloured(self) -> bool:
        return self.terminal and "NO_COLOR" not in os.environ


def _number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return "-" if value is None else str(value)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
