"""Each shared option, declared once.

layers      --config, --set and the named settings: nested dictionaries, lowest precedence first
output      --json, -q, -v: how events are shown
overwrite, seed, strict, modality, resolution, split, limit
"""

from collections.abc import Callable, Sequence
from typing import Any

import click

from functa_cli import plugins
from functa_cli.config import parse_set, read_toml
from functa_cli.errors import FunctaError


class Names(click.ParamType):
    """A name of a plug-in folder; completes without importing any."""

    name = "name"

    def __init__(self, folder: str):
        self.folder = folder

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """The choices themselves."""
        return f"[{'|'.join(plugins.names(self.folder))}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse unknown names."""
        known = plugins.names(self.folder)
        if value not in known:
            self.fail(f"{value!r} is not one of {', '.join(known)}", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Names that begin with what was typed."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in plugins.names(self.folder) if name.startswith(incomplete)]


def setting(flag: str, key: str, kind: Any, text: str) -> Callable:
    """An option that sets the setting `key`, such as "inner.steps"; its default lives in the settings."""
    return click.option(flag, _parameter(key), type=kind, default=None, help=text)


def collect(config: str | None, sets: Sequence[str], named: dict[str, Any]) -> list[dict[str, Any]]:
    """Layers of settings from --config, --set and the options made by `setting`, lowest precedence first.

    Raises:
        click.UsageError: --set is malformed, or the file cannot be read.
    """
    layers: list[dict[str, Any]] = []
    try:
        if config is not None:
            layers.append(recorded(config) if config.rstrip("/").endswith(".zarr") else read_toml(config))
        layers.extend(parse_set(text) for text in sets)
    except FunctaError as error:
        raise click.UsageError(str(error)) from None
    for parameter, value in named.items():
        if value is not None:
            layer: Any = value
            for part in reversed(parameter.split("__")):
                layer = {part: layer}
            layers.append(layer)
    return layers


def recorded(path: str) -> dict[str, Any]:
    """Settings that made the store at `path`."""
    from functa_cli.basefile import read_base

    return read_base(path).config


def split_settings(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Options of a command, parted into those made by `setting` and the others."""
    named = {
        key: value for key, value in options.items() if key.startswith(("data__", "field__", "inner__", "outer__"))
    }
    return named, {key: value for key, value in options.items() if key not in named}


def _parameter(key: str) -> str:
    return key.replace(".", "__")


def apply(*decorators: Callable) -> Callable:
    """Several decorators as one, listed in --help in their order."""

    def decorate(function: Callable) -> Callable:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


modality = click.option(
    "--modality", type=Names("modalities"), default=None, help="Kind of data; encode finds out by itself."
)
seed = click.option("--seed", type=int, default=None, help="Every random number comes from it.  [default: 0]")
overwrite = click.option("--overwrite", is_flag=True, help="Replace what is there.")
strict = click.option("--strict", is_flag=True, help="Fail at the end if a file had to be skipped.")
config = click.option(
    "--config", type=click.Path(exists=True), default=None, help="TOML file of settings, or a store to take them from."
)
sets = click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="One setting, such as inner.steps=3; may be repeated."
)
output = apply(
    click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout, for pipelines."),
    click.option("-q", "--quiet", is_flag=True, help="Show only errors and the result."),
    click.option("-v", "--verbose", count=True, help="-vv shows the traceback of an error."),
)
resolution = setting("--resolution", "data.resolution", str, "Crop and resize to R or ROWSxCOLUMNS before use.")
data = apply(
    setting(
        "--split", "data.split", str, "auto (train/ and test/ folders, else a tenth), none, or a share to hold out."
    ),
    setting("--limit", "data.limit", int, "Use only the first so many data."),
)
