"""Timing and memory of the benchmarks: variants take turns in one run, so that a busy machine slows all alike."""

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp


def seconds(variants: Mapping[str, Callable[[], Any]], repeats: int = 5) -> dict[str, float]:
    """Median wall seconds of each variant; all are run once to compile, then in turns."""
    for run in variants.values():
        jax.block_until_ready(run())
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, run in variants.items():
            begun = time.perf_counter()
            jax.block_until_ready(run())
            taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(values) for name, values in taken.items()}


def finished(command: Sequence[str], **options: Any) -> tuple[subprocess.CompletedProcess, float]:
    """A command that ended well, with what it printed, and its CPU seconds; `options` as for `subprocess.run`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def scratch(function: Callable, *args: Any) -> int:
    """Bytes of scratch memory that the compiled `function` of `args` needs, besides arguments and results."""
    return jax.jit(function).lower(*args).compile().memory_analysis().temp_size_in_bytes


def multiply_add(size: int = 2048) -> tuple[Callable[[], Any], float]:
    """The floor of the machine: a square matrix product, and its floating-point operations."""
    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    return lambda: product(a), 2.0 * size**3


def forward_flops(points: int, width: int, depth: int, coords: int, channels: int) -> float:
    """Multiply-adds, counted as two, of one evaluation of a SIREN at `points`."""
    return 2.0 * points * width * (coords + (depth - 2) * width + channels)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a plain-text table; the first row names the columns."""
    cells = [list(rows[0]), *[[_text(value) for value in row.values()] for row in rows]]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells)


def _text(value: Any) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else str(value)
