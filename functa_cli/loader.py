"""Batches for the outer loop: batch k is a pure function of (seed, k), so a continued run sees the same ones."""

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from functa_cli.errors import DataError
from functa_cli.modality import Problem, Source
from functa_cli.signal import Signal


class Loader:
    """Seeded batches of signals of one number of points."""

    def __init__(self, source: Source, indices: np.ndarray, *, batch: int, points: int = 0, seed: int = 0):
        self.source, self.indices, self.batch, self.points, self.seed = source, np.asarray(indices), batch, points, seed
        self.problems: list[Problem] = []
        self._unreadable: set[int] = set()
        self._shuffled: tuple[int, np.ndarray] | None = None  # the epoch and its order

    def __getitem__(self, number: int) -> Signal:
        """Batch `number`: coords [n, k] where they are shared, else [batch, n, k]; features, weights [batch, n, ...].

        Every datum comes once before any comes again. With `points` > 0, that many points, drawn anew for each batch
        by the source. A datum that cannot be read gives its place to the next one.

        Raises:
            DataError: no datum can be read.
        """
        signals = [self._signal(number, row) for row in range(self.batch)]
        if len({signal.features.shape for signal in signals}) > 1:
            raise DataError("the data differ in their number of points; give --points N, or --resolution R")
        return stack(signals, self.source.shared_coords)

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

    def _signal(self, number: int, row: int) -> Signal:
        size = len(self.indices)
        epoch, place = divmod(number * self.batch + row, size)
        rng = self.source.generator(self.seed, 2, number, own=row)
        for offset in range(size):
            index = int(self._order(epoch)[(place + offset) % size])
            if index in self._unreadable:
                continue
            try:
                return self.source.sample(index, self.points, rng) if self.points else self.source.whole(index)
            except DataError as error:
                self.problems.append(Problem(self.source.ids[index], str(error)))
                self._unreadable.add(index)
        raise DataError(f"none of the {size} training data can be read; the first: {self.problems[0].reason}")

    def _order(self, epoch: int) -> np.ndarray:
        if self._shuffled is None or self._shuffled[0] != epoch:
            self._shuffled = epoch, np.random.default_rng([self.seed, 1, epoch]).permutation(self.indices)
        return self._shuffled[1]


def stack(signals: Sequence[Signal], shared: bool) -> Signal:
    """A batch: features [b, n, c], weights [b, n], and coords [n, k] of the first where they are `shared`, else all."""
    features, weights = (np.stack([signal[part] for signal in signals]) for part in (1, 2))
    return Signal(signals[0].coords if shared else np.stack([s.coords for s in signals]), features, weights)
