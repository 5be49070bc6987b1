"""Batches for the outer loop: batch k is a pure function of (seed, k), so a continued run sees the same ones."""

import queue
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from functa_cli.errors import DataError
from functa_cli.modality import Problem, Source
from functa_cli.signal import Signal


class Loader:
    """Seeded batches of signals that share their coordinates, read once and kept while memory allows."""

    def __init__(
        self,
        source: Source,
        indices: np.ndarray,
        *,
        batch: int,
        points: int = 0,
        seed: int = 0,
        memory: int = 1 << 30,
    ):
        self.source, self.indices, self.batch, self.points, self.seed = source, np.asarray(indices), batch, points, seed
        self.problems: list[Problem] = []
        self._kept: dict[int, Signal | None] = {}
        self._memory = memory
        self._shuffled: tuple[int, np.ndarray] | None = None  # the epoch and its order

    def __getitem__(self, number: int) -> Signal:
        """Batch `number`: coords [n, k], features [batch, n, c], weights [batch, n].

        Every datum comes once before any comes again. With `points` > 0, that many points, drawn anew for each batch.
        A datum that cannot be read gives its place to the next one.

        Raises:
            DataError: no datum can be read.
        """
        signals = [self._signal(number * self.batch + row) for row in range(self.batch)]
        coords = signals[0].coords
        features, weights = np.stack([s.features for s in signals]), np.stack([s.weights for s in signals])
        if 0 < self.points < len(coords):
            rng = np.random.default_rng([self.seed, 2, number])
            chosen = np.sort(rng.choice(len(coords), self.points, replace=False))
            coords, features, weights = coords[chosen], features[:, chosen], weights[:, chosen]
        return Signal(coords, features, weights)

    def stream(self, start: int, stop: int) -> Iterator[Signal]:
        """Batches `start` to `stop`, read ahead by a thread."""
        ready: queue.Queue[Any] = queue.Queue(maxsize=2)
        closing = threading.Event()

        def work() -> None:
            for number in range(start, stop):
                try:
                    item: Any = self[number]
                except Exception as error:
                    item = error
                while not closing.is_set():
                    try:
                        ready.put(item, timeout=0.1)
                        break
                    except queue.Full:
                        continue
                if closing.is_set() or isinstance(item, Exception):
                    return

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            for _ in range(start, stop):
                item = ready.get()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            closing.set()
            thread.join()

    def _signal(self, place: int) -> Signal:
        size = len(self.indices)
        for offset in range(size):
            epoch, row = divmod(place, size)
            order = self._order(epoch)
            signal = self._read(int(order[(row + offset) % size]))
            if signal is not None:
                return signal
        raise DataError(f"none of the {size} training data can be read; the first: {self.problems[0].reason}")

    def _order(self, epoch: int) -> np.ndarray:
        if self._shuffled is None or self._shuffled[0] != epoch:
            self._shuffled = epoch, np.random.default_rng([self.seed, 1, epoch]).permutation(self.indices)
        return self._shuffled[1]

    def _read(self, index: int) -> Signal | None:
        if index in self._kept:
            return self._kept[index]
        try:
            signal = self.source[index]
        except DataError as error:
            self.problems.append(Problem(self.source.ids[index], str(error)))
            self._kept[index] = None
            return None
        size = signal.features.nbytes + signal.weights.nbytes
        if size <= self._memory:
            self._memory -= size
            self._kept[index] = signal
        return signal
