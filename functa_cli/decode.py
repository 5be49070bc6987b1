"""`functa decode`: evaluate functa on any grid; write files, one array file, or a contact sheet."""

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functa_cli import basenet, buckets
from functa_cli.basenet import Network
from functa_cli.decoder import Decoder, Tree
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.store import Functaset
from functa_cli.tiles import plan
from functa_cli.writers import AGAIN, ArrayWriter, FolderWriter

SHEET = 48  # data on a contact sheet, at most
BLOCK = 64  # tiles that one call works through


def decode(
    store: str,
    out: str | None,
    *,
    resolution: str | None = None,
    select: str | None = None,
    ids: Sequence[str] = (),
    form: str | None = None,
    sheet: str | None = None,
    original: str | None = None,
    overwrite: bool = False,
) -> Iterator[Event]:
    """Decode the functaset `store`, which needs nothing else, into `out`.

    `resolution`: a grid such as "256" or "181x360"; None: the one each datum was encoded at. `select`: a slice such as
    "0:100"; `ids`: names; both None: all. `form`: "files", "npz" or "zarr"; None: by the suffix of `out`.
    `sheet`: a PNG with originals (read from `original`, or from where the set was encoded) beside reconstructions.

    Raises:
        ConfigError, DataError, StoreError: see their texts.
    """
    opened = Functaset.open(store)
    network = basenet.restore(opened.base)
    if opened.latent_shape != network.decoder.latent_shape:
        raise StoreError(f"{store!r} is damaged: its modulations do not fit its base network; fetch or make it again")
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
    grid = network.modality.parse_resolution(resolution) if resolution else None
    own = opened.shapes
    if grid and len(grid) != own.shape[1]:
        raise ConfigError(f"--resolution {resolution} has {len(grid)} axes, the data have {own.shape[1]}")
    shapes = {index: grid or tuple(own[index].tolist()) for index in usable}

    written: list[str] = []
    if out is not None:
        writer = _writer(out, form, opened, network, shapes, overwrite)
        with writer:
            wanted = {index: shape for index, shape in shapes.items() if writer.wants(index)}
            before = len(shapes) - len(wanted)
            for done, (index, features) in enumerate(decoded(network, opened, wanted), start=before + 1):
                writer.write(index, network.modality.assemble(opened.geometry, features, shapes[index]))
                yield Progress(done, len(usable), network.modality.unit, {})
        written = [str(out)]
    if sheet is not None:
        yield from _sheet(sheet, original, opened, network, {index: shapes[index] for index in usable[:SHEET]})
        written.append(sheet)
    sizes = sorted(set(shapes.values()))
    yield Result(
        {
            "out": written,
            "decoded": len(usable),
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


def decoded(network: Network, store: Functaset, shapes: dict[int, buckets.Shape]) -> Iterator[tuple[int, np.ndarray]]:
    """Index and features [n, c] of each datum in `shapes`, in its order, in memory that depends on no grid's size."""
    values = jax.jit(partial(decode_points, network.decoder))
    points = buckets.padded_points(np.array(list(shapes.values())))
    known: buckets.Shape | None = None
    order = list(shapes)
    for start in range(0, len(order), 256):
        part = order[start : start + 256]
        phi, _ = store.read(np.array(part))
        for row, index in enumerate(part):
            if shapes[index] != known:
                known = shapes[index]
                coords = network.modality.query(store.geometry, known)
                padded = np.zeros((points[known], coords.shape[1]), np.float32)
                padded[: len(coords)] = coords
            yield index, in_blocks(values, network.theta, phi[row], padded, network.decoder.width)[: len(coords)]


def decode_points(decoder: Decoder, theta: Tree, phi: jax.Array, coords: jax.Array) -> jax.Array:
    """Features [tiles, rows, c] at `coords` [tiles, rows, k] for `phi` [*latent_shape], a tile at a time."""
    modulation = decoder.modulate(theta, phi)
    return lax.map(partial(decoder.observe, theta, modulation), coords)


def in_blocks(values: Callable, theta: Tree, phi: np.ndarray, coords: np.ndarray, width: int) -> np.ndarray:
    """Features [n, c] at `coords` [n, k]: `values` gets blocks of few sizes, so it compiles rarely."""
    n, k = coords.shape
    rows = plan(1, n, width).points
    tiles = -(-n // rows)
    padded = np.zeros((tiles * rows, k), np.float32)
    padded[:n] = coords
    padded = padded.reshape(tiles, rows, k)
    parts = [values(theta, jnp.asarray(phi), padded[start : start + BLOCK]) for start in range(0, tiles, BLOCK)]
    return np.concatenate([np.asarray(part).reshape(-1, part.shape[-1]) for part in parts])[:n]


def _writer(
    out: str, form: str | None, store: Functaset, network: Network, shapes: dict[int, buckets.Shape], overwrite: bool
) -> FolderWriter | ArrayWriter:
    form = form or {".npz": "npz", ".zarr": "zarr"}.get(Path(out).suffix, "files")
    ids = store.ids
    if form == "files":
        return FolderWriter(out, network.modality, ids, list(shapes), _request(store, shapes), overwrite=overwrite)
    if len(set(shapes.values())) > 1:
        raise ConfigError(f"the data differ in size and one .{form} array holds one size; give --resolution R")
    return ArrayWriter(out, form, ids, list(shapes), overwrite=overwrite)


def _request(store: Functaset, shapes: dict[int, buckets.Shape]) -> str:
    """What decides the decoded files, as one number: the network, the data, and their grids."""
    words = json.dumps([store.fingerprint, store.ids, [[index, *shape] for index, shape in shapes.items()]])
    return hashlib.sha256(words.encode() + store.errors().tobytes()).hexdigest()


def _sheet(
    sheet: str, original: str | None, store: Functaset, network: Network, shapes: dict[int, buckets.Shape]
) -> Iterator[Event]:
    found, note = _originals(original, store, network, shapes)
    if note:
        yield Note(note, warning=True)
    rows = []
    for index, features in decoded(network, store, shapes):
        rows.append((found.get(index), network.modality.assemble(store.geometry, features, shapes[index])))
    Path(sheet).parent.mkdir(parents=True, exist_ok=True)
    network.modality.sheet(Path(sheet), rows, store.geometry)


def _originals(
    original: str | None, store: Functaset, network: Network, shapes: dict[int, buckets.Shape]
) -> tuple[dict[int, np.ndarray], str | None]:
    """The data as they were read for encoding, where they can still be found."""
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
    for index in shapes:
        number = place.get(ids[index])
        if number is not None:
            with contextlib.suppress(DataError):  # counted below
                shape = tuple(source.shapes[number].tolist())
                found[index] = network.modality.assemble(store.geometry, source[number].features, shape)
    missing = len(shapes) - len(found)
    return found, f"{missing} originals cannot be read in {where!r}" if missing else None
