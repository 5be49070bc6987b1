"""Test PSNR for equal multiply-adds: recipes default and paper beside PCA; `python -m tests.benchmarks.quality DATA`.

The recipes train the same field, a fair small one; "paper" is A.3 with the outer rate at 3e-4, for its 3e-6 is meant
for 500,000 steps. A step costs 8 K + 3 evaluations of the field for each datum (K inner steps with their second-order
gradient, and the outer loss with its own), so the default's steps with K = 1 are cheaper.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from functa_cli.cli.runtime import prepare_jax
from tests.benchmarks.measure import table


def pca(train: np.ndarray, test: np.ndarray, sizes: tuple[int, ...]) -> dict[int, float]:
    """PSNR (dB, of the mean squared error) on `test` [b, values] of linear PCA fitted on `train`, for each size.

    Components by subspace iteration, to well under 0.01 dB.
    """
    mean = train.mean(axis=0)
    train, test = train - mean, test - mean
    basis = np.random.default_rng(0).normal(size=(len(train), max(sizes) + 50)).astype(np.float32)
    for _ in range(8):
        basis, _ = np.linalg.qr(train @ (train.T @ basis))
    components = np.linalg.svd(basis.T @ train, full_matrices=False)[2]
    scores = test @ components.T
    left = np.mean(test**2) - np.cumsum(np.mean(scores**2, axis=0)) / test.shape[1]
    return {size: float(-10 * np.log10(left[size - 1])) for size in sizes}


def evaluations(outer: Any, inner_steps: int) -> float:
    """Evaluations of the field for each datum and point that a whole fit costs."""
    alone = round(outer.curriculum * outer.steps)
    return alone * (8 * min(1, inner_steps) + 3) + (outer.steps - alone) * (8 * inner_steps + 3)


def paper_of(settings: dict[str, Any], steps: int) -> dict[str, Any]:
    """Recipe paper on the default's field, batch and points, with the outer rate at 3e-4."""
    outer = {key: settings["outer"][key] for key in ("batch", "points")}
    outer |= {"recipe": "paper", "rate": 3e-4, "steps": steps}
    return {"field": settings["field"], "outer": outer, "seed": settings.get("seed", 0)}


def runs(data: str, settings: dict[str, Any], seeds: int) -> Iterator[dict[str, Any]]:
    """A row for each fit: the default with each seed, then the paper's for as many evaluations."""
    from functa_cli import basenet
    from functa_cli.basefile import read_base
    from functa_cli.config import overlay
    from functa_cli.events import Note
    from functa_cli.fit import fit

    config = basenet.settings("image", [settings])
    budget = evaluations(config.outer, config.inner.steps)
    steps = int(budget / (8 * config.inner.steps + 3))
    whole = overlay(
        settings, {"field": vars(config.field), "outer": {"batch": config.outer.batch, "points": config.outer.points}}
    )
    jobs = [("default", overlay(whole, {"seed": seed})) for seed in range(seeds)]
    jobs.append(("paper at 3e-4", paper_of(whole, steps)))
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, layer) in enumerate(jobs):
            out, begun = str(Path(folder, f"{number}.zarr")), time.perf_counter()
            rolled = 0
            for event in fit(data, out, modality="image", layers=[layer]):
                rolled += isinstance(event, Note) and "halved the rate" in event.text
            base = read_base(out)
            width = config.field.latent_dim
            linear = baselines(data, layer, (width,))[width] if name == "default" else None
            yield {
                "recipe": name,
                "seed": layer.get("seed", 0),
                "steps": base.config["outer"]["steps"],
                "test PSNR": f"{base.info['psnr_heldout']:.2f}",
                f"PCA-{width}": "" if linear is None else f"{linear:.2f}",
                "rollbacks": rolled,
                "minutes": f"{(time.perf_counter() - begun) / 60:.1f}",
                "curve": " ".join(f"{step}:{look:.1f}" for step, _, look in base.info["curve"]),
            }


def baselines(data: str, settings: dict[str, Any], sizes: tuple[int, ...]) -> dict[int, float]:
    """PSNR of PCA on the split that a fit with these settings uses."""
    from functa_cli import basenet

    config = basenet.settings("image", [settings])
    source = basenet.modality("image").open(data, config.data, seed=config.seed)
    values = np.stack([source[index].features.ravel() for index in range(len(source))])
    split = np.array(list(source.split))
    return pca(values[split == "train"], values[split == "test"], sizes)


@click.command()
@click.argument("data")
@click.option("--seeds", default=3)
@click.option("--set", "sets", multiple=True, help="As of functa fit.")
def main(data: str, seeds: int, sets: tuple[str, ...]) -> None:
    """Print a table for the pictures in DATA."""
    from functa_cli.config import overlay, parse_set

    prepare_jax()
    settings = overlay(*map(parse_set, sets))
    rows = []
    for row in runs(data, settings, seeds):
        print(json.dumps(row), file=sys.stderr, flush=True)
        rows.append(row)
    print(table(rows))


if __name__ == "__main__":
    main()
