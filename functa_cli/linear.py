"""The linear parts of a layer, as operations that stay flat matrix products under vmap and under every derivative.

Code is written for the points of one signal and mapped over signals. Mapped in the ordinary way, the gradient with
respect to a kernel contracts over two axes, signals and points, which XLA answers with transposed copies of all
activations, and sums over points are fused with the sine before them into loops without vector instructions. Here
signals and points are one axis of rows throughout: training steps are about twice as fast on CPU (tests/benchmarks).

    dense(x, kernel)    x [..., i], kernel [i, o] -> [..., o]
    spread(v, points)   v [..., w] -> [..., points, w], the same vector for each point
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def dense(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """`x` [..., i] times `kernel` [i, o]: [..., o]."""
    return _forward.bind(x, kernel)


def spread(vector: jax.Array, points: int) -> jax.Array:
    """`vector` [..., w] once for each of `points` points: [..., points, w]."""
    return _spread.bind(vector, points=points)


def _rows(x: jax.Array) -> jax.Array:
    return x.reshape(-1, x.shape[-1])


def _contract(x: jax.Array, y: jax.Array, axes: tuple[int, int]) -> jax.Array:
    return lax.dot_general(x, y, (((axes[0],), (axes[1],)), ((), ())))


def _forward_of(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _contract(_rows(x), kernel, (1, 0)).reshape(*x.shape[:-1], kernel.shape[1])


def _backward_of(y: jax.Array, kernel: jax.Array) -> jax.Array:
    """Transpose in x: y [..., o], kernel [i, o] -> [..., i]."""
    return _contract(_rows(y), kernel, (1, 1)).reshape(*y.shape[:-1], kernel.shape[0])


def _outer_of(x: jax.Array, y: jax.Array) -> jax.Array:
    """Transpose in the kernel: x [..., i], y [..., o] -> [i, o], summed over all rows."""
    return _contract(_rows(x), _rows(y), (0, 0))


def _spread_of(vector: jax.Array, *, points: int) -> jax.Array:
    return jnp.broadcast_to(vector[..., None, :], (*vector.shape[:-1], points, vector.shape[-1]))


def _total_of(values: jax.Array) -> jax.Array:
    """Transpose of spread, a product with ones: [..., points, w] -> [..., w]."""
    *groups, points, width = values.shape
    if points == 1:
        return values[..., 0, :]
    members = np.repeat(np.eye(int(np.prod(groups)), dtype=values.dtype), points, axis=1)
    return _contract(jnp.asarray(members), _rows(values), (1, 0)).reshape(*groups, width)


def _primitive(name: str, function: Callable, keeps: Callable[[tuple], bool]) -> Primitive:
    """An operation whose leading axes are rows; `keeps(dims)` tells whether mapping over `dims` only adds rows."""
    primitive = Primitive(name)
    primitive.def_impl(lambda *args, **options: jax.jit(partial(function, **options))(*args))
    mlir.register_lowering(primitive, mlir.lower_fun(function, multiple_results=False))

    @primitive.def_abstract_eval
    def _(*args: Any, **options: Any) -> Any:
        shapes = [jax.ShapeDtypeStruct(arg.shape, arg.dtype) for arg in args]
        return args[0].update(shape=jax.eval_shape(partial(function, **options), *shapes).shape)

    def batch(args: tuple, dims: tuple, **options: Any) -> tuple[jax.Array, int]:
        if not keeps(dims):
            return jax.vmap(partial(function, **options), dims)(*args), 0
        first = jnp.moveaxis(args[0], dims[0], 0)
        return primitive.bind(first, *args[1:], **options), 0

    batching.primitive_batchers[primitive] = batch
    return primitive


def _only_first(dims: tuple) -> bool:
    return all(dim is None for dim in dims[1:])


_forward = _primitive("dense", _forward_of, _only_first)
_backward = _primitive("dense_backward", _backward_of, _only_first)
_outer = _primitive("dense_outer", _outer_of, lambda dims: False)
_spread = _primitive("spread", _spread_of, _only_first)
_total = _primitive("total", _total_of, _only_first)
ad.defbilinear(_forward, lambda bar, x, k: _backward.bind(bar, k), lambda bar, x, k: _outer.bind(x, bar))
ad.defbilinear(_backward, lambda bar, y, k: _forward.bind(bar, k), lambda bar, y, k: _outer.bind(bar, y))
ad.defbilinear(_outer, lambda bar, x, y: _backward.bind(y, bar), lambda bar, x, y: _forward.bind(x, bar))
ad.deflinear2(_spread, lambda bar, vector, points: [_total.bind(bar)])
ad.deflinear2(_total, lambda bar, values: [_spread.bind(bar, points=values.aval.shape[-2])])
