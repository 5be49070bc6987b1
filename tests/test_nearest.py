"""The functum that shows best what is seen: against each of them decoded, whatever is hidden."""

import numpy as np

from functa_cli.nearest import nearest
from functa_cli.signal import Signal
from tests.networks import network, pictures


def test_it_is_the_one_that_was_seen_whatever_is_hidden():
    _, decoder, theta = network()
    functa = np.random.default_rng(0).normal(size=(7, *decoder.latent_shape)).astype(np.float32)
    shown = pictures(3, (6, 6), hidden=0.7)
    coords = np.repeat(np.asarray(shown.coords)[None], 3, axis=0)
    chosen = np.array([4, 0, 6])
    features = np.stack([decoder(theta, functa[one], coords[0]) for one in chosen])
    seen = np.asarray(shown.weights)
    hidden = np.where(seen[..., None] > 0, features, 1e3).astype(np.float32)
    found = nearest(decoder, theta, functa, Signal(coords, hidden, seen))
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
        assert nearest(decoder, theta, functa, Signal(coords, features, weights)).tolist() == [number]
