"""Priors as the verbs meet them: made from settings, learned from a functaset, rebuilt from one."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli import learned, plugins
from functa_cli.buckets import power
from functa_cli.config import PriorConfig, merge, overlay, text
from functa_cli.errors import ConfigError, StoreError
from functa_cli.prior import Draw, Prior, Tree
from functa_cli.scale import Scale
from functa_cli.store import Functaset

FOLDER = "prior"
BATCH = 1024  # vectors that one call works on


class Model(NamedTuple):
    """A prior with its parameters, in the space of modulations."""

    config: PriorConfig
    prior: Prior
    parameters: Tree
    scale: Scale
    classes: tuple[str, ...]  # that it knows; () = labels are ignored
    info: dict[str, Any]
    fingerprint: str

    def label(self, labels: np.ndarray) -> np.ndarray:
        """Labels [n] as the prior has them: -1, no label, as the number after the last class."""
        return np.where(labels < 0, len(self.classes), labels).astype(np.int32) if self.classes else 0 * labels

    def log_prob(self, phi: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return log p(phi) in nats, [n], of phi [n, d] with labels [n], -1 = none."""
        assert self.prior.log_prob is not None
        x, own = self.scale.normalise(phi), self.label(labels)
        run = jax.jit(self.prior.log_prob)
        parts = [slice(start, start + BATCH) for start in range(0, len(x), BATCH)]
        values = [np.asarray(run(self.parameters, x[part], own[part])) for part in parts]
        return np.concatenate(values) - self.scale.log_volume

    def sample(self, labels: np.ndarray, seed: int, draw: Draw) -> np.ndarray:
        """Draw phi [n, d] for labels [n], -1 = none; the first rows do not depend on how many are drawn."""
        run = jax.jit(lambda *given: self.prior.sample(*given, draw))
        own, rows = self.label(labels), []
        for number, start in enumerate(range(0, len(own), BATCH)):
            part = own[start : start + BATCH]
            padded = np.pad(part, (0, BATCH - len(part)), mode="edge")[: power(len(part))]
            key = jax.random.fold_in(jax.random.key(seed), number)
            rows.append(np.asarray(run(self.parameters, key, padded))[: len(part)])
        return self.scale.restore(np.concatenate(rows))


def settings(kind: str, layers: Sequence[Mapping[str, Any]]) -> PriorConfig:
    """Full settings for the prior `kind`: defaults, then recipe, then `layers`, lowest precedence first.

    Raises:
        ConfigError: a setting that does not exist or has the wrong type.
    """
    plugin = plugins.load("priors", kind)
    changes = overlay(*layers)
    changes.pop("kind", None)
    recipe = plugin.RECIPES.get(text(changes, "learn", "recipe", "default"), {})
    return merge(PriorConfig(kind=kind, prior=plugin.Options()), overlay(recipe, changes))


def make(config: PriorConfig, dim: int, classes: int) -> Prior:
    """The prior of `config` for modulations of `dim` entries."""
    return plugins.load("priors", config.kind).make(dim, classes, config.prior)


def bits(nats: float, dim: int) -> float:
    """Bits per dimension of a negative log-likelihood in nats."""
    return nats / dim / math.log(2)


def restore(store: Functaset, kind: str | None) -> Model:
    """The prior `kind` in a functaset; None: the only one there.

    Raises:
        ConfigError: several, and none is chosen. StoreError: there is none, or it is of another base network.
    """
    path, known = store.path, ", ".join(plugins.names("priors"))
    found = learned.finished(path, FOLDER)
    if not found and kind is None:
        raise StoreError(
            f"{path!r} has no prior; learn one with: functa fit {path} --prior {plugins.names('priors')[-1]}"
        )
    if kind is None and len(found) > 1:
        raise ConfigError(f"{path!r} has several priors ({', '.join(found)}); choose one with --prior")
    kind = kind or found[0]
    if kind not in plugins.names("priors"):
        raise ConfigError(f"unknown prior {kind!r}; known: {known}")
    if kind not in found:
        have = f"it has {', '.join(found)}" if found else "it has none"
        raise StoreError(f"{path!r} has no {kind} prior ({have}); learn one with: functa fit {path} --prior {kind}")
    saved = learned.read_learned(path, f"{FOLDER}/{kind}")
    learned.check_base(saved, path, store.fingerprint, f"{kind} prior")
    config = settings(kind, [saved.config])
    dim, classes = int(np.prod(store.latent_shape)), tuple(saved.info.get("classes", ()))
    prior = make(config, dim, len(classes))
    want = jax.eval_shape(prior.init, jax.random.key(0))
    parameters = saved.arrays.get("parameters", {})
    if jax.tree.map(jnp.shape, want) != jax.tree.map(jnp.shape, parameters):
        raise StoreError(f"{path!r} is damaged: its {kind} prior does not have the shapes that its settings describe")
    scale = Scale(**saved.arrays["scale"])
    parameters = jax.tree.map(jnp.asarray, parameters)
    return Model(config, prior, parameters, scale, classes, saved.info, saved.fingerprint)
