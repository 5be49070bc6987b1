"""`functa decode`: evaluate functa on any grid; write files, one file for all, or a contact sheet."""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functa_cli import basenet, buckets
from functa_cli.basenet import Network
from functa_cli.config import merge
from functa_cli.decoder import Decoder, Tree
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.modality import Chosen, DecodeOptions, Shape, Target
from functa_cli.signal import Signal
from functa_cli.store import Functaset
from functa_cli.tiles import plan
from functa_cli.writers import AGAIN, ArrayWriter, CollectorWriter, FolderWriter, Writer

SHEET = 48  # data on a contact sheet, at most
BLOCK = 64  # tiles that one call works through
KEPT_POINTS = 1 << 20  # points whose coordinates are kept from datum to datum


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
    overwrite: bool = False,
    history: str = "functa decode",
) -> Iterator[Event]:
    """Decode the functaset `store`, which needs nothing else, into `out`.

    `resolution`: a grid such as "256" or "181x360"; None: the one each datum was encoded at. `view`: settings of
    decode that the modality has of its own. `select`: a slice such as "0:100"; `ids`: names; both None: all.
    `form`: what is written, one of the modality's forms or collectors, "npz" or "zarr"; None: by the suffix of `out`.
    `sheet`: a PNG with originals (read from `original`, or from where the set was encoded) beside reconstructions.
    `history`: what made the files, for formats that record it.

    Raises:
        ConfigError, DataError, StoreError: see their texts.
    """
    opened = Functaset.open(store)
    base = opened.base
    network = basenet.restore(base)
    if opened.latent_shape != network.decoder.latent_shape:
        raise StoreError(f"{store!r} is damaged: its modulations do not fit its base network; fetch or make it again")
    options = _options(network, view or {})
    indices = choose(opened, select, ids)
    mse = opened.errors()
    usable = [index for index in indices if np.isfinite(mse[index])]
    if len(usable) < len(indices):
        yield Note(f"left out {len(indices) - len(usable)} data that are not encoded or failed", warning=True)
    if not usable:
        raise StoreError(f"{store!r} holds no encoded data among the {len(indices)} chosen; run functa encode first")
    if out is None and sheet is None:
        raise ConfigError("nothing to write: give OUT, or --sheet PNG")
    if sheet is not None and Path(sheet).exists() and (Path(sheet).is_dir() or not overwrite):
        raise StoreError(f"{sheet!r} exists; " + ("it is a folder" if Path(sheet).is_dir() else AGAIN))
    if original is not None and not Path(original).exists():
        raise DataError(f"--original {original!r} does not exist; expected the data that the set was encoded from")
    targets = _targets(opened, network, usable, resolution or "", options)
    seen = next(iter(targets.values())).render
    viewed = basenet.restore(base, seen) if seen else network

    written: list[str] = []
    failed = 0
    if out is not None:
        writer = _writer(out, form, opened, network, targets, history, overwrite)
        with writer:
            wanted = {index: target for index, target in targets.items() if writer.wants(index)}
            before = len(targets) - len(wanted)
            for done, (index, features) in enumerate(decoded(viewed, opened, wanted), start=before + 1):
                target = targets[index]
                try:
                    writer.write(index, network.modality.assemble(target.geometry, features, target.shape))
                except DataError as error:
                    failed += 1
                    yield Note(f"skipped {opened.ids[index]}: {error}", warning=True)
                yield Progress(done, len(usable), network.modality.unit, {})
        if failed == len(usable):
            raise DataError(f"none of {failed} data could be written; see the warnings above")
        written = [str(out)]
    if sheet is not None:
        chosen = {index: targets[index] for index in usable[:SHEET]}
        yield from _sheet(sheet, original, opened, viewed, chosen, own_size=not resolution)
        written.append(sheet)
    sizes = sorted({target.shape for target in targets.values()})
    yield Result(
        {
            "out": written,
            "decoded": len(usable) - failed,
            "resolution": "x".join(map(str, sizes[0])) if len(sizes) == 1 else None,
        }
    )


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


def decoded(network: Network, store: Functaset, targets: Mapping[int, Target]) -> Iterator[tuple[int, np.ndarray]]:
    """Index and features [n, c] of each datum in `targets`, in its order; besides them, memory depends on no grid."""
    run = runner(network.decoder, network.theta)
    order = list(targets)
    counts = buckets.padded_points(np.array([[int(np.prod(target.shape))] for target in targets.values()]))
    known: Target | None = None
    query: Callable[[int, int], np.ndarray] = partial(_some, np.zeros((0, 0)))
    for start in range(0, len(order), 256):
        part = order[start : start + 256]
        phi, _ = store.read(np.array(part))
        for row, index in enumerate(part):
            n = int(np.prod(targets[index].shape))
            if targets[index] is not known:
                known = targets[index]
                query = partial(network.modality.query, known.geometry, known.shape)
                if n <= KEPT_POINTS:
                    query = partial(_some, query(0, n))
            yield index, run(phi[row], query, n, counts[(n,)])


def runner(decoder: Decoder, theta: Tree) -> Callable[[np.ndarray, Callable, int, int], np.ndarray]:
    """Function of phi, of coordinates query(start, stop) [.., k], their number n, and to how many they are padded."""
    values = jax.jit(partial(decode_points, decoder))

    def run(phi: np.ndarray, query: Callable[[int, int], np.ndarray], n: int, padded: int) -> np.ndarray:
        rows = plan(1, padded, decoder.width).points
        tiles = -(-padded // rows)
        parts = []
        for start in range(0, tiles, BLOCK):
            held = min(BLOCK, tiles - start)
            first, last = min(start * rows, n), min((start + held) * rows, n)
            if first == last:
                break
            coords = query(first, last)
            block = np.zeros((held * rows, coords.shape[1]), np.float32)
            block[: len(coords)] = coords
            part = values(theta, jnp.asarray(phi), block.reshape(held, rows, -1))
            parts.append(np.asarray(part).reshape(held * rows, -1)[: len(coords)])
        return np.concatenate(parts)

    return run


def decode_points(decoder: Decoder, theta: Tree, phi: jax.Array, coords: jax.Array) -> jax.Array:
    """Features [tiles, rows, c] at `coords` [tiles, rows, k] for `phi` [*latent_shape], a tile at a time."""
    modulation = decoder.modulate(theta, phi)
    return lax.map(partial(decoder.observe, theta, modulation), coords)


def _options(network: Network, view: Mapping[str, Any]) -> DecodeOptions:
    return merge(network.modality.decode_options(), view, where="view.")


def _targets(
    store: Functaset, network: Network, indices: Sequence[int], resolution: str, options: DecodeOptions
) -> dict[int, Target]:
    """What each datum is decoded at; data of one shape have one target."""
    shapes, found = store.shapes, {}
    made: dict[Shape, Target] = {}
    for index in indices:
        own = tuple(shapes[index].tolist())
        if own not in made:
            made[own] = network.modality.target(store.geometry, own, resolution, options)
        found[index] = made[own]
    return found


def _writer(
    out: str,
    form: str | None,
    store: Functaset,
    network: Network,
    targets: Mapping[int, Target],
    history: str,
    overwrite: bool,
) -> Writer:
    modality, ids, rows = network.modality, store.ids, list(targets)
    suffix = Path(out).suffix.removeprefix(".")
    together = {*modality.collectors, "npz", "zarr"}
    if form is None:
        form = suffix if suffix in together else next(iter(modality.forms))
    elif form == "files":
        form = next(iter(modality.forms))
    if form in modality.forms and not (form in together and suffix == form):
        request = _request(store, targets, form)
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


def _sheet(
    sheet: str,
    original: str | None,
    store: Functaset,
    network: Network,
    targets: Mapping[int, Target],
    *,
    own_size: bool,
) -> Iterator[Event]:
    """Draw pairs; with `own_size`, a reconstruction is evaluated where its original was measured."""
    found, note = _originals(original, store, network, list(targets))
    if note:
        yield Note(note, warning=True)
    run, modality, rows = runner(network.decoder, network.theta), network.modality, []
    phi, _ = store.read(np.array(list(targets)))
    for place, (index, target) in enumerate(targets.items()):
        shape, geometry, _ = target
        query: Callable[[int, int], np.ndarray] = partial(modality.query, geometry, shape)
        shown = None
        if index in found:
            signal, own, its = found[index]
            shown = modality.assemble(its, signal.features, own)
            if own_size:
                shape, geometry = own, its
                query = partial(_some, signal.coords)
        n = int(np.prod(shape))
        rows.append((shown, modality.assemble(geometry, run(phi[place], query, n, n), shape)))
    Path(sheet).parent.mkdir(parents=True, exist_ok=True)
    modality.sheet(Path(sheet), rows, next(iter(targets.values())).geometry)


def _some(coords: np.ndarray, start: int, stop: int) -> np.ndarray:
    return coords[start:stop]


def _originals(
    original: str | None, store: Functaset, network: Network, indices: Sequence[int]
) -> tuple[dict[int, tuple[Signal, Shape, dict[str, Any]]], str | None]:
    """Previews of the data as they are read for encoding, their shapes and geometry, where they can be found still."""
    recorded = store.attrs.get("encode", {})
    where = original or recorded.get("source")
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
