"""The outer loop (Algorithm 1, lines 8-9): one gradient step on theta through the inner loop, exact to second order.

`make(decoder, inner, outer)` returns pure functions: `init(theta) -> State` and
`step(state, batch, scale, inner_steps) -> (State, Info)`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib

from functa_cli.config import InnerConfig, OuterConfig
from functa_cli.decoder import Decoder, Tree
from functa_cli.inner import outer_loss
from functa_cli.signal import Signal


class State(NamedTuple):
    """What the outer loop changes."""

    theta: Tree
    optimizer: Any
    average: Tree | None  # running average of theta, where `outer.ema` > 0


class Info(NamedTuple):
    """What one outer step saw; scalars."""

    mse: jax.Array  # after the inner loop, before the outer step
    gradient_norm: jax.Array  # global norm, before clipping


class Meta(NamedTuple):
    """The outer step and its start, as pure functions."""

    init: Callable[[Tree], State]
    step: Callable[[State, Signal, float, int], tuple[State, Info]]


def start(theta: Tree, shape: tuple[int, ...], inner: InnerConfig, seed: int) -> Tree:
    """Theta with the inner loop's own part: where phi [*shape] starts, and its learned rates if any."""
    rng = np.random.default_rng([seed, 1])
    own = {"start": rng.uniform(-inner.start_scale, inner.start_scale, shape).astype(np.float32)}
    if inner.rates == "meta-sgd":
        own["rates"] = rng.uniform(*inner.rate_init, shape).astype(np.float32)
    return {**theta, "inner": own}


def rate_of(inner: InnerConfig) -> float | None:
    """The fixed inner rate, or None where theta has learned ones: what `inner.fit_modulations` wants."""
    return inner.rate if inner.rates == "fixed" else None


def schedule(outer: OuterConfig) -> optax.Schedule:
    """Rate of the outer loop by step: linear warm-up, then constant or half a cosine down to `final_rate`."""
    warmup = round(outer.warmup * outer.steps)
    if outer.schedule == "constant":
        return optax.schedules.linear_schedule(outer.rate / max(warmup, 1), outer.rate, warmup)
    return optax.schedules.warmup_cosine_decay_schedule(
        outer.rate / max(warmup, 1), outer.rate, warmup, max(outer.steps, warmup + 1), outer.rate * outer.final_rate
    )


def make(decoder: Decoder, inner: InnerConfig, outer: OuterConfig) -> Meta:
    """Outer step for a decoder.

    `step`: `batch` has coords [n, k] or [b, n, k], features [b, n, c], weights [b, n]; `scale` multiplies the rate
    (the guard lowers it); `inner_steps` >= 0 is static. The loss is the mean error over the batch.
    """
    optimizer = _optimizer(outer)

    def loss(theta: Tree, batch: Signal, inner_steps: int) -> jax.Array:
        return outer_loss(decoder, theta, batch, steps=inner_steps, rate=rate_of(inner))

    def init(theta: Tree) -> State:
        theta = jax.tree.map(jnp.asarray, theta)
        return State(theta, optimizer.init(theta), theta if outer.ema > 0 else None)

    @partial(jax.jit, static_argnames="inner_steps")
    def step(state: State, batch: Signal, scale: float, inner_steps: int) -> tuple[State, Info]:
        mse, gradient = jax.value_and_grad(loss)(state.theta, batch, inner_steps)
        info = Info(mse, optax.tree.norm(gradient))
        if outer.clip > 0:
            shrink = jnp.minimum(1.0, outer.clip / jnp.maximum(info.gradient_norm, 1e-12))
            gradient = jax.tree.map(lambda leaf: leaf * shrink, gradient)
        updates, optimizer_state = optimizer.update(gradient, state.optimizer, state.theta)
        factors = _labelled(state.theta, {"start": 0.0, "map": outer.map_rate * scale}, scale)
        theta: Tree = jax.tree.map(lambda leaf, move, factor: leaf + factor * move, state.theta, updates, factors)
        if "rates" in theta["inner"]:
            theta["inner"]["rates"] = jnp.clip(theta["inner"]["rates"], *inner.rate_bounds)
        average = state.average
        if average is not None:
            average = jax.tree.map(lambda old, new: outer.ema * old + (1.0 - outer.ema) * new, average, theta)
        return State(theta, optimizer_state, average), info

    return Meta(init, step)


def _optimizer(outer: OuterConfig) -> optax.GradientTransformation:
    if outer.optimizer == "adam":
        return optax.adam(schedule(outer))

    def orthogonalised(theta: Any) -> Any:
        """Muon for the matrices between hidden layers; Adam for biases and the output layer."""
        dimensions = optax.contrib.MuonDimensionNumbers()
        chosen = _labelled(theta, {"out": None}, dimensions)
        return jax.tree.map(
            lambda leaf, own: own if leaf.ndim == 2 else None, theta, chosen, is_leaf=lambda x: x is None
        )

    return optax.contrib.muon(schedule(outer), muon_weight_dimension_numbers=orthogonalised)


def _labelled(theta: Tree, by_name: dict[str, Any], otherwise: Any) -> Any:
    """Tree like theta with `by_name[name]` where `name` is on the path of a leaf, else `otherwise`."""

    def value(path: tuple, _: jax.Array) -> Any:
        names = [key.key for key in path]
        return next((by_name[name] for name in names if name in by_name), otherwise)

    return jax.tree_util.tree_map_with_path(value, theta)
