"""What surrounds a verb: JAX prepared before it loads, signals, and errors turned into one line and an exit code."""

import contextlib
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from functa_cli.errors import FunctaError
from functa_cli.events import Event

RESUME = "the same command continues where this one stopped"


class Terminated(BaseException):
    """SIGTERM arrived."""


def prepare_jax() -> None:
    """Set what JAX reads when it loads, unless the user has: a cache of compiled programs, and wide vectors."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "functa" / "jax"
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        with contextlib.suppress(OSError):
            cache.mkdir(parents=True, exist_ok=True)
            if os.access(cache, os.W_OK):
                os.environ["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_prefer_vector_width" not in flags and "avx512f" in _processor():
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_prefer_vector_width=512".strip()


def run(events: Callable[[], Iterator[Event]], *, as_json: bool, quiet: bool, verbose: int) -> None:
    """Run a verb to its end and leave with its exit code; `events` imports and starts it.

    0 done, 1 failed, 130 interrupted (Ctrl-C), 143 terminated (SIGTERM).
    """
    from functa_cli.cli.progress import Screen

    screen = Screen(as_json=as_json, quiet=quiet)
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        prepare_jax()
        with screen:
            stream = events()
            try:
                for event in stream:
                    screen.show(event)
            finally:
                stream.close()  # ty: ignore[unresolved-attribute]
        code = 0
    except BaseException as error:
        if verbose >= 2 and not isinstance(error, (KeyboardInterrupt, Terminated)):
            traceback.print_exc()
        code = _report(error, screen)
    finally:
        signal.signal(signal.SIGTERM, previous)
    if code:
        raise click.exceptions.Exit(code)


def _report(error: BaseException, screen: Any) -> int:
    if isinstance(error, KeyboardInterrupt):
        screen.line(f"interrupted; {RESUME}")
        return 130
    if isinstance(error, Terminated):
        screen.line(f"terminated; {RESUME}")
        return 143
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if isinstance(error, (SystemExit, GeneratorExit, click.exceptions.Exit)):
        raise error
    if isinstance(error, FunctaError):
        screen.error(str(error))
    elif isinstance(error, MemoryError):
        screen.error("out of memory; a smaller --batch or --resolution needs less")
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        screen.error(f"the disk is full; free some space, then {RESUME}")
    elif isinstance(error, OSError):
        where = f"{error.filename!r}: " if error.filename else ""
        screen.error(f"{where}{error.strerror or error}")
    else:
        text = " ".join(str(error).split())[:300]
        screen.error(f"unexpected {type(error).__name__}: {text}; -vv shows the traceback; please report it")
    return 1


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _processor() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
