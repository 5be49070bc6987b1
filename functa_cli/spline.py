"""Monotonic rational-quadratic splines (Durkan et al., "Neural Spline Flows", 2019, section 3 and equations 4 to 8).

On [-bound, bound] a spline of `bins` pieces, outside the identity; derivatives are 1 at both ends, so that the whole is
smooth. Parameters that are all zero give the identity.
"""

import jax
import jax.numpy as jnp

LEAST_BIN = 1e-3  # share of the interval that a bin has at least, in both directions
LEAST_SLOPE = 1e-3


def count(bins: int) -> int:
    """Parameters of one spline: widths and heights of the bins, and derivatives at the knots between them."""
    return 3 * bins - 1


def forward(x: jax.Array, parameters: jax.Array, bound: float) -> tuple[jax.Array, jax.Array]:
    """Values at `x` [...] of the splines with `parameters` [..., 3 bins - 1], and log of their derivatives there."""
    left, width, low, height, first, last = _bin(x, parameters, bound, by_height=False)
    slope = height / width
    t = jnp.clip((x - left) / width, 0.0, 1.0)
    rest = t * (1.0 - t)
    below = slope + (first + last - 2.0 * slope) * rest
    y = low + height * (slope * t**2 + first * rest) / below
    inside = jnp.abs(x) < bound
    return jnp.where(inside, y, x), jnp.where(inside, _log_slope(t, slope, first, last, below), 0.0)


def inverse(y: jax.Array, parameters: jax.Array, bound: float) -> tuple[jax.Array, jax.Array]:
    """The `x` at which `forward` is `y`, and log of the derivative of `forward` there."""
    left, width, low, height, first, last = _bin(y, parameters, bound, by_height=True)
    slope = height / width
    up = jnp.clip(y - low, 0.0, height)
    bend = first + last - 2.0 * slope
    a = height * (slope - first) + up * bend
    b = height * first - up * bend
    c = -slope * up
    root = jnp.sqrt(jnp.maximum(b**2 - 4.0 * a * c, 0.0))
    t = jnp.clip(2.0 * c / (-b - root), 0.0, 1.0)
    below = slope + bend * t * (1.0 - t)
    inside = jnp.abs(y) < bound
    x = jnp.where(inside, left + t * width, y)
    return x, jnp.where(inside, _log_slope(t, slope, first, last, below), 0.0)


def _log_slope(t: jax.Array, slope: jax.Array, first: jax.Array, last: jax.Array, below: jax.Array) -> jax.Array:
    """Log of the derivative (equation 5), without a quotient of squares."""
    above = last * t**2 + 2.0 * slope * t * (1.0 - t) + first * (1.0 - t) ** 2
    return 2.0 * jnp.log(slope) + jnp.log(above) - 2.0 * jnp.log(below)


def _bin(place: jax.Array, parameters: jax.Array, bound: float, *, by_height: bool) -> tuple[jax.Array, ...]:
    """Left end, width, low end, height, and both derivatives of the bin in which `place` [...] lies."""
    bins = (parameters.shape[-1] + 1) // 3
    widths, heights = (_shares(part, bound) for part in (parameters[..., :bins], parameters[..., bins : 2 * bins]))
    zero = jnp.log(jnp.expm1(1.0 - LEAST_SLOPE))  # where the softplus gives a derivative of 1
    inner = LEAST_SLOPE + jax.nn.softplus(parameters[..., 2 * bins :] + zero)
    slopes = jnp.pad(inner, [(0, 0)] * (inner.ndim - 1) + [(1, 1)], constant_values=1.0)
    ends = _starts(heights if by_height else widths, bound)
    number = jnp.clip(jnp.sum(place[..., None] >= ends, axis=-1) - 1, 0, bins - 1)
    chosen = jax.nn.one_hot(number, bins, dtype=parameters.dtype)
    found = (_starts(widths, bound), widths, _starts(heights, bound), heights, slopes[..., :-1], slopes[..., 1:])
    left, width, low, height, first, last = (jnp.sum(chosen * part, axis=-1) for part in found)
    return left, width, low, height, first, last


def _shares(parameters: jax.Array, bound: float) -> jax.Array:
    bins = parameters.shape[-1]
    return 2.0 * bound * (LEAST_BIN + (1.0 - LEAST_BIN * bins) * jax.nn.softmax(parameters, axis=-1))


def _starts(sizes: jax.Array, bound: float) -> jax.Array:
    """Where each bin begins."""
    return jnp.cumsum(sizes, axis=-1) - sizes - bound
