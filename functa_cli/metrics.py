"""Figures of merit as sums over points with weights, so that padding never biases a mean."""

import jax
import jax.numpy as jnp


def weighted_mse(prediction: jax.Array, features: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean squared error over observed points and all channels (eq. 1 of the paper, as a mean): [...].

    `prediction` and `features` [..., n, c], `weights` [..., n] >= 0; zero where nothing is observed.
    """
    error = jnp.sum(jnp.square(prediction - features), axis=-1) * weights
    observed = jnp.sum(weights, axis=-1) * features.shape[-1]
    return jnp.sum(error, axis=-1) / jnp.maximum(observed, jnp.finfo(features.dtype).tiny)


def psnr(mse: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio in dB for features in [0, 1]: -10 log10(mse). Of a set: of its mean mse (A.3)."""
    return -10.0 * jnp.log10(mse)
