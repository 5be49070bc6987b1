"""Shows the events of a running verb: progress and notes on stderr, and nothing but the result on stdout."""

import contextlib
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Generator, Iterator
from typing import Any, Protocol, TextIO

from functa_cli.cli import exits
from functa_cli.cli.figures import Pace, Throttle, count, duration, metrics, summary
from functa_cli.cli.options import Output
from functa_cli.events import Event, Note, Progress, Result


class View(Protocol):
    """How events of one kind of output are shown."""

    def note(self, event: Note) -> None:
        """Show a sentence."""

    def progress(self, event: Progress) -> None:
        """Show how far the job is."""

    def close(self) -> None:
        """Show what was held back; the job has ended, well or not."""


def show(events: Iterator[Event], output: Output) -> None:
    """Run a verb to its end. Whatever stops it, its generator is closed before the exception goes on."""
    if output.quiet:
        warnings.simplefilter("ignore")
    with clean_stdout() as out, contextlib.ExitStack() as stack:
        if isinstance(events, Generator):
            stack.callback(events.close)
        view = _view(output, out)
        stack.callback(view.close)
        for event in events:
            if isinstance(event, Note):
                view.note(event)
            elif isinstance(event, Progress):
                view.progress(event)
            else:
                view.close()
                _result(event, output, out)
        if output.verbose and not output.json:
            exits.say(f"took {duration(time.monotonic() - output.since)}")


@contextlib.contextmanager
def clean_stdout() -> Iterator[TextIO]:
    """Yield the real stdout; meanwhile whatever else is printed there, by C++ libraries too, goes to stderr."""
    if sys.stdout is None:  # closed by whoever started us
        with open(os.devnull, "w") as nowhere:
            yield nowhere
        return
    sys.stdout.flush()
    real = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(os.dup(real), "w", encoding="utf-8", errors="backslashreplace") as out:
            yield out
    finally:
        sys.stdout.flush()
        os.dup2(real, 1)
        os.close(real)


class Silence:
    """-q: errors and the result only."""

    def note(self, event: Note) -> None:
        """Show nothing."""

    def progress(self, event: Progress) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Nothing is held back."""


class JsonLines:
    """--json: every event is one object on a line of stdout; progress about once a second."""

    def __init__(self, out: TextIO):
        self.out = out
        self.throttle = Throttle(1.0)

    def note(self, event: Note) -> None:
        """Write a note after the progress that came before it."""
        self.close()
        write_json(self.out, "note", event._asdict())

    def progress(self, event: Progress) -> None:
        """Write progress if it is time."""
        for due in self.throttle.offer(event):
            write_json(self.out, "progress", due._asdict())

    def close(self) -> None:
        """Write the last progress."""
        for due in self.throttle.rest():
            write_json(self.out, "progress", due._asdict())


class Lines:
    """No terminal: plain lines on stderr, progress at most every five seconds and at the end."""

    def __init__(self, output: Output):
        self.output, self.throttle, self.pace = output, Throttle(5.0), Pace()

    def note(self, event: Note) -> None:
        """Print a note."""
        exits.say(self.output.stamp() + event.text, "warning:" if event.warning else "", "yellow")

    def progress(self, event: Progress) -> None:
        """Print progress if it is time."""
        for due in self.throttle.offer(event):
            self._print(due)

    def close(self) -> None:
        """Print the last progress."""
        for due in self.throttle.rest():
            self._print(due)

    def _print(self, event: Progress) -> None:
        figures = [count(event), *metrics(event.metrics), self.pace.at(event)]
        exits.say(self.output.stamp() + ", ".join(filter(None, figures)))


def write_json(out: TextIO, kind: str, values: dict[str, Any]) -> None:
    """Write one object on one line; numbers that JSON does not have become null."""
    print(json.dumps({"event": kind, **_plain(values)}, allow_nan=False), file=out, flush=True)


def _view(output: Output, out: TextIO) -> View:
    if output.quiet:
        return Silence()
    if output.json:
        return JsonLines(out)
    if not exits.terminal():
        return Lines(output)
    from functa_cli.cli.bar import Bar  # rich: only where it is seen

    return Bar(output)


def _result(event: Result, output: Output, out: TextIO) -> None:
    if output.json:
        write_json(out, "result", {"values": event.values})
    else:
        print(summary(_plain(event.values)), file=out, flush=True)


def _plain(value: Any) -> Any:
    """JSON-able twin of `value`: NumPy scalars and arrays become Python's, paths text, NaN and infinity None."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)
