"""Functa at points: block by block, so that memory depends on neither the number of points nor that of the data."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from functa_cli import basenet, buckets
from functa_cli.basenet import Network
from functa_cli.decoder import Decoder, Tree
from functa_cli.modality import DecodeOptions, Shape, Target
from functa_cli.store import Functaset
from functa_cli.tiles import plan

BLOCK = 64  # tiles that one call works through
KEPT_POINTS = 1 << 20  # points whose coordinates are kept from datum to datum

Query = Callable[[int, int], np.ndarray]  # coordinates [stop - start, k] of the points start to stop


def targets_of(
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


def assembled(network: Network, store: Functaset, rows: Sequence[int], resolution: str = "") -> Iterator[np.ndarray]:
    """Decoded arrays of `rows`, as users know them; `resolution` as in decode, "": as each was encoded."""
    targets = targets_of(store, network, rows, resolution, network.modality.decode_options())
    for row, features in decoded(viewed(network, store, targets), store, targets):
        yield network.modality.assemble(targets[row].geometry, features, targets[row].shape)


def viewed(network: Network, store: Functaset, targets: Mapping[int, Target]) -> Network:
    """The network of `store`, with the renderer that `targets` are seen through."""
    seen = next(iter(targets.values())).render if targets else {}
    return basenet.restore(store.base, seen) if seen else network


def decoded(network: Network, store: Functaset, targets: Mapping[int, Target]) -> Iterator[tuple[int, np.ndarray]]:
    """Index and features [n, c] of each datum in `targets`, in its order; besides them, memory depends on no grid."""
    run = runner(network.decoder, network.theta)
    order = list(targets)
    counts = buckets.padded_points(np.array([[int(np.prod(target.shape))] for target in targets.values()]))
    known: Target | None = None
    query: Query = held(np.zeros((0, 0)))
    for start in range(0, len(order), 256):
        part = order[start : start + 256]
        phi, _ = store.read(np.array(part))
        for row, index in enumerate(part):
            n = int(np.prod(targets[index].shape))
            if targets[index] is not known:
                known = targets[index]
                query = partial(network.modality.query, known.geometry, known.shape)
                if n <= KEPT_POINTS:
                    query = held(query(0, n))
            yield index, run(phi[row], query, n, counts[(n,)])


def runner(decoder: Decoder, theta: Tree) -> Callable[[np.ndarray, Query, int, int], np.ndarray]:
    """Function of phi, of coordinates query(start, stop) [.., k], their number n, and to how many they are padded."""
    values = jax.jit(partial(decode_points, decoder))

    def run(phi: np.ndarray, query: Query, n: int, padded: int) -> np.ndarray:
        rows = plan(1, padded, decoder.width).points
        tiles = -(-padded // rows)
        parts = []
        for start in range(0, tiles, BLOCK):
            size = min(BLOCK, tiles - start)
            first, last = min(start * rows, n), min((start + size) * rows, n)
            if first == last:
                break
            coords = query(first, last)
            block = np.zeros((size * rows, coords.shape[1]), np.float32)
            block[: len(coords)] = coords
            part = values(theta, jnp.asarray(phi), block.reshape(size, rows, -1))
            parts.append(np.asarray(part).reshape(size * rows, -1)[: len(coords)])
        return np.concatenate(parts)

    return run


def decode_points(decoder: Decoder, theta: Tree, phi: jax.Array, coords: jax.Array) -> jax.Array:
    """Features [tiles, rows, c] at `coords` [tiles, rows, k] for `phi` [*latent_shape], a tile at a time."""
    modulation = decoder.modulate(theta, phi)
    return lax.map(partial(decoder.observe, theta, modulation), coords)


def held(coords: np.ndarray) -> Query:
    """A query of coordinates [n, k] that are there already."""
    return lambda start, stop: coords[start:stop]
