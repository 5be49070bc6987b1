"""Partly observed data to modulations, batch by batch: by the inner loop alone, or with a prior (equation 2)."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli import basenet, buckets, stream
from functa_cli.basenet import Network
from functa_cli.errors import DataError
from functa_cli.folder import number_of
from functa_cli.nearest import LOOKED, nearest
from functa_cli.partly import Observed, Partly
from functa_cli.posterior import Asked, Belief, descend
from functa_cli.priornet import Model
from functa_cli.signal import Signal, pieces

POINTS = 8192  # of a datum that steps with a prior look at, at most
WHOLE = 1 << 18  # that the inner loop alone looks at, at most
BATCH = 32  # problems at once
HELD = 1 << 21  # observed points that are held at once
BLOCK = 1 << 16  # points that errors are taken of at once
STREAM = 13  # of random numbers


class Ask(NamedTuple):
    """How data are completed."""

    trust: float | None  # lambda, in nats for a squared error of 1; None: see `trust`
    error: float  # mean squared error of a functum where all is observed
    steps: int
    starts: int  # prior samples that steps start from, besides those of `Completer`
    samples: int  # completions of each datum; 1: the most likely one
    seed: int
    worth: float | None = None  # where `trust` is None; None: that of the modality
    near: float = 0.0  # see `Completer`


class Completed(NamedTuple):
    """One completion."""

    phi: np.ndarray  # [*latent_shape]
    objective: float  # U of posterior.py in nats; NaN without a prior
    trust: float  # lambda; NaN without a prior


class Programs(NamedTuple):
    """What completing with a prior runs."""

    steps: Any  # posterior.descend
    from_noise: Any  # of the prior, and back
    to_noise: Any
    nearest: Any  # nearest.nearest


def programs(network: Network, model: Model, steps: int) -> Programs:
    """Programs for a network and the prior of `model`, compiled when they are first called."""
    prior = model.prior
    assert prior.from_noise is not None
    assert prior.to_noise is not None
    descent = partial(descend, network.decoder, prior, steps=steps)
    wanted = (descent, prior.from_noise, prior.to_noise, partial(nearest, network.decoder))
    return Programs(*map(jax.jit, wanted))


class Completer:
    """Programs that complete data with the prior of `model`; None: by the inner loop alone.

    Where no lambda is asked for, it is 1 / (2 e), with e the mean error of a functum whose datum is seen wholly, times
    a share. 1 / (2 e) alone would be right if what a functum leaves were noise, independent from value to value; it is
    smooth, and neighbours say the same. So all that is seen of a datum counts as `worth` independent values for each
    modulation (modality.py), or as many as there are, at any resolution.

    With a prior the steps start from the encoded part, from the middle of the prior (or its anchor), from whichever of
    `functa` [m, *latent_shape] shows best what is seen, and from `ask.starts` samples; the best end is kept. With
    `near` = a > 0 the prior is narrowed around that functum, whose noise is z: to noise of N(a z, 1 - a^2), which has
    deviation 1 still where z has. It is what a kernel density estimate with kernels of the flow's own shape amounts
    to where one kernel outweighs the others. Samples are of the prior as it was learned.
    """

    def __init__(self, network: Network, partly: Partly, model: Model | None, ask: Ask, functa: np.ndarray | None):
        self.network, self.partly, self.model, self.ask = network, partly, model, ask
        self.inner = partial(basenet.compiled_fit(network, network.config.inner.steps), network.theta)
        self.blocks: dict[int, stream.Programs] = {}
        self.most = WHOLE if model is None else POINTS
        if model is not None:
            self.belief = Belief(model.parameters, jnp.asarray(model.scale.mean), jnp.asarray(model.scale.factor))
            assert functa is not None
            self.functa = functa
            self.run = programs(network, model, ask.steps)

    def completed(self, rows: Sequence[tuple[int, int]]) -> Iterator[tuple[list[tuple[int, int]], Any]]:
        """Results for (datum, number of its completion): the row with the reason, or rows, observed and completed."""
        held: dict[int, list[tuple[tuple[int, int], Observed]]] = {}
        count, last = 0, None
        for row in rows:
            try:
                last = last if last is not None and last.index == row[0] else self.partly.read(row[0])
            except DataError as error:
                last = None
                yield [row], str(error)
                continue
            size = buckets.bucket(min(len(last.points), self.most))
            held.setdefault(size, []).append((row, last))
            count += len(last.points)
            full = (
                [size]
                if len(held[size]) == BATCH or len(held[size]) * size > HELD
                else list(held)
                if count > HELD
                else []
            )
            for size in full:
                waiting = held.pop(size)
                count -= sum(len(one.points) for _, one in waiting)
                yield self._batch(waiting, size)
        for size, waiting in held.items():
            yield self._batch(waiting, size)

    def look(self, phi: np.ndarray, signal: Signal) -> tuple[float, np.ndarray]:
        """Error and sums [s] of the modality's scores at the points of a signal."""
        size = min(BLOCK, buckets.bucket(len(signal.weights)))
        if size not in self.blocks:
            self.blocks[size] = stream.programs(self.network.decoder, size, self.network.modality.scores.sums)
        return stream.look(self.blocks[size], self.network.theta, phi, partial(pieces, signal, size))

    def encoded(self, observed: Sequence[Observed]) -> np.ndarray:
        """Modulations [b, *latent_shape] of what is observed of some data, by the inner loop alone."""
        size = buckets.bucket(max(min(len(one.points), self.most) for one in observed))
        return np.asarray(self.inner(self._signals(observed, size, self.most)).phi)[: len(observed)]

    def _batch(self, waiting: list[tuple[tuple[int, int], Observed]], size: int) -> Any:
        rows, observed = [row for row, _ in waiting], [one for _, one in waiting]
        batch = self._signals(observed, size, self.most)
        phi = np.asarray(self.inner(batch).phi)
        objective = own = np.full(len(phi), np.nan)
        if self.model is not None:
            own = self._trust(observed, batch.features.shape[-1])
            phi, objective = self._likely(self.model, rows, observed, batch, phi, own)
        return rows, (observed, [Completed(*one) for one in zip(phi[: len(rows)], objective, own)])

    def _trust(self, observed: Sequence[Observed], channels: int) -> np.ndarray:
        """Lambda of each datum."""
        if self.ask.trust is not None:
            return np.full(len(observed), self.ask.trust)
        values = np.array([one.signal.weights.sum(dtype=np.float64) for one in observed]) * channels
        worth = (self.ask.worth or self.network.modality.worth) * float(np.prod(self.network.decoder.latent_shape))
        return np.minimum(1.0, worth / values) / (2.0 * self.ask.error)

    def _likely(
        self,
        model: Model,
        rows: list[tuple[int, int]],
        observed: list[Observed],
        batch: Signal,
        phi: np.ndarray,
        own: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The best end of all starts."""
        ask, many = self.ask, len(phi)
        labels = model.label(np.full(many, -1))
        total = [float(one.signal.weights.sum(dtype=np.float64)) * batch.features.shape[-1] for one in observed]
        weight = np.pad((own * total).astype(np.float32), (0, many - len(rows)))
        draws = np.zeros((1 + ask.starts, many, phi[0].size), np.float32)
        for place, row in enumerate(rows):
            rng = self._generator(row)
            drawn = rng.standard_normal(draws.shape[::2])
            first = 0 if ask.samples > 1 else 1  # without an anchor the first start is the middle
            draws[first:, place] = drawn[first:]
            if ask.samples > 1:
                noise = rng.standard_normal(batch.features.shape[1:]) / np.sqrt(2.0 * own[place])
                batch.features[place] += self._thinned(observed[place], batch.weights[place]) * noise
        alike = self._signals(observed, min(batch.weights.shape[1], LOOKED), LOOKED)
        known = self.functa[np.asarray(self.run.nearest(self.network.theta, self.functa, alike))]
        starts = [model.scale.normalise(phi), model.scale.normalise(known)]
        asked = Asked(batch, jnp.asarray(weight), labels, draws[0] if ask.samples > 1 else None)
        if ask.near:
            noise = np.asarray(self.run.to_noise(model.parameters, starts[1], labels))
            asked = asked._replace(middle=ask.near * noise, spread=float(np.sqrt(1.0 - ask.near**2)))
            draws = asked.middle + asked.spread * draws
        starts += [np.asarray(self.run.from_noise(model.parameters, noise, labels)) for noise in draws]
        best = None
        for start in starts:
            found = [np.asarray(part) for part in self.run.steps(self.network.theta, self.belief, asked, start)]
            value = np.where(np.isfinite(found[1]), found[1], np.inf)
            if best is None:
                best = (found[0].copy(), value)
                continue
            better = value < best[1]
            best[0][better], best[1][better] = found[0][better], value[better]
        assert best is not None
        phi = model.scale.restore(best[0]).reshape(phi.shape)
        return phi, best[1] + model.scale.log_volume * (asked.anchor is None)

    def _thinned(self, observed: Observed, weights: np.ndarray) -> np.ndarray:
        """Deviations [n, 1] of the noise of points in units of that of one observed value.

        Each point stands for as many as there are observed points to one that is looked at.
        """
        share = weights.sum(dtype=np.float64) / observed.signal.weights.sum(dtype=np.float64)
        scale = np.sqrt(share / np.where(weights > 0, weights, 1.0))
        return np.where(weights > 0, scale, 0.0)[:, None].astype(np.float32)

    def _generator(self, row: tuple[int, int]) -> np.random.Generator:
        name = self.partly.source.ids[row[0]]
        return np.random.default_rng([self.ask.seed, STREAM, number_of(name), row[1]])

    def _signals(self, observed: Sequence[Observed], size: int, most: int) -> Signal:
        """A batch of a power of two signals of `most` points at most, each padded to `size` by points of weight 0."""
        ids = self.partly.source.ids
        parts = [one.some(most, self.ask.seed, ids[one.index]) for one in observed]
        parts += [parts[-1]] * (buckets.power(len(parts)) - len(parts))
        rows = [[np.pad(a, [(0, size - len(a)), *[(0, 0)] * (a.ndim - 1)]) for a in part] for part in parts]
        return Signal(*(np.stack(column).astype(np.float32) for column in zip(*rows)))
