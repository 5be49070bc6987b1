"""Samples before they are written: drawn from a prior, or on a way between two data, or near one."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from functa_cli import plugins, priornet, walk
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.modality import Listed
from functa_cli.prior import Draw
from functa_cli.priornet import Model
from functa_cli.scale import fit_scale
from functa_cli.store import Functaset

MODULATION = "modulation"  # the space that needs no prior
COUNT = 16  # samples where no number is asked for
STEPS = 12  # of a way between two data


class Request(NamedTuple):
    """What is sampled; what is None was not asked for."""

    n: int | None = None
    prior: str | None = None
    label: str | None = None
    temperature: float | None = None
    guidance: float | None = None
    steps: int | None = None  # of the way between two data, else of a sampler that may take fewer
    between: tuple[str, str] | None = None  # ids
    near: str | None = None  # id
    radius: float = 0.3  # how far from `near`: share of the noise that is new, or deviations of the modulations
    space: str | None = None  # in which ways are straight: "modulation", or the noise of a prior by its name
    seed: int = 0


@dataclass
class Drawn(Listed):
    """Samples before they are written."""

    phi: np.ndarray  # [n, d]


class Rows(NamedTuple):
    """Encoded data of a functaset by their split."""

    train: np.ndarray
    heldout: np.ndarray


def usable(store: Functaset) -> Rows:
    """Rows of `store` that are encoded. Raises StoreError where none can be learned from."""
    rows = Rows(store.rows("train"), store.rows("test"))
    if not len(rows.train):
        raise StoreError(f"{store.path!r} has no encoded training data; run functa encode first")
    return rows


def model_of(store: Functaset, request: Request) -> Model | None:
    """The prior that is asked for; None where the way is among modulations.

    Raises:
        ConfigError, StoreError: see `priornet.restore`; or the prior has no such space.
    """
    if not (request.between or request.near):
        return priornet.restore(store, request.prior)
    known = (MODULATION, *plugins.names("priors"))
    if request.space is not None and request.space not in known:
        raise ConfigError(f"--space is one of {', '.join(known)}; found {request.space!r}")
    if request.space == MODULATION or (request.space is None and request.prior is None):
        return None
    model = priornet.restore(store, request.space or request.prior)
    if model.prior.to_noise is None:
        raise ConfigError(
            f"a {model.config.kind} prior has no noise that a datum is made from; use --space {MODULATION}"
        )
    return model


def draw(store: Functaset, model: Model | None, request: Request, rows: Rows) -> Drawn:
    """Samples of `store`, from `model` or without one.

    Raises:
        ConfigError: `model` does not know what is asked for. DataError: an id or a class that is not there.
    """
    shapes, labels, ids = store.shapes, store.labels, store.ids
    common, counts = np.unique(shapes[rows.train], axis=0, return_counts=True)
    shape = common[counts.argmax()]
    if request.between or request.near:
        ends = [_row(store, ids, name) for name in request.between or (request.near or "",)]
        phi = _walked(store, model, request, rows, ends)
        own = np.full(len(phi), labels[ends[0]] if len(set(labels[ends].tolist())) == 1 else -1, np.int32)
        shape = shapes[ends[0]]
    else:
        assert model is not None
        own = _labels(store, model, request, labels[rows.train])
        phi = model.sample(own, request.seed, _draw(model, request))
    n = len(phi)
    names = [f"sample-{number:0{max(4, len(str(n - 1)))}d}" for number in range(n)]
    kept = np.tile(shape, (n, 1))
    return Drawn(names, own, store.classes, ["train"] * n, kept, {}, store.geometry, phi)


def _draw(model: Model, request: Request) -> Draw:
    asked = {name: getattr(request, name) for name in Draw._fields if getattr(request, name) is not None}
    for name in asked:
        if name not in model.prior.draws:
            known = ", ".join(f"--{one}" for one in model.prior.draws)
            raise ConfigError(f"a {model.config.kind} prior does not know --{name}; it knows {known}")
    if asked.get("guidance", 1.0) != 1.0 and not model.classes:
        raise ConfigError("--guidance weighs a label, and this prior was learned without classes")
    return Draw(**asked)


def _labels(store: Functaset, model: Model, request: Request, train: np.ndarray) -> np.ndarray:
    """A label for each sample: the one asked for, else as often as in the training data, -1 where there are none."""
    n = request.n or COUNT
    if request.label is not None:
        if request.label not in store.classes:
            known = f"known: {', '.join(store.classes)}" if store.classes else "the set has none"
            raise DataError(f"no class is named {request.label!r}; {known}")
        if not model.classes:
            raise DataError(
                f"the {model.config.kind} prior was learned without classes; learn it anew with --overwrite"
            )
        return np.full(n, store.classes.index(request.label), np.int32)
    if not model.classes:
        return np.full(n, -1, np.int32)
    return np.random.default_rng([request.seed, 42]).choice(train, n).astype(np.int32)


def _walked(store: Functaset, model: Model | None, request: Request, rows: Rows, ends: list[int]) -> np.ndarray:
    """Modulations on the way between two data, or near one."""
    phi, _ = store.read(np.array(ends))
    phi, labels = phi.reshape(len(ends), -1), store.labels[ends]
    count = request.n or COUNT
    if model is None:
        if request.between:
            return walk.between(phi[0], phi[1], request.steps or STEPS)
        every, _ = store.read(rows.train)
        return walk.beside(phi[0], fit_scale(every, "whiten"), request.radius, count, request.seed)
    if labels.min() != labels.max():
        labels = np.full(len(labels), -1)  # noise of two classes is compared without them
    noise = walk.noise_of(model, phi, labels)
    if request.between:
        made = walk.arc(noise[0], noise[1], request.steps or STEPS)
    else:
        made = walk.around(noise[0], request.radius, count, request.seed)
    return walk.from_noise(model, made, np.full(len(made), labels[0]))


def _row(store: Functaset, ids: list[str], name: str) -> int:
    if name not in ids:
        raise DataError(f"no datum is named {name!r} in {store.path!r}; the first of {store.n} is {ids[0]!r}")
    row = ids.index(name)
    if not np.isfinite(store.errors()[row]):
        raise DataError(f"{name!r} is not encoded or failed; choose another datum")
    return row
