"""Batches for training: pure functions of seed and number, fair, and read ahead."""

import functools
import operator
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from functa_cli.coords import grid
from functa_cli.errors import DataError
from functa_cli.kept import Kept
from functa_cli.loader import Loader
from functa_cli.modality import Source
from functa_cli.signal import Signal


class Numbers(Source):
    """Datum i is a 2 x 3 grid of the number i; those in `broken` cannot be read."""

    def __init__(self, n: int, broken=()):
        self.ids, self.broken, self.reads = [str(number) for number in range(n)], set(broken), 0

    def __getitem__(self, index: int) -> Signal:
        self.reads += 1
        if index in self.broken:
            raise DataError(f"{index} is broken")
        return Signal(grid((2, 3)), np.full((6, 1), index, np.float32), np.ones(6, np.float32))


def shown(batch: Signal) -> list[int]:
    return batch.features[:, 0, 0].astype(int).tolist()


def test_a_batch_is_a_function_of_seed_and_number():
    first, second = (Loader(Numbers(10), np.arange(10), batch=3, seed=1) for _ in range(2))
    far = first[7]
    assert [shown(second[number]) for number in (7, 0, 7)] == [shown(far), shown(first[0]), shown(far)]
    assert shown(Loader(Numbers(10), np.arange(10), batch=10, seed=2)[0]) != shown(
        Loader(Numbers(10), np.arange(10), batch=10, seed=1)[0]
    )


def test_every_datum_comes_once_before_any_comes_again_and_each_epoch_is_shuffled_anew():
    loader = Loader(Numbers(20), np.arange(5, 15), batch=4)
    seen = functools.reduce(operator.iadd, (shown(loader[number]) for number in range(10)), [])
    epochs = [seen[start : start + 10] for start in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(5, 15)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_batches_share_coordinates_and_may_be_larger_than_the_set():
    batch = Loader(Numbers(2), np.arange(2), batch=5)[0]
    assert (batch.coords.shape, batch.features.shape, batch.weights.shape) == ((6, 2), (5, 6, 1), (5, 6))
    assert set(shown(batch)) == {0, 1}


def test_points_are_drawn_anew_for_each_batch_and_belong_together():
    loader = Loader(Numbers(4), np.arange(4), batch=2, points=3)
    drawn = [loader[number].coords for number in range(6)]
    assert all(coords.shape == (3, 2) and len(np.unique(coords, axis=0)) == 3 for coords in drawn)
    assert len({coords.tobytes() for coords in drawn}) > 1
    np.testing.assert_array_equal(loader[5].coords, drawn[5])
    assert Loader(Numbers(4), np.arange(4), batch=2, points=9)[0].features.shape == (2, 6, 1)


def test_a_datum_that_cannot_be_read_gives_its_place_away_and_is_named_once():
    loader = Loader(Numbers(6, broken=[2, 4]), np.arange(6), batch=6)
    for number in range(3):
        assert set(shown(loader[number])) <= {0, 1, 3, 5}
    assert sorted(problem.path for problem in loader.problems) == ["2", "4"]
    with pytest.raises(DataError, match=r"none of the 2 training data can be read; the first: \d is broken"):
        Loader(Numbers(2, broken=[0, 1]), np.arange(2), batch=1)[0]


def test_data_are_kept_while_memory_allows():
    source = Numbers(4)
    loader = Loader(source, np.arange(4), batch=4)
    assert shown(loader[0]) != []
    assert source.reads == 4
    loader[1]
    assert source.reads == 4
    tight = Numbers(4)
    tight._kept = Kept(memory=100)  # two of 48 bytes
    loader = Loader(tight, np.arange(4), batch=4)
    for number in range(2):
        loader[number]
    assert tight.reads == 4 + 2


def test_a_stream_is_the_same_batches_read_ahead_and_leaves_no_thread():
    loader = Loader(Numbers(10), np.arange(10), batch=3)
    plain = [shown(loader[number]) for number in range(2, 8)]
    assert [shown(batch) for batch in loader.stream(2, 8)] == plain
    before = threading.active_count()
    stream = loader.stream(0, 1000)
    next(stream)
    assert threading.active_count() == before + 1
    stream.close()
    assert threading.active_count() == before


def test_an_error_in_the_thread_reaches_the_caller():
    loader = Loader(Numbers(2, broken=[0, 1]), np.arange(2), batch=1)
    with pytest.raises(DataError, match="none of the 2"):
        list(loader.stream(0, 3))
    with pytest.raises(AttributeError):
        list(Loader(SimpleNamespace(), np.arange(2), batch=1).stream(0, 1))
