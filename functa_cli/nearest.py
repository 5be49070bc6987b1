"""Of known functa, the one that shows best what is observed of a signal: a start for the steps on equation 2.

A functaset of few data is lumpy, and a prior learned from it is smoother than it. Where little is seen, the steps from
the encoded part end in the nearest valley of a landscape with several; a functum that looks alike starts in another.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from functa_cli.decoder import Decoder, Tree
from functa_cli.signal import Signal

LOOKED = 256  # points that functa are compared at
KNOWN = 1024  # functa that are compared, at most


def nearest(decoder: Decoder, theta: Tree, functa: jax.Array, batch: Signal) -> jax.Array:
    """Numbers [b] of the `functa` [m, *latent_shape] with the least weighted squared error at the points of a batch.

    `batch`: coords [b, n, k], features [b, n, c], weights [b, n], 0 = not observed.
    """

    def errors(phi: jax.Array) -> jax.Array:
        values = jax.vmap(partial(decoder.observe, theta, decoder.modulate(theta, phi)))(jnp.asarray(batch.coords))
        return jnp.einsum("bnc,bn->b", (values - batch.features) ** 2, batch.weights)

    return jnp.argmin(lax.map(errors, functa), axis=0)
