"""Flat linear operations against plain jax.numpy, under every transformation that the inner and outer loop use."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli.linear import dense, spread


def normal(*shape: int, seed: int = 0) -> jax.Array:
    return jnp.asarray(np.random.default_rng([seed, *shape]).normal(size=shape), jnp.float32)


def ours(x, kernel, vector):
    return jnp.sin(dense(x, kernel) + spread(vector, x.shape[-2]))


def plain(x, kernel, vector):
    return jnp.sin(x @ kernel + vector[..., None, :])


ARGUMENTS = normal(5, 3), normal(3, 4), normal(4)
MAPPED = {
    "alone": (lambda f: f, ARGUMENTS),
    "signals": (lambda f: jax.vmap(f, (0, None, 0)), (normal(6, 5, 3), normal(3, 4), normal(6, 4))),
    "signals that share points": (lambda f: jax.vmap(f, (None, None, 0)), (normal(5, 3), normal(3, 4), normal(6, 4))),
    "kernels": (lambda f: jax.vmap(f, (None, 0, None)), (normal(5, 3), normal(6, 3, 4), normal(4))),
    "points one by one": (lambda f: jax.vmap(f, (0, None, 0)), (normal(6, 1, 3), normal(3, 4), normal(6, 4))),
    "last axis": (lambda f: jax.vmap(f, (2, None, 1)), (normal(5, 3, 6), normal(3, 4), normal(4, 6))),
    "twice": (
        lambda f: jax.vmap(jax.vmap(f, (0, None, 0)), (0, None, 0)),
        (normal(2, 6, 5, 3), normal(3, 4), normal(2, 6, 4)),
    ),
}


@pytest.mark.parametrize("how", MAPPED)
def test_values_and_derivatives_to_second_order_equal_those_of_plain_code(how):
    mapped, arguments = MAPPED[how]
    tangents = tuple(normal(*argument.shape, seed=1) for argument in arguments)
    weights = normal(*jax.eval_shape(mapped(plain), *arguments).shape, seed=2)

    def everything(function):
        def loss(*at):
            return jnp.sum(weights * mapped(function)(*at))

        def along(*at):
            return jax.jvp(loss, at, tangents)[1]

        def against(*at):
            gradient = jax.grad(loss, argnums=(0, 1, 2))(*at)
            return sum(jnp.vdot(a, b) for a, b in zip(gradient, tangents))

        second = [jax.grad(of, argnums=(0, 1, 2))(*arguments) for of in (along, against)]
        return mapped(function)(*arguments), jax.grad(loss, argnums=(0, 1, 2))(*arguments), second

    for a, e in zip(jax.tree.leaves(jax.jit(everything, static_argnums=0)(ours)), jax.tree.leaves(everything(plain))):
        np.testing.assert_allclose(a, e, rtol=2e-5, atol=2e-5)


def test_no_activation_is_transposed_or_copied():
    """What the file is for: the gradient of mapped layers holds no transposed copy of an activation."""

    def loss(kernel, vectors, x):
        return jnp.sum(jax.vmap(ours, (0, None, 0))(x, kernel, vectors) ** 2)

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(normal(16, 16), normal(8, 16), normal(8, 64, 16)).compile()
    assert " transpose(" not in compiled.as_text()


def test_it_runs_without_jit():
    np.testing.assert_allclose(ours(*ARGUMENTS), plain(*ARGUMENTS), atol=1e-6)
