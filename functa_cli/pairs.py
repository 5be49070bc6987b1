"""Contact sheets of a functaset: each datum as it was read, beside what its functum is at the same points."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli import basenet
from functa_cli.basenet import Network
from functa_cli.errors import ConfigError, DataError
from functa_cli.evaluate import Query, held, runner
from functa_cli.events import Event, Note
from functa_cli.modality import Shape, Target
from functa_cli.signal import Signal
from functa_cli.store import Functaset

Found = dict[int, tuple[Signal, Shape, dict[str, Any]]]  # by row: a datum as it was read, its grid and geometry


def draw(
    sheet: str,
    original: str | None,
    store: Functaset,
    network: Network,
    targets: Mapping[int, Target],
    *,
    own_size: bool,
) -> Iterator[Event]:
    """Draw pairs to the PNG `sheet`; with `own_size`, a reconstruction is evaluated where its original was measured.

    `original`: where the originals are; None: where the set was encoded from.

    Raises:
        ConfigError, DataError: `original` is given and cannot be read.
    """
    found, note = originals(original, store, network, list(targets))
    if note:
        yield Note(note, warning=True)
    run, modality, rows = runner(network.decoder, network.theta), network.modality, []
    phi, _ = store.read(np.array(list(targets)))
    for place, (index, target) in enumerate(targets.items()):
        shape, geometry, _ = target
        query: Query = partial(modality.query, geometry, shape)
        shown = None
        if index in found:
            signal, own, its = found[index]
            shown = modality.assemble(its, signal.features, own)
            if own_size:
                shape, geometry = own, its
                query = held(signal.coords)
        n = int(np.prod(shape))
        rows.append((shown, modality.assemble(geometry, run(phi[place], query, n, n), shape)))
    Path(sheet).parent.mkdir(parents=True, exist_ok=True)
    modality.sheet(Path(sheet), rows, next(iter(targets.values())).geometry)


def originals(
    original: str | None, store: Functaset, network: Network, indices: Sequence[int]
) -> tuple[Found, str | None]:
    """Previews of the data as they are read for encoding, their shapes and geometry, where they can be found still."""
    recorded = store.attrs.get("encode", {})
    where = original or recorded.get("source")
    if where is None and "encode" not in store.attrs:
        return {}, None  # sampled or imputed: there are none
    if where is None:
        return {}, "the set does not say where its data came from; --original DIR shows them beside"
    try:
        options = basenet.settings(network.config.modality, [{"data": recorded.get("data", {})}]).data
        source = network.modality.open(where, options, seed=recorded.get("seed", 0), geometry=store.geometry)
    except (DataError, ConfigError) as error:
        if original:
            raise
        return {}, f"the originals are not shown: {error}"
    place = {name: index for index, name in enumerate(source.ids)}
    found, ids = {}, store.ids
    for index in indices:
        number = place.get(ids[index])
        if number is not None:
            with contextlib.suppress(DataError):  # counted below
                found[index] = (*source.preview(number), source.geometry)
    missing = len(indices) - len(found)
    return found, f"{missing} originals cannot be read in {where!r}" if missing else None
