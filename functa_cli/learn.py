"""Learning from modulations: the loop of priors and classifiers, whose data are vectors that fit in memory.

It is handed a loss and yields what happened at each look at held-out data. The best look's weights are kept, and small
sets, which are soon learned by heart, end early. The state at step s depends on nothing but the start and s.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from functa_cli.config import LearnConfig
from functa_cli.errors import TrainingError

PATIENCE = 6  # times that a loss that is not finite may send it back to the last look
JUDGED = 1024  # held-out vectors that one call judges

Tree = dict[str, Any]


class Vectors(NamedTuple):
    """Normalised modulations float32 [n, d] and labels int32 [n]."""

    x: np.ndarray
    labels: np.ndarray


class State(NamedTuple):
    """What a step changes."""

    parameters: Tree
    optimizer: Any
    average: Tree  # the weights that are judged: a running average, or the last ones


class Run(NamedTuple):
    """All that a continued run needs; a pytree of arrays."""

    state: State
    best: Tree
    scale: np.ndarray  # [] factor on the rate
    history: np.ndarray  # [looks, 3]: step, loss in training since the last look, loss held out; NaN to come


class Look(NamedTuple):
    """What was found at a look."""

    step: int
    loss: float  # in training, since the last look
    heldout: float
    run: Run
    note: str | None = None  # why it went back, or why it ends before its time
    last: bool = False


def schedule(learn: LearnConfig) -> optax.Schedule:
    """Rate by step: linear warm-up, then constant, half a cosine, or falling with the inverse square root (A.4)."""
    warmup = max(1, min(learn.warmup, learn.steps))
    if learn.schedule == "cosine":
        total = max(learn.steps, warmup + 1)
        return optax.schedules.warmup_cosine_decay_schedule(
            0.0, learn.rate, warmup, total, learn.rate * learn.final_rate
        )

    def rate(step: Any) -> Any:
        rising = (step + 1) / warmup
        falling = jnp.sqrt(warmup / jnp.maximum(step + 1, warmup)) if learn.schedule == "inverse-sqrt" else 1.0
        return learn.rate * jnp.minimum(rising, falling)

    return rate


def begin(parameters: Tree, learn: LearnConfig) -> Run:
    """A run that has taken no step."""
    parameters = jax.tree.map(jnp.asarray, parameters)
    state = State(parameters, _optimizer(learn).init(parameters), parameters)
    return Run(state, parameters, np.array(1.0), np.full((1 + len(_looks(learn)), 3), np.nan))


def learn(
    run: Run,
    first: int,
    options: LearnConfig,
    seed: int,
    train: Vectors,
    heldout: Vectors,
    loss: Callable,
    looks: int = 1,
) -> Iterator[Look]:
    """Looks from step `first` on, until `options.steps` or the end of patience.

    `loss(parameters, x, labels, key, dropout=bool)` is [b]; on held-out data it is the mean of `looks` keys.

    Raises:
        TrainingError: the loss is not finite, again and again.
    """
    ends = [end for end in _looks(options) if end > first]
    step = _step(loss, options, train)
    judge = _judge(loss, heldout, seed, looks)
    if first == 0:
        run.history[0] = 0, np.nan, judge(run.state.average)
        yield Look(0, float("nan"), float(run.history[0, 2]), run)
    good, failures, before = run, 0, first
    for end in ends:
        while True:
            order = _order(len(train.x), before, end, options.batch, seed)
            state, losses = step(run.state, order, before, float(run.scale), jax.random.key(seed))
            mean, found = float(jnp.mean(losses)), judge(state.average)
            if np.isfinite(mean) and np.isfinite(found):
                break
            failures += 1
            if failures > PATIENCE:
                raise TrainingError(
                    f"learning fails at step {end}: the loss is not finite; {PATIENCE} lower rates did not help: "
                    "try a lower --rate"
                )
            run = good._replace(scale=good.scale / 2**failures)
            yield Look(
                before, float("nan"), float("nan"), run, f"the loss is not finite at step {end}; halved the rate"
            )
        best = run.best if _best(run.history) <= found else state.average
        history = run.history.copy()
        history[int(np.isfinite(history[:, 0]).sum())] = [end, mean, found]
        run = good = Run(state, best, run.scale, history)
        since = (end - _best_step(history)) // options.evaluate
        tired = bool(options.patience) and since >= options.patience and end < options.steps
        note = f"ended at step {end}: held-out data were best at step {_best_step(history)}" if tired else None
        yield Look(end, mean, found, run, note, tired or end == options.steps)
        if tired:
            return
        before = end


def best_of(run: Run) -> tuple[int, float]:
    """Step and held-out loss of the best look."""
    return _best_step(run.history), _best(run.history)


def _best(history: np.ndarray) -> float:
    seen = history[np.isfinite(history[:, 0]), 2]
    return float(seen.min()) if len(seen) else float("inf")


def _best_step(history: np.ndarray) -> int:
    return int(history[int(np.nanargmin(history[:, 2])), 0])


def _looks(options: LearnConfig) -> list[int]:
    return [*range(options.evaluate, options.steps, options.evaluate), options.steps]


def _order(size: int, start: int, stop: int, batch: int, seed: int) -> np.ndarray:
    """Rows int32 [stop - start, batch] of the steps: every datum comes once before any comes again."""
    places = np.arange(start * batch, stop * batch)
    shuffled = {
        epoch: np.random.default_rng([seed, 11, epoch]).permutation(size)
        for epoch in range(places[0] // size, places[-1] // size + 1)
    }
    rows = [shuffled[epoch][place] for epoch, place in zip((places // size).tolist(), (places % size).tolist())]
    return np.array(rows, np.int32).reshape(stop - start, batch)


def _optimizer(options: LearnConfig) -> optax.GradientTransformation:
    clip = [optax.clip_by_global_norm(options.clip)] if options.clip > 0 else []
    return optax.chain(*clip, optax.adamw(schedule(options), weight_decay=options.weight_decay, mask=_decayed))


def _decayed(parameters: Tree) -> Tree:
    """Which leaves the weight decay is for: matrices, and not what is added."""
    added = ("bias", "shift")
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key not in added, parameters)


def _step(loss: Callable, options: LearnConfig, train: Vectors) -> Callable:
    """(state, rows [steps, batch], first step, scale, key) -> (state, losses [steps]), compiled."""
    optimizer = _optimizer(options)
    x, labels = jnp.asarray(train.x), jnp.asarray(train.labels)
    deviation = jnp.std(x, axis=0)

    def mean(parameters: Tree, rows: jax.Array, key: jax.Array) -> jax.Array:
        noise = options.noise * deviation * jax.random.normal(jax.random.fold_in(key, 2), x[rows].shape)
        return jnp.mean(loss(parameters, x[rows] + noise, labels[rows], key, dropout=True))

    @jax.jit
    def steps(state: State, order: jax.Array, first: int, scale: float, key: jax.Array) -> tuple[State, jax.Array]:
        def one(state: State, at: tuple[jax.Array, jax.Array]) -> tuple[State, jax.Array]:
            number, rows = at
            value, gradient = jax.value_and_grad(mean)(state.parameters, rows, jax.random.fold_in(key, number))
            updates, inner = optimizer.update(gradient, state.optimizer, state.parameters)
            parameters = jax.tree.map(lambda leaf, move: leaf + scale * move, state.parameters, updates)
            decay = jnp.minimum(options.ema, (1.0 + number) / (10.0 + number)) if options.ema else 0.0
            average = jax.tree.map(lambda old, new: decay * old + (1.0 - decay) * new, state.average, parameters)
            return State(parameters, inner, average), value

        return jax.lax.scan(one, state, (first + jnp.arange(len(order)), order))

    return steps


def _judge(loss: Callable, heldout: Vectors, seed: int, looks: int) -> Callable[[Tree], float]:
    @partial(jax.jit, static_argnames="count")
    def total(parameters: Tree, x: jax.Array, labels: jax.Array, key: jax.Array, count: int) -> jax.Array:
        values = jax.lax.map(lambda own: loss(parameters, x, labels, own, dropout=False), jax.random.split(key, count))
        return values.sum()

    def judge(parameters: Tree) -> float:
        parts = [slice(start, start + JUDGED) for start in range(0, len(heldout.x), JUDGED)]
        key = jax.random.fold_in(jax.random.key(seed), 7)
        sums = [
            float(total(parameters, heldout.x[part], heldout.labels[part], jax.random.fold_in(key, number), looks))
            for number, part in enumerate(parts)
        ]
        return sum(sums) / len(heldout.x) / looks

    return judge
