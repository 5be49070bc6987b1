"""What every prior keeps to, whichever it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli import learn, plugins, priornet
from functa_cli.learn import Vectors
from functa_cli.prior import Draw

DIM, CLASSES = 3, 2
SMALL = {
    "flow": {"layers": 3, "width": 16, "label_dim": 4},
    "ddpm": {
        "width": 32,
        "blocks": 2,
        "label_dim": 4,
        "noise_steps": 100,
        "beta_last": 0.15,
        "label_dropout": 0.3,
        "dropout": 0.0,
    },
}
LEARN = {"steps": 800, "evaluate": 100, "rate": 3e-3, "noise": 0.0, "batch": 64}
KINDS = plugins.names("priors")


def config(kind: str, **options):
    own = {**SMALL.get(kind, {}), "normalise": "standard", "norm_factor": 1.0, **options}
    return priornet.settings(kind, [{"prior": own, "learn": LEARN}])


@pytest.fixture(scope="module", params=KINDS)
def learned(request):
    """A prior of two classes around +-0.5 in every entry, its parameters, and data it has not seen."""
    settings = config(request.param)
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, 1200).astype(np.int32)
    x = (0.5 * (2 * labels[:, None] - 1) + 0.1 * rng.normal(size=(1200, DIM))).astype(np.float32)
    prior = priornet.make(settings, DIM, CLASSES)
    start = learn.begin(prior.init(jax.random.key(0)), settings.learn)
    sets = Vectors(x[:1000], labels[:1000]), Vectors(x[1000:], labels[1000:])
    *_, last = learn.learn(start, 0, settings.learn, 0, *sets, prior.loss, prior.looks)
    return prior, last.run, sets[1]


def test_learning_lowers_the_loss_on_data_held_out(learned):
    _, run, _ = learned
    looks = run.history[np.isfinite(run.history[:, 0]), 2]
    assert looks.min() < looks[0] - 0.05


def test_samples_are_what_was_learned_and_differ_by_label(learned):
    prior, run, _ = learned
    labels = jnp.repeat(jnp.arange(CLASSES), 200)
    x = np.asarray(prior.sample(run.best, jax.random.key(1), labels, Draw()))
    assert x.shape == (400, DIM)
    for label in range(CLASSES):
        own = x[label * 200 : (label + 1) * 200]
        np.testing.assert_allclose(own.mean(axis=0), 0.5 * (2 * label - 1), atol=0.15)
        assert np.all(own.std(axis=0) < 0.35)


def test_samples_without_a_label_are_of_both_classes(learned):
    prior, run, _ = learned
    x = np.asarray(prior.sample(run.best, jax.random.key(1), jnp.full(400, CLASSES), Draw()))
    assert 0.1 < (x.mean(axis=1) > 0).mean() < 0.9


def test_the_same_key_draws_the_same_bytes_and_another_one_others(learned):
    prior, run, _ = learned
    labels = jnp.zeros(4, jnp.int32)
    first, again, other = (prior.sample(run.best, jax.random.key(seed), labels, Draw()) for seed in (3, 3, 4))
    assert np.asarray(first).tobytes() == np.asarray(again).tobytes()
    assert np.abs(np.asarray(first) - np.asarray(other)).min() > 0


def test_a_lower_temperature_draws_samples_that_are_more_alike(learned):
    prior, run, _ = learned
    labels = jnp.zeros(200, jnp.int32)
    spreads = [
        np.asarray(prior.sample(run.best, jax.random.key(5), labels, Draw(temperature=t))).std() for t in (0.3, 1.0)
    ]
    assert spreads[0] < 0.6 * spreads[1]


def test_a_prior_with_a_density_has_noise_to_walk_in_and_ranks_data_by_it(learned):
    prior, run, heldout = learned
    if prior.log_prob is None:
        assert prior.to_noise is None
        return
    own = np.asarray(prior.log_prob(run.best, heldout.x, heldout.labels))
    wrong = np.asarray(prior.log_prob(run.best, heldout.x, 1 - heldout.labels))
    assert own.mean() > wrong.mean() + 1
    noise = prior.to_noise(run.best, heldout.x, heldout.labels)
    np.testing.assert_allclose(np.std(noise), 1.0, atol=0.2)
    back = prior.from_noise(run.best, noise, heldout.labels)
    np.testing.assert_allclose(back, heldout.x, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipes_are_settings_that_exist(kind):
    for recipe in ("default", "paper"):
        made = priornet.settings(kind, [{"learn": {"recipe": recipe}}])
        assert made.learn.recipe == recipe
    assert made.learn.schedule == "inverse-sqrt"
