"""A neural spline flow (A.4, Figure 13): layers of a PLU linear map and a rational-quadratic spline coupling.

The density direction, from modulations to noise, has the matrix product, and sampling the two triangular solves: so
training is several times cheaper. All layers are one stacked tree that `lax.scan` walks, so that compiling
takes no longer for more of them. Untrained, the flow is the Gaussian that its normalisation describes.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.scipy.linalg import solve_triangular

from functa_cli import spline
from functa_cli.prior import Draw, Prior, Tree
from functa_cli.residual import Residual, hidden
from functa_cli.scale import Kind

MOST = 2.0  # the log of the factor lies within +- this


@dataclass(frozen=True)
class Options:
    """Settings of the flow."""

    normalise: Kind = "whiten"
    norm_factor: float = 4.0  # modulations are divided by it besides, so that most lie inside the splines
    base: float = 0.25  # deviation of the noise (A.4)
    bound: float = 1.0  # splines act on [-bound, bound]
    layers: int = 8
    bins: int = 4
    width: int = 128  # of the conditioner
    blocks: int = 1
    dropout: float = 0.3
    linear_rate: float = 0.1  # factor on the rate of L and U, whose many entries soon learn a small set by heart
    label_dim: int = 32  # of the embedding of a class (A.4)
    label_dropout: float = 0.1  # share of labels hidden in training, so that the flow also has a density without one


RECIPES: dict[str, dict[str, Any]] = {
    "default": {"learn": {"rate": 3e-4, "noise": 0.2, "ema": 0.95, "warmup": 20, "evaluate": 20}},
    "paper": {
        "prior": {
            "normalise": "standard",
            "linear_rate": 1.0,
            "layers": 320,
            "bins": 8,
            "width": 256,
            "blocks": 2,
            "dropout": 0.1,
        },
        "learn": {"schedule": "inverse-sqrt", "rate": 1e-4, "warmup": 5000, "steps": 500_000, "batch": 256, "ema": 0.0},
    },
}


def order(dim: int) -> np.ndarray:
    """The permutation P of every layer: odd entries, which are kept in it, then even ones."""
    return np.concatenate([np.arange(1, dim, 2), np.arange(0, dim, 2)])


class Layer(nnx.Module):
    """x -> P L U x + shift, then on one half a factor and splines that come from the other half.

    The factor, one number for the whole half, and the size of the other half as an input are ours: modulations of all
    sets tried differ more in their length than Gaussians do, and a few hundred data cannot teach that to each spline.
    """

    def __init__(self, dim: int, options: Options, n_label: int, *, rngs: nnx.Rngs):
        self.kept, self.bins, self.bound, self.rate = dim // 2, options.bins, options.bound, options.linear_rate
        self.dim, self.base = dim, options.base
        self.lower, self.upper = nnx.Param(jnp.zeros((dim, dim))), nnx.Param(jnp.zeros((dim, dim)))
        self.log_diagonal, self.shift = nnx.Param(jnp.zeros(dim)), nnx.Param(jnp.zeros(dim))
        n_in, n_out = self.kept + 1 + n_label, (dim - self.kept) * spline.count(options.bins) + 1
        self.conditioner = Residual(n_in, options.width, n_out, options.blocks, options.dropout, rngs=rngs)

    def forward(self, x: jax.Array, label: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Towards the noise: values [b, d] and log-determinants [b]."""
        x = (x @ self._upper().T @ self._lower().T + self.shift[...])[:, order(self.dim)]
        kept, moved = x[:, : self.kept], x[:, self.kept :]
        stretch, splines = self._conditioned(kept, label, key)
        moved, slopes = spline.forward(moved * jnp.exp(stretch), splines, self.bound)
        volume = slopes.sum(axis=1) + moved.shape[1] * stretch[:, 0] + self.log_diagonal[...].sum()
        return jnp.concatenate([kept, moved], axis=1), volume

    def inverse(self, z: jax.Array, label: jax.Array) -> jax.Array:
        """Towards the modulations."""
        kept, moved = z[:, : self.kept], z[:, self.kept :]
        stretch, splines = self._conditioned(kept, label, None)
        moved = spline.inverse(moved, splines, self.bound)[0] * jnp.exp(-stretch)
        x = jnp.concatenate([kept, moved], axis=1)[:, np.argsort(order(self.dim))] - self.shift[...]
        x = solve_triangular(self._lower(), x.T, lower=True, unit_diagonal=True)
        return solve_triangular(self._upper(), x).T

    def _lower(self) -> jax.Array:
        return self.rate * jnp.tril(self.lower[...], -1) + jnp.eye(len(self.shift[...]))

    def _upper(self) -> jax.Array:
        return self.rate * jnp.triu(self.upper[...], 1) + jnp.diag(jnp.exp(self.log_diagonal[...]))

    def _conditioned(self, kept: jax.Array, label: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """What the kept half does to the other one: log of a factor [b, 1], and splines [b, d - kept, parameters]."""
        size = jnp.log(jnp.sum((kept / self.base) ** 2, axis=1, keepdims=True) / max(self.kept, 1) + 0.1)
        out = self.conditioner(jnp.concatenate([kept / self.bound, size, label], axis=1), key)
        return MOST * jnp.tanh(out[:, :1] / MOST), out[:, 1:].reshape(len(kept), -1, spline.count(self.bins))


class Flow(nnx.Module):
    """All layers, and the embedding of classes; without classes there is none."""

    def __init__(self, dim: int, classes: int, options: Options, *, rngs: nnx.Rngs):
        n_label = options.label_dim if classes else 0
        if classes:
            self.embedding = nnx.Embed(classes + 1, n_label, rngs=rngs)

        @nnx.split_rngs(splits=options.layers)
        @nnx.vmap
        def stack(rngs: nnx.Rngs) -> Layer:
            return Layer(dim, options, n_label, rngs=rngs)

        self.layers = stack(rngs)
        self.classes = classes

    def label(self, labels: jax.Array) -> jax.Array:
        """What layers are told of `labels` [b]: [b, label_dim or 0]."""
        return self.embedding(labels) if self.classes else jnp.zeros((len(labels), 0))

    def forward(self, x: jax.Array, labels: jax.Array, key: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """Noise [b, d] and log-determinant [b] of `x` [b, d]."""
        graph, state = nnx.split(self.layers)
        label = self.label(labels)
        count = len(jax.tree.leaves(state)[0])
        keys = None if key is None else jax.random.split(key, count)

        def step(carry: tuple[jax.Array, jax.Array], part: tuple) -> tuple[tuple[jax.Array, jax.Array], None]:
            x, total = carry
            x, log = nnx.merge(graph, part[0]).forward(x, label, part[1])
            return (x, total + log), None

        (x, total), _ = lax.scan(step, (x, jnp.zeros(len(x))), (state, keys))
        return x, total

    def inverse(self, z: jax.Array, labels: jax.Array) -> jax.Array:
        """The `x` [b, d] whose noise is `z`."""
        graph, state = nnx.split(self.layers)
        label = self.label(labels)

        def step(z: jax.Array, part: Any) -> tuple[jax.Array, None]:
            return nnx.merge(graph, part).inverse(z, label), None

        return lax.scan(step, z, state, reverse=True)[0]


def make(dim: int, classes: int, options: Options) -> Prior:
    """Flow over vectors of `dim` entries and `classes` classes, 0 = labels are ignored."""
    graph, like = nnx.split(nnx.eval_shape(lambda: Flow(dim, classes, options, rngs=nnx.Rngs(0))))

    def flow(parameters: Tree) -> Flow:
        fresh = jax.tree.map(lambda leaf: leaf, like)
        nnx.replace_by_pure_dict(fresh, parameters)
        return nnx.merge(graph, fresh)

    def init(key: jax.Array) -> Tree:
        return nnx.to_pure_dict(nnx.split(Flow(dim, classes, options, rngs=nnx.Rngs(key)))[1])

    def density(parameters: Tree, x: jax.Array, labels: jax.Array, key: jax.Array | None) -> jax.Array:
        z, volume = flow(parameters).forward(x, labels, key)
        noise = -0.5 * jnp.sum((z / options.base) ** 2, axis=1)
        return noise - dim * (0.5 * math.log(2 * math.pi) + math.log(options.base)) + volume

    def loss(parameters: Tree, x: jax.Array, labels: jax.Array, key: jax.Array, *, dropout: bool) -> jax.Array:
        if dropout and classes:
            labels = hidden(labels, classes, options.label_dropout, jax.random.fold_in(key, 1))
        return -density(parameters, x, labels, key if dropout else None)

    def from_noise(parameters: Tree, z: jax.Array, labels: jax.Array) -> jax.Array:
        return flow(parameters).inverse(z * options.base, labels)

    def to_noise(parameters: Tree, x: jax.Array, labels: jax.Array) -> jax.Array:
        return flow(parameters).forward(x, labels, None)[0] / options.base

    def sample(parameters: Tree, key: jax.Array, labels: jax.Array, draw: Draw) -> jax.Array:
        noise = draw.temperature * jax.random.normal(key, (len(labels), dim))
        return from_noise(parameters, noise, labels)

    return Prior(
        init,
        loss,
        sample,
        draws=("temperature",),
        log_prob=partial(density, key=None),
        to_noise=to_noise,
        from_noise=from_noise,
    )
