"""Values of options: each is parsed and checked on its own, before anything heavy is loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from functa_cli.config import parse_set, read_toml
from functa_cli.errors import ConfigError, StoreError


class Parsed(click.ParamType):
    """A value that a function parses; its ConfigError is an error of usage, and comes before JAX loads."""

    def __init__(self, name: str, parse: Callable[[str], Any], file: bool = False):
        self.name, self.parse, self.file = name, parse, file

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the parsed value."""
        if not isinstance(value, str):
            return value
        try:
            return self.parse(value)
        except ConfigError as error:
            return self.fail(str(error), param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
        """Complete names of files where the value is one."""
        return click.Path().shell_complete(ctx, param, incomplete) if self.file else []


def read_config(path: str) -> dict[str, Any]:
    """Settings of a TOML file, or those recorded in a store.

    Raises:
        ConfigError: neither of the two is there.
    """
    if not Path(path).is_dir() and "://" not in path:
        return read_toml(path)
    from functa_cli.basefile import read_base  # numpy and zarr, but never JAX

    try:
        return dict(read_base(path).config)
    except StoreError as error:
        raise ConfigError(f"no settings can be reused: {error}") from None


def grid(text: str) -> str:
    """Check a grid such as "64" or "48x64"; "" stands for the grid of each datum."""
    if text and not all(part.isdecimal() and int(part) for part in text.split("x")):
        raise ConfigError(
            f"expected a number of samples such as 64, or one for each axis such as 48x64; found {text!r}"
        )
    return text


def chosen(text: str) -> str:
    """Check a slice such as "0:100"."""
    try:
        numbers = [int(number) if number else None for number in text.split(":")]
    except ValueError:
        numbers = []
    if not 1 <= len(numbers) <= 3 or numbers == [None] or numbers[2:] == [0]:
        raise ConfigError(f"expected a slice such as 0:100, or one number; found {text!r}")
    return text


def whole(low: int) -> Parsed:
    """Make the type of a whole number that is at least `low`."""

    def parse(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < low:
            raise ConfigError(f"expected a whole number, at least {low}; found {text!r}")
        return int(text)

    return Parsed("N", parse)


def above_zero(text: str) -> float:
    """Check a number such as 0.002."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ConfigError(f"expected a number above 0; found {text!r}")
    return value


GRID = Parsed("R", grid)
SLICE = Parsed("SLICE", chosen)
ABOVE_ZERO = Parsed("X", above_zero)
SETTING = Parsed("KEY=VALUE", parse_set)
SETTINGS_FILE = Parsed("FILE", read_config, file=True)
