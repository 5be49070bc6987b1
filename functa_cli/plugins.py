"""A folder is a registry: each file in `modalities/` or `fields/` is one choice, found without importing it."""

import importlib
from pathlib import Path
from types import ModuleType

from functa_cli.errors import ConfigError


def names(folder: str) -> tuple[str, ...]:
    """Names of the plug-ins in `folder` ("modalities", "fields"), sorted; imports nothing."""
    files = (Path(__file__).parent / folder).glob("*.py")
    return tuple(sorted(file.stem for file in files if not file.stem.startswith("_")))


def load(folder: str, name: str) -> ModuleType:
    """Import the plug-in `name` of `folder`.

    Raises:
        ConfigError: there is no such plug-in; the text lists the known ones.
    """
    if name not in names(folder):
        raise ConfigError(f"unknown name {name!r} in {folder}; known: {', '.join(names(folder))}")
    return importlib.import_module(f"functa_cli.{folder}.{name}")
