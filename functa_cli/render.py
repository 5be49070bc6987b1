"""What is observed of a field: a renderer is handed a function of coordinates and never learns what is behind it."""

from collections.abc import Callable

import jax

FieldFn = Callable[[jax.Array], jax.Array]  # [..., d] -> [..., c]
Renderer = Callable[[FieldFn, jax.Array], jax.Array]  # field, coords [n, k] -> features [n, c]


def pointwise(field: FieldFn, coords: jax.Array) -> jax.Array:
    """Pixels, voxels and temperatures are the field's value at `coords` [n, k]: features [n, c]."""
    return field(coords)


RENDERERS: dict[str, Renderer] = {"pointwise": pointwise}
