"""The training loop and its guard, on a made-up step: what is rolled back, what is kept, and continued runs."""

from types import SimpleNamespace

import numpy as np
import pytest

from functa_cli import guard, meta
from functa_cli.config import OuterConfig
from functa_cli.errors import TrainingError
from functa_cli.train import begin, from_arrays, to_arrays, train

OUTER = OuterConfig(steps=100, evaluate=20, checkpoint=20, curriculum=0.5, rate=0.1)


def step(state, batch, scale, inner_steps):
    """The state counts and hashes what it saw; the error falls, and goes wrong where `batch` says so and scale is 1."""
    count, trace = state
    wrong = batch if scale == 1.0 else None
    mse = {"nan": np.nan, "flat": 0.5}.get(wrong, 1e-2 / (1 + count))
    norm = 1e6 if wrong == "explodes" else 1.0
    number = 1.0 if wrong is None else 2.0
    return (count + 1.0, trace * 1.0001 + number * scale * inner_steps), SimpleNamespace(mse=mse, gradient_norm=norm)


def run(
    wrong=None, at=-1, start=None, first=0, outer=OUTER, heldout=lambda state, steps: 1e-2 / (1 + state[0]), until=None
):
    rounds = []
    begun = start if start is not None else begin((0.0, 0.0), outer)
    batches = lambda a, b: (wrong if number == at else None for number in range(a, b))  # noqa: E731
    for done in train(begun, first, outer, 3, step=step, batches=batches, heldout=heldout, mean_error=0.1):
        rounds.append(done)
        if until is not None and done.checkpoint and done.step == until:
            break
    return rounds


def rounds_of(outer, step, heldout=lambda state, steps: 0.01):
    none = lambda start, stop: iter([None] * (stop - start))  # noqa: E731
    return train(begin((0.0, 0.0), outer), 0, outer, 3, step=step, batches=none, heldout=heldout, mean_error=0.1)


def test_it_ends_at_the_last_step_with_every_look():
    rounds = run()
    assert rounds[-1].step == 100
    assert rounds[-1].run.history[:, 0].tolist() == [20, 40, 60, 80, 100]
    assert [done.step for done in rounds if done.checkpoint] == [20, 40, 60, 80, 100]
    assert [done.heldout is not None for done in rounds if done.step == 50] == [False]


def test_the_inner_loop_gets_its_steps_at_the_share_that_the_curriculum_says():
    seen = []
    original = step

    def spy(state, batch, scale, inner_steps):
        seen.append(inner_steps)
        return original(state, batch, scale, inner_steps)

    list(rounds_of(OUTER, spy))
    assert seen == [1] * 50 + [3] * 50


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("nan", "the loss or its gradient is not finite"),
        ("explodes", "the gradient norm 1e+06 is over 100 times its running median 1"),
        ("flat", "under the mean signal's 10.00 dB"),
    ],
)
def test_each_failure_goes_back_to_the_last_checkpoint_and_halves_the_rate(wrong, text):
    outer = OuterConfig(**{**vars(OUTER), "steps": 60})
    wrongs = {"flat": range(41, 50)}.get(wrong, [41])

    def batches(a, b):
        return (wrong if number in wrongs else None for number in range(a, b))

    rounds = list(train(begin((0.0, 0.0), outer), 0, outer, 3, step=step, batches=batches,
                        heldout=lambda state, steps: 1e-2 / (1 + state[0]), mean_error=0.1))  # fmt: skip
    notes = [done.note for done in rounds if done.note]
    assert len(notes) == 1
    assert text in notes[0]
    assert notes[0].endswith("went back to step 40 and halved the rate to 0.05")
    assert rounds[-1].step == 60
    assert float(rounds[-1].run.scale) == 0.5
    assert float(rounds[-1].run.state[0]) == 60  # no step was counted twice


def test_a_fall_on_heldout_data_goes_back_to_the_best_state():
    outer = OuterConfig(**{**vars(OUTER), "steps": 80, "curriculum": 0.0})
    looks = {20.0: 0.011, 40.0: 0.01, 60.0: 0.0112, 80.0: 0.0145}
    rounds, error = [], None
    try:
        for done in rounds_of(outer, step, heldout=lambda state, steps: looks[state[0]]):
            rounds.append(done)
    except TrainingError as raised:
        error = str(raised)
    assert "PSNR on held-out data fell from 20.00 dB to 18.39 dB; 6 rollbacks did not help" in error
    assert "went back to step 40 and halved the rate to 0.05" in next(done.note for done in rounds if done.note)
    assert [done.step for done in rounds if done.checkpoint] == [20, 40]  # 60 was worse than 40: not kept


def test_looks_with_more_inner_steps_are_not_compared_with_those_with_one():
    outer = OuterConfig(**{**vars(OUTER), "curriculum": 0.4})
    rounds = list(rounds_of(outer, step, heldout=lambda state, steps: {1: 0.001, 3: 0.01}[steps]))
    assert [done.note for done in rounds if done.note] == []
    assert rounds[-1].run.history[:, 2].round(6).tolist() == [30, 30, 20, 20, 20]


def test_it_gives_up_when_going_back_does_not_help():
    def broken(state, batch, scale, inner_steps):
        return state, SimpleNamespace(mse=np.nan, gradient_norm=1.0)

    with pytest.raises(TrainingError, match="training fails at step 10: the loss or its gradient is not finite"):
        list(rounds_of(OUTER, broken))


@pytest.mark.parametrize("cut", [20, 40, 80])
def test_a_run_that_was_cut_off_ends_like_one_that_was_not(cut):
    whole = run(wrong="nan", at=45)[-1].run
    arrays = to_arrays(run(wrong="nan", at=45, until=cut)[-1].run)
    again = from_arrays(arrays, begin((0.0, 0.0), OUTER))
    rest = run(wrong="nan", at=45, start=again, first=cut)[-1].run
    for a, b in zip(to_arrays(whole).values(), to_arrays(rest).values()):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_of_another_shape_is_refused():
    with pytest.raises(TrainingError, match="made by other settings or another version"):
        from_arrays(to_arrays(begin((0.0,), OUTER)), begin((0.0, 0.0), OUTER))


def test_the_guard_believes_its_median_only_after_enough_steps():
    memory, reason = guard.judge(guard.new(), np.full(10, 0.01), np.array([1.0] * 9 + [1e9]), 0.1)
    assert reason is None
    memory, reason = guard.judge(memory, np.full(10, 0.01), np.ones(10), 0.1)
    assert guard.judge(memory, np.full(10, 0.01), np.full(10, 99.0), 0.1)[1] is None
    assert "over 100 times" in guard.judge(memory, np.full(10, 0.01), np.full(10, 101.0), 0.1)[1]


def test_a_poor_start_is_not_a_failure():
    assert guard.judge(guard.new(), np.full(10, 0.5), np.ones(10), 0.1)[1] is None


def test_schedules():
    cosine = meta.schedule(OuterConfig(steps=1000, rate=1.0, warmup=0.1, final_rate=0.01))
    assert [round(float(cosine(at)), 4) for at in (0, 100, 1000)] == [0.01, 1.0, 0.01]
    assert float(cosine(550)) == pytest.approx(0.505, abs=1e-3)
    flat = meta.schedule(OuterConfig(steps=1000, rate=1.0, schedule="constant", warmup=0.0))
    assert [float(flat(at)) for at in (0, 5, 999)] == [1.0, 1.0, 1.0]
