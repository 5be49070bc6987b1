"""`functa encode`: fit modulations to every datum (eq. 1) and write them as a functaset, shard by shard."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import numpy as np

from functa_cli import basenet, buckets, template
from functa_cli.basenet import Network
from functa_cli.config import to_dict
from functa_cli.errors import DataError
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.inner import Fit
from functa_cli.metrics import psnr
from functa_cli.modality import Source
from functa_cli.signal import Signal
from functa_cli.store import Functaset

BATCH = 64
BATCH_VALUES = 1 << 20  # points of a batch: bounds memory whatever the size of a datum


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

    `steps`: of the inner loop, as the network was trained where None. `batch`: data worked on at once, at most.
    `shard`: data a shard, the unit of work that is lost when a run is cut off; the same call continues, with the same
    bytes as one that was never cut off. A datum that cannot be read or diverges keeps its row, with an mse of inf.

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

    store = template.begin(
        out,
        base=found,
        latent_shape=network.decoder.latent_shape,
        known=source,
        encode={"steps": steps, "seed": seed, "source": data, "data": to_dict(options)},
        shard=shard,
        overwrite=overwrite,
    )
    yield from _encoded(store, source, network, steps, batch or BATCH)
    store.finalize()
    yield from _close(store, len(source.problems), strict)


def _encoded(store: Functaset, source: Source, network: Network, steps: int, most: int) -> Iterator[Event]:
    """Encode what is still to be encoded, shard by shard; batches of `most` data."""
    pending = store.pending()
    done = store.n - sum(part.stop - part.start for part in pending)
    if done:
        yield Note(f"continuing: {done} of {store.n} are encoded already")

    fit = partial(basenet.compiled_fit(network, steps), network.theta)
    points = buckets.padded_points(source.shapes)
    total, count = 0.0, 0
    with ThreadPoolExecutor(1) as reader:
        for part in pending:
            phi = np.full((part.stop - part.start, *store.latent_shape), np.nan, np.float32)
            mse = np.full(part.stop - part.start, np.inf, np.float32)
            for indices, result in _shard(fit, source, reader, part, most, points):
                done += len(indices)
                if isinstance(result, str):
                    yield Note(f"skipped {result}", warning=True)
                    continue
                error, rows = result.mse[:, -1], np.array(indices) - part.start
                good = np.isfinite(error) & np.isfinite(result.phi.reshape(len(rows), -1)).all(axis=1)
                for index in np.array(indices)[~good]:
                    yield Note(f"skipped {source.ids[index]}: its modulations diverge", warning=True)
                phi[rows[good]], mse[rows[good]] = result.phi[good], error[good]
                total, count = total + float(error[good].sum()), count + int(good.sum())
                yield Progress(
                    done, store.n, network.modality.unit, {"psnr": float(psnr(total / count))} if count else {}
                )
            store.write(part, phi, mse)


def _shard(
    fit: Callable[[Signal], Fit],
    source: Source,
    reader: Executor,
    part: slice,
    most: int,
    points: dict[buckets.Shape, int],
) -> Iterator[tuple[list[int], Fit | str]]:
    """Results of one shard, batch by batch, each of one shape; a file that cannot be read gives its reason instead."""
    groups: dict[buckets.Shape, list[int]] = {}
    for index in range(part.start, part.stop):
        groups.setdefault(tuple(source.shapes[index].tolist()), []).append(index)
    work = []
    for shape, indices in groups.items():
        start = 0
        largest = max(1, min(most, BATCH_VALUES // points[shape]))
        for taken, size in buckets.batches(len(indices), largest, points[shape]):
            work.append((indices[start : start + taken], size, points[shape]))
            start += taken
    waiting = reader.submit(_read, source, work[0][0])
    for number, (_, *padded) in enumerate(work):
        signals, problems = waiting.result()
        if number + 1 < len(work):
            waiting = reader.submit(_read, source, work[number + 1][0])
        for index, reason in problems:
            yield [index], reason
        if signals:
            yield list(signals), _fitted(fit, list(signals.values()), *padded)


def _fitted(fit: Callable[[Signal], Fit], signals: list[Signal], size: int, points: int) -> Fit:
    """Fit signals of one shape, padded to `size` signals of `points` points."""
    n, c = signals[0].features.shape
    coords = np.zeros((points, signals[0].coords.shape[1]), np.float32)
    features, weights = np.zeros((size, points, c), np.float32), np.zeros((size, points), np.float32)
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


def _close(store: Functaset, unreadable: int, strict: bool) -> Iterator[Event]:
    """Figures of the finished set: PSNR of the mean error (the paper's) and the mean of the PSNR of each datum."""
    mse = store.errors()
    fine = np.isfinite(mse)
    good, failed = mse[fine].astype(np.float64), int((~fine).sum())
    if failed:
        yield Note(f"{failed} of {store.n} data are not encoded; each keeps its row, with an mse of inf", warning=True)
    values: dict[str, Any] = {"out": store.path, "encoded": len(good), "skipped": failed + unreadable}
    values["latent_shape"] = list(store.latent_shape)
    if len(good):
        values["psnr"] = round(float(psnr(good.mean())), 4)
        values["psnr_mean_of_data"] = round(float(psnr(good).mean()), 4)
        split = np.array(store.split)[fine]
        if len(set(split.tolist())) > 1:
            values["psnr_test"] = round(float(psnr(good[split == "test"].mean())), 4)
    yield Result(values)
    if not len(good):
        raise DataError(f"none of {len(mse)} data could be encoded; see the warnings above")
    if strict and failed + unreadable:
        raise DataError(f"{failed + unreadable} files could not be read or encoded and were skipped (--strict)")
