"""The commands that made a store, from what it says of itself: its settings where they are not the defaults."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from functa_cli import basenet, priornet
from functa_cli.basefile import Base
from functa_cli.cli.options import SETTINGS
from functa_cli.config import to_dict
from functa_cli.priornet import Model
from functa_cli.store import Functaset

FLAGS = {setting: flag.replace("_", "-") for flag, setting in SETTINGS.items()}


def base_network(base: Base) -> str:
    """The command that fitted `base`, or that it ships."""
    shipped = basenet.shipped(base.modality, "base.zarr")
    if shipped is not None and basenet.find("shipped", base.modality)[0].fingerprint == base.fingerprint:
        return "the network that ships"
    recipe = {"outer": {"recipe": base.config["outer"]["recipe"]}}
    usual = to_dict(basenet.settings(base.modality, [recipe]))
    words = ["functa fit --modality", base.modality, Path(base.info["data"]).name, *_changes(base.config, usual)]
    return f"`{' '.join(words)}`"


def functaset(store: Functaset) -> str:
    """The command that encoded `store`."""
    how, name = store.attrs["encode"], Path(store.path).name
    given = "".join(f" --{key} {how[key]}" for key in ("points", "polish") if how.get(key))
    return f"`functa encode {Path(how['source']).name} {name} --steps {how['steps']}{given}`"


def prior(store: Functaset, model: Model) -> str:
    """The command that learned `model` from `store`."""
    config, kind = to_dict(model.config), model.config.kind
    usual = to_dict(priornet.settings(kind, [{"learn": {"recipe": config["learn"]["recipe"]}}]))
    return f"`{' '.join(['functa fit', Path(store.path).name, '--prior', kind, *_changes(config, usual)])}`"


def _changes(config: Mapping[str, Any], usual: Mapping[str, Any]) -> Iterator[str]:
    """Flags for the settings in `config` that are not as in `usual`."""
    before = dict(_flat(usual))
    for name, value in _flat(config):
        if name in before and value != before[name]:
            yield f"--{FLAGS[name]} {value}" if name in FLAGS else f"--set {name}={json.dumps(value)}"


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", list(value) if isinstance(value, tuple) else value
