"""Small sets of pictures, base networks for them, and what is in a folder: for the tests of the store and the verbs."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
from PIL import Image

from functa_cli import basefile, basenet, meta
from functa_cli.basefile import Base
from functa_cli.config import to_dict
from functa_cli.events import Note, Result
from functa_cli.trees import fingerprint

NET = {"width": 16, "depth": 3, "latent_dim": 8}


def save_pictures(folder: Path, shapes, *, seed: int = 0, gray: bool = False) -> list[str]:
    """Write smooth pictures of `shapes` in two classes, and return their ids."""
    rng = np.random.default_rng(seed)
    ids = []
    for number, (rows, columns) in enumerate(shapes):
        y, x = np.mgrid[:rows, :columns] / 8
        waves = np.sin(y[..., None] * rng.uniform(0, 3, 3) + x[..., None] * rng.uniform(0, 3, 3))
        values = np.rint((0.5 + 0.4 * waves) * 255).astype(np.uint8)
        path = folder / "ab"[number % 2] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values[..., 0] if gray else values).save(path)
        ids.append(path.relative_to(folder).as_posix())
    return sorted(ids)


def save_base(path: Path, *, modality: str = "image", geometry=None, channels: int = 3, seed: int = 0, **field) -> str:
    """Write an untrained base network, for pictures where no other modality and its geometry are given."""
    config = basenet.settings(modality, [{"field": {**NET, **field}, "seed": seed}])
    network = basenet.create(config, channels)
    theta = meta.start(network.theta, network.decoder.latent_shape, config.inner, seed)
    theta = jax.tree.map(np.asarray, theta)
    settings = to_dict(config)
    geometry = geometry or {"channels": channels, "background": "white", "shape": None}
    basefile.begin_base(str(path), {}, overwrite=True)
    basefile.finish_base(str(path), Base(theta, settings, modality, geometry, fingerprint(theta, settings), {}))
    return str(path)


def run(events) -> tuple[dict, list[str]]:
    """Result of a verb, and the texts of its warnings."""
    kept = list(events)
    warnings = [event.text for event in kept if isinstance(event, Note) and event.warning]
    return next(event.values for event in kept if isinstance(event, Result)), warnings


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file below a folder, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()
    }


def shell(*words: object, check: int | None = 0, cwd: Path | None = None) -> subprocess.CompletedProcess:
    """Run `functa WORDS` as a process of its own, and expect the exit code `check`."""
    done = subprocess.run(
        [sys.executable, "-m", "functa_cli", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ,
        timeout=120,
    )
    assert check is None or done.returncode == check, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done
