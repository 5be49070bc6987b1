"""The command line: what reaches the verbs, what is printed where, and how runs end."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
import types
from pathlib import Path

import click
import pytest

from functa_cli import plugins
from functa_cli.cli import VERBS, exits, group, runtime
from functa_cli.cli.brought import forms
from functa_cli.config import overlay
from functa_cli.errors import DataError
from functa_cli.events import Note, Progress, Result

# A shell ignores Ctrl-C for what it runs in the background, and children would inherit that.
STUB = """
import signal, sys, time, types
signal.signal(signal.SIGINT, signal.default_int_handler)
from functa_cli.events import Note, Progress, Result
def fit(*args, **settings):
    try:
        yield Note("a note")
        {body}
    finally:
        print("closed", file=sys.stderr, flush=True)
module = types.ModuleType("functa_cli.fit"); module.fit = fit
sys.modules["functa_cli.fit"] = module
sys.argv = ["functa", *sys.argv[1:]]
from functa_cli.cli import main
main()
"""


class Verb:
    """A verb that keeps what it was called with and yields given events."""

    def __init__(self, *events):
        self.events, self.args, self.settings = events, None, None

    def __call__(self, *args, **settings):
        self.args, self.settings = args, settings
        for event in self.events:
            if isinstance(event, BaseException):
                raise event
            yield event

    @property
    def settled(self):
        """The settings of all layers."""
        return overlay(*self.settings["layers"])


@pytest.fixture(autouse=True)
def own_environment(monkeypatch, tmp_path):
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "XLA_FLAGS"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # so that what prepare_jax sets is undone
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stub(monkeypatch):
    def make(verb, *events):
        fake = Verb(*(events or (Result({"out": "x"}),)))
        module = types.ModuleType(f"functa_cli.{verb}")
        setattr(module, verb, fake)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return fake

    return make


def run(line: str) -> int:
    with pytest.raises(SystemExit) as end:
        group.main(shlex.split(line), prog_name="functa")
    return end.value.code


def child(body: str, line: str = "fit -m image", **options) -> subprocess.Popen:
    code = STUB.format(body=textwrap.indent(textwrap.dedent(body), " " * 8).strip())
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
    return subprocess.Popen([sys.executable, "-c", code, *shlex.split(line)], **streams)


def read_until(word: str, process: subprocess.Popen) -> None:
    lines = iter(process.stderr.readline, "")
    assert any(word in line for line in lines), f"the process ended without saying {word!r}"


# what reaches the verbs


def test_fit_passes_flags_as_the_top_layer(stub):
    verb = stub("fit")
    flags = "--steps 7 --batch 3 --rate 1e-3 --latent-dim 32 --width 8 --depth 3 --w0 5 --recipe paper --seed 4"
    assert run(f"fit photos -m image -o b.zarr {flags} -r 48x64 --split 0.2 --limit 9 --init shipped --strict") == 0
    assert verb.args == ("photos", "b.zarr")
    assert {key: verb.settings[key] for key in ("modality", "overwrite", "init", "strict")} == {
        "modality": "image", "overwrite": False, "init": "shipped", "strict": True,
    }  # fmt: skip
    assert verb.settled == {
        "seed": 4,
        "data": {"resolution": "48x64", "split": "0.2", "limit": 9},
        "field": {"latent_dim": 32, "width": 8, "depth": 3, "w0": 5.0},
        "outer": {"recipe": "paper", "steps": 7, "batch": 3, "rate": 1e-3},
    }


def test_fit_without_flags_leaves_every_default_to_the_settings(stub):
    verb = stub("fit")
    assert run("fit -m image") == 0
    assert verb.args == (None, "base.zarr")
    assert verb.settings["layers"] == []


def test_precedence_is_file_set_environment_flag(stub, monkeypatch):
    Path("run.toml").write_text('modality = "image"\n[outer]\nsteps = 1\nbatch = 1\nrate = 0.5\nema = 0.1\n')
    monkeypatch.setenv("FUNCTA_FIT_RATE", "0.25")
    monkeypatch.setenv("FUNCTA_FIT_STEPS", "3")
    verb = stub("fit")
    assert run("fit --config run.toml --set outer.batch=2 --set outer.rate=0.7 --steps 4") == 0
    assert verb.settings["modality"] == "image"
    assert [layer.get("outer") for layer in verb.settings["layers"]] == [
        {"steps": 1, "batch": 1, "rate": 0.5, "ema": 0.1}, {"batch": 2}, {"rate": 0.7}, {"steps": 4, "rate": 0.25},
    ]  # fmt: skip
    assert verb.settled["outer"] == {"steps": 4, "batch": 2, "rate": 0.25, "ema": 0.1}


def test_set_comes_from_the_environment_too(stub, monkeypatch):
    monkeypatch.setenv("FUNCTA_FIT_SET", "inner.steps=5 outer.ema=0.9")
    verb = stub("fit")
    assert run("fit -m image") == 0
    assert verb.settled == {"inner": {"steps": 5}, "outer": {"ema": 0.9}}


def test_config_reuses_the_settings_of_a_store(stub, monkeypatch):
    module = types.ModuleType("functa_cli.basefile")
    module.read_base = lambda path: types.SimpleNamespace(config={"modality": "image", "outer": {"steps": 11}})
    monkeypatch.setitem(sys.modules, module.__name__, module)
    Path("old.zarr").mkdir()
    verb = stub("fit")
    assert run("fit --config old.zarr --batch 2") == 0
    assert verb.settled["outer"] == {"steps": 11, "batch": 2}


def test_encode_passes_only_settings_of_the_data(stub):
    Path("run.toml").write_text("seed = 8\n[outer]\nsteps = 1\n[data]\nlimit = 4\nsplit = 'none'\n")
    verb = stub("encode")
    assert run("encode photos out.zarr --config run.toml --limit 5 --steps 10 --batch 2 --base b.zarr") == 0
    assert verb.args == ("photos", "out.zarr")
    assert verb.settings["layers"] == [{"data": {"limit": 4, "split": "none"}}, {"data": {"limit": 5}}]
    del verb.settings["layers"]
    assert verb.settings == {
        "base": "b.zarr", "modality": None, "steps": 10, "polish": 0, "points": 0, "batch": 2, "seed": 8,
        "shard": 1024, "overwrite": False, "strict": False,
    }  # fmt: skip


def test_decode_passes_its_flags(stub):
    verb = stub("decode")
    line = "decode s.zarr o.npz -r 256 --select 0:100 --id a --id b --as npz --sheet s.png --original d --overwrite"
    assert run(f"{line} --threshold 0.25") == 0
    assert verb.args == ("s.zarr", "o.npz")
    assert verb.settings.pop("history").split()[0] == "functa"
    assert verb.settings.pop("view") == {"threshold": 0.25}
    assert verb.settings == {
        "resolution": "256", "select": "0:100", "ids": ("a", "b"), "form": "npz",
        "sheet": "s.png", "original": "d", "overwrite": True, "observed": False, "spread": False,
    }  # fmt: skip


# wrong usage


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        ("fit", 2, "give --modality, one of: "),
        ("fit -m imge", 2, "'imge' is not"),
        ("fit -m image --stepps 3", 2, "No such option '--stepps'"),
        ("fit -m image --steps many", 2, "expected a whole number, at least 1; found 'many'"),
        ("fit -m image --depth 1", 2, "expected a whole number, at least 2; found '1'"),
        ("fit -m image --rate -1", 2, "expected a number above 0; found '-1'"),
        ("fit -m image --set steps", 2, "--set wants KEY=VALUE such as inner.steps=3; found 'steps'"),
        ("fit -m image --config none.toml", 2, "cannot read the settings file 'none.toml'"),
        ("fit -m image -r 64by64", 2, "such as 48x64; found '64by64'"),
        ("fit -m image --set iner.steps=3", 1, "error: unknown setting 'iner'; known here: modality, data, field"),
        ("fit -m image --set outer.step=3", 1, "error: unknown setting 'outer.step'; known here: recipe, steps"),
        ("fit -m image --set data=3", 1, "error: setting 'data' is a table of settings, found 3"),
        ("encode photos", 2, "Missing argument 'OUT'"),
        ("encode a b --set inner.steps=3", 1, "encode takes settings of data.*, found 'inner' in --set"),
        ("decode s.zarr", 2, "nothing to write: give OUT, or --sheet PNG"),
        ("decode s.zarr o --select first", 2, "expected a slice such as 0:100, or one number; found 'first'"),
        ("decode s.zarr o --as pong", 2, "no kind of data is written as 'pong'; known: "),
        ("fitt", 2, "No such command 'fitt'"),
    ],
)
def test_wrong_usage_is_told_before_a_verb_is_imported(monkeypatch, capfd, line, code, text):
    for verb in VERBS:
        monkeypatch.setitem(sys.modules, f"functa_cli.{verb}", None)  # importing it would fail, with another text
    assert run(line) == code
    out, err = capfd.readouterr()
    assert text in " ".join(err.split())
    assert out == ""


# what is printed where


EVENTS = (Note("found 3"), Note("skipped a.png: empty", warning=True), Progress(1, 2, "datum", {"psnr": 24.12}))
RESULT = Result({"out": "x.zarr", "psnr_mean": 24.126, "skipped": 1, "none": None, "latent_shape": [2, 3]})


def test_people_get_a_summary_on_stdout_and_plain_lines_on_stderr(stub, capfd):
    stub("fit", *EVENTS, RESULT)
    assert run("fit -m image") == 0
    out, err = capfd.readouterr()
    assert out == "out           x.zarr\nPSNR mean     24.13 dB\nskipped       1\nlatent shape  2, 3\n"
    assert err == "found 3\nwarning: skipped a.png: empty\n1/2 data, PSNR 24.1 dB\n"


def test_quiet_leaves_only_the_result(stub, capfd):
    stub("fit", *EVENTS, RESULT)
    assert run("fit -m image -q") == 0
    out, err = capfd.readouterr()
    assert out.startswith("out           x.zarr\n")
    assert err == ""


def test_verbose_adds_times(stub, capfd):
    stub("fit", *EVENTS, RESULT)
    assert run("fit -m image -v") == 0
    err = capfd.readouterr().err
    assert re.search(r"^\[ +\d+\.\d s\] found 3$", err, re.M)
    assert re.search(r"^took 0:0\d$", err, re.M)


def test_json_lines_are_all_that_is_on_stdout(stub, capfd):
    np = pytest.importorskip("numpy")

    class Noisy(Verb):
        def __call__(self, *args, **settings):
            print("from Python")
            os.write(1, b"from a C++ library\n")
            yield from super().__call__(*args, **settings)

    odd = Result({"psnr": np.float32(24.5), "rate": float("nan"), "n": np.int64(3), "path": Path("a"), "ok": True})
    sys.modules["functa_cli.fit"] = stub("fit") and types.SimpleNamespace(fit=Noisy(*EVENTS, odd))
    assert run("fit -m image --json") == 0
    out, err = capfd.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {"event": "note", "text": "found 3", "warning": False},
        {"event": "note", "text": "skipped a.png: empty", "warning": True},
        {"event": "progress", "done": 1, "total": 2, "unit": "datum", "metrics": {"psnr": 24.12}},
        {"event": "result", "values": {"psnr": 24.5, "rate": None, "n": 3, "path": "a", "ok": True}},
    ]
    assert "from Python" in err
    assert "from a C++ library" in err
    print("stdout is back")
    assert capfd.readouterr().out == "stdout is back\n"


def test_json_quiet_is_the_result_alone(stub, capfd):
    stub("fit", *EVENTS, RESULT)
    assert run("fit -m image --json -q") == 0
    assert json.loads(capfd.readouterr().out)["event"] == "result"


# how runs end


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (DataError("found 0 files in 'a'\nexpected pictures"), "error: found 0 files in 'a' expected pictures\n"),
        (MemoryError(), "error: out of memory; a smaller --batch or --resolution needs less\n"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: 3G"),
            "error: out of memory; a smaller --batch or --resolution needs less\n",
        ),
        (
            OSError(28, "No space left on device", "x"),
            "error: no space left on the disk at 'x'; free some, then the same",
        ),
        (
            PermissionError(13, "Permission denied", "x"),
            "error: no permission to read or write at 'x' (Permission denied)",
        ),
        (FileNotFoundError(2, "No such file", "x"), "error: the system says 'No such file' at 'x'\n"),
        (
            KeyError("x"),
            "error: unexpected KeyError: 'x'; run again with -vv for the traceback, and please report it\n",
        ),
        (AssertionError(), "error: unexpected AssertionError; run again with -vv"),
    ],
)
def test_errors_are_one_line_and_exit_1(stub, capfd, error, text):
    stub("fit", error)
    assert run("fit -m image") == 1
    out, err = capfd.readouterr()
    assert err.startswith(text)
    assert err.count("\n") == 1
    assert out == ""


def test_a_run_that_overwrites_is_not_continued_by_the_same_command(stub, capfd, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["functa", "fit", "-m", "image", "--overwrite"])
    stub("fit", OSError(28, "No space left on device", "x"))
    assert run("fit -m image --overwrite") == 1
    assert "then the same command without --overwrite continues" in capfd.readouterr().err


def test_the_traceback_is_shown_with_vv(stub, capfd):
    stub("fit", DataError("bad"))
    assert run("fit -m image -vv") == 1
    assert "Traceback (most recent call last)" in capfd.readouterr().err


def test_strict_shows_the_result_and_then_fails(stub, capfd):
    stub("fit", RESULT, DataError("1 files were skipped (--strict)"))
    assert run("fit -m image --strict") == 1
    out, err = capfd.readouterr()
    assert "x.zarr" in out
    assert err == "error: 1 files were skipped (--strict)\n"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
@pytest.mark.parametrize("where", ["inside", "outside", "callback", "wrapped"])
def test_signals_close_the_verb_and_say_how_to_go_on(number, code, word, where):
    body = {
        "inside": "print('ready', flush=True, file=sys.stderr)\ntime.sleep(20)",
        "outside": f"yield Progress(1, 3, 'step', {{}})\nimport os; os.kill(os.getpid(), {number:d})\nyield Note('b')",
        # Python loses exceptions in callbacks of its garbage collector, and JAX has one
        "callback": f"""
            import gc, os
            gc.callbacks.append(lambda phase, info: os.kill(os.getpid(), {number:d}))
            gc.collect()
            gc.callbacks.clear()
            yield Note("b")
        """,
        "wrapped": f"""
            import os
            try:
                os.kill(os.getpid(), {number:d})
            except BaseException:
                raise RuntimeError("a library makes an error of its own of it") from None
        """,
    }[where]
    with child(body) as process:
        if where == "inside":
            read_until("ready", process)
            process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert err.endswith(f"closed\n{word}; the same command continues where this one stopped\n")
    assert out == ""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_second_signal_ends_a_verb_that_does_not_close():
    body = """
        try:
            print("ready", flush=True, file=sys.stderr)
            time.sleep(20)
        finally:
            print("closing", flush=True, file=sys.stderr)
            time.sleep(20)
    """
    with child(body) as process:
        for word in ("ready", "closing"):
            read_until(word, process)
            process.send_signal(signal.SIGINT)  # twice at once is as one
            process.send_signal(signal.SIGINT)
            time.sleep(2 * exits.TWICE)
        err = process.communicate(timeout=10)[1]
    assert process.returncode == 130
    assert err == ""


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_reader_that_leaves_ends_the_run_quietly():
    with child("while True: yield Note('more')", "fit -m image --json") as process:
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert process.returncode == 141
    assert err == "closed\n"


# what is loaded


LIGHT = ("numpy", "PIL")  # modalities load them, to tell which flags they bring
HEAVY = ("jax", "flax", "zarr", "rich", "optax", "h5py", "scipy", "xarray", "trimesh", "skimage")


@pytest.mark.parametrize(
    ("line", "environment"),
    [
        ("--help", {}),
        ("--version", {}),
        ("fit --help", {}),
        ("encode --help", {}),
        ("decode --help", {}),
        ("fit -m image --steps 0", {}),
        ("", {"_FUNCTA_COMPLETE": "bash_complete", "COMP_WORDS": "functa ", "COMP_CWORD": "1"}),
        ("", {"_FUNCTA_COMPLETE": "bash_complete", "COMP_WORDS": "functa fit --recipe ", "COMP_CWORD": "3"}),
    ],
)
def test_help_and_completion_load_nothing_heavy(line, environment):
    command = next(
        (word for word in [*line.split(), *environment.get("COMP_WORDS", "").split()] if word in VERBS), None
    )
    heavy = HEAVY if command else HEAVY + LIGHT
    code = (
        "import atexit, sys\n"
        f"atexit.register(lambda: print([m for m in {heavy} if m in sys.modules], file=sys.stderr))\n"
        "from functa_cli.cli import main\nmain()"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *shlex.split(line)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stderr.splitlines()[-1] == "[]"


def test_help_costs_no_more_than_three_times_what_click_costs():
    def modules(code):
        line = [sys.executable, "-X", "importtime", "-c", code]
        return subprocess.run(line, capture_output=True, text=True).stderr.count("import time:")

    # modules and not seconds, which tests that run side by side would spoil
    shown = modules("import sys; sys.argv[1:] = ['--help']; from functa_cli.cli import main; main()")
    assert shown < 1.5 * modules("import click")


# help and completion


def test_version_and_listing(capfd):
    assert run("--version") == 0
    assert re.fullmatch(r"functa \d+\.\d+\.\d+\S*\n", capfd.readouterr().out)
    assert run("--help") == 0
    shown = capfd.readouterr().out
    assert "_FUNCTA_COMPLETE=bash_source functa" in shown
    for verb in VERBS:
        assert re.search(rf"^  {verb} +\S", shown, re.M)
        assert plugins.names("cli").count(verb) == 1


def examples(verb: str) -> list[str]:
    command = group if not verb else group.get_command(None, verb)
    return re.findall(r"^  (functa .*)$", command.epilog, re.M)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_examples_in_help_are_commands_that_parse(verb, monkeypatch):
    from functa_cli.cli import values

    monkeypatch.setattr(values.SETTINGS_FILE, "parse", lambda path: {})
    assert 2 <= len(examples(verb)) <= 8
    names = []
    for example in examples(verb):
        name, *args = shlex.split(example.split(" > ")[0])[1:]
        names.append(name)
        group.get_command(None, name).make_context(name, args).close()
    assert not verb or names.count(verb) > len(names) / 2


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_has_help(verb):
    for option in group.get_command(None, verb).params:
        assert option.param_type_name == "argument" or option.help


def test_defaults_in_help_are_the_defaults():
    basenet = pytest.importorskip("functa_cli.basenet")
    from functa_cli.cli import options
    from functa_cli.config import to_dict

    helps = {
        option.name: option.help or "" for option in group.get_command(None, "fit").params if hasattr(option, "help")
    }
    for recipe in options.RECIPES:
        settings = to_dict(basenet.settings("image", [{"outer": {"recipe": recipe}}]))
        for name in (
            "steps",
            "batch",
            "points",
            "rate",
            "latent_dim",
            "width",
            "depth",
            "w0",
            "split",
            "limit",
            "seed",
        ):
            value = settings
            for key in options.SETTINGS[name].split("."):
                value = value[key]
            said = re.search(r"\[default: ([^;\],]*)(?:; paper: ([^;\]]*))?", helps[name])
            told = (said[2] if recipe == "paper" else None) or said[1]
            found = f"{value:g}" if isinstance(value, float) else str(value)
            assert told == found, f"mend options.DEFAULTS: {name} is {found} in recipe {recipe}"
    resolution = basenet.settings("image", []).data.resolution
    command = group.get_command(None, "fit")
    told = command.get_help(click.Context(command, terminal_width=1000, max_content_width=1000))
    assert f"[default: each datum as it is; image: {resolution}]" in told


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("functa ", set(VERBS)),
        ("functa fit --recipe ", {"default", "paper"}),
        ("functa fit --modality ", set(plugins.names("modalities"))),
        ("functa decode --as ", {"files", *forms()}),
    ],
)
def test_completion(words, expected):
    environment = {**os.environ, "_FUNCTA_COMPLETE": "bash_complete", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split()))
    line = [sys.executable, "-m", "functa_cli"]
    out = subprocess.run(line, capture_output=True, text=True, env=environment, cwd=Path(__file__).parents[1]).stdout
    assert {row.split(",")[1] for row in out.splitlines()} == expected


# before JAX loads


def test_prepare_jax_sets_a_cache_and_adds_to_the_flags(tmp_path):
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("processor : 0\nflags : sse avx2 avx512f\n")
    environ = {"XDG_CACHE_HOME": str(tmp_path), "XLA_FLAGS": "--xla_foo=1"}
    runtime.prepare_jax(environ, str(cpu), "0.12.0.1")
    assert environ == {
        "XDG_CACHE_HOME": str(tmp_path),
        "XLA_FLAGS": "--xla_foo=1 --xla_cpu_prefer_vector_width=512"
        " --xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT",
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "functa" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
    }
    assert (tmp_path / "functa" / "jax").is_dir()


def test_prepare_jax_leaves_what_the_user_set(tmp_path):
    cpu = tmp_path / "cpuinfo"
    cpu.write_text("flags : avx512f\n")
    environ = {
        "JAX_COMPILATION_CACHE_DIR": "mine",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "9",
        "XLA_FLAGS": "--xla_cpu_prefer_vector_width=256 --xla_cpu_experimental_ynn_fusion_type=",
    }
    kept = dict(environ)
    runtime.prepare_jax(environ, str(cpu))
    assert environ == kept


def test_prepare_jax_does_without_a_cache_or_cpuinfo(tmp_path):
    (tmp_path / "file").write_text("")
    environ = {"XDG_CACHE_HOME": str(tmp_path / "file")}
    runtime.prepare_jax(environ, str(tmp_path / "none"), "0.13.0")
    assert "JAX_COMPILATION_CACHE_DIR" not in environ
    assert "XLA_FLAGS" not in environ


def test_report_lets_exits_of_libraries_pass():
    with pytest.raises(SystemExit):
        exits.report(SystemExit(3))
