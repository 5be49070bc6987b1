"""The residual perceptron that priors are made of: zero before training, with dropout inside its blocks."""

import jax
import jax.numpy as jnp
from flax import nnx


class Residual(nnx.Module):
    """x [..., n_in] -> [..., n_out]: `blocks` of two layers beside a skip; all is zero before training."""

    def __init__(self, n_in: int, width: int, n_out: int, blocks: int, dropout: float, *, rngs: nnx.Rngs):
        self.blocks, self.dropout = blocks, dropout
        self.enter = nnx.Linear(n_in, width, rngs=rngs)
        zero = nnx.initializers.zeros_init()
        for number in range(blocks):
            setattr(self, f"first_{number}", nnx.Linear(width, width, rngs=rngs))
            setattr(self, f"second_{number}", nnx.Linear(width, width, kernel_init=zero, rngs=rngs))
        self.leave = nnx.Linear(width, n_out, kernel_init=zero, rngs=rngs)

    def __call__(self, x: jax.Array, key: jax.Array | None) -> jax.Array:
        """Values at `x`; `key` draws what dropout leaves out, None leaves out nothing."""
        x = self.enter(x)
        for number in range(self.blocks):
            inside = getattr(self, f"first_{number}")(jax.nn.silu(x))
            own = None if key is None else jax.random.fold_in(key, number)
            inside = dropped(jax.nn.silu(inside), self.dropout, own)
            x = x + getattr(self, f"second_{number}")(inside)
        return self.leave(jax.nn.silu(x))


def dropped(x: jax.Array, share: float, key: jax.Array | None) -> jax.Array:
    """`x` with a share of its entries set to zero and the others raised as much; as it is where `key` is None."""
    if key is None or share == 0:
        return x
    return jnp.where(jax.random.bernoulli(key, 1.0 - share, x.shape), x / (1.0 - share), 0.0)


def hidden(labels: jax.Array, classes: int, share: float, key: jax.Array) -> jax.Array:
    """Labels [b] with a share of them replaced by `classes`, which means none."""
    return jnp.where(jax.random.bernoulli(key, share, labels.shape), classes, labels)
