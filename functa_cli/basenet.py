"""Base networks as the verbs meet them: made from settings, found on disk or in the package, rebuilt from a store."""

import contextlib
import glob
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from functa_cli import decoder as decoders
from functa_cli import plugins, render
from functa_cli.basefile import Base, read_base
from functa_cli.config import Config, merge, overlay, text
from functa_cli.decoder import Decoder, Tree
from functa_cli.errors import DataError, StoreError
from functa_cli.modality import Match, Modality

PAPER = {
    "field": {"width": 512, "depth": 15},
    "inner": {"rates": "meta-sgd", "start_scale": 0.0},
    "outer": {
        "steps": 500_000,
        "batch": 256,
        "points": 0,
        "optimizer": "adam",
        "rate": 3e-6,
        "map_rate": 1.0,
        "schedule": "constant",
        "warmup": 0.0,
        "clip": 0.0,
        "curriculum": 0.0,
    },
}
RECIPES: dict[str, dict[str, Any]] = {"default": {}, "paper": PAPER}


class Network(NamedTuple):
    """A decoder with its parameters, and what they were made for."""

    modality: Modality
    config: Config
    decoder: Decoder
    theta: Tree


def modality(name: str) -> Modality:
    """The contract of the modality `name`. Raises ConfigError that lists the known ones."""
    return plugins.load("modalities", name).MODALITY


def settings(name: str, layers: Sequence[Mapping[str, Any]]) -> Config:
    """Full settings for the modality `name`: defaults, then recipe, then preset, then `layers`, lowest first.

    Raises:
        ConfigError: a setting that does not exist or has the wrong type.
    """
    chosen = modality(name)
    changes = overlay(*layers)
    changes.pop("modality", None)
    chosen_recipe = text(changes, "outer", "recipe", "default")
    recipe = RECIPES.get(chosen_recipe, {})
    own = chosen.paper if chosen_recipe == "paper" else {}
    kind = text(changes, "field", "kind", text(chosen.preset, "field", "kind", "siren"))
    config = Config(modality=name, data=chosen.options(), field=plugins.load("fields", kind).Options())
    return merge(config, overlay(recipe, chosen.preset, own, changes))


def create(config: Config, channels: int) -> Network:
    """A new network for features of `channels` channels, its field initialised from the seed."""
    chosen = modality(config.modality)
    make = plugins.load("fields", config.field.kind).make
    seen = render.make(config.render)
    built, theta = decoders.build(
        lambda rngs: make(config.field, chosen.field_dim, channels + seen.extra, rngs=rngs), seen, config.seed
    )
    return Network(chosen, config, built, theta)


def restore(base: Base, seen: Mapping[str, Any] | None = None) -> Network:
    """The network of a base network or functaset on disk, with its weights.

    `seen`: settings of the renderer that differ from those it was trained with.
    """
    layers = [base.config, {"render": seen or {}}]
    network = create(settings(base.modality, layers), base.geometry["channels"])
    own = ["start"] + ["rates"] * (network.config.inner.rates == "meta-sgd")
    inner = dict.fromkeys(own, network.decoder.latent_shape)
    want = {"field": jax.tree.map(jnp.shape, network.theta["field"]), "inner": inner}
    if want != jax.tree.map(jnp.shape, base.theta):
        raise StoreError("the weights in the store do not have the shapes that its settings describe; fetch it again")
    return network._replace(theta=jax.tree.map(jnp.asarray, base.theta))


def shipped(name: str, what: str) -> Path | None:
    """Path of what the package ships for the modality `name`: "sample" data or a "base.zarr"; None if it has none."""
    path = Path(__file__).parent / "data" / name / what
    return path if path.exists() else None


def detect(data: str) -> tuple[str, str]:
    """Modality of a path and what made it decide, such as ("image", "40 .png files").

    Raises:
        DataError: nothing there, or no modality reads it.
    """
    path = Path(data)
    if not path.exists() and not glob.glob(data):
        raise DataError(f"{data!r} does not exist; expected a file or folder of data")
    unknown = () if path.exists() else (DataError,)  # a pattern is no path to most modalities
    matches: dict[str, Match | None] = {}
    for name in plugins.names("modalities"):
        matches[name] = None
        with contextlib.suppress(*unknown):
            matches[name] = modality(name).accepts(path)
    found = {name: match for name, match in matches.items() if match is not None}
    known = ", ".join(matches)
    if not found:
        raise DataError(f"found nothing in {data!r} that a modality reads (known: {known}); name it with --modality")
    strongest = max(match.strength for match in found.values())
    best = {name: match.reason for name, match in found.items() if match.strength == strongest}
    if len(best) > 1:
        what = " and ".join(f"{reason} ({name})" for name, reason in best.items())
        raise DataError(f"{data!r} holds {what}; choose one with --modality")
    return next(iter(best.items()))


def find(base: str | None, name: str) -> tuple[Base, str]:
    """Base network for the modality `name`, and where it was found: `base`, else ./base.zarr, else the shipped one.

    A ./base.zarr for another modality is passed over.

    Raises:
        StoreError: there is none, or `base` is for another modality.
    """
    beside, passed = Path("base.zarr"), ""
    if base is None and beside.exists():
        found = read_base(str(beside))
        if found.modality == name:
            return found, f"base network {beside}"
        passed = f" (./base.zarr is for {found.modality})"
    if base is None or base == "shipped":
        path = shipped(name, "base.zarr")
        if path is None:
            raise StoreError(
                f"no base network for {name} ships with the package; make one with functa fit DATA{passed}"
            )
        return read_base(str(path)), f"the base network that ships with the package{passed}"
    found = read_base(base)
    if found.modality != name:
        raise StoreError(
            f"{base!r} is a base network for {found.modality}, the data are {name}; choose one with --base"
        )
    return found, f"base network {base}"


def compiled_fit(network: Network, steps: int) -> Any:
    """`fit_modulations` under jit for `network`, with the sums that its modality's scores are made of.

    Returns:
        (theta, batch) -> Fit.
    """
    from functa_cli import meta
    from functa_cli.inner import fit_modulations

    options = {"steps": steps, "rate": meta.rate_of(network.config.inner), "sums": network.modality.scores.sums}
    return jax.jit(partial(fit_modulations, network.decoder, **options))
