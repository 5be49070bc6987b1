"""The polynomial sine against numpy in double precision, and its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli.sine import sin, sincos


@pytest.mark.parametrize(("reach", "bound"), [(10, 3e-7), (1_000, 4e-7), (10_000, 6e-7)])
def test_is_as_exact_as_it_says(reach, bound):
    x = np.random.default_rng(0).uniform(-reach, reach, 200_000).astype(np.float32)
    sine, cosine = jax.jit(sincos)(x)
    exact = x.astype(np.float64)
    assert np.abs(np.asarray(sine, np.float64) - np.sin(exact)).max() < bound
    assert np.abs(np.asarray(cosine, np.float64) - np.cos(exact)).max() < bound


def test_derivatives_are_cosine_and_minus_sine():
    x = jnp.linspace(-7.0, 7.0, 101)
    np.testing.assert_allclose(jax.vmap(jax.grad(sin))(x), np.cos(x), atol=4e-7)
    np.testing.assert_allclose(jax.vmap(jax.grad(jax.grad(sin)))(x), -np.sin(x), atol=4e-7)
    np.testing.assert_allclose(jax.vmap(jax.jacfwd(jax.grad(sin)))(x), -np.sin(x), atol=4e-7)


def test_works_outside_jit_under_scan_and_in_double():
    assert float(sin(jnp.float32(1.0))) == pytest.approx(np.sin(1.0), abs=2e-7)
    looped = jax.grad(lambda x: jax.lax.scan(lambda at, _: (sin(at), None), x, None, length=3)[0])
    by_hand = np.cos(1.0) * np.cos(np.sin(1.0)) * np.cos(np.sin(np.sin(1.0)))
    assert float(looped(1.0)) == pytest.approx(by_hand, abs=1e-6)
    with jax.enable_x64(True):
        assert float(sin(jnp.float64(0.3))) == pytest.approx(np.sin(0.3), abs=1e-15)


def test_zero_is_exactly_zero():
    assert float(sin(jnp.float32(0.0))) == 0.0
