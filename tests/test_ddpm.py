"""The diffusion model against Gaussian data, whose best prediction of the noise has a closed form."""

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli.prior import Draw
from functa_cli.priors import ddpm

MEAN, DEVIATION = 1.5, 0.5


def oracle(schedule: ddpm.Times):
    """The noise expected in x, where data are N(MEAN, DEVIATION^2)."""
    left = jnp.asarray(schedule.left)

    def predict(x, step, labels):
        del labels
        root, away = jnp.sqrt(left[step]), 1.0 - left[step]
        return jnp.sqrt(away) * (x - root * MEAN) / (left[step] * DEVIATION**2 + away)

    return predict


def test_ancestral_sampling_gives_gaussian_data_their_mean_and_deviation():
    schedule = ddpm.times(ddpm.Options())
    start = jax.random.normal(jax.random.key(0), (4000, 2))
    x = ddpm.ancestral(oracle(schedule), schedule, jax.random.key(1), start, jnp.zeros(4000, jnp.int32))
    np.testing.assert_allclose(np.mean(x), MEAN, atol=0.03)
    np.testing.assert_allclose(np.std(x), DEVIATION, atol=0.02)


def test_fifty_steps_without_noise_come_close_to_it():
    schedule = ddpm.times(ddpm.Options())
    start = jax.random.normal(jax.random.key(0), (4000, 2))
    x = ddpm.ddim(oracle(schedule), schedule, start, jnp.zeros(4000, jnp.int32), 50)
    np.testing.assert_allclose(np.mean(x), MEAN, atol=0.03)
    np.testing.assert_allclose(np.std(x), DEVIATION, atol=0.05)


def test_untrained_it_samples_the_gaussian_that_its_normalisation_describes():
    prior = ddpm.make(3, 0, ddpm.Options(width=8, blocks=1, noise_steps=200, beta_last=0.08))
    x = prior.sample(prior.init(jax.random.key(0)), jax.random.key(1), jnp.zeros(2000, jnp.int32), Draw())
    np.testing.assert_allclose(np.mean(x), 0, atol=0.05)
    np.testing.assert_allclose(np.std(x), 1, atol=0.04)


def test_guidance_weighs_what_the_label_adds():
    def predict(x, step, labels):
        return jnp.where(labels == 2, 1.0, 3.0)[:, None] * jnp.ones_like(x)

    x, labels = jnp.zeros((4, 2)), jnp.zeros(4, jnp.int32)
    for weight, want in ((0.0, 1.0), (1.0, 3.0), (2.0, 5.0)):
        found = ddpm.guide(predict, 2, weight)(x, jnp.int32(0), labels)
        np.testing.assert_allclose(found, want)
    assert ddpm.guide(predict, 0, 2.0) is predict


def test_the_network_that_is_zero_has_the_loss_of_the_best_gaussian():
    prior = ddpm.make(4, 0, ddpm.Options(width=8, blocks=1))
    left = ddpm.times(ddpm.Options()).left
    x = jax.random.normal(jax.random.key(2), (20_000, 4))
    found = prior.loss(prior.init(jax.random.key(0)), x, jnp.zeros(20_000, jnp.int32), jax.random.key(3), dropout=False)
    np.testing.assert_allclose(np.mean(found), np.mean(left), rtol=0.03)
