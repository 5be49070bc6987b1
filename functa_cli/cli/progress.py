"""Events on the screen: a bar on a terminal, plain lines where stderr is a file, JSON lines on stdout for pipelines."""

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from functa_cli.cli import exits
from functa_cli.cli.figures import Pace, Throttle, count, duration, metrics
from functa_cli.cli.options import Output
from functa_cli.events import Event, Note, Progress, Result

LINES_EVERY = 5.0  # seconds
JSON_EVERY = 1.0


class Screen(Protocol):
    """Where events are shown."""

    def note(self, event: Note) -> None:
        """Show a sentence."""

    def progress(self, event: Progress) -> None:
        """Show how far the job is, not too often."""

    def result(self, event: Result) -> None:
        """Show what was made."""

    def close(self) -> None:
        """Show what was held back, and give the terminal and stdout back."""


def show(events: Iterable[Event], output: Output) -> None:
    """Show every event as `output` asks: results on stdout, all else on stderr, or everything as JSON on stdout.

    Whatever ends it, the generator is closed first, so that a verb leaves its store in order, and then the screen.
    """
    with contextlib.closing(_screen(output)) as screen, contextlib.ExitStack() as stack:
        if hasattr(events, "close"):
            stack.callback(events.close)  # ty: ignore[invalid-argument-type]
        for event in events:
            exits.raise_lost()
            if isinstance(event, Result):
                screen.result(event)
            elif output.quiet:
                continue
            elif isinstance(event, Note):
                screen.note(event)
            else:
                screen.progress(event)
    if output.verbose and not output.quiet:
        exits.say(f"took {duration(time.monotonic() - output.started)}")


def _screen(output: Output) -> Screen:
    if output.as_json:
        return Json()
    if exits.terminal() and not output.quiet:
        from functa_cli.cli.bar import Bar

        return Bar(output)
    return Lines(output)


class Lines:
    """A line of text a note, and one in a while of progress."""

    def __init__(self, output: Output):
        self.output, self.throttle, self.pace = output, Throttle(LINES_EVERY), Pace()
        self.metrics: dict[str, float] = {}

    def note(self, event: Note) -> None:
        """Say a note."""
        stamp = self.output.stamp()
        if event.warning:
            exits.say(event.text, f"{stamp}warning:", "yellow")
        else:
            exits.say(stamp + event.text)

    def progress(self, event: Progress) -> None:
        """Say how far the job is, if it is time."""
        for due in self.throttle.offer(event):
            self._say(due)

    def result(self, event: Result) -> None:
        """Say the last of the progress, then print the summary."""
        self.close()
        self.output.tell(event.values)

    def close(self) -> None:
        """Say the last of the progress."""
        for due in self.throttle.rest():
            self._say(due)

    def _say(self, event: Progress) -> None:
        figures = [count(event), *metrics(event.metrics), self.pace.at(event)]
        exits.say(self.output.stamp() + ", ".join(filter(None, figures)))


class Json:
    """One JSON object a line on the real stdout; whatever else writes there, in Python or below, goes to stderr."""

    def __init__(self) -> None:
        self.throttle = Throttle(JSON_EVERY)
        sys.stdout.flush()
        self.stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self.python = contextlib.redirect_stdout(sys.stderr)
        self.python.__enter__()

    def note(self, event: Note) -> None:
        """Write a note."""
        self._write("note", event._asdict())

    def progress(self, event: Progress) -> None:
        """Write how far the job is, if it is time."""
        for due in self.throttle.offer(event):
            self._write("progress", due._asdict())

    def result(self, event: Result) -> None:
        """Write the last of the progress, then the result."""
        self._rest()
        self._write("result", event._asdict())

    def close(self) -> None:
        """Write the last of the progress and give stdout back."""
        try:
            self._rest()
        finally:
            self.python.__exit__(None, None, None)
            os.dup2(self.stream.fileno(), 1)
            with contextlib.suppress(OSError):  # told already where a line was written
                self.stream.close()

    def _rest(self) -> None:
        for due in self.throttle.rest():
            self._write("progress", due._asdict())

    def _write(self, kind: str, values: dict[str, Any]) -> None:
        print(json.dumps({"event": kind, **_plain(values)}), file=self.stream, flush=True)


def _plain(value: Any) -> Any:
    """`value` as JSON has it: numpy scalars as numbers, what is not finite as null, paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
