"""The data that rows of a functaset are of: as they were read, and as far as they were seen, where they still are."""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from functa_cli import basenet
from functa_cli.basenet import Network
from functa_cli.errors import ConfigError, DataError
from functa_cli.modality import Source
from functa_cli.pairs import Found, originals
from functa_cli.partly import matched, recorded, whose
from functa_cli.rules import VIEW
from functa_cli.store import Functaset


class Belongings(NamedTuple):
    """What was found, by row."""

    originals: Found
    seen: dict[int, np.ndarray]  # bool [points]: which points of the original were seen, where a part was not
    note: str | None  # what is missing


def find(store: Functaset, network: Network, data: str | None, rows: Sequence[int]) -> Belongings:
    """Previews of the data of `rows`; `data`: where they are now, None: where they were.

    Raises:
        ConfigError, DataError: `data` is given and cannot be read.
    """
    if "impute" in store.attrs:
        return _completed(store, network, data, rows)
    if "encode" not in store.attrs:
        if data is not None:
            raise ConfigError(f"{store.path!r} was sampled, so there are no data to show beside; leave --data out")
        return Belongings({}, {}, "The functa of this set were sampled, so there are no originals.")
    found, note = originals(data, store, network, rows)
    return Belongings(found, {}, note and f"{note[:1].upper()}{note[1:]}.")


def _completed(store: Functaset, network: Network, data: str | None, rows: Sequence[int]) -> Belongings:
    """What `functa impute` completed: the data, the truth where it was given, and what was seen."""
    asked = store.attrs["impute"]
    try:
        partly = recorded(store, network, data)
        whole: Source = partly.source
        if asked.get("truth"):
            options = basenet.settings(network.config.modality, [{"data": asked["data"]}]).data
            whole = network.modality.open(asked["truth"], options, seed=asked["seed"], geometry=store.geometry)
    except (DataError, ConfigError) as error:
        if data:
            raise
        return Belongings({}, {}, f"The data are not shown: {error}.")
    names = whose(store)
    place = {name: index for index, name in enumerate(partly.source.ids)}
    true = dict(zip(partly.source.ids, matched(partly.source.ids, whole)))
    found: Found = {}
    seen: dict[int, np.ndarray] = {}
    for row in rows:
        name = names[row]
        at = true.get(name)
        if at is None:
            continue
        with contextlib.suppress(DataError):  # counted below
            signal, shape = whole.preview(at)
            found[row] = signal, shape, whole.geometry
            if VIEW not in network.modality.axes and shape == tuple(store.shapes[row].tolist()):
                mask = np.zeros(len(signal.coords), bool)
                mask[partly.read(place[name]).points] = True
                seen[row] = mask
    missing = len(rows) - len(found)
    return Belongings(found, seen, f"{missing} of the data cannot be read any more." if missing else None)
