"""How progress reads: throttled, with rates and times left, as lines or as a bar."""

import os
import subprocess
import sys

import pytest

from functa_cli.cli import exits, figures
from functa_cli.cli.figures import Pace, Throttle
from functa_cli.cli.options import Output
from functa_cli.cli.progress import Lines, show
from functa_cli.events import Note, Progress, Result


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def step(done: int, total: int = 100, **metrics: float) -> Progress:
    return Progress(done, total, "step", metrics)


def test_throttle_passes_the_first_then_one_in_a_while_then_the_rest(clock):
    throttle, seen = Throttle(5.0, clock), []
    for second in range(13):
        clock.now = float(second)
        seen += throttle.offer(step(second))
    seen += throttle.rest()
    assert [event.done for event in seen] == [0, 5, 10, 12]
    assert list(throttle.rest()) == []


def test_throttle_keeps_rare_metrics_of_events_that_it_holds_back(clock):
    throttle = Throttle(5.0, clock)
    list(throttle.offer(step(0)))
    for done in (1, 2):
        clock.now = float(done)
        assert list(throttle.offer(step(done, psnr=done, **({"psnr_heldout": 20.0} if done == 1 else {})))) == []
    assert list(throttle.rest()) == [step(2, psnr=2, psnr_heldout=20.0)]


def test_pace_is_that_of_the_last_minute(clock):
    pace = Pace(60.0, clock)
    assert pace.at(step(0, 1000)) == ""
    for second in range(10, 201, 10):
        clock.now = float(second)
        said = pace.at(step(second // 10 if second <= 100 else 10 + second - 100, 1000))
    assert said == "1.0 steps/s, 14:50 left"
    clock.now = 1000.0
    assert pace.at(step(1, 5)) == ""  # another job


def test_a_finished_job_has_no_time_left(clock):
    pace = Pace(clock=clock)
    pace.at(step(0, 10))
    clock.now = 4.0
    assert pace.at(step(10, 10)) == "2.5 steps/s"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (figures.rate(0.4, "step"), "2.5 s/step"),
        (figures.rate(1234.5, "datum"), "1,234 data/s"),
        (figures.duration(21.2), "0:21"),
        (figures.duration(3723), "1:02:03"),
        (figures.count(Progress(1, 3, "datum", {})), "1/3 data"),
        (figures.metrics({"psnr_heldout": 23.04, "accuracy": 0.98765}), ["PSNR heldout 23.0 dB", "accuracy 0.9877"]),
        (figures.metrics({"psnr": float("nan")}), ["PSNR nan dB"]),
        (figures.summary({"files": ["a", "b"], "time": {"psnr": 1.0, "n": 2}, "x": None}),
         "files  a, b\ntime   PSNR 1.00 dB, n 2"),
        (figures.summary({}), ""),
    ],
)  # fmt: skip
def test_figures_read_like_a_person_says_them(said, text):
    assert said == text


def test_lines_never_flood(clock, capfd):
    lines = Lines(Output())
    lines.throttle.clock = lines.pace.clock = clock
    for done in range(1, 10_001):
        clock.now = done / 1000
        lines.progress(step(done, 10_000, psnr=20.0))
    lines.close()
    assert capfd.readouterr().err.splitlines() == [
        "1/10000 steps, PSNR 20.0 dB",
        "5001/10000 steps, PSNR 20.0 dB, 1,000 steps/s, 0:05 left",
        "10000/10000 steps, PSNR 20.0 dB, 1,000 steps/s",
    ]


def test_held_back_progress_is_shown_before_an_error(capfd):
    def events():
        yield step(1)
        yield step(2)
        raise ValueError

    with pytest.raises(ValueError):
        show(events(), Output())
    assert [line.split(",")[0] for line in capfd.readouterr().err.splitlines()] == ["1/100 steps", "2/100 steps"]


def test_a_generator_is_closed_when_its_events_cannot_be_shown(monkeypatch):
    closed = []

    def events():
        try:
            yield Note("a")
        finally:
            closed.append(True)

    def fail(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(exits, "say", fail)
    with pytest.raises(KeyboardInterrupt):
        show(events(), Output())
    assert closed


def test_an_iterator_that_is_no_generator_is_welcome(capfd):
    show(iter([Result({"n": 1})]), Output())
    assert capfd.readouterr().out == "n  1\n"


TERMINAL = """
from functa_cli.cli.options import Output
from functa_cli.cli.progress import show
from functa_cli.events import Note, Progress, Result
def events():
    yield Note("skipped [b]x[/b].png", warning=True)
    for done in range(1, 4):
        yield Progress(done, 3, "step", {"psnr": 20.0 + done})
    yield Result({"out": "x"})
show(events(), Output())
"""


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize(("term", "bar"), [("xterm-256color", True), ("dumb", False)])
def test_a_terminal_gets_a_bar_on_stderr_and_a_clean_stdout(term, bar):
    ours, theirs = os.openpty()
    environment = {**os.environ, "TERM": term, "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    line = [sys.executable, "-c", TERMINAL]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        shown += part
    out, _ = process.communicate(timeout=20)
    os.close(ours)
    text = shown.decode()
    assert out == b"out  x\n"
    assert "warning: skipped [b]x[/b].png" in text
    assert "3/3 steps" in text
    assert "PSNR 23.0 dB" in text
    assert ("━" in text) == bar
    assert ("\x1b[" in text) == bar
