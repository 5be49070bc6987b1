"""The inner loop against a scalar oracle, against plain autodiff, and for what must never matter."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli import loss
from functa_cli.config import InnerConfig
from functa_cli.inner import fit_modulations, outer_loss
from functa_cli.signal import Signal
from functa_cli.tiles import Plan, cut, plan
from tests.networks import network, pictures
from tests.oracles import inner_loops, reference_fit, reference_outer, siren_loops


def test_field_equals_the_scalar_oracle():
    options, decode, theta = network(width=3, depth=3, latent_dim=2)
    phi = np.array([0.3, -0.2])
    field = jax.tree.map(np.asarray, theta["field"])
    at = np.array([[0.1, 0.9], [0.5, 0.5]], np.float32)
    ours = decode(theta, jnp.asarray(phi, jnp.float32), jnp.asarray(at))
    slow = [siren_loops(field, options.w0, options.depth, phi, x) for x in at]
    np.testing.assert_allclose(ours, slow, atol=2e-5)


def test_inner_loop_equals_the_scalar_oracle():
    options, decode, theta = network(width=3, depth=3, latent_dim=2, inner=InnerConfig())
    batch = pictures(1, (3, 4), hidden=0.3)
    ours = fit_modulations(decode, theta, batch, steps=2, rate=0.05).phi[0]
    field = jax.tree.map(np.asarray, theta["field"])
    coords, features, weights = (
        np.asarray(part, float) for part in (batch.coords, batch.features[0], batch.weights[0])
    )
    slow = inner_loops(field, options.w0, options.depth, coords, features, weights, 2, 0.05)
    np.testing.assert_allclose(ours, slow, atol=2e-6)


def _reference(options, theta, batch, steps):
    rates = theta["inner"]["rates"]
    one = partial(reference_fit, theta, options.w0, options.depth, batch.coords, steps=steps, rate=rates)
    return jax.jit(jax.vmap(lambda f, w: one(f, w)))(batch.features, batch.weights)


@pytest.mark.parametrize(("b", "steps", "tile"), [  # one signal alone, and enough of them for the shared first step
    (1, 0, None), (1, 3, Plan(1, 7)), (2, 1, None), (6, 0, None), (6, 1, Plan(1, 7)), (6, 3, Plan(1, 35)), (6, 3, None),
])  # fmt: skip
def test_modulations_equal_plain_autodiff(b, tile, steps):
    options, decode, theta = network()
    batch = pictures(b, (5, 7), hidden=0.2)
    ours = jax.jit(lambda theta, batch: fit_modulations(decode, theta, batch, steps=steps, tile=tile))(theta, batch)
    phi, error = _reference(options, theta, batch, steps)
    np.testing.assert_allclose(ours.phi, phi, atol=1e-6)
    np.testing.assert_allclose(ours.mse[:, -1], error, rtol=1e-5)
    assert ours.mse.shape == (b, steps + 1)


@pytest.mark.parametrize(("b", "shared", "steps"), [(2, True, 1), (6, True, 3), (2, False, 3)])
def test_outer_gradient_equals_plain_autodiff(b, shared, steps):
    options, decode, theta = network()
    batch = pictures(b, (5, 7), hidden=0.2)
    reference = partial(reference_outer, w0=options.w0, depth=options.depth, steps=steps)
    theirs = jax.jit(
        jax.grad(lambda theta: reference(theta, coords=batch.coords, features=batch.features, weights=batch.weights))
    )(theta)
    if not shared:
        batch = batch._replace(coords=jnp.broadcast_to(batch.coords, (b, *batch.coords.shape)))

    options = {"steps": steps, "tile": Plan(1, 9)}

    @jax.jit
    @jax.value_and_grad
    def in_one_pass(theta):
        return outer_loss(decode, theta, batch, **options)

    @jax.jit
    @jax.value_and_grad
    def from_the_fit(theta):
        return jnp.mean(fit_modulations(decode, theta, batch, **options).mse[:, -1])

    (value, ours), (again, also_ours) = in_one_pass(theta), from_the_fit(theta)
    assert float(value) == pytest.approx(float(again), rel=1e-6)
    for gradient in (ours, also_ours):
        for (path, a), e in zip(jax.tree_util.tree_leaves_with_path(gradient), jax.tree.leaves(theirs)):
            scale = float(jnp.linalg.norm(e)) or 1.0
            assert float(jnp.linalg.norm(a - e)) <= 1e-4 * scale, jax.tree_util.keystr(path)


def test_every_error_on_the_way_can_be_differentiated():
    options, decode, theta = network()
    batch = pictures(6, (5, 7))

    def ours(theta):
        return jnp.sum(fit_modulations(decode, theta, batch, steps=2).mse)

    def theirs(theta):
        return sum(jnp.sum(_reference(options, theta, batch, steps)[1]) for steps in (0, 1, 2))

    a, e = jax.jit(jax.grad(ours))(theta), jax.jit(jax.grad(theirs))(theta)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(e)):
        np.testing.assert_allclose(x, y, atol=2e-4 * max(float(jnp.abs(y).max()), 1e-3))


def test_nothing_observed_moves_nothing():
    _, decode, theta = network()
    batch = pictures(2, (4, 4))
    fitted = fit_modulations(decode, theta, batch._replace(weights=jnp.zeros_like(batch.weights)), steps=3)
    assert float(jnp.abs(fitted.phi).max()) == 0.0
    assert float(fitted.mse.max()) == 0.0


def test_weights_are_relative():
    _, decode, theta = network()
    batch = pictures(5, (4, 6), hidden=0.3)
    once = fit_modulations(decode, theta, batch, steps=2)
    twice = fit_modulations(decode, theta, batch._replace(weights=2 * batch.weights), steps=2)
    np.testing.assert_allclose(once.phi, twice.phi, atol=1e-7)


@pytest.mark.parametrize(("b", "n", "width"), [(1, 10, 64), (64, 4096, 256), (7, 100, 8), (16, 70_000, 512)])
def test_plan_divides_the_signals_and_covers_the_points(b, n, width):
    for backend in ("cpu", "gpu"):
        size = plan(b, n, width, backend=backend)
        assert b % size.signals == 0
        assert 1 <= size.points <= n


def test_tiles_keep_every_weighted_point():
    batch = pictures(4, (5, 7), hidden=0.5)
    tiles = cut(batch, Plan(2, 9))
    assert tiles.features.shape == (2, 4, 2, 9, 3)
    assert float(tiles.weights.sum()) == pytest.approx(4 / 3)  # each signal's weights sum to 1 / channels


def _scratch(batch: Signal, steps: int, width: int = 32) -> int:
    _, decode, theta = network(width=width, depth=4, latent_dim=8)
    gradient = jax.jit(jax.grad(partial(outer_loss, decode, steps=steps, tile=Plan(1, 256)), argnums=0))
    return gradient.lower(theta, batch=batch).compile().memory_analysis().temp_size_in_bytes


def test_scratch_memory_grows_neither_with_steps_nor_with_points(monkeypatch):
    monkeypatch.setattr(loss, "FIRST_VALUES", 1 << 17)  # both grids take several tiles in the first step
    small, large = pictures(4, (64, 64)), pictures(4, (112, 112))
    data = large.features.nbytes + large.weights.nbytes  # one rearranged copy of the batch itself is allowed
    assert _scratch(small, 6) <= 1.05 * _scratch(small, 3)
    assert _scratch(large, 3) <= 1.05 * _scratch(small, 3) + 2 * data
