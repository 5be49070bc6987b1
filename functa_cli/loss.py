"""The loss of eq. 1 and its derivatives, tile by tile (tiles.py), so that memory does not grow with points or signals.

The loss of a signal is the mean of squared errors over its observed points and channels: the released code's scale of
eq. 1, which the inner rates assume. What is differentiated is the loss as a function of theta and of the modulation
of the layers; each function has its derivative written out, exact, where autodiff would keep all activations:
- the second-order term of an inner step is the gradient of a directional derivative, one tile at a time;
- all signals start at the same phi, so on shared coordinates their first gradients are products of the residuals with
  one Jacobian, and the work of the first step hardly grows with the number of signals.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from functa_cli.decoder import Decoder, Tree
from functa_cli.tiles import Plan, Tiles

FIRST_VALUES = 1 << 20  # numbers in a tile of the shared Jacobian


def first_plan(b: int, n: int, c: int, layers: Any) -> Plan:
    """Tile of all signals, with as many points as keep their derivatives by the modulation in cache."""
    size = sum(leaf.size for leaf in jax.tree.leaves(layers))
    rows = max(64, FIRST_VALUES // (c * size))
    return Plan(b, -(-n // -(-n // rows)))


def _tile_error(decoder: Decoder, theta: Tree, modulation: Any, tile: Tiles) -> jax.Array:
    """Weighted squared error [g] of one tile: coords [p, k] or [g, p, k], features [g, p, c], weights [g, p]."""
    return _squared(_tile_values(decoder, theta, modulation, tile), tile)


def _tile_values(decoder: Decoder, theta: Tree, modulation: Any, tile: Tiles) -> jax.Array:
    """What the decoder shows [g, p, c] at the points of one tile."""
    # Every signal gets its own copy of shared coordinates: else the gradient of the first layer would sum over signals
    # before it multiplies, and that reduction is slower than the product.
    coords = jnp.broadcast_to(tile.coords, (*tile.weights.shape, tile.coords.shape[-1]))
    return jax.vmap(partial(decoder.observe, theta))(modulation, coords)


def _squared(values: jax.Array, tile: Tiles) -> jax.Array:
    residual = values - tile.features
    return jnp.einsum("gpc,gpc->g", residual, tile.weights[..., None] * residual)


def over_tiles(function: Any, tiles: Tiles, *per_signal: Any) -> tuple[Any, Any]:
    """Sums of `function(tile, *per_signal) -> (for the signals of the tile, for all)` over a batch.

    The first result is summed over the points and returned for each signal, the second is summed over everything.
    """
    groups, _, g = tiles.weights.shape[:3]
    shared = tiles.coords.ndim == 3
    split = jax.tree.map(lambda leaf: leaf.reshape(groups, g, *leaf.shape[1:]), per_signal)
    ask = Tiles(*(leaf[0] if i == 0 and shared else leaf[0, 0] for i, leaf in enumerate(tiles)))
    shapes = jax.eval_shape(function, ask, *jax.tree.map(lambda leaf: leaf[0], split))
    own_zero, all_zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def over_groups(carry: Any, group: Any) -> tuple[Any, Any]:
        coords, features, weights, mine = group

        def over_points(carry: Any, part: Any) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, carry, function(Tiles(*part), *mine)), None

        parts = (tiles.coords if shared else coords, features, weights)
        (own, everything), _ = lax.scan(over_points, (own_zero, carry), parts)
        return everything, own

    everything, own = lax.scan(
        over_groups, all_zero, (None if shared else tiles.coords, tiles.features, tiles.weights, split)
    )
    return jax.tree.map(lambda leaf: leaf.reshape(groups * g, *leaf.shape[2:]), own), everything


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def error(decoder: Decoder, theta: Tree, modulation: Any, tiles: Tiles) -> jax.Array:
    """Error [b] of each signal given the modulation of its layers (leaves [b, ...])."""

    def one(tile: Tiles, modulation: Any) -> tuple[jax.Array, tuple]:
        return _tile_error(decoder, theta, modulation, tile), ()

    return over_tiles(one, tiles, modulation)[0]


def measure(decoder: Decoder, theta: Tree, modulation: Any, tiles: Tiles, sums: Any) -> tuple[jax.Array, list]:
    """Error [b], and what `sums(values [g, p, c], features, seen [g, p])` adds up over the points, each [b].

    `seen` is 1 where a point has weight and 0 where it has none. Not made to be differentiated.
    """

    def one(tile: Tiles, modulation: Any) -> tuple[tuple[jax.Array, list], tuple]:
        values = _tile_values(decoder, theta, modulation, tile)
        return (_squared(values, tile), sums(values, tile.features, (tile.weights > 0).astype(values.dtype))), ()

    return over_tiles(one, tiles, modulation)[0]


def _error_forward(decoder: Decoder, theta: Tree, modulation: Any, tiles: Tiles) -> tuple[jax.Array, tuple]:
    return error(decoder, theta, modulation, tiles), (theta, modulation, tiles)


def _error_backward(decoder: Decoder, saved: tuple, bar: jax.Array) -> tuple:
    theta, modulation, tiles = saved

    def one(tile: Tiles, modulation: Any, bar: jax.Array) -> tuple[Any, Any]:
        def total(theta: Tree, modulation: Any) -> jax.Array:
            return jnp.vdot(bar, _tile_error(decoder, theta, modulation, tile))

        by_theta, by_modulation = jax.grad(total, argnums=(0, 1))(theta, modulation)
        return by_modulation, by_theta

    by_modulation, by_theta = over_tiles(one, tiles, modulation, bar)
    return by_theta, by_modulation, None


error.defvjp(_error_forward, _error_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def mean_error(decoder: Decoder, theta: Tree, modulation: Any, tiles: Tiles) -> jax.Array:
    """Mean of `error` over the signals; where it is differentiated, its gradient is taken in the same pass."""
    return jnp.mean(error(decoder, theta, modulation, tiles))


def _mean_forward(decoder: Decoder, theta: Tree, modulation: Any, tiles: Tiles) -> tuple[jax.Array, tuple]:
    b = tiles.weights.shape[0] * tiles.weights.shape[2]

    def one(tile: Tiles, modulation: Any) -> tuple[Any, Any]:
        value, pull = jax.vjp(lambda *at: _tile_error(decoder, *at, tile), theta, modulation)
        by_theta, by_modulation = pull(jnp.full_like(value, 1.0 / b))
        return (value, by_modulation), by_theta

    (errors, by_modulation), by_theta = over_tiles(one, tiles, modulation)
    return jnp.mean(errors), (by_theta, by_modulation)


def _mean_backward(decoder: Decoder, gradients: tuple, bar: jax.Array) -> tuple:
    by_theta, by_modulation = jax.tree.map(lambda leaf: bar * leaf, gradients)
    return by_theta, by_modulation, None


mean_error.defvjp(_mean_forward, _mean_backward)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def error_and_gradient(decoder: Decoder, theta: Tree, modulation: Any, tiles: Tiles) -> tuple[jax.Array, Any]:
    """Error [b] and its gradient with respect to the modulation of the layers (leaves [b, ...])."""

    def one(tile: Tiles, modulation: Any) -> tuple[Any, tuple]:
        value, pull = jax.vjp(lambda modulation: _tile_error(decoder, theta, modulation, tile), modulation)
        return (value, pull(jnp.ones_like(value))[0]), ()

    return over_tiles(one, tiles, modulation)[0]


def _gradient_forward(decoder: Decoder, theta: Tree, modulation: Any, tiles: Tiles) -> tuple[Any, tuple]:
    return error_and_gradient(decoder, theta, modulation, tiles), (theta, modulation, tiles)


def _gradient_backward(decoder: Decoder, saved: tuple, bars: tuple[jax.Array, Any]) -> tuple:
    """Adjoint of one inner step: for v, the cotangent of the gradient, differentiate the derivative along v."""
    theta, modulation, tiles = saved

    def one(tile: Tiles, modulation: Any, bar: jax.Array, v: Any) -> tuple[Any, Any]:
        def total(theta: Tree, modulation: Any) -> jax.Array:
            value, along = jax.jvp(lambda at: _tile_error(decoder, theta, at, tile), (modulation,), (v,))
            return jnp.vdot(bar, value) + jnp.sum(along)

        by_theta, by_modulation = jax.grad(total, argnums=(0, 1))(theta, modulation)
        return by_modulation, by_theta

    by_modulation, by_theta = over_tiles(one, tiles, modulation, *bars)
    return by_theta, by_modulation, None


error_and_gradient.defvjp(_gradient_forward, _gradient_backward)


def _first_tile(decoder: Decoder, tile: Tiles, theta: Tree, layers: Any) -> tuple[jax.Array, Any]:
    """Errors [b] and gradients (leaves [b, ...]) of all signals on one tile: coords [p, k], features [b, p, c]."""
    p = tile.coords.shape[0]
    everywhere = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (p, *leaf.shape)), layers)
    observe = jax.vmap(lambda layers, x: decoder.observe(theta, layers, x[None])[0])
    values, pull = jax.vjp(lambda everywhere: observe(everywhere, tile.coords), everywhere)
    residual = values - tile.features
    weighted = 2.0 * tile.weights[..., None] * residual
    total = None
    for channel, direction in enumerate(jnp.eye(values.shape[-1], dtype=values.dtype)):
        (derivative,) = pull(jnp.broadcast_to(direction, values.shape))
        part = jax.tree.map(lambda leaf: jnp.tensordot(weighted[..., channel], leaf, 1), derivative)  # noqa: B023
        total = part if total is None else jax.tree.map(jnp.add, total, part)
    return jnp.sum(weighted * residual, axis=(1, 2)) / 2.0, total


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def first_error_and_gradient(decoder: Decoder, theta: Tree, layers: Any, tiles: Tiles) -> tuple[jax.Array, Any]:
    """As `error_and_gradient` where all signals share coordinates and modulation: `layers` has no batch axis."""

    def one(tile: Tiles) -> tuple[Any, tuple]:
        return _first_tile(decoder, tile, theta, layers), ()

    return over_tiles(one, tiles)[0]


def _first_forward(decoder: Decoder, theta: Tree, layers: Any, tiles: Tiles) -> tuple[Any, tuple]:
    return first_error_and_gradient(decoder, theta, layers, tiles), (theta, layers, tiles)


def _first_backward(decoder: Decoder, saved: tuple, bars: tuple[jax.Array, Any]) -> tuple:
    theta, layers, tiles = saved

    def one(tile: Tiles, *bars: Any) -> tuple[tuple, Any]:
        _, pull = jax.vjp(partial(_first_tile, decoder, tile), theta, layers)
        return (), pull(bars)

    _, (by_theta, by_layers) = over_tiles(one, tiles, *bars)
    return by_theta, by_layers, None


first_error_and_gradient.defvjp(_first_forward, _first_backward)
