"""The documents against the program: every command is run, every snippet executed, every --help text compared.

After a change of an option, `python -m tests.test_docs --update` writes the --help texts into README.md anew.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import NamedTuple

import pytest

from functa_cli.cli import group

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted(ROOT.glob("examples/*/README.md"))]
SMALL = ["--limit", "30"]
TINY = [*SMALL, "--steps", "2", "--batch", "4", "--points", "64", "--set", "outer.heldout=4"]
CHEAPER = {  # what makes a command quick; the last of two equal flags wins
    "fit": [*TINY, "--width", "16", "--depth", "3", "--latent-dim", "8"],
    "encode": SMALL,
    "decode": [],
    "classify": [],
    "impute": ["--steps", "2"],
    "sample": [],
    "info": [],
    "report": [],
}
LEARNED = ["--steps", "20"]
PRIOR = [*LEARNED, "--set", "prior.layers=2", "--set", "prior.width=8"]
SETUP = {  # the commands that are not ours
    "python3 -m venv .venv",
    ". .venv/bin/activate",
    "pip install .",
    "pip install '.[dev]'",
    "pytest -n 2 --dist loadfile",
}


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str


class Run(NamedTuple):
    """A command that was run."""

    block: int
    line: str
    code: int
    out: str
    err: str


def blocks(document: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", document.read_text(encoding="utf-8"), re.M | re.S)
    return [Block(*each) for each in found]


def commands(block: Block) -> list[str]:
    text = block.text.replace("\\\n", " ")
    return [part.strip() for line in text.splitlines() for part in line.split("&&") if part.strip()]


def is_functa(line: str) -> bool:
    return "functa" in [word for word in shlex.split(line) if "=" not in word][:1]


def functa(arguments: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of the program in this process."""
    out, err, real = io.StringIO(), io.StringIO(), os.dup(1)
    with tempfile.TemporaryFile() as below:  # JSON goes below Python's stdout
        os.dup2(below.fileno(), 1)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
                group.main(arguments, prog_name="functa")
        finally:
            os.dup2(real, 1)
            os.close(real)
        below.seek(0)
        return end.value.code, out.getvalue() + below.read().decode(), err.getvalue()


def help_text(line: str) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "80")
        return functa(shlex.split(line)[1:])[1]


def masked(text: str) -> list[str]:
    """Lines without what differs from run to run: numbers and fingerprints."""
    text = re.sub(r"\b[0-9a-f]{16}\b", "#", text)
    return [re.sub(r"\d+(\.\d+)?", "#", line).rstrip() for line in text.splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder that looks like a checkout with `photos/` beside it."""
    folder = tmp_path_factory.mktemp("tour")
    for name in ("functa_cli", "examples"):
        (folder / name).symlink_to(ROOT / name)
    for kind in ("Forest", "River", "Highway"):
        (folder / "photos" / kind).mkdir(parents=True)
        for picture in sorted((ROOT / "functa_cli/data/image/sample" / kind).iterdir())[:4]:
            shutil.copy(picture, folder / "photos" / kind)
    return folder


@pytest.fixture(scope="module")
def tour(place) -> list[Run]:
    """All commands of the README in their order, each made cheap."""
    runs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("XDG_CACHE_HOME", str(place / "cache"))
        for number, block in enumerate(blocks(README)):
            if block.language != "sh":
                continue
            for line in filter(is_functa, commands(block)):
                words = shlex.split(line)
                start = words.index("functa")
                if ">" in words:
                    words = words[: words.index(">")]
                cheaper = TINY if "--init" in words else CHEAPER[words[start + 1]]
                if words[start + 1] == "encode" and {"voxel", "scene"} & set("/".join(words).split("/")):
                    cheaper = ["--limit", "8"]  # the network that ships is slow on these
                if words[start + 1] == "fit" and {"--classifier", "--prior"} & set(words):
                    cheaper = PRIOR if "--prior" in words else LEARNED
                with pytest.MonkeyPatch.context() as own:
                    for word in words[:start]:
                        own.setenv(*word.split("=", 1))
                    runs.append(Run(number, line, *functa([*words[start + 1 :], *cheaper])))
    return runs


def test_the_readme_has_a_command_for_each_verb(tour):
    assert {"fit", "encode", "decode", "classify", "impute"} <= {word for run in tour for word in shlex.split(run.line)}


def test_every_command_of_the_readme_works(tour):
    assert [f"{run.line}: exit {run.code}: {run.err[-300:]}" for run in tour if run.code] == []


def test_the_outputs_in_the_readme_are_those_of_the_program(tour):
    shown = blocks(README)
    compared = 0
    for number, block in enumerate(shown[:-1]):
        after = shown[number + 1]
        if block.language == "sh" and after.language == "text" and not after.text.startswith(("land.zarr/", "$ ")):
            run = next(run for run in tour if run.block == number)
            told = masked(after.text)
            assert [line for line in masked(run.out) if line not in told] == [], run.line
            said = [line for each in tour if each.line == run.line for line in masked(each.out + each.err)]
            assert [line for line in told if line not in [*said, "[...]"]] == [], run.line
            compared += 1
    assert compared >= 4


def test_the_snippets_of_the_readme_work_on_the_store_of_the_tour(tour, place, monkeypatch):
    if not any((path / "torch").exists() for path in map(Path, sys.path)):
        tensors = types.SimpleNamespace(TensorDataset=lambda *arrays: list(zip(*arrays, strict=True)))
        torch = types.ModuleType("torch")
        torch.from_numpy, torch.utils = lambda array: array, types.SimpleNamespace(data=tensors)
        monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.chdir(place)
    values = {}
    for block in blocks(README):
        if block.language == "python":
            exec(compile(block.text, str(README), "exec"), values)
    assert values["phi"].shape == (30, 8)
    assert len(values["pairs"]) == len(values["kinds"]) == 30
    assert set(values["kinds"]) == {"AnnualCrop", "Forest"}
    assert values["train"].sizes["datum"] == 27
    assert "sine_0" in values["weights"]
    assert values["colours"].shape == (2000, 3)


def test_the_store_in_the_readme_is_the_store(tour, place):
    import zarr

    store = zarr.open_group(str(place / "land.zarr"), mode="r")
    (drawn,) = [block.text for block in blocks(README) if block.text.startswith("land.zarr/")]
    told = dict(re.findall(r"^  (\w+)/? +(\[.*?\])?", drawn, re.M))
    assert set(told) == set(store.keys())
    for name, shape in told.items():
        if shape:
            assert store[name].ndim == shape.count(",") + 1, name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_other_commands_are_known_ones(document):
    lines = [line for block in blocks(document) if block.language == "sh" for line in commands(block)]
    others = {line for line in lines if not is_functa(line) and not line.startswith("examples/")}
    assert others <= SETUP


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(document):
    text = document.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    assert targets
    titles = [re.sub(r"[^\w\- ]", "", title.strip().lower()) for title in re.findall(r"^#+ (.*)$", text, re.M)]
    headings = {"#" + title.replace(" ", "-") for title in titles}
    assert [one for one in targets if one not in headings and not (document.parent / one).exists()] == []


@pytest.mark.parametrize(
    "line",
    [
        f"functa {verb} --help".replace("  ", " ")
        for verb in ("", "fit", "encode", "decode", "classify", "impute", "info", "report")
    ],
)
def test_help_in_the_readme_is_what_the_program_prints(line):
    quoted = [block.text for block in blocks(README) if block.text.startswith(f"$ {line}\n")]
    assert quoted == [f"$ {line}\n{help_text(line)}"], "python -m tests.test_docs --update writes it anew"


MADE = {  # what each pipeline makes, from which data, and how many files of which kind
    "image": ("photos", {"pictures": 12, "sheet.png": 1}, ".png"),
    "voxel": ("functa_cli/data/voxel/sample", {"shapes": 30, "sheet.png": 1}, ".binvox"),
    "era5": ("functa_cli/data/era5/sample", {"fine.nc": 1, "maps": 6, "sheet.png": 1}, ".png"),
    "scene": ("functa_cli/data/scene/sample", {"turning": 4, "depth": 16, "sheet.png": 1}, ""),
}


@pytest.mark.parametrize("kind", MADE)
def test_the_pipelines_of_the_examples_make_what_they_say(kind, place, tmp_path):
    data, wanted, suffix = MADE[kind]
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": programs, "XDG_CACHE_HOME": str(place / "cache")}
    line = ["bash", str(ROOT / f"examples/{kind}/pipeline.sh"), str(place / data), str(tmp_path / "made")]
    done = subprocess.run([*line, *CHEAPER["fit"]], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "made"
    assert {path.name for path in made.iterdir()} == {"base.zarr", "set.zarr", *wanted}
    for name, count in wanted.items():
        if (made / name).is_dir():
            files = [path for path in (made / name).rglob("*") if path.is_file()]
            kept = suffix or {"turning": ".webp"}.get(name, ".png")
            assert len([path for path in files if path.suffix == kept]) == count, name


def update() -> None:
    """Write the --help texts into README.md."""
    text = README.read_text(encoding="utf-8")

    def fresh(match: re.Match[str]) -> str:
        return f"```text\n$ {match[1]}\n{help_text(match[1])}```"

    README.write_text(
        re.sub(r"^```text\n\$ (functa [^\n]*)\n.*?^```$", fresh, text, flags=re.M | re.S), encoding="utf-8"
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        update()
    else:
        sys.exit("usage: python -m tests.test_docs --update")
