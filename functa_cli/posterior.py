"""Equation 2: the modulations that a prior and some observed points together make likely (section 4, "Inference").

What is minimised over phi is

    U(phi) = -log p(phi) + lambda * sum over observed points of the squared error,

in nats; lambda = 1 / (2 sigma^2) is the negative log-posterior for errors of deviation sigma in the features' units.
The work is done in x, the prior's own normalisation of phi, whose constant volume does not move the minimum. There a
Gauss-Newton step solves (J^T J + 2 lambda K^T K + damping) delta = gradient of U, with J the Jacobian of the prior's
noise by x and K that of the observed values; it is kept only where it lowers U. For a Gaussian prior and a decoder
that is linear in phi one undamped step is the answer.

A prior may be narrowed: its noise is then N(middle, spread^2) instead of N(0, 1), which is a density as well.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import cho_factor, cho_solve

from functa_cli.decoder import Decoder, Tree
from functa_cli.polish import chosen, system, tiled
from functa_cli.prior import Prior
from functa_cli.signal import Signal

DAMPING = 0.1  # of the first step, in units of the mean of the diagonal
LOWER, HIGHER = 0.3, 4.0  # factors on it after a step that lowered U, and after one that did not


class Belief(NamedTuple):
    """A prior's parameters and normalisation as arrays: phi = mean + factor @ x, mean [d], factor [d, d]."""

    parameters: Tree
    mean: Any
    factor: Any


class Asked(NamedTuple):
    """What is to be completed, b problems at once."""

    batch: Signal  # coords [n, k] or [b, n, k], features [b, n, c], weights [b, n], 0 = not observed
    weight: Any  # [b], of the mean squared error over observed values: lambda times their number
    labels: Any  # int32 [b], as the prior has them
    anchor: Any = None  # [b, d] noise that takes the place of the prior's mode, for samples; None: the mode
    middle: Any = 0.0  # [b, d] noise around which the prior is narrowed
    spread: Any = 1.0  # deviation of its noise


class Found(NamedTuple):
    """Where the steps end."""

    x: jax.Array  # [b, d]
    objective: jax.Array  # [b], U in nats, but for the constant volume of the normalisation
    error: jax.Array  # [b], mean squared error over the observed points of the batch


def descend(decoder: Decoder, prior: Prior, theta: Tree, belief: Belief, asked: Asked, x: Any, *, steps: int) -> Found:
    """The minimum of U that is reached in `steps` steps from `x` [b, d].

    With an anchor a, -log p(phi) gives way to |noise of x - a|^2 / 2. For a random from N(0, 1), and noise of
    deviation sigma added to the features, the minimum is a sample of the posterior: exactly so for a linear decoder
    (randomised maximum likelihood; Oliver, He and Reynolds 1996), roughly for others.
    """
    (b, d), shape = x.shape, decoder.latent_shape
    tiles = tiled(decoder, theta, asked.batch)

    def whole(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        phi = belief.mean + x @ belief.factor.T
        error, square, slope = system(decoder, theta, tiles, phi.reshape(b, *shape))
        value, gradient, jacobian = _prior(prior, belief.parameters, asked, x)
        far = 2.0 * asked.weight[:, None, None] * (belief.factor.T @ square @ belief.factor)
        curve = jnp.einsum("bij,bik->bjk", jacobian, jacobian) + far
        gradient = gradient + 2.0 * asked.weight[:, None] * (slope @ belief.factor)
        return value + asked.weight * error, curve, gradient, error

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        x, now, damping = state
        _, curve, gradient, _ = now
        scale = damping * jnp.trace(curve, axis1=1, axis2=2) / d
        factor = cho_factor(curve + scale[:, None, None] * jnp.eye(d), lower=True)
        moved = cho_solve(factor, gradient[..., None])[..., 0]
        there = x - jnp.where(jnp.isfinite(moved), moved, 0.0)
        then = whole(there)
        better = then[0] < now[0]
        x, now = chosen(better, (there, then), (x, now))
        return (x, now, damping * jnp.where(better, LOWER, HIGHER)), None

    first = (x, whole(x), jnp.full(b, DAMPING))
    (x, (value, _, _, error), _), _ = lax.scan(step, first, None, length=steps)
    return Found(x, value, error)


def _prior(prior: Prior, parameters: Tree, asked: Asked, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What the prior adds to U [b], its gradient [b, d], and the Jacobian [b, d, d] of its noise by x."""
    to_noise, log_prob = prior.to_noise, prior.log_prob
    assert to_noise is not None
    assert log_prob is not None

    def noise(x: jax.Array, label: jax.Array) -> jax.Array:
        return to_noise(parameters, x[None], label[None])[0]

    jacobian = jax.vmap(jax.jacfwd(noise))(x, asked.labels)
    if asked.anchor is not None:
        away = to_noise(parameters, x, asked.labels) - asked.anchor
        return 0.5 * jnp.sum(away**2, axis=1), jnp.einsum("bij,bi->bj", jacobian, away), jacobian

    def total(x: jax.Array) -> tuple[jax.Array, jax.Array]:
        z = to_noise(parameters, x, asked.labels)
        narrowed = ((z - asked.middle) / asked.spread) ** 2 - z**2
        value = 0.5 * jnp.sum(narrowed, axis=1) + z.shape[1] * jnp.log(asked.spread)
        value -= log_prob(parameters, x, asked.labels)
        return jnp.sum(value), value

    gradient, value = jax.grad(total, has_aux=True)(x)
    return value, gradient, jacobian / asked.spread
