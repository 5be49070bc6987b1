"""Floating-point operations that settings ask for, counted from the architecture; multiply-adds count as two.

Counted in evaluations of the field: an inner step is 2 of them (forward, and backward to the shifts), the gradient
through it 6 more, the outer loss with its gradient 3. Sines, Adam and everything that grows with neither points nor
weights are left out. tests/test_paper.py compares the count with XLA's own.
"""

import math
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import Piece, ships

from functa_cli import basenet, classifier, classifiernet, meta, priornet, render
from functa_cli.basefile import read_base
from functa_cli.coords import grid
from functa_cli.inner import outer_loss
from functa_cli.signal import Signal

CHANNELS = {"image": 3, "voxel": 1, "era5": 1, "scene": 3}


def evaluation(config: Any, points: int) -> float:
    """Operations of one evaluation of the field of `config` at `points` coordinates, its map from phi included."""
    field = config.field
    seen = render.make(config.render)
    n_in = basenet.modality(config.modality).field_dim
    n_out = CHANNELS[config.modality] + seen.extra
    layers = n_in * field.width + (field.depth - 2) * field.width**2 + field.width * n_out
    mapped = field.latent_dim * (field.depth - 1) * field.width if field.modulation == "latent" else 0
    return 2.0 * (points * seen.samples * layers + mapped)


def of_step(config: Any, points: int, steps: int) -> float:
    """Operations of one outer gradient for one datum: `steps` inner steps, second order, and the outer loss."""
    return (8 * steps + 3) * evaluation(config, points)


def config_of(one: Mapping[str, Any]) -> Any:
    """Settings of the network of a table {modality, layers}, or of the one that ships."""
    layers = read_base(str(basenet.shipped(one["modality"], "base.zarr"))).config if ships(one) else one["layers"]
    return basenet.settings(one["modality"], [layers])


def of_fit(one: Mapping[str, Any], what: str = "") -> list[Piece]:
    """Pieces of `functa fit` for a table {modality, cells, layers}; none where the shipped network is taken.

    `cells` is the number of points of one datum, rays for scenes.
    """
    if ships(one):
        return []
    config = basenet.settings(one["modality"], [one["layers"]])
    outer, inner = config.outer, config.inner.steps
    points = min(outer.points, one["cells"]) if outer.points else one["cells"]
    alone = round(outer.curriculum * outer.steps)
    each = alone * of_step(config, points, min(1, inner)) + (outer.steps - alone) * of_step(config, points, inner)
    return [Piece(f"fit {what or one['modality']}", outer.batch * each)]


def of_encode(one: Mapping[str, Any], what: str = "", steps: int | None = None) -> list[Piece]:
    """Pieces of `functa encode` for a table {modality, cells, count, layers}; `count` is the number of data."""
    config = config_of(one)
    steps = config.inner.steps if steps is None else steps
    flops = one["count"] * (2 * steps + 1) * evaluation(config, one["cells"])
    return [Piece(f"encode {what or one['modality']}", flops)]


def of_functaset(one: Mapping[str, Any]) -> list[Piece]:
    """Pieces of making the functaset of a set as far as it names none, nor a `base` to make it with."""
    if "functaset" in one:
        return []
    return [*(of_fit(one) if "base" not in one else []), *of_encode(one)]


def of_classifier(layers: list, dim: int, classes: int) -> list[Piece]:
    """Pieces of `functa fit --classifier` on `dim` modulations, for every seed."""
    config = classifiernet.settings(layers)
    made = classifier.make(dim, classes, config.classifier)
    return [Piece("classifier", config.seeds * _dense(made.init, config.learn))]


def of_prior(kind: str, layers: list, dim: int, classes: int = 0) -> list[Piece]:
    """Pieces of `functa fit --prior` on `dim` modulations; each weight counts once for each vector of a batch."""
    config = priornet.settings(kind, layers)
    return [Piece(f"{kind} prior", _dense(priornet.make(config, dim, classes).init, config.learn))]


def _dense(init: Any, learn: Any) -> float:
    """Forward and backward through all matrices for all steps: 6 operations for each weight and vector."""
    shapes = jax.tree.leaves(jax.eval_shape(init, jax.random.key(0)))
    weights = sum(math.prod(leaf.shape) for leaf in shapes if len(leaf.shape) >= 2)
    return 6.0 * weights * learn.batch * learn.steps


def measured_rate(batch: int = 8, side: int = 32) -> float:
    """Operations a second, counted as here, that this machine reaches in outer gradients of a network of width 256."""
    config = basenet.settings("image", [{"field": {"width": 256, "depth": 5}}])
    network = basenet.create(config, 3)
    theta = meta.start(network.theta, network.decoder.latent_shape, config.inner, 0)
    coords = grid((side, side))
    signal = Signal(coords, np.zeros((batch, side**2, 3), np.float32), np.ones((batch, side**2), np.float32))
    gradient = jax.jit(
        jax.grad(lambda theta: outer_loss(network.decoder, theta, signal, steps=3, rate=config.inner.rate))
    )
    theta = jax.tree.map(jnp.asarray, theta)
    jax.block_until_ready(gradient(theta))
    begun = time.perf_counter()
    for _ in range(3):
        jax.block_until_ready(gradient(theta))
    return 3 * batch * of_step(config, side**2, 3) / (time.perf_counter() - begun)
