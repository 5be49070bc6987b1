"""The inner loop (eq. 1, lines 5-7 of Algorithm 1): fit modulations to signals by a few gradient steps.

The one hot path of fit, encode and impute. It is exact, to second order: the gradient of what comes out with respect
to theta is Algorithm 1's outer gradient. A step differentiates the loss (loss.py) with respect to the modulation of
the layers only, and maps that to phi once; nothing but phi is kept from step to step, so memory does not grow with
their number.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functa_cli.decoder import Decoder, Tree
from functa_cli.loss import error, error_and_gradient, first_error_and_gradient, first_plan, mean_error, measure
from functa_cli.signal import Signal
from functa_cli.tiles import Plan, Tiles, cut, plan

Sums = Callable[[Any, Any, Any], list]


class Fit(NamedTuple):
    """What the inner loop found for b signals."""

    phi: jax.Array  # [b, *latent_shape]
    mse: jax.Array  # [b, steps + 1]: before the first step, ..., after the last
    sums: jax.Array  # [b, s]: sums over the points that were asked for, at the end


def fit_modulations(
    decoder: Decoder,
    theta: Tree,
    batch: Signal,
    *,
    steps: int,
    rate: float | None = None,
    tile: Plan | None = None,
    sums: Sums | None = None,
) -> Fit:
    """Modulations of a batch of signals after `steps` gradient steps, and the errors on the way.

    `batch`: coords [n, k] shared or [b, n, k], features [b, n, c], weights [b, n] (0 = unseen).
    `rate`: the fixed rate; None takes the learned ones in `theta["inner"]["rates"]`. `sums`: see `loss.measure`.
    """
    phi, tiles, errors = _descend(decoder, theta, batch, steps, rate, tile)
    last, added = _looked(decoder, theta, phi, tiles, sums)
    return Fit(phi, jnp.concatenate([*errors, last[None]]).T, added)


def look(
    decoder: Decoder, theta: Tree, phi: jax.Array, batch: Signal, *, sums: Sums | None = None
) -> tuple[jax.Array, jax.Array]:
    """Errors [b] of a batch of signals given their modulations `phi`, and the sums [b, s] that were asked for."""
    b, n, _ = batch.features.shape
    return _looked(decoder, theta, phi, cut(batch, plan(b, n, decoder.width)), sums)


def _looked(
    decoder: Decoder, theta: Tree, phi: jax.Array, tiles: Tiles, sums: Sums | None
) -> tuple[jax.Array, jax.Array]:
    modulation = jax.vmap(partial(decoder.modulate, theta))(phi)
    if sums is None:
        return error(decoder, theta, modulation, tiles), jnp.zeros((len(phi), 0))
    found, added = measure(decoder, theta, modulation, tiles, sums)
    return found, jnp.stack(added, 1)


def outer_loss(
    decoder: Decoder,
    theta: Tree,
    batch: Signal,
    *,
    steps: int,
    rate: float | None = None,
    tile: Plan | None = None,
) -> jax.Array:
    """Mean over the batch of the error after the inner loop (Algorithm 1, line 8), made to be differentiated.

    As `mean(fit_modulations(...).mse[:, -1])`, but the last error and its gradient are taken in one pass.
    """
    phi, tiles, _ = _descend(decoder, theta, batch, steps, rate, tile)
    return mean_error(decoder, theta, jax.vmap(partial(decoder.modulate, theta))(phi), tiles)


def _descend(
    decoder: Decoder, theta: Tree, batch: Signal, steps: int, rate: float | None, tile: Plan | None
) -> tuple[jax.Array, Tiles, list[jax.Array]]:
    """Modulations [b, *latent_shape] after `steps` steps, the batch in tiles, and parts [steps, b] of the errors."""
    b, n, c = batch.features.shape
    tiles = cut(batch, tile or plan(b, n, decoder.width))
    rates = theta["inner"]["rates"] if rate is None else rate
    start = theta["inner"]["start"]
    phi = jnp.broadcast_to(start, (b, *start.shape))
    modulate = jax.vmap(partial(decoder.modulate, theta))

    def move(phi: jax.Array, to_phi: Any, gradient: Any) -> jax.Array:
        return phi - rates * to_phi(gradient)[0]

    def step(phi: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        modulation, to_phi = jax.vjp(modulate, phi)
        mse, gradient = error_and_gradient(decoder, theta, modulation, tiles)
        return move(phi, to_phi, gradient), mse

    errors = []
    if steps > 0 and batch.coords.ndim == 2 and b > c // 2 + 1:
        layers, to_phi = jax.vjp(partial(decoder.modulate, theta), start)
        mse, gradient = first_error_and_gradient(decoder, theta, layers, cut(batch, first_plan(b, n, c, layers)))
        phi, steps, errors = move(phi, jax.vmap(to_phi), gradient), steps - 1, [mse[None]]
    phi, on_the_way = lax.scan(step, phi, None, length=steps)
    return phi, tiles, [*errors, on_the_way]
