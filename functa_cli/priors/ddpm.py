"""A denoising diffusion model (Ho et al., 2020; A.5, Figure 14): a residual perceptron predicts the noise.

T steps with variances beta from 1e-4 to 0.02. Samples are drawn by the ancestral chain, or in fewer steps without noise
in between (DDIM: Song et al., 2021, equation 12 with sigma = 0). With classes, labels are hidden now and then, so that
`guidance` can weigh them (Ho and Salimans, "Classifier-free diffusion guidance", 2022).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from functa_cli.prior import Draw, Prior, Tree
from functa_cli.residual import Residual, hidden
from functa_cli.scale import Kind

FREQUENCIES = 32  # sines and cosines of each by which the network knows the time


@dataclass(frozen=True)
class Options:
    """Settings of the diffusion model."""

    normalise: Kind = "whiten"
    norm_factor: float = 1.0
    noise_steps: int = 1000  # T (A.5)
    beta_first: float = 1e-4
    beta_last: float = 0.02
    width: int = 256
    blocks: int = 3
    dropout: float = 0.2
    gaussian_start: bool = True  # predict what is left after the best answer for Gaussian data, instead of all
    label_dim: int = 32
    label_dropout: float = 0.1


RECIPES: dict[str, dict[str, Any]] = {
    "default": {"learn": {"rate": 3e-4, "noise": 0.2, "ema": 0.99}},
    "paper": {
        "prior": {"normalise": "standard", "width": 1024, "blocks": 4, "dropout": 0.1, "gaussian_start": False},
        "learn": {
            "schedule": "inverse-sqrt",
            "rate": 1e-4,
            "warmup": 5000,
            "steps": 500_000,
            "batch": 256,
            "ema": 0.9999,
        },
    },
}


class Noise(nnx.Module):
    """The noise in x [b, d] at times [b]."""

    def __init__(self, dim: int, classes: int, options: Options, *, rngs: nnx.Rngs):
        self.classes = classes
        n_label = options.label_dim if classes else 0
        if classes:
            self.embedding = nnx.Embed(classes + 1, n_label, rngs=rngs)
        n_in = dim + 2 * FREQUENCIES + n_label
        self.network = Residual(n_in, options.width, dim, options.blocks, options.dropout, rngs=rngs)

    def __call__(self, x: jax.Array, time: jax.Array, labels: jax.Array, key: jax.Array | None) -> jax.Array:
        """`time` is a share of T; `labels` are int32 [b]."""
        turns = 1000.0 * time[:, None] * jnp.exp(-np.log(10_000.0) * jnp.arange(FREQUENCIES) / FREQUENCIES)
        parts = [x, jnp.sin(turns), jnp.cos(turns)]
        if self.classes:
            parts.append(self.embedding(labels))
        return self.network(jnp.concatenate(parts, axis=1), key)


class Times(NamedTuple):
    """Per step 1 to T: what is left of the variance of the data, and the variance of the noise that is added."""

    left: np.ndarray  # alpha bar [T]
    beta: np.ndarray  # [T]


def times(options: Options) -> Times:
    """The schedule of the forward process."""
    beta = np.linspace(options.beta_first, options.beta_last, options.noise_steps)
    return Times(np.cumprod(1.0 - beta).astype(np.float32), beta.astype(np.float32))


def make(dim: int, classes: int, options: Options) -> Prior:
    """Diffusion model of vectors of `dim` entries and `classes` classes, 0 = labels are ignored."""
    graph, like = nnx.split(nnx.eval_shape(lambda: Noise(dim, classes, options, rngs=nnx.Rngs(0))))
    schedule = times(options)

    def init(key: jax.Array) -> Tree:
        return nnx.to_pure_dict(nnx.split(Noise(dim, classes, options, rngs=nnx.Rngs(key)))[1])

    def noise(parameters: Tree, x: jax.Array, step: jax.Array, labels: jax.Array, key: Any = None) -> jax.Array:
        fresh = jax.tree.map(lambda leaf: leaf, like)
        nnx.replace_by_pure_dict(fresh, parameters)
        found = nnx.merge(graph, fresh)(x, step / options.noise_steps, labels, key)
        if not options.gaussian_start:
            return found
        left = jnp.asarray(schedule.left)[step][:, None]
        return jnp.sqrt(1.0 - left) * x + jnp.sqrt(left) * found

    def loss(parameters: Tree, x: jax.Array, labels: jax.Array, key: jax.Array, *, dropout: bool) -> jax.Array:
        keys = jax.random.split(key, 4)
        step = jax.random.randint(keys[0], (len(x),), 0, options.noise_steps)
        true = jax.random.normal(keys[1], x.shape)
        left = jnp.asarray(schedule.left)[step][:, None]
        if dropout and classes:
            labels = hidden(labels, classes, options.label_dropout, keys[2])
        noisy = jnp.sqrt(left) * x + jnp.sqrt(1.0 - left) * true
        found = noise(parameters, noisy, step, labels, keys[3] if dropout else None)
        return jnp.mean((found - true) ** 2, axis=1)

    def sample(parameters: Tree, key: jax.Array, labels: jax.Array, draw: Draw) -> jax.Array:
        def predict(x: jax.Array, step: jax.Array, labels: jax.Array) -> jax.Array:
            return noise(parameters, x, jnp.broadcast_to(step, labels.shape), labels)

        guided = guide(predict, classes, draw.guidance)
        start, chain = jax.random.split(key)
        x = draw.temperature * jax.random.normal(start, (len(labels), dim))
        if 0 < draw.steps < options.noise_steps:
            return ddim(guided, schedule, x, labels, draw.steps)
        return ancestral(guided, schedule, chain, x, labels, draw.temperature)

    return Prior(init, loss, sample, draws=("temperature", "steps", "guidance"), looks=32)


def guide(predict: Any, classes: int, guidance: float) -> Any:
    """Noise predicted with the labels weighed by `guidance`: 1 as they are, without a second call of the network."""
    if guidance == 1.0 or not classes:
        return predict

    def guided(x: jax.Array, step: jax.Array, labels: jax.Array) -> jax.Array:
        free = predict(x, step, jnp.full_like(labels, classes))
        return free + guidance * (predict(x, step, labels) - free)

    return guided


def ancestral(
    predict: Any, schedule: Times, key: jax.Array, x: jax.Array, labels: jax.Array, temperature: float = 1.0
) -> jax.Array:
    """From noise `x` [n, d] to data by T steps (Ho et al., algorithm 2, with the posterior's variance)."""
    before = np.concatenate([[1.0], schedule.left[:-1]]).astype(np.float32)
    variance = schedule.beta * (1.0 - before) / (1.0 - schedule.left)
    count = len(schedule.beta)

    def step(x: jax.Array, at: tuple) -> tuple[jax.Array, None]:
        number, beta, left, spread, key = at
        mean = (x - beta / jnp.sqrt(1.0 - left) * predict(x, number, labels)) / jnp.sqrt(1.0 - beta)
        return mean + temperature * jnp.sqrt(spread) * jax.random.normal(key, x.shape), None

    along = (np.arange(count), schedule.beta, schedule.left, variance, jax.random.split(key, count))
    return lax.scan(step, x, along, reverse=True)[0]


def ddim(predict: Any, schedule: Times, x: jax.Array, labels: jax.Array, steps: int) -> jax.Array:
    """From noise `x` [n, d] to data by `steps` steps, evenly spread, without noise in between."""
    numbers = np.unique(np.linspace(0, len(schedule.left) - 1, steps).round().astype(np.int32))
    before = np.concatenate([[1.0], schedule.left[numbers[:-1]]]).astype(np.float32)

    def step(x: jax.Array, at: tuple) -> tuple[jax.Array, None]:
        number, left, next_left = at
        noise = predict(x, number, labels)
        data = (x - jnp.sqrt(1.0 - left) * noise) / jnp.sqrt(left)
        return jnp.sqrt(next_left) * data + jnp.sqrt(1.0 - next_left) * noise, None

    return lax.scan(step, x, (numbers, schedule.left[numbers], before), reverse=True)[0]
