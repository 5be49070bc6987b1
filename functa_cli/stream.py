"""The inner loop over one datum that is too large to be held at once: block after block, with equal results.

What `inner.fit_modulations` does in one program is done here by one small program per block, so that neither the
accelerator nor the host ever holds more than a block of the datum.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli import inner
from functa_cli.decoder import Decoder, Tree
from functa_cli.inner import Sums
from functa_cli.loss import error_and_gradient
from functa_cli.signal import Signal
from functa_cli.tiles import cut, plan

Blocks = Callable[[], Iterator[Signal]]  # the points of the datum from the first to the last, each time it is called


class Programs(NamedTuple):
    """Compiled for blocks of one size; each is given theta, phi [1, *latent_shape] and a batch of one signal."""

    step: Callable  # -> error, gradient with respect to phi
    look: Callable  # -> error [1], sums [1, s]
    points: int  # of a block; smaller ones are padded


def programs(decoder: Decoder, points: int, sums: Sums | None = None) -> Programs:
    """Programs for blocks of `points` points; `sums` as for `loss.measure`."""

    def step(theta: Tree, phi: jax.Array, block: Signal) -> tuple[jax.Array, jax.Array]:
        modulation, to_phi = jax.vjp(jax.vmap(partial(decoder.modulate, theta)), phi)
        tiles = cut(block, plan(1, points, decoder.width))
        mse, gradient = error_and_gradient(decoder, theta, modulation, tiles)
        return mse[0], to_phi(gradient)[0]

    return Programs(jax.jit(step), jax.jit(partial(inner.look, decoder, sums=sums)), points)


def fit(ready: Programs, theta: Tree, blocks: Blocks, *, steps: int, rate: float | None) -> np.ndarray:
    """Modulations [*latent_shape] of the datum after `steps` gradient steps (eq. 1)."""
    rates = theta["inner"]["rates"] if rate is None else rate
    phi = theta["inner"]["start"][None]
    for _ in range(steps):
        gradient, total = jnp.zeros_like(phi), 0.0
        for block, weight in _padded(blocks, ready.points):
            gradient, total = gradient + weight * ready.step(theta, phi, block)[1], total + weight
        phi = phi - rates * gradient / max(total, 1e-30)
    return np.asarray(phi[0])


def look(ready: Programs, theta: Tree, phi: np.ndarray, blocks: Blocks) -> tuple[float, np.ndarray]:
    """Error of the datum given its modulations `phi`, and its sums [s]."""
    squared, total, sums = 0.0, 0.0, None
    for block, weight in _padded(blocks, ready.points):
        mse, added = ready.look(theta, jnp.asarray(phi)[None], block)
        squared, total = squared + weight * float(mse[0]), total + weight
        sums = np.asarray(added[0], np.float64) + (0.0 if sums is None else sums)
    return squared / max(total, 1e-30), np.zeros(0) if sums is None else sums


def _padded(blocks: Blocks, points: int) -> Iterator[tuple[Signal, float]]:
    """Each block as a batch of one, filled up with points of weight 0, and its weight."""
    for block in blocks():
        short = points - len(block.weights)
        padded = Signal(*(np.pad(part, [(0, short)] + [(0, 0)] * (part.ndim - 1))[None] for part in block))
        yield padded, float(block.weights.sum(dtype=np.float64))
