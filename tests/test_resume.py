"""Killed at any moment and run again: the same bytes as a run that was never cut off."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from functa_cli.encode import encode
from tests.sets import contents, run, save_base, save_pictures, shell

pytestmark = pytest.mark.usefixtures("one_program")
SMALL = {
    "field": {"width": 16, "depth": 3, "latent_dim": 8},
    "outer": {"steps": 800, "batch": 4, "evaluate": 400, "heldout": 2, "checkpoint": 40},
}
FIT = [f"--set={table}.{key}={value}" for table, settings in SMALL.items() for key, value in settings.items()]


class Killed(BaseException):
    """As if the process had ended here: nothing that catches errors sees it."""


class Fuse:
    """Ends a run just before the file that is number `after` appears; what was half written stays."""

    def __init__(self, monkeypatch, after: int):
        self.left = after
        real = Path.replace

        def replace(path: Path, target):
            if self.left == 0:
                raise Killed
            self.left -= 1
            return real(path, target)

        monkeypatch.setattr(Path, "replace", replace)


def killed_everywhere(monkeypatch, out: Path, again: Callable[[], object], every: int = 1) -> dict[str, int]:
    """Cut off a run at its first, second, ... file, each time carried on by a whole one; files that were left half."""
    again()
    whole = contents(out)
    half: dict[str, int] = {}
    after = 0
    while True:
        shutil.rmtree(out)
        with monkeypatch.context() as patch:
            Fuse(patch, after)
            try:
                again()
                break
            except Killed:
                pass
        for name in contents(out) if out.exists() else {}:
            if name.endswith(".partial"):
                half[name.split("/")[0].split(".")[0]] = after
        again()
        assert contents(out) == whole, f"killed before file {after}"
        after += every
    assert after > 10
    return half


def test_encode_killed_before_any_of_its_files(tmp_path, base, monkeypatch):
    save_pictures(tmp_path / "data", [(8, 8)] * 5)
    half = killed_everywhere(
        monkeypatch,
        tmp_path / "out.zarr",
        lambda: run(encode(str(tmp_path / "data"), str(tmp_path / "out.zarr"), base=base, shard=2)),
        every=2,
    )
    assert {"base", "modulations", "mse", "id", "zarr"} <= set(half)


def test_overwriting_killed_before_any_of_its_files(tmp_path, base, monkeypatch):
    save_pictures(tmp_path / "data", [(8, 8)] * 3)
    save_pictures(tmp_path / "other", [(8, 8)] * 4, seed=1)
    out = tmp_path / "out.zarr"

    def again(overwrite=True):
        return run(encode(str(tmp_path / "data"), str(out), base=base, overwrite=overwrite))

    again()
    whole = contents(out)
    for after in range(0, 30, 5):
        run(encode(str(tmp_path / "other"), str(out), base=base, overwrite=True))
        with monkeypatch.context() as patch:
            Fuse(patch, after)
            with pytest.raises(Killed):
                again()
        if after == 0:  # nothing of the old set is lost before the new one has begun
            again()
        else:
            again(overwrite=False)
        assert contents(out) == whole


def test_base_networks_killed_before_any_of_their_files(tmp_path, monkeypatch):
    from functa_cli import basefile, checkpoint

    source = basefile.read_base(save_base(tmp_path / "source.zarr"))
    out = str(tmp_path / "out.zarr")
    request = {"config": {"seed": 3}}
    steps = []

    def again():
        if basefile.is_finished(out, request):
            return
        saved = basefile.begin_base(out, request)
        steps.append(saved[1] if saved else 0)
        for step in range(steps[-1] + 1, 4):
            checkpoint.save_state(out, {"weights": source.theta["field"]["out"]["bias"] * step}, step)
        basefile.finish_base(out, source)

    killed_everywhere(monkeypatch, tmp_path / "out.zarr", again)
    assert {0, 1, 2, 3} == set(steps)


def start(*words: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "functa_cli", *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def kill_when(process: subprocess.Popen, ready: Callable[[], bool]) -> None:
    """SIGKILL as soon as `ready`; it must come before the process ends by itself."""
    limit = time.monotonic() + 100
    while process.poll() is None and not ready() and time.monotonic() < limit:
        time.sleep(0.001)
    assert process.poll() is None, "ended before it was killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_encode_by_sigkill(tmp_path, base):
    save_pictures(tmp_path / "data", [(8, 8)] * 60 + [(8, 12)] * 60)
    words = ["encode", tmp_path / "data", "--base", base, "--shard", "4", "--batch", "2"]
    shell(*words, tmp_path / "whole.zarr")  # compiles; all later ones read the cache of compiled programs
    whole = contents(tmp_path / "whole.zarr")
    out = tmp_path / "out.zarr"
    moments = [
        lambda: (out / "base").exists(),  # while the template is written
        lambda: (out / "modulations" / "c" / "0").exists(),
        lambda: len(list((out / "mse" / "c").glob("*"))) >= 9,
    ]
    for ready in moments:
        kill_when(start(*words, out), ready)
        assert contents(out) != whole
    shell(*words, out)
    assert contents(out) == whole


def test_fit_by_sigkill(tmp_path):
    save_pictures(tmp_path / "data", [(8, 8)] * 12)
    words = ["fit", "--modality", "image", tmp_path / "data", "--resolution", "8", "--out"]
    shell(*words, tmp_path / "whole.zarr", *FIT)
    out = tmp_path / "out.zarr"
    chunk = out / "train" / "state" / "c" / "0"
    kill_when(start(*words, out, *FIT), chunk.exists)
    first = chunk.read_bytes()
    kill_when(start(*words, out, *FIT), lambda: chunk.read_bytes() != first)
    done = shell(*words, out, *FIT)
    assert int(re.search(r"continuing from step (\d+) of 800", done.stderr)[1]) >= 80
    assert contents(out) == contents(tmp_path / "whole.zarr")


def test_decode_by_sigkill(tmp_path, base):
    save_pictures(tmp_path / "data", [(8, 8)] * 40)
    run(encode(str(tmp_path / "data"), str(tmp_path / "set.zarr"), base=base, steps=0))
    words = ["decode", tmp_path / "set.zarr", "--resolution", "64"]
    shell(*words, tmp_path / "whole")
    out = tmp_path / "out"
    kill_when(start(*words, out), lambda: len(list(out.glob("*/*.png"))) >= 3)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*.png")}
    shell(*words, out)
    assert contents(out) == contents(tmp_path / "whole")
    assert {path: path.stat().st_mtime_ns for path in before} == before
