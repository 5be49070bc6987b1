"""Figures of samples as they look when decoded: FID of pictures, and coverage of shapes, each beside a floor."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from functa_cli import basenet, coverage, inception, merit
from functa_cli.basenet import Network
from functa_cli.errors import ConfigError, DataError
from functa_cli.evaluate import assembled
from functa_cli.pairs import originals
from functa_cli.store import Functaset

POINTS = 1024  # of the cloud of a shape
SIDE = "32"  # cells along an axis that shapes are decoded at to be compared
MOST = 2048  # pictures on either side of an FID


def shapes(store: Functaset, samples: Functaset, seed: int) -> dict[str, float]:
    """Coverage, minimum matching distance and 1-NN accuracy of decoded samples against decoded held-out data.

    The floor is the same of as many training data. Empty shapes are left out.

    Raises:
        ConfigError: the data are not shapes. DataError: too few of them.
    """
    network = basenet.restore(store.base)
    if network.modality.cloud is None:
        raise ConfigError(f"--coverage compares solid shapes, and {network.config.modality} data are none")
    rng = np.random.default_rng([seed, 51])
    heldout = store.rows("test")[:MOST]
    train = np.sort(rng.permutation(store.rows("train"))[: samples.n])
    parts = [(samples, np.arange(samples.n)), (store, heldout), (store, train)]
    clouds = [_clouds(network, part, rows, rng) for part, rows in parts]
    if min(map(len, clouds)) < 2:
        raise DataError(
            f"--coverage needs two shapes on either side; {len(clouds[0])} samples, {len(heldout)} held out"
        )
    reference = np.stack(clouds[1])
    found = {**coverage.scores(np.stack(clouds[0]), reference)}
    floor = coverage.scores(np.stack(clouds[2]), reference)
    return found | {f"{name}_floor": value for name, value in floor.items()}


def fid(store: Functaset, samples: Functaset, weights: str, original: str | None) -> dict[str, Any]:
    """Frechet Inception distance of decoded samples from the data, with the functaset's own as the floor.

    `weights`: a file of the Inception network, see `inception`; `original`: where the data are, None: where the set was
    encoded from. The training data are the reference, `MOST` of them at most.

    Raises:
        ConfigError: the data have no pictures. DataError: the weights or the data cannot be read.
    """
    network = basenet.restore(store.base)
    if network.modality.picture is None:
        raise ConfigError(f"FID compares pictures, and {network.config.modality} data are none")
    known, digest = inception.read_weights(weights)
    rows = store.rows("train")[:MOST].tolist()
    found, note = originals(original, store, network, rows)
    if len(found) < 2:
        raise DataError(f"FID needs the data that the set was encoded from: {note or 'none was found'}; use --original")
    real = [network.modality.assemble(its, signal.features, shape) for signal, shape, its in found.values()]
    own, drawn = list(assembled(network, store, list(found))), list(assembled(network, samples, range(samples.n)))
    features = [_features(network, known, arrays) for arrays in (real, own, drawn)]
    return {
        "fid": merit.frechet(features[2], features[0]),
        "fid_floor": merit.frechet(features[1], features[0]),
        "fid_pictures": len(features[0]),
        "inception": digest[:16],
    }


def _features(network: Network, weights: Any, arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Inception features [pictures, 2048]; pictures of one size are worked on together."""
    assert network.modality.picture is not None
    sizes: dict[tuple, list[np.ndarray]] = {}
    for array in arrays:
        pictures = network.modality.picture(array)
        sizes.setdefault(pictures.shape[1:], []).append(pictures)
    return np.concatenate([inception.features(weights, np.concatenate(part)) for part in sizes.values()])


def _clouds(network: Network, store: Functaset, rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    assert network.modality.cloud is not None
    made = (network.modality.cloud(array, POINTS, rng) for array in assembled(network, store, rows.tolist(), SIDE))
    return [cloud for cloud in made if cloud is not None]
