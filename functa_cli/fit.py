"""`functa fit`: meta-learn a base network (Algorithm 1) on data and write it, with its settings, as one Zarr group."""

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli import basefile, basenet, meta
from functa_cli.basefile import Base
from functa_cli.basenet import Network
from functa_cli.checkpoint import save_state
from functa_cli.config import Config, to_dict
from functa_cli.decoder import Tree
from functa_cli.encoder import Encoder, Tally
from functa_cli.errors import ConfigError, DataError
from functa_cli.events import Event, Note, Progress, Result, skipped
from functa_cli.loader import Loader
from functa_cli.look import Look, mean_error
from functa_cli.modality import Source, by
from functa_cli.train import begin, from_arrays, to_arrays, train
from functa_cli.trees import fingerprint

EVALUATED = 512  # held-out data that the final figures are measured on, at most
EVALUATED_POINTS = 1 << 24  # their points, at most
SAMPLED = 256  # training data that the mean signal is made of, at most


class Job(NamedTuple):
    """What is trained, on what."""

    config: Config
    source: Source
    network: Network  # theta: where training starts
    loader: Loader
    heldout: Callable[..., float]  # heldout(theta, steps=k): mean error of k steps on data held out
    trained_on: np.ndarray  # indices
    tested_on: np.ndarray


def fit(
    data: str | None,
    out: str,
    *,
    modality: str,
    layers: Sequence[Mapping[str, Any]] = (),
    overwrite: bool = False,
    init: str | None = None,
    strict: bool = False,
) -> Iterator[Event]:
    """Train a base network on `data` (None: the sample that ships for `modality`) and write it to `out`.

    `layers`: nested settings, lowest precedence first. `init`: a store, or "shipped", whose network is trained on.
    The same call continues a run that was cut off, and ends with the same bytes as one that was not.

    Raises:
        ConfigError, DataError, StoreError, TrainingError: see their texts; with `strict`, DataError at the end if a
            file was skipped.
    """
    start_from = None
    if init is not None:
        start_from, where = basenet.find(init, modality)
        layers = [{"field": start_from.config["field"], "inner": start_from.config["inner"]}, *layers]
        yield Note(f"starting from {where}")
    config = basenet.settings(modality, layers)
    if start_from is not None:
        _check_same_network(config, start_from)
    source, path = _open(data, config, start_from)
    yield Note(f"{path}: {source.found}")
    yield from skipped(source.problems)
    if source.shared_coords and len({tuple(shape) for shape in source.shapes.tolist()}) > 1:
        raise DataError(f"{path} holds data of several sizes; give --resolution R to fit them all at one")
    job = _job(config, source, start_from)

    request = _request(config, source, start_from)
    if basefile.is_finished(out, request) and not overwrite:
        yield Note(f"{out} is already complete; nothing to do")
        yield Result(_summary(out, basefile.read_base(out), config))
        return
    saved = basefile.begin_base(out, request, overwrite=overwrite)
    told = len(source.problems)
    base = yield from _trained(job, saved, out, str(path))
    basefile.finish_base(out, base)
    yield from skipped([*source.problems[told:], *job.loader.problems])
    yield Result(_summary(out, base, config))
    lost = len(source.problems) + len(job.loader.problems)
    if strict and lost:
        raise DataError(f"{lost} files could not be read and were skipped (--strict)")


def _check_same_network(config: Config, start_from: Base) -> None:
    """Raise ConfigError where the settings ask for another network than the one to start from."""
    asked, found = to_dict(config), start_from.config
    pairs = [(f"field.{key}", asked["field"][key], found["field"].get(key)) for key in asked["field"]]
    for name, want, have in [*pairs, ("inner.rates", asked["inner"]["rates"], found["inner"].get("rates"))]:
        if want != have:
            raise ConfigError(
                f"--init trains a network on that has {name} = {have}, asked {want}; leave {name} as it is"
            )


def _job(config: Config, source: Source, start_from: Base | None) -> Job:
    train_indices, test_indices = _split(source, config.seed)
    network = basenet.create(config, source.geometry["channels"])
    if start_from is None:
        theta = meta.start(network.theta, network.decoder.latent_shape, config.inner, config.seed)
    else:
        theta = basenet.restore(start_from).theta
    loader = Loader(source, train_indices, batch=config.outer.batch, points=config.outer.points, seed=config.seed)
    steps = {min(1, config.inner.steps), config.inner.steps}
    look = Look(network, source, test_indices[: config.outer.heldout], steps=steps, seed=config.seed)
    return Job(config, source, network._replace(theta=theta), loader, look.error, train_indices, test_indices)


def _trained(job: Job, saved: tuple[dict, int] | None, out: str, data: str) -> Generator[Event, None, Base]:
    """Train, with checkpoints in the store `out`; from the checkpoint `saved`, arrays and step, if there is one."""
    config, network = job.config, job.network
    outer = meta.make(network.decoder, config.inner, config.outer)
    run, step = begin(outer.init(network.theta), config.outer), 0
    if saved is not None:
        arrays, step = saved
        run = from_arrays(arrays, run)
        yield Note(f"continuing from step {step} of {config.outer.steps}")
    yield Note(_plan(config, network.decoder.latent_shape, len(job.trained_on), len(job.tested_on)))
    for done in train(
        run,
        step,
        config.outer,
        config.inner.steps,
        step=outer.step,
        batches=job.loader.stream,
        heldout=lambda state, steps: job.heldout(_result(state), steps=steps),
        mean_error=mean_error(job.source, job.trained_on[:SAMPLED], config.seed),
    ):
        run = done.run
        if done.note:
            yield Note(done.note, warning=True)
            continue
        metrics = {"psnr": done.psnr}
        if done.heldout is not None:
            metrics["psnr_heldout"] = done.heldout
        yield Progress(done.step, config.outer.steps, "step", metrics)
        if done.checkpoint and done.step < config.outer.steps:
            save_state(out, to_arrays(run), done.step)
    theta = jax.tree.map(np.asarray, _result(run.state))
    chosen = _evaluated(job)
    scored = yield from _scored(job, theta, chosen)
    info = {
        "data": data,
        "found": job.source.found,
        "trained_on": len(job.trained_on),
        "heldout": len(chosen),
        **{f"{name}_heldout": round(value, 4) for name, value in scored.items()},
        "curve": [[int(row[0]), round(float(row[1]), 4), round(float(row[2]), 4)] for row in run.history],
    }
    settings = to_dict(config)
    part = {key: settings[key] for key in ("field", "render", "inner")}
    return Base(theta, settings, config.modality, dict(job.source.geometry), fingerprint(theta, part), info)


def _open(data: str | None, config: Config, start_from: Base | None) -> tuple[Source, Any]:
    """The data, read as `start_from` read its own (gray pictures as colour for a network of colour), and their name."""
    chosen = basenet.modality(config.modality)
    geometry = start_from.geometry if start_from else None
    if data is not None:
        return chosen.open(data, config.data, seed=config.seed, geometry=geometry), data
    sample = basenet.shipped(config.modality, "sample")
    if sample is None:
        raise DataError(f"no sample data ship with the package for {config.modality}; give the path of yours")
    return chosen.open(
        str(sample), config.data, seed=config.seed, geometry=geometry
    ), "the sample that ships with the package"


def _split(source: Source, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on and to look at; where nothing is held out, the training data are looked at.

    Both are shuffled, so that the first few are a fair sample: files come sorted, class by class.
    """
    split = np.array(list(source.split))
    rng = np.random.default_rng([seed, 3])
    train_indices, test_indices = (rng.permutation(np.flatnonzero(split == part)) for part in ("train", "test"))
    if not len(train_indices):
        raise DataError("every datum is in the test split; nothing is left to fit")
    return train_indices, test_indices if len(test_indices) else train_indices


def _evaluated(job: Job) -> np.ndarray:
    """Indices of the held-out data that the final figures are measured on."""
    points = np.cumsum([job.source.points(int(index)) for index in job.tested_on[:EVALUATED]])
    return job.tested_on[: max(1, int(np.searchsorted(points, EVALUATED_POINTS, side="right")))]


def _scored(job: Job, theta: Tree, indices: np.ndarray) -> Generator[Event, None, dict[str, float]]:
    """Figures of the trained network on data `indices`, encoded as functa encode does."""
    network = job.network._replace(theta=jax.tree.map(jnp.asarray, theta))
    encoder, tally = Encoder(network, job.source, job.config.inner.steps), Tally(network, job.source.geometry)
    done = 0
    for numbers, found in encoder.encoded([int(index) for index in indices]):
        done += len(numbers)
        if not isinstance(found, str):
            tally.add(found)
        yield Progress(done, len(indices), network.modality.unit, {})
    return tally.figures() or {"psnr": float("nan")}


def _result(state: meta.State) -> Tree:
    return state.theta if state.average is None else state.average


def _request(config: Config, source: Source, start_from: Base | None) -> dict[str, Any]:
    """What decides the result, to tell a continued run from another one."""
    names = json.dumps([list(source.ids), list(source.split)]).encode()
    return {
        "config": to_dict(config),
        "data": hashlib.sha256(names).hexdigest(),
        "init": start_from.fingerprint if start_from else None,
    }


def _plan(config: Config, latent_shape: tuple[int, ...], trained_on: int, heldout: int) -> str:
    field, outer = config.field, config.outer
    size = by(latent_shape)
    return (
        f"fitting {field.kind} of width {field.width}, depth {field.depth}, {size} modulations, "
        f"on {trained_on} data ({heldout} held out): {outer.steps} steps of {outer.batch}, recipe {outer.recipe}"
    )


def _summary(out: str, base: Base, config: Config) -> dict[str, Any]:
    return {
        "out": out,
        "modality": base.modality,
        "steps": config.outer.steps,
        "latent_dim": base.theta["inner"]["start"].size,
        **{name: value for name, value in base.info.items() if name.endswith("_heldout")},
        "heldout": base.info["heldout"],
        "fingerprint": base.fingerprint[:16],
    }
