"""What a running verb tells its caller: every verb is a generator of these, and only the edge shows them."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Note(NamedTuple):
    """A sentence for the user: what was found, chosen, skipped, or rolled back."""

    text: str
    warning: bool = False


class Progress(NamedTuple):
    """How far a long job is: `done` of `total` in `unit`s, and figures such as {"psnr": 24.1} (dB)."""

    done: int
    total: int
    unit: str
    metrics: dict[str, float]


class Result(NamedTuple):
    """The last event of a verb: what was made, as JSON-able values."""

    values: dict[str, Any]


def skipped(problems: Iterable[tuple[str, str]]) -> Iterator[Note]:
    """A warning for each path that could not be used, with the reason."""
    for path, reason in problems:
        yield Note(f"skipped {path}: {reason}", warning=True)


Event = Note | Progress | Result
