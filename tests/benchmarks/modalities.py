"""A functaset of any modality beside linear PCA of the same dimension: `python -m tests.benchmarks.modalities STORE`.

STORE is a functaset that `functa encode` made. Its data are read again from where they were encoded (or --data), PCA
is fitted on the training part, and both are scored on the test part: PSNR of the mean error over observed points, the
scores of the modality, RMSE in the unit of the data. Data whose points are not shared (scenes) are scored beside the
mean of the training data's features, and beside what an empty background scores.
"""

from collections.abc import Iterator

import click
import numpy as np

from functa_cli.cli.runtime import prepare_jax
from tests.benchmarks.measure import table


def components(train: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean [values] and the first `size` principal directions [size, values] of `train` [b, values]."""
    mean = train.mean(axis=0)
    centred = train - mean
    weights, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    chosen = np.argsort(weights)[::-1][: min(size, len(train) - 1)]
    scaled = vectors[:, chosen] / np.sqrt(np.maximum(weights[chosen], 1e-12))
    return mean, (centred.T @ scaled.astype(np.float32)).T


def scored(network, geometry, values: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    """Figures of predictions [b, n, c] for the truth [b, n, c], as encode tells them."""
    from functa_cli.encoder import Encoded, Tally

    error = (weights[..., None] * (values - truth) ** 2).sum((1, 2)) / (weights.sum(1) * truth.shape[-1])
    scores = network.modality.scores
    found = np.zeros((len(error), 0))
    if scores.sums:
        found = scores.figures(np.stack(scores.sums(values, truth, (weights > 0).astype(np.float32)), 1))
    nothing = np.full(len(error), np.nan)
    return Tally(network, geometry).add(Encoded(np.zeros((len(error), 0)), error, nothing, found)).figures()


def rows(store: str, data: str | None) -> Iterator[dict]:
    """A row for the functaset, PCA and the mean, on the test data."""
    from functa_cli import basenet
    from functa_cli.encode import tally
    from functa_cli.store import Functaset

    opened = Functaset.open(store)
    network = basenet.restore(opened.base)
    recorded = opened.attrs["encode"]
    options = basenet.settings(network.config.modality, [{"data": recorded["data"]}]).data
    where = data or recorded["source"]
    source = network.modality.open(where, options, seed=recorded["seed"], geometry=opened.geometry)
    split = np.array(opened.split)
    test, train = np.flatnonzero(split == "test"), np.flatnonzero(split == "train")
    fine = np.isfinite(opened.errors())
    size = int(np.prod(opened.latent_shape))
    yield {"what": f"functa-{size}, test", **tally(opened, network, fine & (split == "test"))}
    yield {"what": f"functa-{size}, train", **tally(opened, network, fine & (split == "train"))}
    if source.shared_coords or (len(set(map(tuple, source.shapes.tolist()))) == 1 and not source.keeps_unseen):
        signals = {index: source[int(index)] for index in [*train, *test]}
        stacked = [np.stack([signals[index].features for index in part]) for part in (train, test)]
        weights = np.stack([signals[index].weights for index in test])
        flat = [values.reshape(len(values), -1) for values in stacked]
        mean, directions = components(flat[0], size)
        back = mean + (flat[1] - mean) @ directions.T @ directions
        guess = np.broadcast_to(mean, flat[1].shape)
        for name, values in ((f"PCA-{len(directions)}, test", back), ("mean datum, test", guess)):
            yield {
                "what": name,
                **scored(network, opened.geometry, values.reshape(stacked[1].shape), stacked[1], weights),
            }
        return
    shown = [source.unseen(int(index)) or source[int(index)] for index in test]
    colour = np.mean([source[int(index)].features.mean(axis=0) for index in train[:64]], axis=0)
    for name, value in (("mean colour, test", colour), ("white, test", np.ones_like(colour))):
        errors = [np.mean((signal.features - value) ** 2) for signal in shown]
        yield {"what": name, "psnr_unseen": float(-10 * np.log10(np.mean(errors)))}


@click.command()
@click.argument("store")
@click.option("--data", default=None, help="Where the data are, if they have moved.")
def main(store: str, data: str | None) -> None:
    """Print a table for the functaset STORE."""
    prepare_jax()
    found = list(rows(store, data))
    names = list(dict.fromkeys(name for row in found for name in row))
    shown = [{name: row.get(name, "") for name in names} for row in found]
    print(table([{k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in shown]))


if __name__ == "__main__":
    main()
