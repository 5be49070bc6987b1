"""Levenberg-Marquardt steps on modulations, after the inner loop: the best phi that a base network has for a datum.

Three gradient steps do not reach the minimum of eq. 1. Phi is small, so its Jacobian is cheap: derivatives of every
value by the modulation of its layers come from one backward pass, as if each point had layers of its own, and the map
from phi turns them into derivatives by phi. A step solves (J^T W J + damping) delta = J^T W r; it is kept only where it
lowers the error, and the damping follows.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from functa_cli.decoder import Decoder, Tree
from functa_cli.loss import over_tiles
from functa_cli.signal import Signal
from functa_cli.tiles import Plan, Tiles, cut

DAMPING = 0.3  # of the first step, in units of the mean of the diagonal of J^T W J
LOWER, HIGHER = 0.5, 4.0  # factors on it after a step that lowered the error, and after one that did not
VALUES = 1 << 20  # numbers in a tile of the Jacobian by the layers


def polish(decoder: Decoder, theta: Tree, phi: jax.Array, batch: Signal, *, steps: int) -> jax.Array:
    """Modulations [b, *latent_shape] after at most `steps` steps from `phi`, none with a higher error.

    `batch`: as for `inner.fit_modulations`.
    """
    b, shape, d = len(phi), phi.shape[1:], phi[0].size
    tiles = tiled(decoder, theta, batch)
    normal = partial(system, decoder, theta, tiles)

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        phi, (error, square, gradient), damping = state
        scale = damping * jnp.trace(square, axis1=1, axis2=2) / d + 1e-12
        moved = jnp.linalg.solve(square + scale[:, None, None] * jnp.eye(d), gradient[..., None])[..., 0]
        there = phi - jnp.where(jnp.isfinite(moved), moved, 0.0)
        found = normal(there.reshape(-1, *shape))
        better = found[0] < error
        kept = chosen(better, (there, found), (phi, (error, square, gradient)))
        return (*kept, damping * jnp.where(better, LOWER, HIGHER)), None

    begun = (phi.reshape(b, d), normal(phi), jnp.full(b, DAMPING))
    (best, _, _), _ = lax.scan(step, begun, None, length=steps)
    return best.reshape(b, *shape)


def tiled(decoder: Decoder, theta: Tree, batch: Signal) -> Tiles:
    """A batch in tiles over which `system` holds about `VALUES` numbers at a time."""
    _, n, c = batch.features.shape
    phi = jnp.zeros(decoder.latent_shape)
    layers = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(partial(decoder.modulate, theta), phi)))
    return cut(batch, Plan(1, min(n, max(64, VALUES // (c * (layers + phi.size))))))


def chosen(better: jax.Array, new: Any, old: Any) -> Any:
    """Leaves [b, ...] of `new` where `better` [b], else of `old`."""

    def leaf(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(leaf, new, old)


def system(decoder: Decoder, theta: Tree, tiles: Tiles, phi: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Error [b], J^T W J [b, d, d] and J^T W r [b, d] at `phi` [b, *latent_shape]."""

    def one(tile: Tiles, phi: jax.Array) -> tuple[Any, tuple]:
        own = partial(_tile_system, decoder, theta)
        axes = (None if tile.coords.ndim == 2 else 0, 0, 0, 0)
        return jax.vmap(own, in_axes=axes)(*tile, phi), ()

    return over_tiles(one, tiles, phi)[0]


def _tile_system(
    decoder: Decoder, theta: Tree, coords: jax.Array, features: jax.Array, weights: jax.Array, phi: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The same for one tile of one signal: coords [p, k], features [p, c], weights [p]."""
    layers, to_phi = jax.vjp(partial(decoder.modulate, theta), phi)
    p = coords.shape[0]
    everywhere = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (p, *leaf.shape)), layers)
    observe = jax.vmap(lambda layers, x: decoder.observe(theta, layers, x[None])[0])
    values, pull = jax.vjp(lambda everywhere: observe(everywhere, coords), everywhere)
    residual = values - features
    by_phi = []
    for direction in jnp.eye(values.shape[-1], dtype=values.dtype):
        (by_layers,) = pull(jnp.broadcast_to(direction, values.shape))
        by_phi.append(jax.vmap(lambda own: to_phi(own)[0].reshape(-1))(by_layers))
    jacobian = jnp.stack(by_phi, axis=1)  # [p, c, d]
    weighted = weights[:, None, None] * jacobian
    square = jnp.einsum("pcd,pce->de", weighted, jacobian)
    error = jnp.sum(weights[:, None] * residual**2)
    return error, square, jnp.einsum("pcd,pc->d", weighted, residual)
