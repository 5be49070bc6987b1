"""Work in tiles of a few signals by a few points, so that memory depends on the number of neither.

Letters: b signals, n points, m tiles along the points, g signals in a tile, p points in a tile, so that
b is a multiple of g and m p >= n; the points added to fill the last tile have weight 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from functa_cli.signal import Signal

# Activations of one layer that stay in a core's cache; measured on CPU (see tests/benchmarks).
CPU_VALUES = 1 << 18
# Enough to fill an accelerator without holding many images' activations.
ACCELERATOR_VALUES = 1 << 25


class Plan(NamedTuple):
    """Signals and points of a tile."""

    signals: int
    points: int


class Tiles(NamedTuple):
    """A batch laid out for two nested scans, over groups of signals and over points."""

    coords: jax.Array  # [m, p, k] shared, or [b/g, m, g, p, k]
    features: jax.Array  # [b/g, m, g, p, c]
    weights: jax.Array  # [b/g, m, g, p]: weight of the point / (sum of weights * c), so that sums are means


def plan(b: int, n: int, width: int, *, backend: str | None = None) -> Plan:
    """Tile for `b` signals of `n` points through layers of `width` channels on `backend` ("cpu", "gpu", "tpu")."""
    values = CPU_VALUES if (backend or jax.default_backend()) == "cpu" else ACCELERATOR_VALUES
    rows = max(256, values // width)
    parts = -(-n // rows)
    points = -(-n // parts)
    signals = max(g for g in range(1, b + 1) if b % g == 0 and (g == 1 or g * points <= rows))
    return Plan(signals, points)


def cut(batch: Signal, size: Plan) -> Tiles:
    """Tiles of a batch with coords [n, k] or [b, n, k], features [b, n, c] and weights [b, n]."""
    b, n, c = batch.features.shape
    g, p = size
    m = -(-n // p)
    total = jnp.sum(batch.weights, axis=-1, keepdims=True) * c
    weights = jnp.where(total > 0, batch.weights / jnp.where(total > 0, total, 1.0), 0.0)

    def arrange(values: jax.typing.ArrayLike) -> jax.Array:
        x = jnp.asarray(values)
        tail = x.shape[2:]
        x = jnp.pad(x, [(0, 0), (0, m * p - n)] + [(0, 0)] * len(tail))
        return jnp.moveaxis(x.reshape(b // g, g, m, p, *tail), 2, 1)

    if batch.coords.ndim == 2:
        coords = jnp.pad(batch.coords, [(0, m * p - n), (0, 0)]).reshape(m, p, -1)
    else:
        coords = arrange(batch.coords)
    return Tiles(coords, arrange(batch.features), arrange(weights))
