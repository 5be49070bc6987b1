"""Things that were read, kept by key while they fit in memory; what does not fit is read again each time."""

from collections.abc import Callable, Hashable
from typing import Any


class Kept:
    """At most `memory` bytes of values; the first come stay, since training asks for all of them equally often."""

    def __init__(self, memory: int = 1 << 30):
        self._left = memory
        self._values: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], Any], size: Callable[[Any], int]) -> Any:
        """The value of `key`, from `make()` where it is not kept; `size(value)` is in bytes."""
        if key in self._values:
            return self._values[key]
        value = make()
        if size(value) <= self._left:
            self._left -= size(value)
            self._values[key] = value
        return value
