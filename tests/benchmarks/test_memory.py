"""Peak memory of encode and decode grows with neither the number of data nor the size of a datum (-m benchmark -s)."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.benchmarks.measure import finished
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
    try:  # what the system counts for the process includes what its parent held when it began
        kept = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    except OSError:
        kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak", kept, file=sys.stderr)
"""


def peak(*words: object) -> tuple[float, float]:
    """Peak resident memory (MB) and CPU time (s) of `functa WORDS` as a process of its own."""
    command = [sys.executable, "-c", MEASURE, *map(str, words)]
    done, seconds = finished(command, timeout=600, env={**os.environ, **SAME})
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    megabytes = int(done.stderr.rsplit("peak ", 1)[1].split()[0]) / scale
    return megabytes, seconds


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


def balls(folder: Path, count: int, size: int) -> None:
    """`count` grids of `size` cells a side."""
    places = (np.indices((size, size, size)) + 0.5) / size - 0.5
    for number in range(count):
        inside = np.linalg.norm(places, axis=0) < 0.2 + 0.2 * number / count
        np.savez_compressed(folder / f"{number:04d}.npz", voxels=inside)


def fields(folder: Path, count: int, size: int) -> None:
    """`count` global fields of `size` rows and twice as many columns, in one file."""
    import h5netcdf

    latitude, longitude = np.linspace(90, -90, size), np.arange(2 * size) * 180 / size
    with h5netcdf.File(folder / "t2m.nc", "w") as file:
        file.dimensions = {"time": count, "latitude": size, "longitude": 2 * size}
        for name, values, unit in (
            ("time", np.arange(count), "hours since 2000-01-01"),
            ("latitude", latitude, "degrees_north"),
            ("longitude", longitude, "degrees_east"),
        ):
            file.create_variable(name, (name,), data=np.asarray(values, np.float64)).attrs["units"] = unit
        chunks = (1, size, 2 * size)
        shown = file.create_variable("t2m", ("time", "latitude", "longitude"), np.float32, chunks=chunks)
        shown.attrs["units"] = "K"
        for number in range(count):
            shown[number] = 280 - 0.3 * np.abs(latitude)[:, None] + np.sin(number + np.deg2rad(longitude))[None]


def views(folder: Path, count: int, size: int) -> None:
    """`count` scenes of 12 views of `size` x `size` pixels."""
    from functa_cli.cameras import orbit
    from functa_cli.modalities.scene import write_folder

    poses = orbit(12, 1.3, np.array([0.0, 1.0, 0.0]), 20.0).reshape(-1, 16).tolist()
    for number in range(count):
        frames = np.full((12, size, size, 3), 40 + number % 200, np.uint8)
        write_folder(folder / f"{number:04d}", frames, {"poses": poses, "focal": 1.0, "centre": [0.5, 0.5]})


KINDS = {  # how data are made, (count, size): few that fill a batch, more, and larger ones; options of encode
    "voxel": (balls, (8, 64), (80, 64), (8, 160), ()),
    "era5": (fields, (16, 91), (160, 91), (16, 721), ("--grid", "native")),
    "scene": (views, (16, 64), (160, 64), (6, 256), ("--encode-rays", "0")),
}
GROWN = 0.15  # a grid of bits, a field or the pictures of a view are held, and nothing else of their size


@pytest.mark.benchmark
@pytest.mark.parametrize("kind", KINDS)
def test_peak_memory_of_encode_grows_with_neither_number_nor_size(kind, tmp_path):
    from functa_cli import basenet

    make, *sets, options = KINDS[kind]
    chosen, peaks = basenet.modality(kind), []
    print(f"\n{'kind':8s} {'data':>6s} {'size':>6s} {'peak MB':>8s} {'CPU s':>8s}")
    for count, size in sets:
        folder = tmp_path / f"{count}-{size}"
        folder.mkdir()
        make(folder, count, size)
        if not peaks:
            geometry = chosen.open(str(folder), chosen.options(), seed=0).geometry
            base = save_base(tmp_path / "base.zarr", modality=kind, geometry=geometry, channels=geometry["channels"])
        out = tmp_path / f"{count}-{size}.zarr"
        megabytes, seconds = peak("encode", folder, out, "--base", base, "--shard", 16, *options)
        peaks.append(megabytes)
        print(f"{kind:8s} {count:6d} {size:6d} {megabytes:8.1f} {seconds:8.1f}")
    assert max(peaks) <= peaks[0] * (1 + GROWN)
