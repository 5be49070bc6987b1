"""The held-out data of a set with the base network that encodes them: their functa, and pictures of both.

A set is a table of settings: {name, modality, data, base, cells, count, layers, shipped}. `count` is how many held-out
data are encoded. `base` is a store beside the data that holds the network, which `layers` tell how it was fitted;
without a `base` it is fitted here, or the one that ships is taken.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import made
import numpy as np
from common import Piece, Run, base_of, click, where

from functa_cli import basenet
from functa_cli.basefile import Base
from functa_cli.encoder import Encoder
from functa_cli.errors import DataError
from functa_cli.evaluate import held, runner
from functa_cli.maps import WIDTH, drawn
from functa_cli.metrics import psnr
from functa_cli.regrid import is_global
from functa_cli.shading import shaded


class Heldout:
    """Some held-out data of one set."""

    def __init__(self, run: Run, one: Mapping[str, Any]):
        self.name, name = one["name"], one["modality"]
        self.base, _ = basenet.find(base_of(run, name, one), name)
        self.network = basenet.restore(self.base)
        self.modality = self.network.modality
        data = where(run, one.get("data")) or str(basenet.shipped(name, "sample"))
        own = {"resolution": "", **one.get("layers", {}).get("data", {})}
        options = basenet.settings(name, [{"data": own}]).data
        self.source = self.modality.open(data, options, seed=0, geometry=self.base.geometry)
        test = np.flatnonzero(np.array(self.source.split) == "test")
        self.all = len(test)
        self.rows = [int(row) for row in test[spread(len(test), one["count"])]]
        target = self.modality.target(
            self.source.geometry, tuple(self.source.shapes[0].tolist()), "", self.modality.decode_options()
        )
        seen = basenet.restore(self.base, target.render) if target.render else self.network
        self.run = runner(seen.decoder, seen.theta)

    def encoded(self, steps: int) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Modulations [rows, *latent_shape] after `steps` inner steps, the mse [rows] then, and other figures."""
        click.echo(f"{self.name}: {len(self.rows)} data, {steps} inner steps", err=True)
        phi: dict[int, np.ndarray] = {}
        mse: dict[int, float] = {}
        scores: dict[int, np.ndarray] = {}
        for indices, found in Encoder(self.network, self.source, steps).encoded(self.rows):
            if isinstance(found, str):
                raise DataError(f"{self.source.ids[indices[0]]}: {found}")
            phi |= dict(zip(indices, found.phi))
            mse |= dict(zip(indices, found.mse.tolist()))
            scores |= dict(zip(indices, found.scores))
        table = np.array([scores[row] for row in self.rows])
        figures = {name: table[:, place] for place, name in enumerate(self.modality.scores.names)}
        return np.stack([phi[row] for row in self.rows]), np.array([mse[row] for row in self.rows]), figures

    def original(self, row: int) -> np.ndarray:
        """The array of a datum as users know it; of scenes one view."""
        signal, shape = self.source.preview(row)
        return self.modality.assemble(self.source.geometry, signal.features, shape)

    def features(self, row: int, phi: np.ndarray) -> np.ndarray:
        """Features [*shape, c] of `phi` at the points of the datum `row`; of scenes those of one view."""
        signal, shape = self.source.preview(row)
        found = self.run(phi, held(signal.coords), len(signal.coords), len(signal.coords))
        return found.reshape(*shape, -1)

    def functum(self, row: int, phi: np.ndarray) -> np.ndarray:
        """What `phi` decodes to at the points of the datum `row`, as an array as users know it."""
        found = self.features(row, phi)
        return self.modality.assemble(self.source.geometry, found.reshape(-1, found.shape[-1]), found.shape[:-1])

    def picture(self, array: np.ndarray) -> np.ndarray:
        """An array of this set as a picture, uint8 [rows, columns, 3] or [rows, columns]."""
        return picture(array, self.source.geometry)

    @property
    def told(self) -> str:
        """What is encoded with what, for the list of what differs."""
        dim = int(np.prod(self.network.decoder.latent_shape))
        return f"{self.name}: {len(self.rows)} of {self.all} held-out data, {dim} numbers each, {network(self.base)}."


def network(base: Base) -> str:
    """What a base network is and how it was made, for the list of what differs."""
    field, outer = base.config["field"], base.config["outer"]
    size = f"width {field['width']} and depth {field['depth']}"
    learned = f"{outer['steps']:,} steps of {outer['batch']} on {base.info['trained_on']:,} data"
    return f"network of {size}, {learned} ({made.base_network(base)})"


def spread(n: int, count: int) -> np.ndarray:
    """`count` of the numbers below `n`, evenly; all where there are fewer."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(int))


def decibel(mse: Any) -> str:
    """An error as words under a picture."""
    return f"{psnr(mse):.1f} dB"


def picture(array: np.ndarray, geometry: Mapping[str, Any]) -> np.ndarray:
    """A picture of a decoded array: photos as they are, shapes shaded, fields as maps, scenes from one camera."""
    if "low" in geometry:
        latitude, longitude = np.array(geometry["latitude"]), np.array(geometry["longitude"])
        whole = drawn(array, latitude, longitude, geometry["low"], geometry["high"])
        return whole[: WIDTH // 2] if is_global(latitude, longitude) else whole
    if array.dtype == np.float32 and array.ndim == 3:
        return shaded(array)
    return array[0] if array.ndim == 4 else array


def of_encodes(sets: Sequence[Mapping[str, Any]], steps: Sequence[int | None]) -> list[Piece]:
    """Pieces of encoding every set with each number of inner steps, and of fitting networks that no `base` holds."""
    from cost import of_encode, of_fit

    pieces = [piece for one in sets if "base" not in one for piece in of_fit(one)]
    return pieces + [piece for one in sets for count in steps for piece in of_encode(one, steps=count)]
