"""The contract of a field, and the decoder: a field f_{theta, phi} seen through a renderer.

Theta is all that signals share: `theta["field"]` holds the field's parameters, `theta["inner"]` the start of the
inner loop and, where they are learned, its rates. Phi, the modulations, is an argument and never a parameter.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from flax import nnx

from functa_cli.render import Renderer

Tree = dict[str, Any]


class Field(Protocol):
    """A flax module that is a function of coordinates once it is given modulations."""

    latent_shape: tuple[int, ...]  # of phi, one float32 array
    width: int  # channels of the widest layer: decides how many points are worked on at a time

    def modulate(self, phi: jax.Array) -> Any:
        """What phi [*latent_shape] does to the layers, computed once for all points; any pytree of arrays."""
        ...

    def __call__(self, modulation: Any, x: jax.Array) -> jax.Array:
        """Values [..., c] at `x` [..., d], given what `modulate` returned."""
        ...


class Decoder(NamedTuple):
    """A field and how it is seen, as pure functions; with theta and phi fixed, a call is the functum."""

    modulate: Callable[[Tree, jax.Array], Any]  # theta, phi -> modulation of the layers
    observe: Callable[[Tree, Any, jax.Array], jax.Array]  # theta, modulation, coords [n, k] -> features [n, c]
    latent_shape: tuple[int, ...]
    width: int  # numbers in the widest layer for one point, all its evaluations of the field together

    def __call__(self, theta: Tree, phi: jax.Array, coords: jax.Array) -> jax.Array:
        """Features [n, c] at `coords` [n, k] of the functum with modulations `phi`."""
        return self.observe(theta, self.modulate(theta, phi), coords)


def build(make: Callable[[nnx.Rngs], Field], renderer: Renderer, seed: int) -> tuple[Decoder, Tree]:
    """Decoder, and the initial parameters `theta["field"]` as nested dictionaries of numpy arrays.

    `make(rngs)` returns the field.
    """
    module = make(nnx.Rngs(seed))
    graph, state = nnx.split(module)

    def field_of(theta: Tree) -> Field:
        fresh = jax.tree.map(lambda leaf: leaf, state)
        nnx.replace_by_pure_dict(fresh, theta["field"])
        return nnx.merge(graph, fresh)

    def modulate(theta: Tree, phi: jax.Array) -> Any:
        return field_of(theta).modulate(phi)

    def observe(theta: Tree, modulation: Any, coords: jax.Array) -> jax.Array:
        field = field_of(theta)
        return renderer.render(lambda x: field(modulation, x), coords)

    parameters = jax.tree.map(np.asarray, nnx.to_pure_dict(state))
    return Decoder(modulate, observe, module.latent_shape, module.width * renderer.samples), {"field": parameters}
