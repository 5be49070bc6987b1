"""Equation 2 against its closed form: a linear decoder, and the flow untrained, which is a Gaussian."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli.decoder import Decoder
from functa_cli.polish import polish
from functa_cli.posterior import Asked, Belief, descend
from functa_cli.priors import flow
from functa_cli.signal import Signal
from tests.networks import network, pictures

D, N, C = 4, 12, 2
OPTIONS = flow.Options(layers=2, width=8)
PRIOR = flow.make(D, 0, OPTIONS)
LINEAR = Decoder(
    lambda theta, phi: phi, lambda theta, phi, x: jnp.einsum("nk,kcd,d->nc", x, theta["map"], phi), (D,), D
)
BATCH = 3


def belief(seed: int = 0, d: int = D, prior=PRIOR) -> Belief:
    """A Gaussian: phi = mean + factor x, with x of deviation `OPTIONS.base`."""
    rng = np.random.default_rng(seed)
    factor = np.tril(rng.normal(size=(d, d))).astype(np.float32) + 2 * np.eye(d, dtype=np.float32)
    return Belief(prior.init(jax.random.key(0)), rng.normal(size=d).astype(np.float32), factor)


def problem(b: int = BATCH, seed: int = 1):
    """Theta, and b signals of which a third of the points is hidden."""
    rng = np.random.default_rng(seed)
    theta = {"map": jnp.asarray(rng.normal(size=(3, C, D)), jnp.float32)}
    batch = Signal(
        rng.normal(size=(b, N, 3)).astype(np.float32),
        rng.normal(size=(b, N, C)).astype(np.float32),
        (rng.uniform(size=(b, N)) > 0.33).astype(np.float32),
    )
    return theta, batch


def closed_form(theta, batch, own, trust, row):
    """Mean and covariance of the posterior of one signal in phi."""
    weights = np.repeat(batch.weights[row], C).astype(float)
    matrix = np.einsum("nk,kcd->ncd", batch.coords[row], theta["map"]).reshape(N * C, D).astype(float)
    covariance = OPTIONS.base**2 * own.factor.astype(float) @ own.factor.T
    precision = np.linalg.inv(covariance) + 2 * trust * matrix.T @ (weights[:, None] * matrix)
    right = np.linalg.solve(covariance, own.mean) + 2 * trust * matrix.T @ (weights * batch.features[row].reshape(-1))
    return np.linalg.solve(precision, right), np.linalg.inv(precision)


@pytest.fixture(scope="module")
def run():
    return jax.jit(partial(descend, LINEAR, PRIOR, steps=12))


def phi_of(own: Belief, x) -> np.ndarray:
    return np.asarray(own.mean + np.asarray(x) @ own.factor.T)


@pytest.mark.parametrize("trust", [0.05, 2.0])
def test_a_linear_decoder_and_a_gaussian_have_the_answer_of_the_closed_form(run, trust):
    theta, batch = problem()
    own, weight = belief(), trust * batch.weights.sum(1) * C
    found = run(theta, own, Asked(batch, weight, np.zeros(BATCH, int)), np.ones((BATCH, D), np.float32))
    for row in range(BATCH):
        np.testing.assert_allclose(
            phi_of(own, found.x)[row], closed_form(theta, batch, own, trust, row)[0], rtol=2e-3, atol=2e-3
        )


def test_the_objective_is_that_of_equation_2(run):
    theta, batch = problem()
    own, trust = belief(), 0.7
    found = run(theta, own, Asked(batch, trust * batch.weights.sum(1) * C, np.zeros(BATCH, int)), np.zeros((BATCH, D)))
    x = np.asarray(found.x)
    residual = np.einsum("bnk,kcd,bd->bnc", batch.coords, theta["map"], phi_of(own, x)) - batch.features
    squared = (batch.weights[..., None] * residual**2).sum((1, 2))
    gaussian = 0.5 * ((x / OPTIONS.base) ** 2).sum(1) + D * np.log(OPTIONS.base * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(found.objective, gaussian + trust * squared, rtol=1e-4)
    np.testing.assert_allclose(found.error, squared / (batch.weights.sum(1) * C), rtol=1e-4)


def test_a_narrowed_prior_is_a_gaussian_around_its_middle():
    theta, batch = problem()
    own, trust, spread = belief(), 0.7, 0.3
    around = OPTIONS.base * np.random.default_rng(8).normal(size=(BATCH, D)).astype(np.float32)
    assert PRIOR.to_noise is not None
    middle = PRIOR.to_noise(own.parameters, around, np.zeros(BATCH, int))
    asked = Asked(batch, trust * batch.weights.sum(1) * C, np.zeros(BATCH, int), middle=middle, spread=spread)
    run = jax.jit(partial(descend, LINEAR, PRIOR, steps=12))
    found = run(theta, own, asked, np.zeros((BATCH, D), np.float32))
    narrow = own._replace(factor=spread * own.factor)
    x = np.asarray(found.x)
    for row in range(BATCH):
        there = narrow._replace(mean=phi_of(own, around[row]))
        np.testing.assert_allclose(
            phi_of(own, x)[row], closed_form(theta, batch, there, trust, row)[0], rtol=2e-3, atol=2e-3
        )
    residual = np.einsum("bnk,kcd,bd->bnc", batch.coords, theta["map"], phi_of(own, x)) - batch.features
    deviation = OPTIONS.base * spread
    gaussian = 0.5 * (((x - around) / deviation) ** 2).sum(1) + D * np.log(deviation * np.sqrt(2 * np.pi))
    squared = (batch.weights[..., None] * residual**2).sum((1, 2))
    np.testing.assert_allclose(found.objective, gaussian + trust * squared, rtol=1e-4)


def test_where_nothing_is_observed_the_answer_is_the_mode(run):
    theta, batch = problem()
    nothing = batch._replace(weights=np.zeros_like(batch.weights))
    found = run(theta, belief(), Asked(nothing, np.zeros(BATCH), np.zeros(BATCH, int)), np.ones((BATCH, D)))
    np.testing.assert_allclose(found.x, 0.0, atol=1e-3 * OPTIONS.base)


def test_hidden_points_have_no_say(run):
    theta, batch = problem()
    weight = 0.5 * batch.weights.sum(1) * C
    other = batch._replace(features=np.where(batch.weights[..., None] > 0, batch.features, 77.0).astype(np.float32))
    assert not np.array_equal(other.features, batch.features)
    first, second = (
        run(theta, belief(), Asked(one, weight, np.zeros(BATCH, int)), np.ones((BATCH, D))) for one in (batch, other)
    )
    np.testing.assert_array_equal(first.x, second.x)


def test_anchors_and_noise_draw_from_the_posterior_of_a_linear_decoder():
    many, trust = 4000, 0.3
    theta, one = problem(1)
    rng = np.random.default_rng(3)
    batch = Signal(*(np.repeat(part, many, 0) for part in one))
    batch = batch._replace(features=(batch.features + rng.normal(size=batch.features.shape) / np.sqrt(2 * trust)))
    batch = batch._replace(features=batch.features.astype(np.float32))
    own, anchor = belief(), rng.normal(size=(many, D)).astype(np.float32)
    asked = Asked(batch, trust * batch.weights.sum(1) * C, np.zeros(many, int), anchor)
    found = jax.jit(partial(descend, LINEAR, PRIOR, steps=12))(theta, own, asked, np.zeros((many, D), np.float32))
    phi = phi_of(own, found.x)
    mean, covariance = closed_form(theta, one, own, trust, 0)
    deviation = np.sqrt(np.diagonal(covariance))
    np.testing.assert_allclose(phi.mean(0), mean, atol=5 * deviation.max() / np.sqrt(many))
    np.testing.assert_allclose(
        np.cov(phi, rowvar=False) / np.outer(deviation, deviation),
        covariance / np.outer(deviation, deviation),
        atol=0.1,
    )


def test_with_all_observed_and_a_large_lambda_the_prior_has_no_say():
    _, decoder, theta = network(latent_dim=D)
    batch = pictures(2, (8, 8))
    own = belief()
    start = np.zeros((2, D), np.float32)
    found = jax.jit(partial(descend, decoder, PRIOR, steps=40))(
        theta, own, Asked(batch, np.full(2, 1e8), np.zeros(2, int)), start
    )
    best = jax.jit(partial(polish, decoder, steps=40))(theta, phi_of(own, start), batch)
    reached = jax.vmap(lambda phi, f: jnp.mean((decoder(theta, phi, batch.coords) - f) ** 2))(best, batch.features)
    np.testing.assert_allclose(found.error, reached, rtol=1e-3)
