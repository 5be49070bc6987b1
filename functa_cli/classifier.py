"""A classifier of modulations (A.7): a perceptron of SiLU layers, and the temperature that makes it say how sure it is.

Works on vectors x [d] that are normalised by `scale.py`. What the paper tells of its size, 83 thousand parameters at
the small end and 924 thousand at the large one, is that of 2 hidden layers of 128 and of 4 of 512.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from functa_cli.config import PerceptronConfig
from functa_cli.residual import dropped

Tree = dict[str, Any]
TEMPERATURES = (0.02, 50.0)  # where the calibrated one is looked for
GOLDEN = (np.sqrt(5.0) - 1.0) / 2.0


class Perceptron(nnx.Module):
    """x [..., d] -> logits [..., classes], with dropout after each of `depth` hidden layers."""

    def __init__(self, dim: int, classes: int, options: PerceptronConfig, *, rngs: nnx.Rngs):
        self.depth, self.dropout = options.depth, options.dropout
        for number in range(options.depth):
            setattr(self, f"hidden_{number}", nnx.Linear(options.width if number else dim, options.width, rngs=rngs))
        self.leave = nnx.Linear(options.width if options.depth else dim, classes, rngs=rngs)

    def __call__(self, x: jax.Array, key: jax.Array | None) -> jax.Array:
        """Logits of `x`; `key` draws what dropout leaves out, None leaves out nothing."""
        for number in range(self.depth):
            own = None if key is None else jax.random.fold_in(key, number)
            x = dropped(jax.nn.silu(getattr(self, f"hidden_{number}")(x)), self.dropout, own)
        return self.leave(x)


class Classifier(NamedTuple):
    """A perceptron as pure functions of its parameters; x is [b, d], labels are int32 [b]."""

    init: Callable[[jax.Array], Tree]  # key -> parameters
    loss: Callable[..., jax.Array]  # loss(parameters, x, labels, key, dropout=bool) -> [b], what training lowers
    logits: Callable[[Tree, jax.Array], jax.Array]  # parameters, x -> [b, classes]


def make(dim: int, classes: int, options: PerceptronConfig, weights: np.ndarray | None = None) -> Classifier:
    """Classifier of vectors of `dim` entries; `weights` [classes]: what an error on each class counts, None = 1.

    Its loss is the cross-entropy to labels of which the share `options.smoothing` is spread over all classes.
    """
    graph, like = nnx.split(nnx.eval_shape(lambda: Perceptron(dim, classes, options, rngs=nnx.Rngs(0))))
    counts = jnp.ones(classes) if weights is None else jnp.asarray(weights, jnp.float32)

    def init(key: jax.Array) -> Tree:
        return nnx.to_pure_dict(nnx.split(Perceptron(dim, classes, options, rngs=nnx.Rngs(key)))[1])

    def apply(parameters: Tree, x: jax.Array, key: jax.Array | None = None) -> jax.Array:
        fresh = jax.tree.map(lambda leaf: leaf, like)
        nnx.replace_by_pure_dict(fresh, parameters)
        return nnx.merge(graph, fresh)(x, key)

    def loss(parameters: Tree, x: jax.Array, labels: jax.Array, key: jax.Array, *, dropout: bool) -> jax.Array:
        log_p = jax.nn.log_softmax(apply(parameters, x, jax.random.fold_in(key, 1) if dropout else None))
        own = jnp.take_along_axis(log_p, labels[:, None], axis=1)[:, 0]
        spread = options.smoothing * log_p.mean(axis=1)
        return -counts[labels] * ((1.0 - options.smoothing) * own + spread)

    return Classifier(init, loss, apply)


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 [classes]: weights by which each class counts the same, with a mean of 1 over the data `labels` [n].

    A class without data has weight 0.
    """
    counts = np.bincount(labels, minlength=classes)
    there = counts > 0
    return np.where(there, len(labels) / there.sum() / np.maximum(counts, 1), 0.0).astype(np.float32)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Log-probabilities float64 [n, classes]."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def calibrate(logits: np.ndarray, labels: np.ndarray) -> float:
    """Temperature by which `logits` [n, classes] of held-out data are to be divided so that `labels` are likeliest.

    (Guo et al., "On calibration of modern neural networks", 2017.) One more datum is reckoned with that is of every
    class alike, so that a few data that are all right do not make it sure of everything. Which class is the likeliest
    does not change. The likelihood is concave in 1 / temperature, so golden sections of its logarithm find the best.
    """

    def loss(log_t: float) -> float:
        log_p = log_softmax(logits / np.exp(log_t))
        own = log_p[np.arange(len(labels)), labels].sum()
        return float(-(own + log_p.mean()))

    low, high = np.log(TEMPERATURES)
    inside = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
    found = [loss(one) for one in inside]
    while high - low > 1e-5:
        if found[0] < found[1]:
            high, inside[1], found[1] = inside[1], inside[0], found[0]
            inside[0] = high - GOLDEN * (high - low)
            found[0] = loss(inside[0])
        else:
            low, inside[0], found[0] = inside[0], inside[1], found[1]
            inside[1] = low + GOLDEN * (high - low)
            found[1] = loss(inside[1])
    return float(np.exp((low + high) / 2.0))
