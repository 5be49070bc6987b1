"""`functa encode`: fit modulations to every datum (eq. 1) and write them as a functaset, shard by shard."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import numpy as np

from functa_cli import basenet
from functa_cli.config import to_dict
from functa_cli.errors import DataError
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.inner import Fit
from functa_cli.modality import Source
from functa_cli.signal import Signal
from functa_cli.store import Functaset

BATCH = 64
BATCH_VALUES = 1 << 20  # points of a batch: bounds memory whatever the size of a datum
COMMON = 16  # data of one shape that make it worth compiling for; others are padded to a bucket of points
BUCKET = 1.25  # a bucket is this much larger than the one before


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
    options = basenet.settings(modality, [{"data": {"resolution": ""}}, *own]).data
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
        encode={"steps": steps, "seed": seed, "source": data, "data": to_dict(options)},
        provenance={"verb": "encode"},
        shard=shard,
        overwrite=overwrite,
    )
    pending = store.pending()
    done = store.n - sum(part.stop - part.start for part in pending)
    if done:
        yield Note(f"continuing: {done} of {store.n} are encoded already")

    fit = partial(basenet.compiled_fit(network, steps), network.theta)
    common = _common(source.shapes)
    errors: list[float] = []
    for part in pending:
        phi = np.full((part.stop - part.start, *store.latent_shape), np.nan, np.float32)
        mse = np.full(part.stop - part.start, np.inf, np.float32)
        for indices, result in _shard(fit, source, part, batch, common):
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
    fit: Callable[[Signal], Fit], source: Source, part: slice, batch: int | None, common: set[tuple[int, ...]]
) -> Iterator[tuple[list[int], Fit | str]]:
    """Results of one shard, batch by batch, each of one shape; a file that cannot be read gives its reason instead."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index in range(part.start, part.stop):
        groups.setdefault(tuple(source.shapes[index].tolist()), []).append(index)
    batches = [
        (indices[start : start + size], shape in common)
        for shape, indices in groups.items()
        for size in [_batch_size(shape, batch)]
        for start in range(0, len(indices), size)
    ]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_read, source, batches[0][0])
        for number, (_, exact) in enumerate(batches):
            signals, problems = waiting.result()
            if number + 1 < len(batches):
                waiting = pool.submit(_read, source, batches[number + 1][0])
            for index, reason in problems:
                yield [index], reason
            if signals:
                yield list(signals), _fitted(fit, list(signals.values()), exact)


def _fitted(fit: Callable[[Signal], Fit], signals: list[Signal], exact: bool) -> Fit:
    """Fit signals of one shape: their number padded to a power of two, and points to a bucket unless `exact`."""
    n, c = signals[0].features.shape
    points = n if exact else _bucket(n)
    b = 1 << (len(signals) - 1).bit_length()
    coords = np.zeros((points, signals[0].coords.shape[1]), np.float32)
    features, weights = np.zeros((b, points, c), np.float32), np.zeros((b, points), np.float32)
    coords[:n] = signals[0].coords
    for row, signal in enumerate(signals):
        features[row, :n], weights[row, :n] = signal.features, signal.weights
    fitted = fit(Signal(coords, features, weights))
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(signals)], fitted)


def _read(source: Source, indices: list[int]) -> tuple[dict[int, Signal], list[tuple[int, str]]]:
    signals, problems = {}, []
    for index in indices:
        try:
            signals[index] = source[index]
        except DataError as error:
            problems.append((index, str(error)))
    return signals, problems


def _common(shapes: np.ndarray) -> set[tuple[int, ...]]:
    found, counts = np.unique(shapes, axis=0, return_counts=True)
    return {tuple(shape.tolist()) for shape, count in zip(found, counts) if count >= COMMON}


def _bucket(n: int) -> int:
    """The next size that `n` points are padded to."""
    size = 256
    while size < n:
        size = -(-int(size * BUCKET) // 64) * 64
    return size


def _batch_size(shape: tuple[int, ...], asked: int | None) -> int:
    """Data of `shape` worked on at once: a power of two, so that no batch is padded but the last."""
    most = max(1, min(asked or BATCH, BATCH_VALUES // int(np.prod(shape))))
    return 1 << (most.bit_length() - 1)


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
