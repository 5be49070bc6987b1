"""The paper as commands: every script runs in its small setting, every setting has a cost, and both make the page.

A script, its three settings and its results are tested by being there.
"""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from functa_cli.config import read_toml
from functa_cli.inner import outer_loss
from tests.networks import network, pictures
from tests.oracles import reference_outer

PAPER = Path(__file__).resolve().parents[1] / "examples" / "paper"
RESULTS = PAPER / "results"
SCRIPTS = sorted(
    path.stem
    for path in PAPER.glob("*.py")
    if "common import" in path.read_text() and "main = command(" in path.read_text()
)
FIELDS = {
    "name", "title", "section", "claim", "paper", "command", "settings", "columns", "rows", "figures", "reads",
    "differs", "picture", "alt", "cost",
}  # fmt: skip

sys.path.insert(0, str(PAPER))


def run(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=600, env=os.environ
    )


def check(one: dict, folder: Path) -> None:
    """A result is whole: its table, its figures, its words and its picture."""
    assert set(one) == FIELDS
    assert all(one[key] for key in ("title", "section", "claim", "reads", "differs", "command", "figures"))
    for table in [one, *filter(None, [one["paper"]])]:
        assert all(len(row) == len(table["columns"]) for row in table["rows"])
        assert all(math.isfinite(value) for row in table["rows"] for value in row if isinstance(value, float))
    assert all(isinstance(value, int | float) and math.isfinite(value) for value in one["figures"].values())
    assert one["cost"]["cpu_seconds"] > 0
    assert one["cost"]["paper_flops"] > one["cost"]["flops"] >= 0
    assert (one["picture"] is None) == (one["alt"] is None)
    if one["picture"] is not None:
        picture = folder / one["picture"]
        assert picture.stat().st_size < 300_000
        if picture.suffix == ".svg":
            assert picture.read_text().startswith("<svg")
        else:
            Image.open(picture).verify()
    assert one["rows"] or one["picture"]


def test_there_are_scripts():
    assert {"table1", "table2", "figure2", "figure3"} <= set(SCRIPTS)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_runs_in_its_small_setting(name, tmp_path):
    done = run(PAPER / f"{name}.py", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    one = json.loads((tmp_path / f"{name}.json").read_text())
    assert one["name"] == name
    check(one, tmp_path)
    assert one["reads"] in done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_setting_has_a_cost_and_the_papers_is_the_largest(name):
    script = __import__(name)
    totals = {}
    for kind in ("", ".page", ".paper"):
        pieces = script.cost(read_toml(PAPER / "settings" / f"{name}{kind}.toml"))
        assert all(piece.what and math.isfinite(piece.flops) and piece.flops >= 0 for piece in pieces)
        totals[kind] = sum(piece.flops for piece in pieces)
    assert totals[".paper"] > totals[".page"] > totals[""] >= 0


def test_a_cost_is_told_without_a_run(tmp_path):
    done = run(PAPER / "table1.py", "--settings", PAPER / "settings" / "table1.paper.toml", "--cost", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "hours at 1.0e+13 FLOP/s" in done.stdout
    assert "measured on this machine" in done.stdout
    assert not list(tmp_path.iterdir())


def test_settings_that_name_data_want_to_know_where(tmp_path):
    done = run(PAPER / "table1.py", "--settings", PAPER / "settings" / "table1.page.toml", "--out", tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "error: the settings ask for the data 'faces64'; say with --data which folder it is in"
    )


def test_settings_that_lack_something_are_told(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text("[[sets]]\nname = 'a'\nmodality = 'image'\n")
    done = run(PAPER / "table1.py", "--settings", settings, "--cost")
    assert done.returncode == 1
    assert done.stderr.strip() == "error: a table of the settings lacks 'count'; it has name, modality"


@pytest.mark.parametrize("name", SCRIPTS)
def test_settings_hold_no_paths_of_a_machine(name):
    for path in [*PAPER.glob(f"settings/{name}*.toml"), *RESULTS.glob(f"{name}.json")]:
        text = path.read_text()
        assert '"/' not in text, path.name


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_committed_results_are_whole_and_of_the_settings_that_their_command_names(path):
    one = json.loads(path.read_text())
    check(one, RESULTS)
    assert one["name"] == path.stem
    named = re.search(r"settings/(\S+\.toml)", one["command"])
    assert one["settings"] == read_toml(PAPER / "settings" / (named[1] if named else f"{path.stem}.toml"))


def test_the_page_is_what_the_results_make():
    import page

    assert (PAPER / "README.md").read_text() == page.page(RESULTS, PAPER / "README.md")


def test_a_page_has_every_number_and_links_its_pictures(tmp_path):
    import page

    one = {
        "name": "table9", "title": "Nothing", "section": "Table 9, section 1", "claim": "it holds.", "command": "c",
        "paper": {"measured_on": "more", "columns": ["what", "dB"], "rows": [["a", 20.0], ["b", 21.25]]},
        "settings": {}, "columns": ["what", "count", "dB"], "rows": [["a", 12345, 1.5], ["b", None, 10.25]],
        "figures": {"x": 1}, "reads": "It does.", "differs": ["data"], "picture": "p.png", "alt": "a picture",
        "cost": {"cpu_seconds": 12.0, "flops": 1e9, "paper_flops": 3.6e17},
    }  # fmt: skip
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "table9.json").write_text(json.dumps(one))
    made = page.page(tmp_path / "results", tmp_path / "README.md")
    for line in (
        "| a | 12,345 | 1.50 |", "| b |  | 10.25 |", "| a | 20.00 |", "![a picture](results/p.png)", "- data",
        "- [Table 9, section 1](#table-9-section-1): Nothing", "## Table 9, section 1",
    ):  # fmt: skip
        assert line in made.splitlines()
    assert "3.6e+17: 10 hours" in made


def flops(function, *args) -> float:
    return jax.jit(function).lower(*args).compile().cost_analysis()["flops"]


@pytest.mark.parametrize("steps", [1, 3])
def test_counted_operations_are_those_of_the_compiled_outer_gradient(steps):
    import cost

    from functa_cli import basenet

    options = {"width": 128, "depth": 5, "latent_dim": 64}
    config = basenet.settings("image", [{"field": options}])
    own, _, theta = network(**options)
    b, side = 4, 16
    batch = pictures(b, (side, side))
    coords, features, weights = batch

    def loss(theta):
        return reference_outer(theta, own.w0, own.depth, coords, features, weights, steps, 0.05)

    plain = flops(jax.grad(loss), theta)
    counted = b * cost.of_step(config, side * side, steps)
    # The plain gradient keeps what ours computes again, so it needs 6 K + 3 evaluations where 8 K + 3 are counted.
    assert plain < counted < 1.6 * plain


def test_counted_operations_are_those_of_ours_where_xla_sees_no_loops():
    import cost

    from functa_cli import basenet

    options = {"width": 128, "depth": 5, "latent_dim": 64}
    config = basenet.settings("image", [{"field": options}])
    _, decoder, theta = network(**options)
    single = pictures(1, (16, 16))  # one signal is one tile, and shares its first step with no other
    ours = flops(jax.grad(lambda theta: outer_loss(decoder, theta, single, steps=1, rate=0.05)), theta)
    counted = cost.of_step(config, 256, 1)
    assert counted / 1.5 < ours < counted * 1.5


def test_a_measured_rate_is_one_that_a_machine_may_have():
    import cost

    assert 1e8 < cost.measured_rate(batch=2, side=16) < 1e15


def test_lines_of_a_plot_are_where_their_data_are(tmp_path):
    import re

    from plot import Line, Panel, write_svg

    write_svg(tmp_path / "a.svg", [Panel("t & u", "x", "y", [Line("one", [(1, 5), (10, 15), (100, 10)])], log_x=True)])
    text = (tmp_path / "a.svg").read_text()
    places = np.array([[float(x), float(y)] for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', text)])
    assert np.allclose(np.diff(places[:, 0])[0], np.diff(places[:, 0])[1], atol=0.2)
    assert places[1, 1] < places[2, 1] < places[0, 1]
    assert "t &amp; u" in text
    assert jnp.isfinite(places).all()
