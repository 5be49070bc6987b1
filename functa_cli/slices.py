"""Slices of a file, each one field: what they are called, and choosing among them by values of their dimensions."""

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

from functa_cli.errors import ConfigError


class Slice(NamedTuple):
    """One field of a file: what it is called, where it is, and when."""

    name: str  # "2022-05-01T0300,level=850"
    index: dict[Hashable, int]  # by dimension
    time: float  # in the units of the file's times; NaN where there is none
    extra: dict[str, float]  # values of the other dimensions
    part: int = 0  # of the arrays that a file holds its variable in


def parse(text: str) -> dict[str, float]:
    """`"level=850,number=0"` by name. Raises ConfigError for anything else."""
    found = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise ConfigError(f"--select wants dimensions with values, such as level=850,number=0; found {text!r}")
    return found


class Selection:
    """Slices that have the wanted values, gathered file by file."""

    def __init__(self, text: str):
        self.text, self.wanted = text, parse(text)
        self.known: dict[str, set[float]] = {}  # values that were met, by dimension

    def of(self, slices: Sequence[Slice]) -> list[Slice]:
        """Those of `slices` that are wanted."""
        for one in slices:
            for name, value in one.extra.items():
                self.known.setdefault(name, set()).add(value)
        return [one for one in slices if self._fits(one.extra)]

    def check(self) -> None:
        """Raise ConfigError where no file has a wanted dimension, or a wanted value of it."""
        for name, value in self.wanted.items():
            if name not in self.known:
                has = ", ".join(self.known) or "none besides time, latitude and longitude"
                raise ConfigError(f"--select {self.text}: the data have no dimension {name!r}; they have {has}")
            if value not in self.known[name]:
                has = ", ".join(f"{each:g}" for each in sorted(self.known[name])[:12])
                raise ConfigError(f"--select {self.text}: the data have no {name}={value:g}; they have {has}")

    def _fits(self, values: Mapping[str, float]) -> bool:
        return all(values.get(name) == value for name, value in self.wanted.items())
