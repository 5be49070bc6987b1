"""The contract of a prior p(phi): a density, or a sampler, of modulations (section 4).

A prior is one file `priors/<name>.py` with `Options`, a dataclass of settings, `RECIPES`, settings by name of recipe,
and `make(dim, classes, options)`. It works on vectors x [d] that are normalised by `scale.py`, and on labels: a number
below `classes`, or `classes` itself where no label is given.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

Tree = dict[str, Any]


class Draw(NamedTuple):
    """How samples are drawn; a prior names those that it knows in `Prior.draws`."""

    temperature: float = 1.0  # factor on the deviation of all noise
    steps: int = 0  # of a sampler that may take fewer than it was trained with; 0 = all
    guidance: float = 1.0  # weight of the label: 0 ignores it, 1 as trained, more exaggerates it


class Prior(NamedTuple):
    """A prior as pure functions of its parameters; x is [b, d], labels are int32 [b]."""

    init: Callable[[jax.Array], Tree]  # key -> parameters
    loss: Callable[..., jax.Array]  # loss(parameters, x, labels, key, dropout=bool) -> [b], what training lowers
    sample: Callable[[Tree, jax.Array, jax.Array, Draw], jax.Array]  # parameters, key, labels [n], draw -> x [n, d]
    draws: tuple[str, ...]  # fields of Draw that `sample` knows
    looks: int = 1  # draws of `key` that the loss on held-out data is the mean of
    log_prob: Callable[[Tree, jax.Array, jax.Array], jax.Array] | None = None  # parameters, x, labels -> [b], nats
    to_noise: Callable[[Tree, jax.Array, jax.Array], jax.Array] | None = None  # x -> noise of deviation 1, [b, d]
    from_noise: Callable[[Tree, jax.Array, jax.Array], jax.Array] | None = None  # and back
