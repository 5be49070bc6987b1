"""A datum in blocks is fitted and scored as the whole datum is."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli import decoder, meta, render, stream
from functa_cli.config import InnerConfig, RenderConfig
from functa_cli.coords import rays
from functa_cli.fields import siren
from functa_cli.inner import fit_modulations
from functa_cli.signal import Signal
from tests.networks import network, pictures


def blocks_of(signal: Signal, size: int):
    """Function that cuts a signal anew each time, and is told how often."""
    calls = []

    def blocks():
        calls.append(1)
        for start in range(0, len(signal.weights), size):
            yield Signal(*(np.asarray(part)[start : start + size] for part in signal))

    return blocks, calls


def above_half(values, features, seen):
    """Points that are over a half in both, and points."""
    both = ((values > 0.5) & (features > 0.5)).all(-1)
    return [(both * seen).sum(-1), seen.sum(-1)]


@pytest.mark.parametrize("rates", ["fixed", "meta-sgd"])
def test_blocks_give_the_modulations_errors_and_sums_of_the_whole(rates):
    inner = InnerConfig(rates=rates)
    _, built, theta = network(inner=inner)
    batch = pictures(1, (13, 11), hidden=0.3)
    rate = meta.rate_of(inner)
    whole = jax.jit(partial(fit_modulations, built, steps=3, rate=rate, sums=above_half))(theta, batch)
    signal = Signal(batch.coords, batch.features[0], batch.weights[0])
    blocks, calls = blocks_of(signal, 40)
    ready = stream.programs(built, 48, above_half)
    phi = stream.fit(ready, theta, blocks, steps=3, rate=rate)
    assert len(calls) == 3
    mse, sums = stream.look(ready, theta, phi, blocks)
    np.testing.assert_allclose(phi, whole.phi[0], rtol=2e-4, atol=2e-7)
    assert mse == pytest.approx(float(whole.mse[0, -1]), rel=1e-4)
    np.testing.assert_array_equal(sums, whole.sums[0])
    assert sums[1] == (np.asarray(signal.weights) > 0).sum()


def test_rays_stream_as_points_do():
    settings = siren.Options(width=12, depth=3, latent_dim=4, w0=5.0)
    seen = render.make(RenderConfig(kind="volume", samples=6))
    built, theta = decoder.build(lambda rngs: siren.make(settings, 3, 4, rngs=rngs), seen, 0)
    theta = jax.tree.map(jnp.asarray, meta.start(theta, built.latent_shape, InnerConfig(), 0))
    assert built.width == 12 * 6
    row, column = np.divmod(np.arange(63), 9)
    coords = rays(np.eye(4), 5.0, (4.5, 3.5), row, column)
    features = np.random.default_rng(0).uniform(size=(63, 3)).astype(np.float32)
    signal = Signal(coords, features, np.ones(63, np.float32))
    whole = jax.jit(partial(fit_modulations, built, steps=2, rate=0.05))(
        theta, Signal(*(part[None] for part in signal))
    )
    blocks, _ = blocks_of(signal, 20)
    ready = stream.programs(built, 20)
    phi = stream.fit(ready, theta, blocks, steps=2, rate=0.05)
    np.testing.assert_allclose(phi, whole.phi[0], rtol=2e-4, atol=2e-7)
    assert stream.look(ready, theta, phi, blocks)[0] == pytest.approx(float(whole.mse[0, -1]), rel=1e-4)
