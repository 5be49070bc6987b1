"""`functa fit STORE --prior`: learn a prior of a functaset's modulations and keep it inside the store (section 4)."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from functa_cli import learn, learned, merit, priornet
from functa_cli.checkpoint import save_state
from functa_cli.config import PriorConfig, to_dict
from functa_cli.errors import DataError
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.labelled import groups
from functa_cli.learn import Run, Vectors
from functa_cli.prior import Draw
from functa_cli.priornet import FOLDER, Model
from functa_cli.scale import covariance, fit_scale
from functa_cli.store import Functaset
from functa_cli.train import from_arrays, to_arrays

ENOUGH = 16  # training data at least
SAMPLED = 1024  # samples that the final distance is measured on, at most
EVERY = 10  # looks between checkpoints


class Parts(NamedTuple):
    """Rows of a functaset that are encoded: to learn from, and to judge by."""

    phi: np.ndarray  # [datum, d], of all data
    labels: np.ndarray  # int32 [datum], -1 = none
    train: np.ndarray  # rows
    heldout: np.ndarray
    classes: tuple[str, ...]  # that are learned; () = none


def fit_prior(
    path: str, *, kind: str, layers: Sequence[Mapping[str, Any]] = (), overwrite: bool = False
) -> Iterator[Event]:
    """Learn the prior `kind` from the functaset at `path` and write it there, as prior/<kind>.

    `layers`: nested settings, lowest precedence first. The same call continues one that was cut off. What is kept is
    the look with the lowest loss on data that are held out, which is the test split, or a tenth where there is none.

    Raises:
        ConfigError, DataError, StoreError, TrainingError: see their texts.
    """
    config = priornet.settings(kind, layers)
    store = Functaset.open(path)
    parts = parts_of(store, config)
    part = f"{FOLDER}/{kind}"
    request = {"config": to_dict(config), "data": learned.digest(store.fingerprint, parts[:4])}
    if learned.is_finished(path, part, request) and not overwrite:
        yield Note(f"{part} in {path} is already complete; nothing to do")
        yield Result(_summary(path, kind, learned.read_learned(path, part).info))
        return
    dim = parts.phi.shape[1]
    scale = fit_scale(parts.phi[parts.train], config.prior.normalise, config.prior.norm_factor)
    prior = priornet.make(config, dim, len(parts.classes))
    model = Model(config, prior, prior.init(jax.random.key(config.seed)), scale, parts.classes, {}, "")
    saved = learned.begin_learned(path, part, request, overwrite=overwrite)
    yield Note(_plan(config, parts, dim))
    run = yield from _learned(model, parts, path, part, saved)
    model = model._replace(parameters=run.best)
    info = {**_described(model, parts, run), "classes": list(parts.classes)}
    step, _ = learn.best_of(run)
    if info["overfit"]:
        yield Note(
            f"held-out data were best at step {step}; later weights, which fit the training data better, are not kept"
        )
    info |= _merit(model, parts)
    arrays = {"parameters": jax.tree.map(np.asarray, run.best), "scale": scale._asdict()}
    learned.finish_learned(path, part, arrays, to_dict(config), info)
    yield Result(_summary(path, kind, info))


def parts_of(store: Functaset, config: PriorConfig) -> Parts:
    """What a prior learns from and is judged by.

    Raises:
        StoreError: the set is not encoded to its end. DataError: too few data.
    """
    phi = store.whole()
    train, heldout = store.rows("train"), store.rows("test")
    if not len(heldout):
        group = groups(store.ids)[train]
        mixed = np.random.default_rng([config.seed, 31]).permutation(np.unique(group))
        out = np.isin(group, mixed[: max(1, len(mixed) // 10)])  # copies of a datum go where it goes
        heldout, train = train[out], train[~out]
    if len(train) < ENOUGH:
        raise DataError(
            f"{store.path!r} has {len(train)} encoded training data; a prior needs {ENOUGH} at least: encode more data"
        )
    labels = store.labels
    classes = store.classes if config.labels and len(set(labels[train][labels[train] >= 0].tolist())) > 1 else ()
    return Parts(phi, labels, train, heldout, classes)


def _learned(model: Model, parts: Parts, path: str, part: str, saved: Any) -> Generator[Event, None, Run]:
    """Learn, with checkpoints in the store."""
    options, dim = model.config.learn, parts.phi.shape[1]
    x, labels = model.scale.normalise(parts.phi), model.label(parts.labels)
    sets = [Vectors(x[rows], labels[rows]) for rows in (parts.train, parts.heldout)]
    run, step = learn.begin(model.parameters, options), 0
    if saved is not None:
        run, step = from_arrays(saved[0], run), saved[1]
        yield Note(f"continuing from step {step} of {options.steps}")
    prior = model.prior
    looks = learn.learn(run, step, options, model.config.seed, *sets, prior.loss, prior.looks)
    for number, look in enumerate(looks, 1):
        run = look.run
        if look.note:
            yield Note(look.note, warning=not look.last)
        if not look.last and np.isnan(look.heldout):
            continue
        told = {"loss": look.loss, "loss_heldout": look.heldout}
        if prior.log_prob is not None:
            names = ("bits_per_dim", "bits_per_dim_heldout")
            told = {
                name: priornet.bits(value + model.scale.log_volume, dim) for name, value in zip(names, told.values())
            }
        told = {name: value for name, value in told.items() if np.isfinite(value)}
        yield Progress(look.step, options.steps, "step", told)
        if number % EVERY == 0 and not look.last:
            save_state(path, to_arrays(run), look.step, f"{part}/")
    return run


def _described(model: Model, parts: Parts, run: Run) -> dict[str, Any]:
    """What learning came to, and for a density how it compares with a Gaussian of full covariance."""
    step, loss = learn.best_of(run)
    curve = run.history[np.isfinite(run.history[:, 0])]
    later = curve[curve[:, 0] > step]
    info: dict[str, Any] = {
        "trained_on": len(parts.train),
        "heldout": len(parts.heldout),
        "best_step": step,
        "overfit": bool(len(later) >= 3 and np.all(later[-3:, 2] > loss)),
        "curve": [[int(row[0]), *(None if np.isnan(v) else round(float(v), 5) for v in row[1:])] for row in curve],
    }
    if model.prior.log_prob is None:
        return {**info, "loss_heldout": round(loss, 5)}
    dim, rows = parts.phi.shape[1], parts.heldout
    info["bits_per_dim_heldout"] = round(priornet.bits(loss + model.scale.log_volume, dim), 4)
    if model.classes:
        free = -model.log_prob(parts.phi[rows], np.full(len(rows), -1)).mean()
        info["bits_per_dim_heldout_unlabelled"] = round(priornet.bits(float(free), dim), 4)
    info["bits_per_dim_heldout_gaussian"] = round(_gaussian(parts.phi[parts.train], parts.phi[rows]), 4)
    return info


def _gaussian(train: np.ndarray, heldout: np.ndarray) -> float:
    """Bits per dimension of held-out data under a Gaussian of full covariance fitted to the training data.

    Its covariance is the better, on the held-out data, of the sample's and the shrunk one.
    """
    rows = heldout.astype(np.float64) - train.astype(np.float64).mean(axis=0)
    found = []
    for of in (np.cov(train.astype(np.float64), rowvar=False).reshape(train.shape[1], -1), covariance(train)):
        sign, volume = np.linalg.slogdet(of)
        if sign > 0 and np.linalg.cond(of) < 1e12:
            far = np.einsum("nd,nd->n", rows, np.linalg.solve(of, rows.T).T)
            found.append(float(np.mean(0.5 * (far + volume + len(of) * np.log(2 * np.pi)))))
    return priornet.bits(min(found), train.shape[1])


def _merit(model: Model, parts: Parts) -> dict[str, Any]:
    """Distance of samples from the held-out data, with its floor."""
    train = parts.phi[parts.train]
    count = min(SAMPLED, len(train))
    labels = np.resize(parts.labels[parts.train], count) if model.classes else np.full(count, -1)
    found = merit.distance(
        model.sample(labels, model.config.seed, Draw()), parts.phi[parts.heldout], train, model.config.seed
    )
    return {} if found is None else found.figures()


def _plan(config: PriorConfig, parts: Parts, dim: int) -> str:
    known = f", {len(parts.classes)} classes" if parts.classes else ""
    return (
        f"learning a {config.kind} prior of {dim} modulations{known} from {len(parts.train)} data "
        f"({len(parts.heldout)} held out): at most {config.learn.steps} steps of {config.learn.batch}, "
        f"recipe {config.learn.recipe}"
    )


def _summary(path: str, kind: str, info: Mapping[str, Any]) -> dict[str, Any]:
    hidden = ("curve", "classes", "overfit")
    return {"out": path, "prior": kind, **{name: value for name, value in info.items() if name not in hidden}}
