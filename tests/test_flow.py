"""The neural spline flow against autodiff, integration and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli import spline
from functa_cli.prior import Draw
from functa_cli.priors import flow

BINS = 5


def rough(shape, seed: int = 0, size: float = 1.0):
    return size * jax.random.normal(jax.random.key(seed), shape)


def perturbed(prior, size: float = 0.1):
    """Parameters of a flow that is far from the identity."""
    start = prior.init(jax.random.key(0))
    leaves, structure = jax.tree.flatten(start)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [leaf + size * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys)]
    return jax.tree.unflatten(structure, moved)


def test_a_spline_is_inverted_by_its_inverse_and_its_slope_is_autodiffs():
    x = jnp.linspace(-1.4, 1.4, 201)
    parameters = jnp.broadcast_to(rough((spline.count(BINS),)), (201, spline.count(BINS)))
    y, slopes = spline.forward(x, parameters, 1.0)
    back, again = spline.inverse(y, parameters, 1.0)
    np.testing.assert_allclose(back, x, atol=1e-5)
    np.testing.assert_allclose(again, slopes, atol=1e-4)
    of_one = jax.vmap(jax.grad(lambda at, own: spline.forward(at, own, 1.0)[0]))
    np.testing.assert_allclose(jnp.exp(slopes), of_one(x, parameters), rtol=1e-4)
    assert np.all(np.diff(y) > 0)


def test_a_spline_is_the_identity_outside_its_interval_and_with_parameters_of_zero():
    x = jnp.array([-2.0, -0.7, 0.2, 1.5])
    rough_one = jnp.broadcast_to(rough((spline.count(BINS),)), (4, spline.count(BINS)))
    y, slopes = spline.forward(x, rough_one, 1.0)
    np.testing.assert_array_equal(y[jnp.array([0, 3])], x[jnp.array([0, 3])])
    assert np.all(np.abs(y[1:3] - x[1:3]) > 1e-3)
    np.testing.assert_array_equal(slopes[jnp.array([0, 3])], 0)
    same, flat = spline.forward(x, jnp.zeros((4, spline.count(BINS))), 1.0)
    np.testing.assert_allclose(same, x, atol=1e-6)
    np.testing.assert_allclose(flat, 0, atol=1e-5)


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_a_flow_is_inverted_and_its_density_is_that_of_the_change_of_variables(dim):
    prior = flow.make(dim, 0, flow.Options(layers=4, width=16))
    parameters = perturbed(prior, 0.05)
    x, labels = 0.4 * rough((6, dim), 3), jnp.zeros(6, jnp.int32)
    noise = prior.to_noise(parameters, x, labels)
    np.testing.assert_allclose(prior.from_noise(parameters, noise, labels), x, atol=2e-5)
    jacobian = jax.vmap(jax.jacfwd(lambda one: prior.to_noise(parameters, one[None], labels[:1])[0]))(x)
    volume = jnp.linalg.slogdet(jacobian)[1]
    want = -0.5 * jnp.sum(noise**2, axis=1) - 0.5 * dim * jnp.log(2 * jnp.pi) + volume
    np.testing.assert_allclose(prior.log_prob(parameters, x, labels), want, atol=1e-4, rtol=1e-4)


def test_the_density_of_a_flow_in_two_dimensions_integrates_to_one():
    prior = flow.make(2, 0, flow.Options(layers=4, width=16))
    parameters = perturbed(prior)
    side = np.linspace(-3, 3, 801, dtype=np.float32)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    density = np.exp(np.asarray(jax.jit(prior.log_prob)(parameters, grid, np.zeros(len(grid), np.int32)), np.float64))
    assert abs(density.sum() * (side[1] - side[0]) ** 2 - 1) < 0.01


def test_an_untrained_flow_is_the_gaussian_of_its_base():
    options = flow.Options(layers=3, width=8)
    prior = flow.make(4, 0, options)
    x = 0.25 * rough((5, 4), 2)
    want = jax.scipy.stats.norm.logpdf(x, scale=options.base).sum(axis=1)
    found = prior.log_prob(prior.init(jax.random.key(0)), x, jnp.zeros(5, jnp.int32))
    np.testing.assert_allclose(found, want, atol=1e-4)


def test_a_flow_of_more_layers_is_no_larger_a_program():
    sizes = []
    for layers in (8, 64):
        prior = flow.make(6, 0, flow.Options(layers=layers, width=8))
        shapes = jax.eval_shape(prior.init, jax.random.key(0))
        program = jax.make_jaxpr(prior.log_prob)(shapes, jnp.zeros((3, 6)), jnp.zeros(3, jnp.int32))
        sizes.append(len(str(program).splitlines()))
    assert sizes[0] == sizes[1]


def test_guidance_is_not_known_to_a_flow_but_temperature_is():
    prior = flow.make(2, 0, flow.Options(layers=2, width=8))
    assert prior.draws == ("temperature",)
    parameters = prior.init(jax.random.key(0))
    cold, warm = (
        prior.sample(parameters, jax.random.key(1), jnp.zeros(8, jnp.int32), Draw(temperature=t)) for t in (0.5, 1.0)
    )
    np.testing.assert_allclose(2 * cold, warm, rtol=1e-4)
