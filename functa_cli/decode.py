"""`functa decode`: evaluate functa on any grid; write files, one file for all, or a contact sheet."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli import basenet
from functa_cli.basenet import Network
from functa_cli.config import merge
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.evaluate import decoded, targets_of, viewed
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.modality import Chosen, Target, by
from functa_cli.pairs import draw
from functa_cli.partly import Again, whose
from functa_cli.store import Functaset
from functa_cli.writers import ArrayWriter, CollectorWriter, FolderWriter, Writer, check_picture

SHEET = 48  # data on a contact sheet, at most


def decode(
    store: str,
    out: str | None,
    *,
    resolution: str | None = None,
    select: str | None = None,
    ids: Sequence[str] = (),
    form: str | None = None,
    view: Mapping[str, Any] | None = None,
    sheet: str | None = None,
    original: str | None = None,
    observed: bool = False,
    spread: bool = False,
    overwrite: bool = False,
    history: str = "functa decode",
) -> Iterator[Event]:
    """Decode the functaset `store`, which needs nothing else, into `out`.

    `resolution`: a grid such as "256" or "181x360"; None: the one each datum was encoded at. `view`: settings of
    decode that the modality has of its own. `select`: a slice such as "0:100"; `ids`: names; both None: all.
    `form`: what is written, one of the modality's forms or collectors, "npz" or "zarr"; None: by the suffix of `out`.
    `sheet`: a PNG with originals (read from `original`, or from where the set was encoded) beside reconstructions.
    `observed`: of a set that functa impute made, put what was seen back (read from `original`, or from where it was).
    `spread`: of a set that functa impute made with several samples, how far those of a datum differ.
    `history`: what made the files, for formats that record it.

    Raises:
        ConfigError, DataError, StoreError: see their texts.
    """
    opened = Functaset.open(store)
    base = opened.base
    network = basenet.restore(base)
    if opened.latent_shape != network.decoder.latent_shape:
        raise StoreError(f"{store!r} is damaged: its modulations do not fit its base network; fetch or make it again")
    options = merge(network.modality.decode_options(), view or {}, where="view.")
    indices = choose(opened, select, ids)
    mse = opened.errors()
    usable = [index for index in indices if np.isfinite(mse[index])]
    if len(usable) < len(indices):
        yield Note(f"left out {len(indices) - len(usable)} data that are not encoded or failed", warning=True)
    if not usable:
        raise StoreError(f"{store!r} holds no encoded data among the {len(indices)} chosen; run functa encode first")
    _check_places(out, sheet, original, overwrite)
    targets = targets_of(opened, network, usable, resolution or "", options)
    through = viewed(network, opened, targets)
    again = Again(opened, network, original) if observed else None
    first = _first(opened, usable) if spread else {}
    shown = {row: target for row, target in targets.items() if first.get(row, row) == row}

    written: list[str] = []
    failed = 0
    if out is not None:
        writer = _writer(out, form, opened, network, shown, history, overwrite, observed, spread)
        with writer:
            wanted = {row: targets[row] for row in first or targets if writer.wants(first.get(row, row))}
            before = len(targets) - len(wanted)
            gone: dict[int, str] = {}
            arrays = _arrays(through, opened, wanted, again, gone)
            for done, (index, array) in enumerate(_spreads(arrays, first) if first else arrays, start=before + 1):
                try:
                    writer.write(index, array)
                except DataError as error:
                    failed += 1
                    yield Note(f"skipped {opened.ids[index]}: {error}", warning=True)
                yield Progress(done, len(usable), network.modality.unit, {})
        for row, why in gone.items():
            failed += row in shown
            yield Note(f"skipped {opened.ids[row]}: {why}", warning=True)
        if failed == len(shown):
            raise DataError(f"none of {failed} data could be written; see the warnings above")
        written = [str(out)]
    if sheet is not None:
        chosen = {index: targets[index] for index in usable[:SHEET]}
        yield from draw(sheet, original, opened, through, chosen, own_size=not resolution)
        written.append(sheet)
    sizes = sorted({target.shape for target in targets.values()})
    yield Result(
        {
            "out": written,
            "decoded": len(shown) - failed,
            "resolution": by(sizes[0]) if len(sizes) == 1 else None,
        }
    )


def _arrays(
    network: Network, store: Functaset, targets: Mapping[int, Target], again: Again | None, gone: dict[int, str]
) -> Iterator[tuple[int, np.ndarray]]:
    """Each row and its array, with what was seen in its place where that is asked for.

    A row whose datum cannot be read again is left out, with the reason in `gone`.
    """
    for row, features in decoded(network, store, targets):
        target = targets[row]
        if again is not None:
            try:
                features = again.put(row, features, target.shape)
            except DataError as error:
                gone[row] = str(error)
                continue
        yield row, network.modality.assemble(target.geometry, features, target.shape)


def _first(store: Functaset, rows: Sequence[int]) -> dict[int, int]:
    """The first of the rows that are samples of the same datum, for each."""
    names = whose(store)
    first = {names[row]: row for row in reversed(rows)}
    if len(first) == len(rows):
        raise ConfigError("--spread is of several samples of a datum; make them with functa impute --samples K")
    return {row: first[names[row]] for row in sorted(rows, key=lambda row: first[names[row]])}


def _spreads(arrays: Iterator[tuple[int, np.ndarray]], first: Mapping[int, int]) -> Iterator[tuple[int, np.ndarray]]:
    """Standard deviation of the arrays of each datum, whose rows follow one another."""
    for row, several in groupby(arrays, key=lambda one: first[one[0]]):
        values = np.stack([array for _, array in several])
        yield row, values.astype(np.float64).std(axis=0).astype(values.dtype)


def _check_places(out: str | None, sheet: str | None, original: str | None, overwrite: bool) -> None:
    if out is None and sheet is None:
        raise ConfigError("nothing to write: give OUT, or --sheet PNG")
    if sheet is not None:
        check_picture(sheet, overwrite=overwrite)
    if original is not None and not Path(original).exists():
        raise DataError(f"--original {original!r} does not exist; expected the data that the set was encoded from")


def choose(store: Functaset, select: str | None, ids: Sequence[str]) -> list[int]:
    """Indices of the data in the slice `select` and of those named `ids`; all where neither is given.

    Raises:
        ConfigError: not a slice. DataError: an id that is not there.
    """
    if select is None and not ids:
        return list(range(store.n))
    chosen: list[int] = []
    if select is not None:
        match = re.fullmatch(r"(-?\d*):(-?\d*)(?::(-?\d+))?|(-?\d+)", select)
        if not match or select == "" or match[3] == "0":
            raise ConfigError(f"--select wants a slice such as 0:100, or one number; found {select!r}")
        if match[4]:
            number = int(match[4])
            parts = slice(number, number + 1 or None)
        else:
            parts = slice(*(int(text) if text else None for text in match.groups()[:3]))
        chosen = list(range(store.n))[parts]
        if not chosen:
            raise DataError(f"--select {select} chooses nothing: the set has {store.n} data")
    place = {name: index for index, name in enumerate(store.ids)}
    for name in ids:
        if name not in place:
            raise DataError(f"no datum named {name!r} in the set; the first of {store.n} is {store.ids[0]!r}")
        chosen.append(place[name])
    return list(dict.fromkeys(chosen))


def _writer(
    out: str,
    form: str | None,
    store: Functaset,
    network: Network,
    targets: Mapping[int, Target],
    history: str,
    overwrite: bool,
    observed: bool,
    spread: bool,
) -> Writer:
    modality, ids, rows = network.modality, store.ids, list(targets)
    suffix = Path(out).suffix.removeprefix(".")
    together = {*modality.collectors, "npz", "zarr"}
    if form is None:
        form = suffix if suffix in together else next(iter(modality.forms))
    elif form == "files":
        form = next(iter(modality.forms))
    if form in modality.forms and not (form in together and suffix == form):
        request = _request(store, targets, form + " observed" * observed + " spread" * spread)
        return FolderWriter(out, modality.forms[form], ids, targets, request, overwrite=overwrite)
    if form not in together:
        known = ", ".join(dict.fromkeys([*modality.forms, *sorted(together)]))
        raise ConfigError(f"{network.config.modality} data cannot be written as {form!r}; known: {known}")
    if len({target.shape for target in targets.values()}) > 1:
        raise ConfigError(f"the data differ in size and one .{form} file holds one size; give --resolution R")
    if form in modality.collectors:
        columns = {name: values[rows] for name, values in store.columns.items()}
        chosen = Chosen(rows, [ids[row] for row in rows], columns, targets[rows[0]], history)
        return CollectorWriter(out, modality.collectors[form], chosen, overwrite=overwrite)
    return ArrayWriter(out, form, ids, rows, overwrite=overwrite)


def _request(store: Functaset, targets: Mapping[int, Target], form: str) -> str:
    """What decides the decoded files, as one number: the network, the data, and what they are decoded at."""
    kinds: dict[str, list[int]] = {}
    for index, target in targets.items():
        kinds.setdefault(json.dumps([target.shape, target.geometry, dict(target.render)]), []).append(index)
    words = json.dumps([store.fingerprint, store.ids, form, kinds])
    return hashlib.sha256(words.encode() + store.errors().tobytes()).hexdigest()
