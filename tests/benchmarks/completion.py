"""Completions beside simpler ways, on hidden points: `python -m tests.benchmarks.completion STORE DATA RULE...`.

STORE is a functaset with a flow prior, DATA what it was encoded from, and each RULE one of `functa impute --observe`.
Beside `functa impute` with and without the prior stand the mean of the training data, the training datum nearest
in what is seen, the mean of a Gaussian on as many principal components given what is seen, and, for grids of two axes,
linear interpolation. All are of the held-out split and of hidden points only.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy.interpolate import griddata

from functa_cli import basenet, observe, rules
from functa_cli.events import Result
from functa_cli.impute import impute
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
    parsed = [rules.parse(rule, axes)]
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


def main() -> None:
    path, data, *asked = sys.argv[1:]
    store = Functaset.open(path)
    for rule in asked:
        print(rule, flush=True)
        for name, told in baselines(store, data, rule).items():
            print(f"  {name:34} {told}", flush=True)
        for prior in ("none", "flow"):
            with tempfile.TemporaryDirectory() as folder:
                events = impute(
                    path, data, str(Path(folder) / "o.zarr"), observe=[rule], prior=prior, truth=data, part="test"
                )
                values = next(event.values for event in events if isinstance(event, Result))
            hidden = {name: value for name, value in values.items() if "hidden" in name}
            print(f"  functa impute, prior {prior:13} {hidden}", flush=True)


if __name__ == "__main__":
    main()
