"""`functa encode`: fit modulations to every datum (eq. 1) and write them as a functaset, shard by shard."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli import basenet
from functa_cli.basenet import Network
from functa_cli.errors import DataError
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.inner import FirstStep, first_step
from functa_cli.modality import Source
from functa_cli.signal import Signal
from functa_cli.store import Functaset

BATCH_VALUES = 1 << 22  # numbers in a batch of features: bounds memory whatever the size of a datum
FIRST_STEP_BYTES = 1 << 24  # largest Jacobian that is worth its memory
FIRST_STEP_DATA = 8  # it costs about as much as encoding this many data
BUCKET = 1.25  # sizes are padded to the next power of this, so that few programs are compiled


class Encoder(NamedTuple):
    """The compiled inner loop of a network, and what it has prepared for each grid."""

    network: Network
    fit: Callable
    prepare: Callable
    prepared: dict[tuple[int, ...], FirstStep | None]


def encode(
    data: str,
    out: str,
    *,
    base: str | None = None,
    modality: str | None = None,
    layers: Sequence[Mapping[str, Any]] = (),
    steps: int | None = None,
    batch: int | None = None,
    seed: int = 0,
    shard: int = 1024,
    overwrite: bool = False,
    strict: bool = False,
) -> Iterator[Event]:
    """Encode `data` with a base network into the functaset `out`.

    `steps`: of the inner loop, as the network was trained where None. `shard`: data a shard, the unit of work that is
    lost when a run is cut off; the same call continues, with the same bytes as one that was never cut off.

    Raises:
        ConfigError, DataError, StoreError: see their texts; with `strict`, DataError at the end if a file was skipped.
    """
    if modality is None:
        modality, why = basenet.detect(data)
        yield Note(f"{modality} data: {why} in {data}")
    found, where = basenet.find(base, modality)
    yield Note(f"using {where} ({found.fingerprint[:16]})")
    network = basenet.restore(found)
    own = [{"data": layer["data"]} for layer in layers if "data" in layer]
    kept = {"data": {key: value for key, value in found.config["data"].items() if key in found.geometry}}
    options = basenet.settings(modality, [kept, *own]).data
    if not any("resolution" in layer["data"] for layer in own):
        options = _native(options)
    source = network.modality.open(data, options, seed=seed, geometry=found.geometry)
    yield Note(source.found)
    for problem in source.problems:
        yield Note(f"skipped {problem.path}: {problem.reason}", warning=True)
    steps = network.config.inner.steps if steps is None else steps

    store = Functaset.open_or_create(
        out,
        base=found,
        latent_shape=network.decoder.latent_shape,
        ids=list(source.ids),
        labels=source.labels,
        classes=source.classes,
        split=list(source.split),
        shapes=source.shapes,
        encode={"steps": steps, "seed": seed, "source": data, "data": basenet.to_dict(options)},
        provenance={"verb": "encode"},
        shard=shard,
        overwrite=overwrite,
    )
    pending = store.pending()
    done = store.n - sum(part.stop - part.start for part in pending)
    if done:
        yield Note(f"continuing: {done} of {store.n} are encoded already")

    encoder = Encoder(network, basenet.compiled_fit(network, steps), jax.jit(_preparer(network)), {})
    many = _many(source.shapes)
    errors: list[float] = []
    for part in pending:
        phi = np.full((part.stop - part.start, *store.latent_shape), np.nan, np.float32)
        mse = np.full(part.stop - part.start, np.inf, np.float32)
        for indices, result in _shard(encoder, source, part, batch, many):
            done += len(indices)
            if isinstance(result, str):
                yield Note(f"skipped {result}", warning=True)
                continue
            rows = np.array(indices) - part.start
            good = np.isfinite(result.mse[:, -1]) & np.all(np.isfinite(result.phi), axis=1)
            phi[rows[good]], mse[rows[good]] = result.phi[good], result.mse[good, -1]
            errors.extend(mse[rows[good]].tolist())
            yield Progress(done, store.n, "datum", {"psnr": _psnr(errors)} if errors else {})
        store.write(part, phi, mse)
    store.finalize()
    yield from _close(store, len(source.problems), strict)


def _shard(
    encoder: Encoder, source: Source, part: slice, batch: int | None, many: set[tuple[int, ...]]
) -> Iterator[tuple[list[int], Any]]:
    """Results of one shard, batch by batch, each of one shape; a file that cannot be read gives its reason instead."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index in range(part.start, part.stop):
        groups.setdefault(tuple(source.shapes[index].tolist()), []).append(index)
    for shape, indices in groups.items():
        size = _batch_size(shape, encoder.network, len(indices), batch)
        batches = [indices[start : start + size] for start in range(0, len(indices), size)]
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(_read, source, batches[0])
            for number, chosen in enumerate(batches):
                signals, problems = waiting.result()
                if number + 1 < len(batches):
                    waiting = pool.submit(_read, source, batches[number + 1])
                for index, reason in problems:
                    yield [index], reason
                if signals:
                    kept = [index for index, _ in signals]
                    yield kept, _run(encoder, shape, [signal for _, signal in signals], len(chosen), shape in many)


def _run(encoder: Encoder, shape: tuple[int, ...], signals: list[Signal], batch: int, common: bool) -> Any:
    """Fit one batch: points padded to a bucket, signals to a power of two, so that few programs are compiled."""
    n = len(signals[0].features)
    points = n if common else _bucket(n)
    b = min(1 << (batch - 1).bit_length(), batch if common else 1 << 30)
    features = np.zeros((b, points, signals[0].features.shape[1]), np.float32)
    weights = np.zeros((b, points), np.float32)
    coords = np.zeros((points, signals[0].coords.shape[1]), np.float32)
    coords[:n] = signals[0].coords
    for row, signal in enumerate(signals):
        features[row, :n], weights[row, :n] = signal.features, signal.weights
    theta = encoder.network.theta
    if shape not in encoder.prepared:
        size = features.shape[2] * points * int(np.prod(encoder.network.decoder.latent_shape)) * 4
        worth = common and size <= FIRST_STEP_BYTES
        encoder.prepared[shape] = encoder.prepare(theta, jnp.asarray(coords)) if worth else None
    fitted = encoder.fit(theta, Signal(coords, features, weights), first=encoder.prepared[shape])
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(signals)], fitted)


def _read(source: Source, indices: list[int]) -> tuple[list[tuple[int, Signal]], list[tuple[int, str]]]:
    signals, problems = [], []
    for index in indices:
        try:
            signals.append((index, source[index]))
        except DataError as error:
            problems.append((index, str(error)))
    return signals, problems


def _preparer(network: Network) -> Callable:
    return lambda theta, coords: first_step(network.decoder, theta, coords)


def _many(shapes: np.ndarray) -> set[tuple[int, ...]]:
    """Shapes that enough data have for a first step of their own to pay."""
    found, counts = np.unique(shapes, axis=0, return_counts=True)
    return {tuple(shape.tolist()) for shape, count in zip(found, counts) if count >= FIRST_STEP_DATA}


def _bucket(n: int) -> int:
    """The next size that `n` points are padded to."""
    size = 256
    while size < n:
        size = -(-int(size * BUCKET) // 64) * 64
    return size


def _batch_size(shape: tuple[int, ...], network: Network, count: int, asked: int | None) -> int:
    values = int(np.prod(shape)) * 4
    return max(1, min(asked or 64, count, BATCH_VALUES // values))


def _native(options: Any) -> Any:
    import dataclasses

    return dataclasses.replace(options, resolution="")


def _psnr(errors: Sequence[float]) -> float:
    return float(-10.0 * np.log10(max(float(np.mean(errors)), 1e-12)))


def _close(store: Functaset, unreadable: int, strict: bool) -> Iterator[Event]:
    """Figures of the finished set: PSNR of the mean error (the paper's) and the mean of the PSNR of each datum."""
    mse = np.asarray(store.mse[:])
    good = mse[np.isfinite(mse)]
    failed = len(mse) - len(good)
    values: dict[str, Any] = {"out": store.path, "encoded": len(good), "skipped": failed + unreadable}
    values["latent_shape"] = list(store.latent_shape)
    if len(good):
        values["psnr"] = round(_psnr(good), 4)
        values["psnr_mean_of_data"] = round(float(np.mean(-10 * np.log10(np.maximum(good, 1e-12)))), 4)
        split = np.array(store.split)[np.isfinite(mse)]
        if len(set(split.tolist())) > 1:
            values["psnr_test"] = round(_psnr(good[split == "test"]), 4)
    yield Result(values)
    if not len(good):
        raise DataError(f"none of {len(mse)} data could be encoded; see the warnings above")
    if strict and failed + unreadable:
        raise DataError(f"{failed + unreadable} files could not be read or encoded and were skipped (--strict)")
