"""The one training loop: rounds of steps, judged by the guard, looked at on held-out data, and kept in checkpoints.

It knows neither files nor what is trained: it is handed a pure step and a stream of batches, and yields what happened.
The state at step s depends on nothing but the start and s, and checkpoints are the states that the guard goes back to,
so a run continued from a checkpoint ends like one that was never cut off.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from functa_cli import guard as guards
from functa_cli.config import OuterConfig
from functa_cli.errors import TrainingError
from functa_cli.metrics import psnr

T = TypeVar("T")

ROUND = 10  # steps between looks at the loss, which wait for the device
PATIENCE = 6  # rollbacks to the same checkpoint before giving up


class Run(NamedTuple):
    """All that a continued run needs; a pytree of arrays."""

    state: Any
    guard: guards.Guard
    scale: np.ndarray  # [] factor on the rate; the guard halves it
    history: np.ndarray  # [looks, 3]: step, PSNR of the round, PSNR held out, with the inner steps of then; NaN to come


class Round(NamedTuple):
    """What a round of steps brought."""

    step: int  # steps done
    psnr: float  # of the mean error of the round, dB
    heldout: float | None  # PSNR on held-out data where it was looked at, dB
    note: str | None  # why the guard rolled back, and what it did
    run: Run
    checkpoint: bool  # whether this is a place to continue from


def begin(state: Any, outer: OuterConfig) -> Run:
    """A run that has taken no step."""
    looks = len([step for step in range(1, outer.steps + 1) if _is_look(step, outer)])
    return Run(state, guards.new(), np.array(1.0), np.full((looks, 3), np.nan))


def train(
    run: Run,
    first: int,
    outer: OuterConfig,
    inner_steps: int,
    *,
    step: Callable[[Any, Any, float, int], tuple[Any, Any]],
    batches: Callable[[int, int], Iterator[Any]],
    heldout: Callable[[Any, int], float],
    mean_error: float,
) -> Iterator[Round]:
    """Rounds from step `first` to `outer.steps`; the last one holds the trained state.

    `step(state, batch, scale, inner_steps)` as `meta.Meta.step`; `batches(start, stop)` streams batches, each a pure
    function of its number; `heldout(state, inner_steps)` is an error; `mean_error` is that of the mean signal.

    Raises:
        TrainingError: the guard rolled back to the same checkpoint `PATIENCE` times.
    """
    good, at = run, first
    done, failures = first, 0
    while done < outer.steps:
        stop = _next_stop(done, outer)
        state, errors, norms = run.state, [], []
        inner = _inner_steps(done, outer, inner_steps)
        for batch in batches(done, stop):
            state, info = step(state, batch, float(run.scale), inner)
            errors.append(info.mse)
            norms.append(info.gradient_norm)
        seen = np.array([float(value) for value in errors])
        memory, reason = guards.judge(run.guard, seen, np.array([float(value) for value in norms]), mean_error)
        look, sound = None, True
        if reason is None and _is_look(stop, outer):
            look = float(psnr(heldout(state, inner)))
            sound, reason = guards.judge_look(_best(run.history, outer, stop), look)
        if reason is not None:
            failures += 1
            if failures > PATIENCE:
                raise TrainingError(
                    f"training fails at step {stop}: {reason}; {PATIENCE} rollbacks did not help: try a lower --rate"
                )
            run, done = good._replace(scale=run.scale / 2), at
            note = f"step {stop}: {reason}; went back to step {at} and halved the rate to {outer.rate * run.scale:.3g}"
            yield Round(done, float("nan"), None, note, run, False)
            continue
        done, run = stop, run._replace(state=state, guard=memory)
        if look is not None:
            run = run._replace(history=_with_look(run.history, done, float(psnr(np.mean(seen))), look))
        checkpoint = (done % outer.checkpoint == 0 and sound) or done == outer.steps
        if checkpoint:
            good, at, failures = run, done, 0
        yield Round(done, float(psnr(np.mean(seen))), look, None, run, checkpoint)


def to_arrays(run: Any) -> dict[str, np.ndarray]:
    """The leaves of a run by number, for a checkpoint."""
    return {f"{index:04d}": np.asarray(leaf) for index, leaf in enumerate(jax.tree.leaves(run))}


def from_arrays(arrays: dict[str, np.ndarray], like: T) -> T:
    """A run from the leaves of a checkpoint.

    Raises:
        TrainingError: the leaves are not those of a run like `like`.
    """
    leaves, structure = jax.tree.flatten(like)
    found = [arrays[name] for name in sorted(arrays)]
    if [np.shape(leaf) for leaf in leaves] != [leaf.shape for leaf in found]:
        raise TrainingError("the checkpoint was made by other settings or another version; start anew with --overwrite")
    return jax.tree.unflatten(structure, found)


def _best(history: np.ndarray, outer: OuterConfig, step: int) -> float:
    """Best look so far with as many inner steps as at `step`: more of them score otherwise."""
    late = history[:, 0] > _switch(outer)
    looks = history[np.isfinite(history[:, 2]) & (late == (step > _switch(outer))), 2]
    return float(looks.max()) if len(looks) else float("-inf")


def _with_look(history: np.ndarray, step: int, psnr: float, look: float) -> np.ndarray:
    row = int(np.sum(np.isfinite(history[:, 0])))
    return np.concatenate([history[:row], [[step, psnr, look]], history[row + 1 :]])


def _is_look(step: int, outer: OuterConfig) -> bool:
    return step % outer.evaluate == 0 or step == outer.steps


def _switch(outer: OuterConfig) -> int:
    """The step at which the inner loop gets all its steps."""
    return round(outer.curriculum * outer.steps)


def _inner_steps(step: int, outer: OuterConfig, steps: int) -> int:
    return min(1, steps) if step < _switch(outer) else steps


def _next_stop(step: int, outer: OuterConfig) -> int:
    """End of the round: never past a look, a checkpoint, or the change of the number of inner steps."""
    ends = [(step // every + 1) * every for every in (ROUND, outer.evaluate, outer.checkpoint)]
    if step < _switch(outer):
        ends.append(_switch(outer))
    return min(*ends, outer.steps)
