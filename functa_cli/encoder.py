"""Data of a source to modulations and figures, batch by batch or, where a datum is large, block by block."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from functa_cli import basenet, buckets, meta, stream
from functa_cli.basenet import Network
from functa_cli.errors import DataError
from functa_cli.inner import look
from functa_cli.loader import stack
from functa_cli.metrics import psnr
from functa_cli.modality import Shape, Source
from functa_cli.polish import polish as polished
from functa_cli.signal import Signal, pieces

BATCH = 64
BATCH_POINTS = 1 << 20  # points of a batch: bounds memory whatever the size of a datum
WHOLE = 1 << 18  # points of a datum that is held at once, at most
BLOCK = 1 << 16  # points of a block of a larger one
POLISHED = 1 << 15  # points that polishing looks at, at most


class Encoded(NamedTuple):
    """What was found for some data; a datum that diverged has an mse that is not finite."""

    phi: np.ndarray  # [rows, *latent_shape]
    mse: np.ndarray  # [rows], over the points that the inner loop saw
    unseen: np.ndarray  # [rows], over those that it did not see; NaN where there are none
    scores: np.ndarray  # [rows, scores of the modality]


class Encoder:
    """Programs for one network and number of inner steps, compiled when they are first needed.

    `polish`: Levenberg-Marquardt steps after the inner loop; of data with more than `POLISHED` points they see that
    many, drawn with `seed`. `points`: of data with more of them, the inner loop sees that many, drawn likewise; 0: all.
    Errors and scores are of all points that may be seen.
    """

    def __init__(self, network: Network, source: Source, steps: int, polish: int = 0, seed: int = 0, points: int = 0):
        self.network, self.source, self.steps, self.seed, self.points = network, source, steps, seed, points
        self.scores = network.modality.scores
        self.polish = jax.jit(partial(polished, network.decoder, steps=polish)) if polish else None
        self.look = jax.jit(partial(look, network.decoder, sums=self.scores.sums))
        self.batch = partial(basenet.compiled_fit(network, steps), network.theta)
        self.blocks = stream.programs(network.decoder, BLOCK, self.scores.sums)

    def encoded(self, indices: Sequence[int], most: int = BATCH) -> Iterator[tuple[list[int], Encoded | str]]:
        """Results for `indices`, at most `most` together; a datum that cannot be read gives its reason instead."""
        most_points = min(self.points or WHOLE, WHOLE)
        small = [index for index in indices if self.source.points(index) <= most_points]
        large = [index for index in indices if self.source.points(index) > most_points]
        yield from self._in_batches(small, most)
        for index in large:
            try:
                yield [index], self._in_blocks(index)
            except DataError as error:
                yield [index], str(error)

    def _in_batches(self, indices: list[int], most: int) -> Iterator[tuple[list[int], Encoded | str]]:
        """Batches of one shape, where data of one shape share coordinates, else of one number of points."""
        if not indices:
            return
        own = self.source.shapes if self.source.shared_coords else None
        kinds = [tuple(own[index].tolist()) if own is not None else (self.source.points(index),) for index in indices]
        points = buckets.padded_points(np.array(kinds))
        groups: dict[Shape, list[int]] = {}
        for index, kind in zip(indices, kinds):
            groups.setdefault(kind, []).append(index)
        work = []
        for kind, members in groups.items():
            start = 0
            largest = max(1, min(most, BATCH_POINTS // points[kind]))
            for taken, size in buckets.batches(len(members), largest, points[kind]):
                work.append((members[start : start + taken], size, points[kind]))
                start += taken
        with ThreadPoolExecutor(1) as reader:
            yield from self._batches(reader, work)

    def _batches(self, reader: Executor, work: list[tuple[list[int], int, int]]) -> Iterator[Any]:
        waiting = reader.submit(_read, self.source, work[0][0])
        for number, (_, *padded) in enumerate(work):
            signals, problems = waiting.result()
            if number + 1 < len(work):
                waiting = reader.submit(_read, self.source, work[number + 1][0])
            for index, reason in problems:
                yield [index], reason
            if signals:
                batch = _padded(list(signals.values()), *padded, shared=self.source.shared_coords)
                phi, mse, sums = self._fitted(list(signals), batch)
                yield list(signals), self._result(list(signals), phi, mse, sums)

    def _fitted(self, indices: list[int], batch: Signal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Modulations, errors and sums of the data `indices`, which come first in a batch."""
        fitted = self.batch(batch)
        phi, mse, sums = fitted.phi, fitted.mse[:, -1], fitted.sums
        if self.polish:
            few = max(self.source.points(index) for index in indices) <= POLISHED
            phi = self.polish(self.network.theta, phi, batch if few else self._sampled(indices, len(phi), POLISHED))
            mse, sums = self.look(self.network.theta, phi, batch)
        phi, mse, sums = (np.asarray(leaf)[: len(indices)] for leaf in (phi, mse, sums))
        return phi, mse, sums

    def _sampled(self, indices: list[int], size: int, points: int) -> Signal:
        """`points` points of each of the data, as a batch of `size`; the last datum fills it up."""
        every = [*indices, *[indices[-1]] * (size - len(indices))]
        rngs = [self.source.generator(self.seed, 5, own=index) for index in every]
        drawn = [self.source.sample(index, points, rng) for index, rng in zip(every, rngs)]
        return stack(drawn, self.source.shared_coords)

    def _in_blocks(self, index: int) -> Encoded:
        rate, theta = meta.rate_of(self.network.config.inner), self.network.theta
        blocks = partial(self.source.blocks, index, BLOCK)
        if 0 < self.points < self.source.points(index):
            phi = np.asarray(self.batch(self._sampled([index], 1, self.points)).phi)[0]
        else:
            phi = stream.fit(self.blocks, theta, blocks, steps=self.steps, rate=rate)
        if self.polish:
            phi = np.asarray(self.polish(theta, phi[None], self._sampled([index], 1, POLISHED)))[0]
        mse, sums = stream.look(self.blocks, theta, phi, blocks)
        return self._result([index], phi[None], np.array([mse], np.float32), sums[None])

    def _result(self, indices: list[int], phi: np.ndarray, mse: np.ndarray, sums: np.ndarray) -> Encoded:
        scores = self.scores.figures(sums)
        unseen = [self._unseen(index, own) if self.source.keeps_unseen else np.nan for index, own in zip(indices, phi)]
        return Encoded(phi, mse, np.array(unseen, np.float32), np.asarray(scores, np.float32))

    def _unseen(self, index: int, phi: np.ndarray) -> float:
        signal = self.source.unseen(index)
        if signal is None or not np.isfinite(phi).all():
            return float("nan")
        return stream.look(self.blocks, self.network.theta, phi, partial(pieces, signal, BLOCK))[0]


class Tally:
    """Figures of a set of data, from sums that grow batch by batch; only data whose mse is finite count."""

    def __init__(self, network: Network, geometry: dict[str, Any]):
        self.names = network.modality.scores.names
        self.geometry = geometry
        self.count = self.unseen_count = 0
        self.mse = self.unseen = 0.0
        self.scores = np.zeros(len(self.names))

    def add(self, found: Encoded) -> "Tally":
        """Count these data in."""
        fine = np.isfinite(found.mse)
        self.count += int(fine.sum())
        self.mse += float(found.mse[fine].sum(dtype=np.float64))
        self.scores += found.scores[fine].sum(axis=0, dtype=np.float64)
        seen = fine & np.isfinite(found.unseen)
        self.unseen_count += int(seen.sum())
        self.unseen += float(found.unseen[seen].sum(dtype=np.float64))
        return self

    def figures(self) -> dict[str, float]:
        """PSNR of the mean error (the paper's), that of unseen points, mean scores, RMSE in the unit of the data."""
        if not self.count:
            return {}
        mean = self.mse / self.count
        values = {"psnr": float(psnr(mean))}
        if self.unseen_count:
            values["psnr_unseen"] = float(psnr(self.unseen / self.unseen_count))
        values.update({name: float(score) for name, score in zip(self.names, self.scores / self.count)})
        if "unit" in self.geometry:
            values[f"rmse_{self.geometry['unit']}"] = float(self.geometry["scale"] * np.sqrt(mean))
        return values


def _padded(signals: list[Signal], size: int, points: int, *, shared: bool) -> Signal:
    """A batch padded to `size` signals of `points` points; what is added has weight 0."""
    batch = stack(signals, shared)
    more, missing = size - len(signals), points - batch.weights.shape[1]
    rows = [(0, more), (0, missing)]
    coords = np.pad(batch.coords, [*rows[1 if shared else 0 :], (0, 0)])
    return Signal(coords, np.pad(batch.features, [*rows, (0, 0)]), np.pad(batch.weights, rows))


def _read(source: Source, indices: list[int]) -> tuple[dict[int, Signal], list[tuple[int, str]]]:
    signals, problems = {}, []
    for index in indices:
        try:
            signals[index] = source[index]
        except DataError as error:
            problems.append((index, str(error)))
    return signals, problems
