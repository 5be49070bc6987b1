"""Slow, obvious versions of what the package computes, to compare with.

`*_loops` is numpy, one number at a time. `reference_*` is what the paper's released code computes, written plainly:
autodiff, `jnp.sin`, steps unrolled, nothing shared between signals; the benchmarks measure against it.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np


def siren_loops(field: dict, w0: float, depth: int, phi: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Latent SIREN at one point `x` [d]: features [c]."""
    width = field["sine_0"]["kernel"].shape[1]
    kernel, bias = field["map"]["kernel"].astype(float), field["map"]["bias"].astype(float)
    shifts = [sum(phi[j] * kernel[j, i] for j in range(len(phi))) + bias[i] for i in range(kernel.shape[1])]
    h = [float(value) for value in x]
    for layer in range(depth - 1):
        weights, offsets = (field[f"sine_{layer}"][name].astype(float) for name in ("kernel", "bias"))
        h = [
            math.sin(w0 * (sum(h[j] * weights[j, i] for j in range(len(h))) + offsets[i] + shifts[layer * width + i]))
            for i in range(width)
        ]
    weights, offsets = (field["out"][name].astype(float) for name in ("kernel", "bias"))
    return np.array(
        [sum(h[j] * weights[j, i] for j in range(width)) + offsets[i] + 0.5 for i in range(weights.shape[1])]
    )


def error_loops(field: dict, w0: float, depth: int, phi: np.ndarray, coords, features, weights) -> float:
    """Eq. 1 as a mean over observed points and channels, point by point."""
    total = observed = 0.0
    for x, f, w in zip(coords, features, weights):
        value = siren_loops(field, w0, depth, phi, x)
        total += w * sum((value[i] - f[i]) ** 2 for i in range(len(f)))
        observed += w * len(f)
    return total / observed


def inner_loops(field: dict, w0: float, depth: int, coords, features, weights, steps: int, rate: float) -> np.ndarray:
    """Algorithm 1, lines 5-7, with the gradient by central differences."""
    phi = np.zeros(field["map"]["kernel"].shape[0])
    for _ in range(steps):
        gradient = np.zeros_like(phi)
        for i in range(len(phi)):
            step = np.zeros_like(phi)
            step[i] = 1e-5
            up = error_loops(field, w0, depth, phi + step, coords, features, weights)
            down = error_loops(field, w0, depth, phi - step, coords, features, weights)
            gradient[i] = (up - down) / 2e-5
        phi = phi - rate * gradient
    return phi


def reference_network(theta: dict, w0: float, depth: int, phi: jax.Array, x: jax.Array) -> jax.Array:
    """Latent SIREN: features [n, c] at `x` [n, d]."""
    field = theta["field"]
    shifts = (phi @ field["map"]["kernel"] + field["map"]["bias"]).reshape(depth - 1, -1)
    for layer in range(depth - 1):
        own = field[f"sine_{layer}"]
        x = jnp.sin(w0 * (x @ own["kernel"] + own["bias"] + shifts[layer]))
    return x @ field["out"]["kernel"] + field["out"]["bias"] + 0.5


def reference_fit(theta: dict, w0: float, depth: int, coords, features, weights, steps: int, rate) -> tuple:
    """Modulations of one signal after `steps` steps, and the error there."""

    def error(phi):
        square = jnp.sum((reference_network(theta, w0, depth, phi, coords) - features) ** 2, axis=-1)
        return jnp.sum(weights * square) / (jnp.sum(weights) * features.shape[-1])

    phi = theta["inner"]["start"]
    for _ in range(steps):
        phi = phi - rate * jax.grad(error)(phi)
    return phi, error(phi)


def reference_outer(theta: dict, w0: float, depth: int, coords, features, weights, steps: int, rate=None) -> jax.Array:
    """Algorithm 1's outer loss of a batch; its gradient by plain autodiff is the oracle of ours."""
    rate = theta["inner"]["rates"] if rate is None else rate
    one = jax.vmap(lambda f, w: reference_fit(theta, w0, depth, coords, f, w, steps, rate)[1])
    return jnp.mean(one(features, weights))
