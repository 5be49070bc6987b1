"""Classifiers as the verbs meet them: made from settings, asked for probabilities, rebuilt from a functaset."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli import classifier, learned
from functa_cli.buckets import power
from functa_cli.classifier import Tree, log_softmax
from functa_cli.config import ClassifierConfig, merge, overlay, text
from functa_cli.errors import StoreError
from functa_cli.scale import Scale
from functa_cli.store import Functaset

PART = "classifier"
BATCH = 1024  # vectors that one call works on
RECIPES: dict[str, dict[str, Any]] = {  # A.7; what it does not tell is as our defaults have it
    "default": {},
    "paper": {
        "learn": {
            "steps": 30_000,
            "batch": 1024,
            "rate": 1e-4,
            "schedule": "constant",
            "warmup": 0,
            "clip": 0.0,
            "ema": 0.0,
            "evaluate": 250,
            "patience": 0,
        }
    },
}


class Model(NamedTuple):
    """A classifier with its parameters, in the space of modulations."""

    config: ClassifierConfig
    members: tuple[Tree, ...]  # parameters of each perceptron
    scale: Scale
    classes: tuple[str, ...]
    temperature: float
    info: dict[str, Any]
    fingerprint: str

    def logits(self, phi: np.ndarray) -> np.ndarray:
        """float64 [members, n, classes] of phi [n, ...], before the temperature."""
        x = self.scale.normalise(phi)
        run = jax.jit(classifier.make(x.shape[1], len(self.classes), self.config.classifier).logits)
        size = min(BATCH, power(len(x)))
        found = []
        for start in range(0, len(x), size):
            part = x[start : start + size]
            padded = jnp.asarray(np.pad(part, ((0, size - len(part)), (0, 0))))
            found.append([np.asarray(run(own, padded))[: len(part)] for own in self.members])
        return np.concatenate([np.stack(rows) for rows in found], axis=1).astype(np.float64)

    def probabilities(self, phi: np.ndarray) -> np.ndarray:
        """float64 [n, classes]: the mean of what the perceptrons say, each at the calibrated temperature."""
        return mixed(self.logits(phi), self.temperature)


def mixed(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities [n, classes], the mean over the members of logits [members, n, classes]."""
    return np.mean([np.exp(log_softmax(one / temperature)) for one in logits], axis=0)


def settings(layers: Sequence[Mapping[str, Any]]) -> ClassifierConfig:
    """Full settings: defaults, then recipe, then `layers`, lowest precedence first.

    Raises:
        ConfigError: a setting that does not exist or has the wrong type.
    """
    changes = overlay(*layers)
    recipe = RECIPES.get(text(changes, "learn", "recipe", "default"), {})
    return merge(ClassifierConfig(), overlay(recipe, changes))


def restore(store: Functaset) -> Model:
    """The classifier in a functaset.

    Raises:
        StoreError: there is none, it is damaged, or it is of another base network.
    """
    path = store.path
    if PART not in store.group:
        raise StoreError(f"{path!r} has no classifier; learn one with: functa fit {path} --classifier")
    saved = learned.read_learned(path, PART)
    learned.check_base(saved, path, store.fingerprint, PART)
    config = settings([saved.config])
    classes = tuple(saved.info.get("classes", ()))
    dim = int(np.prod(store.latent_shape))
    want = jax.eval_shape(classifier.make(dim, len(classes), config.classifier).init, jax.random.key(0))
    found = saved.arrays.get("members", {})
    members = tuple(found[name] for name in sorted(found))
    shapes = [jax.tree.map(jnp.shape, one) for one in members]
    if not members or any(shape != jax.tree.map(jnp.shape, want) for shape in shapes):
        raise StoreError(f"{path!r} is damaged: its classifier does not have the shapes that its settings describe")
    scale = Scale(**saved.arrays["scale"])
    temperature = float(saved.arrays["temperature"])
    return Model(config, members, scale, classes, temperature, saved.info, saved.fingerprint)
