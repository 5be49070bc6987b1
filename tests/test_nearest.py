"""The functum that shows best what is seen: against each of them decoded, whatever is hidden."""

from functools import partial

import jax
import numpy as np

from functa_cli import nearest as module
from functa_cli.signal import Signal
from tests.networks import network, pictures


def run(decoder, theta, functa, signal: Signal) -> jax.Array:
    return jax.jit(partial(module.nearest, decoder))(theta, functa, signal)


def test_it_is_the_one_that_was_seen_whatever_is_hidden():
    _, decoder, theta = network()
    functa = np.random.default_rng(0).normal(size=(7, *decoder.latent_shape)).astype(np.float32)
    shown = pictures(3, (6, 6), hidden=0.7)
    coords = np.repeat(np.asarray(shown.coords)[None], 3, axis=0)
    chosen = np.array([4, 0, 6])
    features = np.stack([decoder(theta, functa[one], coords[0]) for one in chosen])
    seen = np.asarray(shown.weights)
    hidden = np.where(seen[..., None] > 0, features, 1e3).astype(np.float32)
    found = run(decoder, theta, functa, Signal(coords, hidden, seen))
    np.testing.assert_array_equal(found, chosen)


def test_weights_decide_which_points_count():
    _, decoder, theta = network()
    functa = np.random.default_rng(1).normal(size=(2, *decoder.latent_shape)).astype(np.float32)
    coords = np.asarray(pictures(1, (6, 6)).coords)[None]
    upper = np.arange(36) < 18
    first, second = (np.asarray(decoder(theta, one, coords[0])) for one in functa)
    features = np.where(upper[:, None], first, second)[None]
    for number, kept in enumerate((upper, ~upper)):
        weights = np.where(kept, 1.0, 0.01)[None].astype(np.float32)
        assert run(decoder, theta, functa, Signal(coords, features, weights)).tolist() == [number]


def test_few_points_choose_those_that_all_points_decide_between(monkeypatch):
    """The functum that is right everywhere comes last by the few points, which are noisy, and first by all."""
    _, decoder, theta = network()
    functa = np.random.default_rng(2).normal(size=(5, *decoder.latent_shape)).astype(np.float32)
    coords = np.asarray(pictures(1, (8, 8)).coords)[None]
    features = np.asarray(decoder(theta, functa[3], coords[0]))[None].copy()
    features[:, :: module.THINNED] = decoder(theta, functa[0], coords[0, :: module.THINNED])
    signal = Signal(coords, features, np.ones((1, 64), np.float32))
    assert run(decoder, theta, functa, signal).tolist() == [3]
    monkeypatch.setattr(module, "LEFT", 1)
    assert run(decoder, theta, functa, signal).tolist() == [0]
