"""What is observed of a field: a renderer is handed a function of coordinates and never learns what is behind it.

Voxels, pixels and temperatures are values of the field; what a camera sees along a ray is an integral of it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from functa_cli.config import RenderConfig

FieldFn = Callable[[jax.Array], jax.Array]  # [..., d] -> [..., c]

LAST = 1e-3  # length of the last interval of a ray (the released code's)
LARGEST_DENSITY = 10.0


class Renderer(NamedTuple):
    """How a field is seen."""

    render: Callable[[FieldFn, jax.Array], jax.Array]  # field, coords [n, k] -> features [n, c]
    extra: int  # channels that the field has more than the features, such as a density
    samples: int  # evaluations of the field for one point: decides how many points are worked on at a time


def pointwise(config: RenderConfig) -> Renderer:
    """Pixels, voxels and temperatures are the field's value at `coords` [n, k]: features [n, c]."""
    del config
    return Renderer(lambda field, coords: field(coords), 0, 1)


def volume(config: RenderConfig) -> Renderer:
    """Colours [n, c] along rays [n, 6] (origin, direction), composited front to back over the background (Listing 1).

    As the released code has it: the field's last channel is the density ELU(x, 0.1) + 0.1, clipped to [0, 10];
    distances count in lengths of the direction; the last interval is 1e-3 long.
    """

    def render(field: FieldFn, rays: jax.Array) -> jax.Array:
        colours, weights, _ = _along(field, rays, config)
        ground = 1.0 if config.background == "white" else 0.0
        seen = jnp.einsum("ns,nsc->nc", weights, colours)
        return seen + ground * (1.0 - jnp.sum(weights, axis=1))[:, None]

    return Renderer(render, 1, config.samples)


def depth(config: RenderConfig) -> Renderer:
    """Expected distance [n, 1] along rays [n, 6], in units of the direction; `far` where nothing is hit."""

    def render(field: FieldFn, rays: jax.Array) -> jax.Array:
        _, weights, distances = _along(field, rays, config)
        seen = jnp.sum(weights * distances, axis=1) + config.far * (1.0 - jnp.sum(weights, axis=1))
        return seen[:, None]

    return Renderer(render, 1, config.samples)


def _along(field: FieldFn, rays: jax.Array, config: RenderConfig) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Colours [n, s, c], shares of what is seen [n, s] and distances [n, s] at the samples of each ray."""
    n, s = rays.shape[0], config.samples
    origins, directions = rays[:, None, :3], rays[:, None, 3:]
    distances = jnp.broadcast_to(jnp.linspace(config.near, config.far, s, dtype=rays.dtype), (n, s))
    step = (config.far - config.near) / max(s - 1, 1)
    if config.stratified:
        distances = distances + step * (_noise(rays, s) - 0.5)
    places = origins + distances[..., None] * directions
    values = field(places.reshape(n * s, 3)).reshape(n, s, -1)
    colours, raw = values[..., :-1], values[..., -1]
    density = jnp.clip(jnp.where(raw > 0, raw, 0.1 * jnp.expm1(jnp.minimum(raw, 0.0))) + 0.1, 0.0, LARGEST_DENSITY)
    lengths = jnp.concatenate([jnp.diff(distances), jnp.full((n, 1), LAST, rays.dtype)], axis=1)
    optical = density * lengths * jnp.linalg.norm(directions, axis=-1)
    before = jnp.cumsum(optical, axis=1) - optical
    return colours, jnp.exp(-before) * -jnp.expm1(-optical), distances


def _noise(rays: jax.Array, samples: int) -> jax.Array:
    """Numbers in [0, 1) [n, samples] that depend on the ray alone: jitter that is the same whenever a ray is seen."""
    bits = lax.bitcast_convert_type(rays, jnp.uint32)
    mixed = jnp.zeros(rays.shape[0], jnp.uint32)
    for channel in range(bits.shape[1]):
        mixed = _mixed(mixed ^ bits[:, channel])
    each = _mixed(mixed[:, None] + jnp.arange(samples, dtype=jnp.uint32) * jnp.uint32(0x9E3779B9))
    return (each >> 8).astype(jnp.float32) * jnp.float32(2.0**-24)


def _mixed(x: jax.Array) -> jax.Array:
    """A hash of 32 bits (the finaliser of MurmurHash3)."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


RENDERERS: dict[str, Callable[[RenderConfig], Renderer]] = {"pointwise": pointwise, "volume": volume, "depth": depth}


def make(config: Any) -> Renderer:
    """The renderer that `config.kind` names."""
    return RENDERERS[config.kind](config)
