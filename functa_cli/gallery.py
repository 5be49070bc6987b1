"""What a report shows of a functaset: decoded data, their originals, samples, ways, and neighbours."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from functa_cli.basenet import Network
from functa_cli.evaluate import Query, held, runner, targets_of, viewed
from functa_cli.labelled import groups
from functa_cli.modality import Shape, Target
from functa_cli.pairs import Found
from functa_cli.portraits import Portrait, portrait
from functa_cli.rules import VIEW
from functa_cli.store import Functaset


class Gallery:
    """Pictures of the functa of a store, each drawn once.

    `originals`: by row, as `pairs.originals` finds them; a functum is decoded at the points of its original.
    """

    def __init__(self, store: Functaset, network: Network, rows: Sequence[int], originals: Found):
        targets = targets_of(store, network, rows, "", network.modality.decode_options())
        network = viewed(network, store, targets)
        self.store, self.network, self.modality, self.originals = store, network, network.modality, originals
        self.targets = targets
        self.run = runner(network.decoder, network.theta)
        self.ids, self.labels, self.classes = store.ids, store.labels, store.classes
        self.drawn: dict[int, Portrait] = {}

    def functum(self, row: int) -> Portrait:
        """What a datum decodes to, where its original was measured if that is there."""
        if row not in self.drawn:
            phi = self.store.read(np.array([row]))[0][0]
            self.drawn[row] = self.vector(phi, row)
        return self.drawn[row]

    def vector(self, phi: np.ndarray, like: int) -> Portrait:
        """What modulations `phi` [*latent_shape] decode to, at the points of the datum `like`."""
        original = self.originals.get(like)
        if original is not None:
            shape, geometry, query = original[1], original[2], held(original[0].coords)
        else:
            shape, geometry, query = self._place(self.targets[like])
        n = int(np.prod(shape))
        features = self.run(phi.reshape(self.store.latent_shape), query, n, n)
        return portrait(self.modality, self.modality.assemble(geometry, features, shape), geometry)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Modulations [rows, d], flat."""
        return self.store.read(rows)[0].reshape(len(rows), -1)

    def original(self, row: int, seen: np.ndarray | None = None) -> Portrait:
        """A datum of `originals` as it was read; `seen`: bool [points], what was not is left blank."""
        signal, shape, geometry = self.originals[row]
        features = signal.features
        if seen is not None:
            blank = 0.0 if self.modality.cloud is not None else 0.5  # empty space, or the middle of the range
            features = np.where(seen[:, None], features, blank).astype(np.float32)
        return portrait(self.modality, self.modality.assemble(geometry, features, shape), geometry)

    def kind(self, row: int) -> str:
        """Name of the class of a datum; "" where it has none, or where there is only one."""
        return self.classes[self.labels[row]] if self.labels[row] >= 0 and len(self.classes) > 1 else ""

    def _place(self, target: Target) -> tuple[Shape, dict[str, Any], Query]:
        """Where a datum without an original is decoded; of several views one."""
        shape = (1, *target.shape[1:]) if self.modality.axes[:1] == (VIEW,) else target.shape
        return shape, target.geometry, partial(self.modality.query, target.geometry, target.shape)


class Neighbours(NamedTuple):
    """Data and those whose modulations are nearest to theirs."""

    queries: np.ndarray  # rows [q]
    nearest: np.ndarray  # rows [q, k], the nearest first
    distance: np.ndarray  # Euclidean [q, k]


def neighbours(store: Functaset, queries: np.ndarray, pool: np.ndarray, k: int) -> Neighbours:
    """The k nearest of the rows `pool` to each of `queries`; neither itself nor an augmented copy of it counts."""
    flat = [store.read(rows)[0].reshape(len(rows), -1) for rows in (queries, pool)]
    group = groups(store.ids)
    near, far = [], []
    for start in range(0, len(queries), 512):
        part = cdist(flat[0][start : start + 512], flat[1])
        part[group[queries[start : start + 512]][:, None] == group[pool][None]] = np.inf
        order = np.argsort(part, axis=1, kind="stable")[:, :k]
        near.append(pool[order])
        far.append(np.take_along_axis(part, order, axis=1))
    return Neighbours(queries, np.concatenate(near), np.concatenate(far))


def agreement(store: Functaset, found: Neighbours) -> tuple[float, int] | None:
    """Share of labelled queries whose nearest datum is of their class, and how many those are; None without classes."""
    labels = store.labels
    known = (labels[found.queries] >= 0) & np.isfinite(found.distance[:, 0])
    if not len(store.classes) > 1 or not known.any():
        return None
    return float((labels[found.nearest[known, 0]] == labels[found.queries[known]]).mean()), int(known.sum())
