"""A new modality is one new file: sound, added to a copy of the package, passes every law and works from the shell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

AUDIO = '''
"""Sound: a folder of .wav files, each a signal of samples in [0, 1] at times in [0, 1]."""

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from functa_cli.coords import grid
from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import labels, listing, splits
from functa_cli.modality import DataOptions, DecodeOptions, Form, Match, Modality, Source, Target
from functa_cli.sheets import contact_sheet
from functa_cli.signal import Signal


class AudioSource(Source):
    def __init__(self, path, options, *, seed=0, geometry=None):
        found = listing(Path(path), (".wav",))
        if not found.names:
            raise DataError(f"{str(path)!r} holds no .wav files")
        self.root, self.problems = found.root, []
        self.ids = found.names[: options.limit or None]
        self.labels, self.classes = labels(self.ids)
        self.split = splits(self.ids, self.ids, options.split, seed)
        self.size = length(options.resolution) if options.resolution else None
        self.shapes = np.array([[self.size or len(read(self.root / name))] for name in self.ids], np.int32)
        self.geometry, self.found = {"channels": 1}, f"found {len(self.ids)} sounds"

    def __getitem__(self, index):
        values = read(self.root / self.ids[index])
        n = int(self.shapes[index][0])
        values = values[(np.arange(n) * len(values)) // n]
        return Signal(grid((n,)), values[:, None], np.ones(n, np.float32))


def length(text):
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"a resolution is a number of samples; found {text!r}")
    return int(text)


def read(path):
    with wave.open(str(path), "rb") as file:
        return (np.frombuffer(file.readframes(file.getnframes()), np.int16) / 65535 + 0.5).astype(np.float32)


def accepts(path):
    if path.is_file():
        return Match(1, "a .wav file") if path.suffix == ".wav" else None
    found = listing(path, (".wav",), most=1000).names
    return Match(1, f"{len(found)} .wav files") if found else None


def target(geometry, shape, resolution, options):
    return Target((length(resolution),) if resolution else shape, geometry)


def assemble(geometry, features, shape):
    return np.rint((np.clip(np.nan_to_num(features[:, 0]), 0, 1) - 0.5) * 65534).astype(np.int16)


def write(path, array, geometry):
    with wave.open(path.open("wb"), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(8000)
        file.writeframes(array.tobytes())


def sheet(path, rows, geometry):
    drawn = [tuple(None if one is None else plot(one) for one in row) for row in rows]
    contact_sheet(path, drawn, geometry)


def plot(sound):
    heights = (sound[np.arange(64) * len(sound) // 64] / 65535 + 0.5) * 63
    return np.where(np.arange(64)[:, None] > heights[None], 255, 0).astype(np.uint8)


def example(folder):
    for number in range(4):
        path = folder / ("low" if number % 2 else "high") / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        waves = np.sin(np.arange(64) * (0.1 + 0.2 * number)) * 30000
        write(path, waves.astype(np.int16), {})


MODALITY = Modality(
    coord_dim=1, field_dim=1, options=DataOptions, preset={"field": {"w0": 60.0}}, accepts=accepts, open=AudioSource,
    target=target, query=lambda geometry, shape, start, stop: grid(shape, start, stop), assemble=assemble,
    forms={"wav": Form(".wav", write)}, sheet=sheet, axes=("time",), unit="sound",
)
'''


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the package and of the laws, with one new file."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "functa_cli", root / "functa_cli", ignore=shutil.ignore_patterns("data", "__pycache__"))
    for name in ("tests/__init__.py", "tests/conftest.py", "tests/laws", "pyproject.toml"):
        (root / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, root / name)
    (root / "functa_cli" / "modalities" / "audio.py").write_text(AUDIO)
    return root


def python(checkout: Path, *words: object) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *map(str, words)], cwd=checkout, env=environment, capture_output=True, text=True, timeout=240
    )


def test_it_passes_every_law(checkout):
    done = python(
        checkout, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "tests/laws/test_modalities.py", "-k", "audio"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout, done.stdout


def test_it_works_from_the_shell(checkout):
    make = "from pathlib import Path; from functa_cli.modalities.audio import example; example(Path('sounds'))"
    assert python(checkout, "-c", make).returncode == 0
    tiny = ["--steps", 2, "--width", 8, "--depth", 3, "--latent-dim", 4, "--batch", 2, "-q"]
    for words in (
        ["fit", "--modality", "audio", "sounds", *tiny],
        ["encode", "sounds", "sounds.zarr"],
        ["decode", "sounds.zarr", "out", "--resolution", 100, "--sheet", "sheet.png"],
    ):
        done = python(checkout, "-m", "functa_cli", *words)
        assert done.returncode == 0, done.stderr
    assert sorted(str(path.relative_to(checkout / "out")) for path in (checkout / "out").rglob("*.wav")) == [
        "high/0.wav",
        "high/2.wav",
        "low/1.wav",
        "low/3.wav",
    ]
