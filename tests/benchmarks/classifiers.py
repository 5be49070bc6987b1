"""Classifiers beside one another, on one split: `python -m tests.benchmarks.classifiers STORE [DATA]`.

STORE is a functaset with labels and test data; DATA is where its data are, if they have moved. Rows: the perceptron
on functa that `functa fit STORE --classifier` learns, logistic regression on as many principal components, and a
convolutional network on the arrays themselves, 3D for voxels and 2D for pictures. All leave out the same tenth of the
training data, which stops them, and are scored once on the test data. Times are seconds of CPU, all cores and compiling
included, so that a busy machine does not change them; those of PCA count the decomposition.

Of the paper's 3D network we know that it works on 64^3 grids, and that on ShapeNet it reaches what the perceptron
does (93.3 to 93.6 %, and 94.8 to 94.0 % for larger ones). Its layers are not published. Ours halves the grid four
times by convolutions of 3^k cells with stride 2, doubles the channels each time, and averages what is left. In 3D the
first is one of 4^3 cells with stride 4, for most of the work would be in the cells that it passes over.
"""

import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from functa_cli.cli.runtime import prepare_jax
from functa_cli.config import parse_set
from tests.benchmarks.measure import table
from tests.benchmarks.modalities import components

SMOOTHING = 0.1


class Task(NamedTuple):
    """Arrays and labels, and which rows are learned from."""

    arrays: Callable[[np.ndarray], np.ndarray]  # rows -> float32 [b, *grid, c]
    labels: np.ndarray
    parts: Any  # of labelled
    shape: tuple[int, ...]  # grid and channels


class Outcome(NamedTuple):
    """One training."""

    accuracy: float
    parameters: int
    seconds: float


def opened(store: str, data: str | None) -> Task:
    """The data that STORE was encoded from; grids of voxels are kept as bits, pictures as bytes."""
    from functa_cli import basenet
    from functa_cli.labelled import parts_of
    from functa_cli.store import Functaset

    functaset = Functaset.open(store)
    how = functaset.attrs["encode"]
    modality = functaset.attrs["modality"]
    options = basenet.settings(modality, [{"data": how["data"]}]).data
    source = basenet.modality(modality).open(
        data or how["source"], options, seed=how["seed"], geometry=functaset.geometry
    )
    parts = parts_of(functaset)
    shape = (*functaset.shapes[0].tolist(), functaset.geometry["channels"])
    bits = modality == "voxel"
    kept = []
    for index in range(functaset.n):
        values = source[index].features
        kept.append(np.packbits(values > 0.5) if bits else np.rint(values * 255).astype(np.uint8).ravel())
    rows = np.stack(kept)

    def arrays(chosen: np.ndarray) -> np.ndarray:
        values = np.unpackbits(rows[chosen], axis=1, count=int(np.prod(shape))) if bits else rows[chosen] / 255.0
        return values.astype(np.float32).reshape(len(chosen), *shape)

    return Task(arrays, parts.labels, parts, shape)


def perceptron(store: str, layers: list, seed: int) -> Outcome:
    """What `functa fit --classifier` comes to."""
    from functa_cli.events import Result
    from functa_cli.fit_classifier import fit_classifier

    with tempfile.TemporaryDirectory() as folder:
        copy = str(shutil.copytree(store, Path(folder, "set.zarr")))
        begun = time.process_time()
        events = list(fit_classifier(copy, layers=[*layers, {"seed": seed}], overwrite=True))
        seconds = time.process_time() - begun
    values = next(event.values for event in events if isinstance(event, Result))
    return Outcome(values["accuracy_test"], values["parameters"], seconds)


def split(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that are learned from, and those that stop it."""
    from functa_cli.labelled import validation

    left = validation(task.parts, 0.1, seed)
    return task.parts.train[~left], task.parts.train[left]


def regression(task: Task, dim: int, seed: int) -> Outcome:
    """Logistic regression on `dim` standardised principal components, its penalty chosen on the rows that stop."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    begun = time.process_time()
    learnt, held = split(task, seed)
    flat = task.arrays(learnt).reshape(len(learnt), -1)
    mean, directions = components(flat, dim)
    scores = (flat - mean) @ directions.T
    deviation = scores.std(axis=0)
    xs = [scores / deviation]
    for rows in (held, task.parts.test):
        xs.append((task.arrays(rows).reshape(len(rows), -1) - mean) @ directions.T / deviation)
    classes = len(task.parts.classes)
    target = np.eye(classes)[task.labels[learnt]]

    def fitted(penalty: float) -> Callable[[np.ndarray], np.ndarray]:
        def loss(flat_weights: np.ndarray) -> tuple[float, np.ndarray]:
            weights = flat_weights.reshape(-1, classes)
            log_p = log_softmax(xs[0] @ weights[:-1] + weights[-1], axis=1)
            error = (np.exp(log_p) - target) / len(target)
            gradient = np.concatenate([xs[0].T @ error + penalty * weights[:-1], error.sum(axis=0)[None]])
            value = -(log_p * target).sum() / len(target) + 0.5 * penalty * (weights[:-1] ** 2).sum()
            return float(value), gradient.ravel()

        weights = minimize(loss, np.zeros((xs[0].shape[1] + 1) * classes), jac=True, method="L-BFGS-B").x
        weights = weights.reshape(-1, classes)
        return lambda x: x @ weights[:-1] + weights[-1]

    def judged(model: Callable) -> float:
        log_p = log_softmax(model(xs[1]), axis=1)
        return float(-log_p[np.arange(len(held)), task.labels[held]].mean())

    best = min((fitted(penalty) for penalty in np.logspace(-5, 1, 13)), key=judged)
    right = best(xs[2]).argmax(axis=1) == task.labels[task.parts.test]
    return Outcome(float(right.mean()), (dim + 1) * classes, time.process_time() - begun)


def convolutional(task: Task, channels: int, epochs: int, seed: int) -> Outcome:
    """A convolutional network on the arrays, Adam at 1e-3 with half a cosine; the best epoch's weights are scored."""
    import jax
    import jax.numpy as jnp
    import optax
    from flax import nnx

    axes, size = len(task.shape) - 1, 32
    classes = len(task.parts.classes)

    class Network(nnx.Module):
        def __init__(self, rngs: nnx.Rngs):
            n_in = task.shape[-1]
            for number in range(4):
                n_out = channels << number
                cells = kernel(number) ** axes
                setattr(self, f"conv_{number}", nnx.Linear(cells * n_in, n_out, rngs=rngs))
                n_in = n_out
            self.dropout = nnx.Dropout(0.2, rngs=rngs)
            self.leave = nnx.Linear(n_in, classes, rngs=rngs)

        def __call__(self, x: Any) -> Any:
            for number in range(4):
                x = jax.nn.silu(getattr(self, f"conv_{number}")(gathered(x, kernel(number))))
            return self.leave(self.dropout(x.mean(axis=tuple(range(1, axes + 1)))))

    def kernel(number: int) -> int:
        return 4 if number == 0 and axes == 3 else 3

    def gathered(x: Any, size: int) -> Any:
        """The cells under each place of a convolution: as a matrix product its gradient is far faster in 3D."""
        counts = [extent // (size if size == 4 else 2) for extent in x.shape[1:-1]]
        if size == 4:  # blocks that do not overlap
            blocks = x.reshape(len(x), *[part for count in counts for part in (count, size)], x.shape[-1])
            order = (0, *range(1, 2 * axes, 2), *range(2, 2 * axes + 1, 2), 2 * axes + 1)
            return blocks.transpose(order).reshape(len(x), *counts, -1)
        x = jnp.pad(x, ((0, 0), *[(0, 1)] * axes, (0, 0)))
        slices = [[slice(at, at + 2 * count - 1, 2) for at in range(size)] for count in counts]
        return jnp.concatenate([x[(slice(None), *chosen)] for chosen in itertools.product(*slices)], axis=-1)

    begun = time.process_time()
    learnt, held = split(task, seed)
    network = Network(nnx.Rngs(seed))
    steps = epochs * -(-len(learnt) // size)
    schedule = optax.schedules.warmup_cosine_decay_schedule(0.0, 1e-3, steps // 20, steps)
    optimizer = nnx.Optimizer(network, optax.adamw(schedule, weight_decay=1e-4), wrt=nnx.Param)

    @nnx.jit
    def step(network: Network, optimizer: nnx.Optimizer, x: Any, labels: Any) -> Any:
        def loss(network: Network) -> Any:
            target = (1 - SMOOTHING) * jax.nn.one_hot(labels, classes) + SMOOTHING / classes
            return optax.softmax_cross_entropy(network(x), target).mean()

        value, gradient = nnx.value_and_grad(loss)(network)
        optimizer.update(network, gradient)
        return value

    told = nnx.jit(lambda network, x: network(x))

    def logits(rows: np.ndarray) -> np.ndarray:
        network.eval()
        parts = [np.resize(rows[start : start + size], size) for start in range(0, len(rows), size)]
        found = [np.asarray(told(network, task.arrays(part))) for part in parts]
        network.train()
        return np.concatenate(found)[: len(rows)]

    best, kept = np.inf, None
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(learnt)
        for start in range(0, len(order), size):
            rows = np.resize(order[start : start + size], size)
            step(network, optimizer, task.arrays(rows), jnp.asarray(task.labels[rows]))
        log_p = jax.nn.log_softmax(logits(held), axis=1)
        found = float(-log_p[np.arange(len(held)), task.labels[held]].mean())
        if found < best:
            best, kept = found, jax.tree.map(lambda leaf: leaf.copy(), nnx.state(network, nnx.Param))
    nnx.update(network, kept)
    right = logits(task.parts.test).argmax(axis=1) == task.labels[task.parts.test]
    count = sum(leaf.size for leaf in jax.tree.leaves(kept))
    return Outcome(float(right.mean()), count, time.process_time() - begun)


def row(what: str, found: list[Outcome]) -> dict[str, Any]:
    """A line of the table."""
    accuracy = [100 * one.accuracy for one in found]
    spread = statistics.stdev(accuracy) if len(accuracy) > 1 else 0.0
    mean = statistics.fmean(accuracy)
    seconds = statistics.fmean(one.seconds for one in found)
    return {
        "what": what,
        "accuracy, %": f"{mean:.1f}",
        "deviation": f"{spread:.1f}",
        "parameters": f"{found[0].parameters:,}",
        "training, CPU s": f"{seconds:.1f}",
    }


def rows(store: str, data: str | None, layers: list, seeds: int, channels: int, epochs: int) -> Iterator[dict]:
    """A row for each classifier."""
    task = opened(store, data)
    dim = int(np.prod(task.parts.phi.shape[1:]))
    every = range(seeds)
    yield row(f"perceptron on functa-{dim}", [perceptron(store, layers, seed) for seed in every])
    if seeds > 1:
        yield row(f"{seeds} of them together", [perceptron(store, [*layers, {"seeds": seeds}], 0)])
    yield row(f"logistic regression on PCA-{dim}", [regression(task, dim, seed) for seed in every])
    name = f"{len(task.shape) - 1}D CNN on the arrays"
    found = []
    for seed in every:
        found.append(convolutional(task, channels, epochs, seed))
        click.echo(f"{name}, seed {seed}: {found[-1]}", err=True)
    yield row(name, found)


@click.command()
@click.argument("store")
@click.argument("data", required=False)
@click.option("--seeds", default=3, show_default=True)
@click.option("--channels", default=16, show_default=True, help="Of the first convolution.")
@click.option("--epochs", default=30, show_default=True, help="Of the convolutional network.")
@click.option("--set", "settings", multiple=True, help="A setting of the perceptron, such as classifier.width=128.")
def main(store: str, data: str | None, seeds: int, channels: int, epochs: int, settings: tuple[str, ...]) -> None:
    """Print a table for the functaset STORE."""
    prepare_jax()
    layers = [parse_set(text) for text in settings]
    found = []
    for one in rows(store, data, layers, seeds, channels, epochs):
        found.append(one)
        click.echo(" ".join(map(str, one.values())), err=True)
    print(table(found))


if __name__ == "__main__":
    main()
