"""Laws that every field obeys: add a file to functa_cli/fields and it is held to them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli import decoder, meta, plugins, render
from functa_cli.config import InnerConfig, RenderConfig
from functa_cli.inner import fit_modulations
from functa_cli.signal import Signal
from tests.networks import pictures

CASES = [
    ("siren", {"modulation": "latent", "latent_dim": 6, "width": 8, "depth": 4}),
    ("siren", {"modulation": "shift", "width": 8, "depth": 4}),
    ("siren", {"modulation": "shift+scale", "width": 8, "depth": 4}),
    ("siren", {"modulation": "latent", "latent_dim": 3, "width": 8, "depth": 2, "w0": 5.0}),
]


def test_every_field_is_covered():
    assert {name for name, _ in CASES} == set(plugins.names("fields"))


@pytest.fixture(params=CASES, ids=lambda case: "-".join(map(str, [case[0], *case[1].values()])))
def network(request):
    name, options = request.param
    module = plugins.load("fields", name)
    built, theta = decoder.build(
        lambda rngs: module.make(module.Options(**options), 2, 3, rngs=rngs), render.make(RenderConfig()), 0
    )
    theta = meta.start(theta, built.latent_shape, InnerConfig(rates="meta-sgd"), 0)
    return built, jax.tree.map(jnp.asarray, theta)


def test_shapes(network):
    decode, theta = network
    phi = jnp.zeros(decode.latent_shape)
    assert decode(theta, phi, jnp.zeros((7, 2))).shape == (7, 3)


def test_theta_is_plain_arrays_in_dictionaries(network):
    _, theta = network
    for path, leaf in jax.tree_util.tree_leaves_with_path(theta):
        assert all(isinstance(key.key, str) for key in path)
        assert leaf.dtype == jnp.float32


def test_modulations_change_the_values(network):
    decode, theta = network
    x = pictures(1, (4, 4)).coords
    moved = decode(theta, 0.1 * jnp.ones(decode.latent_shape), x)
    assert float(jnp.abs(moved - decode(theta, jnp.zeros(decode.latent_shape), x)).max()) > 1e-4


def test_masked_points_never_matter(network):
    decode, theta = network
    batch = pictures(5, (4, 6), hidden=0.4)
    spoiled = jnp.where(batch.weights[..., None] > 0, batch.features, 1e3)
    fit = jax.jit(lambda batch: fit_modulations(decode, theta, batch, steps=2))
    a, b = fit(batch), fit(batch._replace(features=spoiled))
    np.testing.assert_array_equal(a.phi, b.phi)


@pytest.mark.parametrize("shared", [True, False])
def test_a_batch_is_a_loop_of_singles(network, shared):
    decode, theta = network
    batch = pictures(5, (4, 6), hidden=0.2)
    coords = batch.coords if shared else jnp.broadcast_to(batch.coords, (5, *batch.coords.shape))
    fit = jax.jit(lambda batch: fit_modulations(decode, theta, batch, steps=3))
    together = fit(batch._replace(coords=coords))
    for i in range(5):
        alone = fit(Signal(batch.coords, batch.features[i : i + 1], batch.weights[i : i + 1]))
        np.testing.assert_allclose(together.phi[i], alone.phi[0], atol=2e-6)
        np.testing.assert_allclose(together.mse[i], alone.mse[0], rtol=1e-4)


def test_outer_gradient_equals_finite_differences(network):
    """Second order: the derivative of the outer loss along a random direction, in double precision."""
    decode, theta = network
    with jax.enable_x64(True):
        theta = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf), jnp.float64), theta)
        batch = Signal(*(jnp.asarray(np.asarray(part), jnp.float64) for part in pictures(4, (4, 5), hidden=0.2)))
        rng = np.random.default_rng(1)
        along = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape)) * 1e-2, theta)

        @jax.jit
        def loss(theta):
            return jnp.mean(fit_modulations(decode, theta, batch, steps=3).mse[:, -1])

        def at(step):
            return float(loss(jax.tree.map(lambda leaf, direction: leaf + step * direction, theta, along)))

        slope = (at(1e-4) - at(-1e-4)) / 2e-4
        gradient = jax.grad(loss)(theta)
        ours = sum(float(jnp.vdot(g, d)) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(along)))
    assert ours == pytest.approx(slope, rel=1e-4)
