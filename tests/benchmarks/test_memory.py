"""Peak memory of `functa encode` and `functa decode` does not grow with the number of images (-m benchmark -s)."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.sets import save_base

SETS = (1_000, 10_000)
SIZE = 16  # pixels a side
ALLOWED = (
    0.05  # growth for ten times the images: names, sizes and errors of the data are held, a few hundred bytes each
)

SAME = {"JAX_ENABLE_COMPILATION_CACHE": "false"}  # compiling takes memory, so both sets compile

MEASURE = """
import resource, runpy, sys
sys.argv = ["functa", *sys.argv[1:]]
try:
    runpy.run_module("functa_cli", run_name="__main__")
finally:
    print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def peak(*words: object) -> tuple[float, float]:
    """Peak resident memory (MB) and CPU time (s) of `functa WORDS` as a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **SAME},
    )
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    megabytes = int(done.stderr.rsplit("peak ", 1)[1].split()[0]) / scale
    return megabytes, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fill(folder: Path, count: int) -> None:
    rng = np.random.default_rng(count)
    for number in range(count):
        path = folder / f"class-{number % 10}" / f"picture-{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(path)


@pytest.mark.benchmark
def test_peak_memory_does_not_grow_with_the_number_of_images(tmp_path):
    base = save_base(tmp_path / "base.zarr")
    peaks: dict[str, list[float]] = {"encode": [], "decode": []}
    print(f"\n{'command':10s} {'images':>8s} {'peak MB':>8s} {'CPU s':>8s}")
    for count in SETS:
        fill(tmp_path / f"data{count}", count)
        store = tmp_path / f"{count}.zarr"
        for words in (
            ("encode", tmp_path / f"data{count}", store, "--base", base),
            ("decode", store, tmp_path / f"out{count}"),
        ):
            megabytes, seconds = peak(*words)
            peaks[words[0]].append(megabytes)
            print(f"{words[0]:10s} {count:8,d} {megabytes:8.1f} {seconds:8.1f}")
    for command, (few, many) in peaks.items():
        assert many <= few * (1 + ALLOWED), f"{command} grows from {few:.1f} to {many:.1f} MB"
