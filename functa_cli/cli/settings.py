"""Settings of a run from --config, --set and flags, in layers, checked as far as it goes before JAX loads."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from functa_cli import plugins
from functa_cli.cli import brought
from functa_cli.cli.options import OF_DATA, SETTINGS
from functa_cli.config import Config, RenderConfig, merge, overlay
from functa_cli.errors import ConfigError

Layer = dict[str, Any]
LEARNING = {  # flags of fit that learning from a functaset takes, and what they set there
    "recipe": "learn.recipe",
    "steps": "learn.steps",
    "batch": "learn.batch",
    "rate": "learn.rate",
    "seed": "seed",
}


def of_fit(given: Mapping[str, Any]) -> tuple[str, list[Layer]]:
    """Modality and layers, lowest precedence first, of the options `given` to fit.

    Raises:
        click.UsageError: no modality. ConfigError: a setting that does not exist or has the wrong type.
    """
    layers = [*_written(given), _flags(given, SETTINGS), _brought(given)]
    modality = given["modality"] or overlay(*layers).get("modality")
    if modality is None:
        raise click.UsageError(f"give --modality, one of: {', '.join(plugins.names('modalities'))}")
    _check(modality, layers)
    return modality, [layer for layer in layers if layer]


def of_learning(given: Mapping[str, Any], tables: Sequence[str]) -> list[Layer]:
    """Layers of the options `given` to a fit that learns from a functaset; `tables`: of its settings.

    Settings of other things in a file are passed over.

    Raises:
        click.UsageError: a flag that is of base networks. ConfigError: one in --set that is.
    """
    others = [name for name in (*SETTINGS, "init") if name not in LEARNING and given[name] is not None]
    others += list(brought.given_flags("options", given))
    if others or given["modality"]:
        flag = f"--{(others or ['modality'])[0].replace('_', '-')}"
        raise click.UsageError(f"{flag} is of base networks; learning from a functaset does not take it")
    for layer in given["set"]:
        for key in layer:
            if key not in tables:
                raise ConfigError(f"unknown setting {key!r}; known here: {', '.join(tables)}")
    config = {key: value for key, value in (given["config"] or {}).items() if key in tables}
    return [layer for layer in (config, *given["set"], _flags(given, LEARNING)) if layer]


def of_encode(given: Mapping[str, Any]) -> tuple[str | None, int, list[Layer]]:
    """Modality, None if it is to be found out, seed and layers of the options `given` to encode.

    The base network decides all settings but those of the data, so the others in a file are passed over.

    Raises:
        ConfigError: a setting that does not exist or has the wrong type, or one in --set that is not of the data.
    """
    for layer in given["set"]:
        for key in layer:
            if key not in ("data", "modality", "seed"):
                raise ConfigError(
                    f"encode takes settings of data.*, found {key!r} in --set; the base network has the others"
                )
    layers = [*_written(given), _flags(given, {name: SETTINGS[name] for name in OF_DATA}), _brought(given)]
    settled = overlay(*layers)
    modality = given["modality"] or settled.get("modality")
    _check(modality, layers)
    own = [{"data": layer["data"]} for layer in layers if "data" in layer]
    return modality, settled.get("seed", 0), own


def _written(given: Mapping[str, Any]) -> list[Layer]:
    return [given["config"] or {}, *given["set"]]


def _brought(given: Mapping[str, Any]) -> Layer:
    own = brought.given_flags("options", given)
    return {"data": own} if own else {}


def _flags(given: Mapping[str, Any], settings: Mapping[str, str]) -> Layer:
    """The flags that were given, of those in `settings`, which has what each sets."""
    layer: Layer = {}
    for name, setting in settings.items():
        value = given[name]
        if value is not None:
            for part in reversed(setting.split(".")):
                value = {part: value}
            layer = overlay(layer, value)
    return layer


def _check(modality: str | None, layers: Sequence[Layer]) -> None:
    """Refuse settings that are wrong; those of a field are left to the verb, for fields need JAX."""
    unknown = {"field"} if modality else {"field", "data"}
    options = plugins.load("modalities", modality).MODALITY.options() if modality else RenderConfig()
    known = Config(modality="", data=options, field=RenderConfig())
    for layer in layers:
        merge(
            known, {key: {} if key in unknown and isinstance(value, Mapping) else value for key, value in layer.items()}
        )
