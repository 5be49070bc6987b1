"""How a run ends when it does not end well: one line on stderr that says what to do, and an exit code."""

import contextlib
import errno
import os
import signal
import sys
import time
from collections.abc import Generator
from types import FrameType
from typing import NoReturn

import click

from functa_cli.errors import FunctaError

FULL = (errno.ENOSPC, errno.EDQUOT)
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
TWICE = 0.3  # seconds; programs such as timeout send one signal twice at once, to the process and to its group
SHOW_CURSOR = b"\x1b[?25h"  # a bar hides it


class Terminated(BaseException):
    """SIGTERM arrived."""


ARRIVED: list[tuple[float, type[BaseException]]] = []  # the first signal of this run: when, and what it raised


@contextlib.contextmanager
def signals() -> Generator[None]:
    """In the block, the first SIGTERM raises `Terminated`, as Ctrl-C raises KeyboardInterrupt; a second one kills."""
    ours = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before, hook = {number: signal.getsignal(number) for number in ours}, sys.unraisablehook
    ARRIVED.clear()

    def handler(number: int, frame: FrameType | None) -> None:
        if not ARRIVED:
            ARRIVED.append((time.monotonic(), KeyboardInterrupt if number == signal.SIGINT else Terminated))
            raise ARRIVED[0][1]
        if time.monotonic() - ARRIVED[0][0] > TWICE:
            if terminal():
                os.write(2, SHOW_CURSOR)
            os._exit(128 + number)

    def unraisable(lost: "sys.UnraisableHookArgs") -> None:
        if lost.exc_type not in (KeyboardInterrupt, Terminated):
            hook(lost)

    sys.unraisablehook = unraisable
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        if not ARRIVED:
            sys.unraisablehook = hook
            for number, previous in before.items():
                signal.signal(number, previous)


def raise_lost() -> None:
    """Raise what a signal raised where Python loses exceptions, such as in a callback of the garbage collector."""
    if ARRIVED:
        raise ARRIVED[0][1]


def leave(code: int) -> NoReturn:
    """End the process without tearing Python down, which crashes when a signal ended a compilation of JAX."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


def report(error: BaseException, verbose: int = 0) -> int:
    """Say what `error` means, in one line; the traceback before it only with -vv (`verbose` of 2).

    Returns:
        The exit code: 128 + the signal where one ended the run, as shells have it; else 1.
    """
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, (KeyboardInterrupt, Terminated)):
        say(f"{'terminated' if isinstance(error, Terminated) else 'interrupted'}; {_again()}")
        return 143 if isinstance(error, Terminated) else 130
    if isinstance(error, BrokenPipeError):
        # whoever read the result has left; nor may the interpreter fail when it flushes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    if verbose >= 2:
        import traceback

        traceback.print_exception(error)
    say(_sentence(error), "error:")
    return 1


def say(text: str, head: str = "", colour: str = "red") -> None:
    """Print one line on stderr, its `head` coloured on a terminal."""
    line = " ".join(text.splitlines())
    if head:
        line = f"{click.style(head, fg=colour, bold=True) if coloured() else head} {line}"
    with contextlib.suppress(OSError):  # nobody may be left to read it, and the exit code says the rest
        click.echo(line, err=True)


def coloured() -> bool:
    """Whether stderr is a terminal whose user likes colours (https://no-color.org)."""
    return terminal() and not os.environ.get("NO_COLOR")


def terminal() -> bool:
    """Whether stderr is a terminal that can move its cursor."""
    return bool(sys.stderr and sys.stderr.isatty()) and os.environ.get("TERM") not in ("dumb", "unknown")


def _again() -> str:
    """How to go on; with --overwrite the same command would begin anew."""
    which = "the same command without --overwrite" if "--overwrite" in sys.argv else "the same command"
    return f"{which} continues where this one stopped"


def _sentence(error: BaseException) -> str:
    if isinstance(error, FunctaError):
        return str(error)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
        return "out of memory; a smaller --batch or --resolution needs less"
    if isinstance(error, OSError) and error.strerror:
        where = f" at {os.fspath(error.filename)!r}" if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
        if error.errno in FULL:
            return f"no space left on the disk{where}; free some, then {_again()}"
        if error.errno in DENIED:
            return (
                f"no permission to read or write{where} ({error.strerror}); choose another place or change its rights"
            )
        return f"the system says {error.strerror!r}{where}"
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"unexpected {what}; run again with -vv for the traceback, and please report it"
