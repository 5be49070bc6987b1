"""Settings: four spellings of one value, and the text of every refusal."""

import json
import re

import pytest

from functa_cli import basenet
from functa_cli.config import InnerConfig, OuterConfig, merge, overlay, parse_set, read_toml, to_dict
from functa_cli.errors import ConfigError


def test_dictionary_json_and_dataclass_round_trip():
    config = basenet.settings("image", [{"outer": {"steps": 7}, "inner": {"rate_init": [0.1, 0.2]}, "seed": 3}])
    again = basenet.settings("image", [json.loads(json.dumps(to_dict(config)))])
    assert again == config
    assert config.outer.steps == 7
    assert config.inner.rate_init == (0.1, 0.2)


def test_later_layers_win_and_recipe_and_preset_are_lowest():
    assert basenet.settings("image", []).data.resolution == "64"
    paper = basenet.settings("image", [{"outer": {"recipe": "paper"}}, {"outer": {"rate": 3e-4}}])
    assert (paper.field.width, paper.field.depth, paper.outer.optimizer) == (512, 15, "adam")
    assert paper.outer.rate == 3e-4
    assert paper.inner.rates == "meta-sgd"


@pytest.mark.parametrize(("text", "value"), [
    ("inner.steps=3", {"inner": {"steps": 3}}),
    ("outer.rate=1e-3", {"outer": {"rate": 1e-3}}),
    ("data.background=white", {"data": {"background": "white"}}),
    ("data.background='#fff'", {"data": {"background": "#fff"}}),
    ("inner.rate_init=[0.1, 0.2]", {"inner": {"rate_init": [0.1, 0.2]}}),
    ("seed=1", {"seed": 1}),
])  # fmt: skip
def test_set_is_toml_on_the_right(text, value):
    assert parse_set(text) == value


@pytest.mark.parametrize(("change", "text"), [
    ({"stpes": 3}, "unknown setting 'stpes'; known here: steps, rates"),
    ({"steps": 1.5}, "setting 'steps' is of type int; found 1.5"),
    ({"steps": True}, "setting 'steps' is of type int; found True"),
    ({"rates": "sgd"}, "setting 'rates' is one of 'fixed', 'meta-sgd'; found 'sgd'"),
    ({"rate_init": [1]}, "setting 'rate_init' is a list of 2 values; found [1]"),
])  # fmt: skip
def test_refusals_name_what_was_found_and_what_is_known(change, text):
    with pytest.raises(ConfigError, match=re.escape(text)):
        merge(InnerConfig(), change)


def test_a_table_is_not_a_value():
    with pytest.raises(ConfigError, match="'outer' is a table of settings, found 3"):
        basenet.settings("image", [{"outer": 3}])


def test_whole_numbers_are_welcome_where_numbers_are_expected():
    assert merge(OuterConfig(), {"clip": 2}).clip == 2.0


@pytest.mark.parametrize("text", ["inner.steps", "=3", "a..b=1"])
def test_malformed_set(text):
    with pytest.raises(ConfigError, match="--set wants KEY=VALUE"):
        parse_set(text)


def test_toml_errors_have_the_place(tmp_path):
    (tmp_path / "bad.toml").write_text("a = \n")
    with pytest.raises(ConfigError, match=r"is not TOML: .*line 1"):
        read_toml(tmp_path / "bad.toml")
    with pytest.raises(ConfigError, match="cannot read the settings file"):
        read_toml(tmp_path / "none.toml")


def test_overlay_is_deep_and_leaves_its_arguments():
    low, high = {"a": {"x": 1, "y": 2}, "b": 3}, {"a": {"x": 9}}
    assert overlay(low, high) == {"a": {"x": 9, "y": 2}, "b": 3}
    assert low["a"]["x"] == 1
