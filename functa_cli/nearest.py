"""Of known functa, the one that shows best what is observed of a signal.

A functaset of few data is lumpy, and a prior learned from it is smoother than it. A known functum that looks alike is
where the steps on equation 2 start from as well, and what the prior is narrowed around (complete.py).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from functa_cli.decoder import Decoder, Tree
from functa_cli.signal import Signal

LOOKED = 2048  # points that functa are compared at
KNOWN = 1024  # functa that are compared, at most
THINNED = 8  # one point of so many decides which functa are compared at all of them
LEFT = 16  # those


def nearest(decoder: Decoder, theta: Tree, functa: jax.Array, batch: Signal) -> jax.Array:
    """Numbers [b] of the `functa` [m, *latent_shape] with the least weighted squared error at the points of a batch.

    `batch`: coords [b, n, k], features [b, n, c], weights [b, n], 0 = not observed. The `LEFT` functa that do best at
    one point of `THINNED` are compared at all.
    """

    def error(signal: Signal, phi: jax.Array) -> jax.Array:
        values = decoder(theta, phi, jnp.asarray(signal.coords))
        return jnp.sum((values - signal.features) ** 2 * signal.weights[:, None])

    def one(signal: Signal) -> jax.Array:
        few = Signal(*(part[::THINNED] for part in signal))
        _, kept = lax.top_k(-lax.map(partial(error, few), functa), min(LEFT, len(functa)))
        return kept[jnp.argmin(lax.map(partial(error, signal), functa[kept]))]

    return lax.map(one, batch)
