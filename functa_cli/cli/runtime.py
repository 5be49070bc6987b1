"""What surrounds a verb: JAX prepared before it loads, its events shown, and its errors told in one line."""

import contextlib
import ctypes
import importlib.metadata
import os
from collections.abc import Callable, Iterable, MutableMapping
from pathlib import Path

import click

from functa_cli.cli import exits
from functa_cli.cli.options import Output
from functa_cli.cli.progress import show
from functa_cli.events import Event

ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
WIDE = "--xla_cpu_prefer_vector_width=512"
# Without it XLA hands sines to a library whose loops are several times slower than its own.
SINGLE_DOTS = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"


def run(start: Callable[[], Iterable[Event]], output: Output) -> None:
    """Run a verb to its end; `start` checks the settings, then imports the verb and calls it.

    Raises:
        click.exceptions.Exit: the verb failed, with the exit code.
    """
    try:
        few_arenas()
        prepare_jax()
        show(start(), output)
    except (click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        exits.raise_lost()
        raise click.exceptions.Exit(exits.report(error, output.verbose)) from None


def few_arenas() -> None:
    """Let threads share two heaps: glibc gives them up to eight a core, which fill by chance and stay full."""
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library has no such heaps
        ctypes.CDLL(None).mallopt(ARENA_MAX, 2)


def prepare_jax(
    environ: MutableMapping[str, str] = os.environ, cpuinfo: str = "/proc/cpuinfo", jaxlib: str | None = None
) -> None:
    """Set what JAX reads when it loads, unless the user has: a cache of compiled programs, and flags of its compiler.

    `jaxlib`: its version; None asks the installed one.
    """
    home = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = Path(home, "functa", "jax")
    if "JAX_COMPILATION_CACHE_DIR" not in environ:
        with contextlib.suppress(OSError):  # a run without a cache only compiles again
            cache.mkdir(parents=True, exist_ok=True)
            if os.access(cache, os.W_OK):
                environ["JAX_COMPILATION_CACHE_DIR"] = str(cache)
    environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    flags = environ.get("XLA_FLAGS", "")
    added = [WIDE] if _has_avx512(cpuinfo) else []
    added += [SINGLE_DOTS] if _knows_ynn(jaxlib or importlib.metadata.version("jaxlib")) else []
    wanted = [flag for flag in added if flag.split("=")[0] not in flags]
    if wanted:
        environ["XLA_FLAGS"] = " ".join([flags, *wanted]).strip()


def _knows_ynn(jaxlib: str) -> bool:
    """Whether SINGLE_DOTS is a flag of this version: an unknown one ends the process, so only tried ones count."""
    major, minor = (int(part) for part in jaxlib.split(".")[:2])
    return (0, 10) <= (major, minor) <= (0, 12)


def _has_avx512(cpuinfo: str) -> bool:
    try:
        return "avx512f" in Path(cpuinfo).read_text(errors="replace")
    except OSError:
        return False
