"""Completions beside simpler ways, on hidden points: `python -m tests.benchmarks.completion STORE DATA RULE...`.

STORE is a functaset with a flow prior, DATA what it was encoded from, and each RULE one of `functa impute --observe`,
or several with a semicolon between them. Beside `functa impute` with and without the prior stand the mean of the
training data, the training datum nearest in what is seen, the mean of a Gaussian on as many principal components given
what is seen, and, for grids of two axes, linear interpolation; for scenes, whose rays differ from one to the next,
white and their mean colour. All are of the held-out split and of hidden points only. `--worth` and `--steps`, which
may be given several times, are what the defaults of lambda (`impute --worth`) and of the steps with a prior were
chosen by.
"""

import tempfile
from pathlib import Path

import click
import numpy as np
from scipy.interpolate import griddata

from functa_cli import basenet, observe, rules
from functa_cli.cli.runtime import prepare_jax
from functa_cli.events import Result
from functa_cli.impute import STEPS, impute
from functa_cli.metrics import psnr
from functa_cli.store import Functaset


def conditional(train: np.ndarray, size: int):
    """(values of a datum, seen [n] of bool) -> its mean given what is seen, for a Gaussian on principal components."""
    mean = train.mean(axis=0)
    rows = train - mean
    size = min(size, len(rows) - 1)
    variance, vectors = np.linalg.eigh(rows @ rows.T)
    variance, vectors = variance[::-1][:size], vectors[:, ::-1][:, :size]
    axes = (rows.T @ vectors) / np.sqrt(variance)
    left = max((float((rows**2).sum()) - float(variance.sum())) / rows.size, 1e-7)
    prior = np.diag(left * len(rows) / variance)

    def complete(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
        own = axes[seen]
        return mean + axes @ np.linalg.solve(own.T @ own + prior, own.T @ (values - mean)[seen])

    return complete


def interpolated(values: np.ndarray, seen: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Linear interpolation of what is seen, and the nearest of it outside."""
    places = np.stack(np.meshgrid(*(np.arange(side) for side in shape), indexing="ij"), axis=-1).reshape(-1, len(shape))
    of = values.reshape(len(places), -1)
    there = seen.reshape(len(places), -1)[:, 0]
    ways = (griddata(places[there], of[there], places, method=way) for way in ("linear", "nearest"))
    linear, nearest = ways
    return np.where(np.isnan(linear), nearest, linear).ravel()


def iou(found: np.ndarray, true: np.ndarray) -> float:
    """Intersection over union of what is over a half."""
    return float(((found > 0.5) & (true > 0.5)).sum() / max(((found > 0.5) | (true > 0.5)).sum(), 1))


def baselines(store: Functaset, data: str, rule: str) -> dict[str, str]:
    """Figures of the simpler ways on hidden points."""
    network = basenet.restore(store.base)
    recorded = store.attrs["encode"]
    options = basenet.settings(store.attrs["modality"], [{"data": recorded["data"]}]).data
    source = network.modality.open(data, options, seed=recorded["seed"], geometry=store.geometry)
    split, axes = np.array(source.split), network.modality.axes
    parsed = [rules.parse(one, axes) for one in rule.split(";")]
    if rules.VIEW in axes:
        return colours(source, parsed, split)
    train = np.stack([source.cells(int(row)).features.ravel() for row in np.flatnonzero(split == "train")])
    given = conditional(train, int(np.prod(store.latent_shape)))
    found: dict[str, list[tuple[float, float]]] = {}
    for row in np.flatnonzero(split == "test"):
        signal = source.cells(int(row))
        true, channels = signal.features.ravel(), signal.features.shape[1]
        seen = np.repeat(observe.weights(parsed, source, int(row), 0) > 0, channels)
        ways = {
            "mean of the training data": train.mean(axis=0),
            "nearest by what is seen": train[((train[:, seen] - true[seen]) ** 2).sum(axis=1).argmin()],
            "Gaussian on principal components": given(true, seen),
        }
        if len(source.shapes[row]) == 2:
            ways["linear interpolation"] = interpolated(true, seen, tuple(source.shapes[row].tolist()))
        for name, values in ways.items():
            error = float(np.mean((values - true)[~seen] ** 2))
            found.setdefault(name, []).append((error, iou(values[~seen], true[~seen])))
    scale, unit = source.geometry.get("scale"), source.geometry.get("unit", "")
    lines = {}
    for name, values in found.items():
        error, overlap = np.mean(values, axis=0)
        told = f"PSNR {float(psnr(error)):.2f} dB, IoU {overlap:.3f}"
        lines[name] = told + (f", RMSE {np.sqrt(error) * scale:.3f} {unit}" if scale else "")
    return lines


def colours(source, parsed: list, split: np.ndarray) -> dict[str, str]:
    """Figures of pictures that are white, or of the mean colour of the training data, on hidden points."""
    train = [source.cells(int(row)).features.mean(axis=0) for row in np.flatnonzero(split == "train")[:20]]
    errors: dict[str, list[float]] = {"white": [], "mean colour of the training data": []}
    for row in np.flatnonzero(split == "test"):
        hidden = observe.weights(parsed, source, int(row), 0) == 0
        true = source.cells(int(row)).features[hidden]
        for name, value in zip(errors, (1.0, np.mean(train, axis=0))):
            errors[name].append(float(np.mean((true - value) ** 2)))
    return {name: f"PSNR {float(psnr(np.mean(values))):.2f} dB" for name, values in errors.items()}


@click.command()
@click.argument("path")
@click.argument("data")
@click.argument("asked", nargs=-1, required=True)
@click.option("--worth", "worths", type=float, multiple=True, help="[default: the modality's]")
@click.option("--steps", "counts", type=int, multiple=True, default=(STEPS,), show_default=True)
@click.option("--starts", type=int, default=0, show_default=True)
@click.option("--near", type=float, help="[default: the modality's]")
@click.option("--only-impute", is_flag=True, help="Leave out the simpler ways, and no prior.")
def main(
    path: str,
    data: str,
    asked: tuple[str, ...],
    worths: tuple[float, ...],
    counts: tuple[int, ...],
    starts: int,
    near: float | None,
    only_impute: bool,
) -> None:
    """Print a line for each way of completion."""
    prepare_jax()
    store = Functaset.open(path)
    own = basenet.modality(store.attrs["modality"]).worth
    for rule in asked:
        print(rule, flush=True)
        simpler = {} if only_impute else baselines(store, data, rule)
        for name, told in simpler.items():
            print(f"  {name:44} {told}", flush=True)
        ways = [("none", own, STEPS)] * (not only_impute)
        ways += [("flow", worth, steps) for worth in worths or (own,) for steps in counts]
        for prior, worth, steps in ways:
            told = f"prior {prior}" + f", worth {worth:g}, {steps} steps" * (prior != "none")
            with tempfile.TemporaryDirectory() as folder:
                events = impute(
                    path,
                    data,
                    str(Path(folder) / "o.zarr"),
                    observe=rule.split(";"),
                    prior=prior,
                    worth=worth,
                    steps=steps,
                    starts=starts,
                    near=near,
                    truth=data,
                    part="test",
                )
                values = next(event.values for event in events if isinstance(event, Result))
            hidden = {name: value for name, value in values.items() if "hidden" in name}
            print(f"  functa impute, {told:29} {hidden}", flush=True)


if __name__ == "__main__":
    main()
