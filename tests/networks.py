"""Small networks and signals for the tests of the maths."""

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli import decoder, meta, render
from functa_cli.config import InnerConfig, RenderConfig
from functa_cli.coords import grid
from functa_cli.fields import siren
from functa_cli.signal import Signal


def network(*, inner: InnerConfig | None = None, seed: int = 0, **options):
    """Options, decoder, and theta as jax arrays of a small SIREN for pictures of three channels."""
    settings = siren.Options(**{"width": 12, "depth": 4, "latent_dim": 5, **options})
    built, theta = decoder.build(lambda rngs: siren.make(settings, 2, 3, rngs=rngs), render.make(RenderConfig()), seed)
    theta = meta.start(theta, built.latent_shape, inner or InnerConfig(rates="meta-sgd"), seed)
    return settings, built, jax.tree.map(jnp.asarray, theta)


def pictures(b: int, shape: tuple[int, int], seed: int = 0, hidden: float = 0.0) -> Signal:
    """A batch of `b` random smooth pictures; a share `hidden` of the points of each has weight 0."""
    rng = np.random.default_rng(seed)
    coords = grid(shape)
    waves = rng.normal(size=(b, 4, 2)) * 4
    features = 0.5 + 0.4 * np.sin(coords @ np.swapaxes(waves, 1, 2)) @ rng.normal(size=(b, 4, 3)) / 2
    weights = (rng.uniform(size=(b, len(coords))) >= hidden).astype(np.float32)
    return Signal(jnp.asarray(coords), jnp.asarray(features, jnp.float32), jnp.asarray(weights))
