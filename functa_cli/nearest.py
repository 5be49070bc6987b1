"""Of known functa, the one that shows best what is observed of a signal.

A functaset of few data is lumpy, and a prior learned from it is smoother than it. A known functum that looks alike is
where the steps on equation 2 start from as well, and what the prior is narrowed around (complete.py).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from functa_cli.decoder import Decoder, Tree
from functa_cli.inner import look
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

    def errors(signal: Signal, phi: jax.Array) -> jax.Array:
        same: Any = (jnp.broadcast_to(part, (len(phi), *part.shape)) for part in signal[1:])
        return look(decoder, theta, phi, Signal(signal.coords, *same))[0]

    def one(signal: Signal) -> jax.Array:
        few = Signal(*(part[::THINNED] for part in signal))
        _, kept = lax.top_k(-errors(few, functa), min(LEFT, len(functa)))
        return kept[jnp.argmin(errors(signal, functa[kept]))]

    return lax.map(one, batch)
