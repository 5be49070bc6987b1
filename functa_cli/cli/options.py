"""Each option that several commands share, and each that is a setting, declared once.

setting     a flag that sets one of SETTINGS              fit, and of the data: encode
config      --config and --set: the other settings        fit encode
modality    overwrite  strict                             see each command
output      --json, -q and -v, as one `Output`            all commands
"""

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from functa_cli import plugins
from functa_cli.cli import figures, values

RECIPES = ("default", "paper")

SETTINGS = {  # flag -> setting; defaults live in the settings
    "resolution": "data.resolution",
    "split": "data.split",
    "limit": "data.limit",
    "recipe": "outer.recipe",
    "steps": "outer.steps",
    "batch": "outer.batch",
    "points": "outer.points",
    "rate": "outer.rate",
    "latent_dim": "field.latent_dim",
    "width": "field.width",
    "depth": "field.depth",
    "w0": "field.w0",
    "seed": "seed",
}
OF_DATA = ("resolution", "split", "limit", "seed")

DEFAULTS = {  # what --help tells of recipe default and, where it differs, of recipe paper; a test compares
    "steps": "3000; paper: 500000",
    "batch": "32; paper: 256",
    "points": "512; paper: 0",
    "rate": "0.001; paper: 3e-06",
    "latent_dim": "128",
    "width": "128; paper: 512",
    "depth": "5; paper: 15",
    "w0": "30",
    "split": "auto",
    "limit": "0, all of them",
    "recipe": "default",
    "seed": "0",
}


@dataclass(frozen=True)
class Output:
    """How events are shown."""

    as_json: bool = False
    quiet: bool = False
    verbose: int = 0  # 1 adds times, 2 the traceback of an error
    started: float = field(default_factory=time.monotonic)
    tell: Callable[[Mapping[str, Any]], None] = figures.print_summary  # prints a result, where it is not JSON

    def stamp(self) -> str:
        """Time since the start, such as "[   1.2 s] ", where the user wants it."""
        return f"[{time.monotonic() - self.started:6.1f} s] " if self.verbose else ""


def apply(*decorators: Callable) -> Callable:
    """Several decorators as one, listed in --help in their order."""

    def decorate(function: Callable) -> Callable:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def setting(name: str, kind: Any, text: str, *short: str) -> Callable:
    """The option that sets SETTINGS[name]; where it is not given, the settings decide."""
    told = f"  [default: {DEFAULTS[name]}]" if name in DEFAULTS else ""
    return click.option(*short, f"--{name.replace('_', '-')}", name, type=kind, default=None, help=text + told)


def modality(text: str) -> Callable:
    """--modality, a plug-in by name."""
    return click.option("-m", "--modality", type=click.Choice(plugins.names("modalities")), default=None, help=text)


def resolution(text: str) -> Callable:
    """--resolution; its default differs from command to command."""
    return setting("resolution", values.GRID, text, "-r")


data = apply(
    setting(
        "split",
        str,
        "What is test data: auto (a folder test/ beside train/, else a tenth), none, or a share such as 0.2.",
    ),
    setting("limit", values.whole(0), "Use only the first so many data."),
    setting("seed", values.whole(0), "Every random number comes from it."),
)
config = apply(
    click.option(
        "--config",
        type=values.SETTINGS_FILE,
        default=None,
        help="Settings from a TOML file, or those that a base network or functaset was made with.",
    ),
    click.option(
        "--set",
        "set",
        type=values.SETTING,
        multiple=True,
        help="One setting, such as data.background=black; may be repeated. Wins over --config; flags win over it.",
    ),
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace what is there.")
strict = click.option("--strict", is_flag=True, help="Exit with 1 at the end if a file had to be skipped.")


def output(function: Callable) -> Callable:
    """--json, -q and -v; the command gets them as `output`."""

    @functools.wraps(function)
    def wrapped(*, json: bool, quiet: bool, verbose: int, **given: Any) -> Any:
        return function(output=Output(json, quiet, verbose), **given)

    return apply(
        click.option("--json", is_flag=True, help="Print one JSON object a line on stdout, for pipelines."),
        click.option("-q", "--quiet", is_flag=True, help="Show only the result and errors."),
        click.option("-v", "--verbose", count=True, help="Show times; -vv also shows the traceback of an error."),
    )(wrapped)
