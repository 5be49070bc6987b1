"""`functa encode`: fit modulations to every datum (eq. 1) and write them as a functaset, shard by shard."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from functa_cli import basenet, template
from functa_cli.basenet import Network
from functa_cli.config import to_dict
from functa_cli.encoder import BATCH, Encoded, Encoder, Tally
from functa_cli.errors import DataError
from functa_cli.events import Event, Note, Progress, Result, skipped
from functa_cli.metrics import psnr
from functa_cli.store import Functaset


def encode(
    data: str,
    out: str,
    *,
    base: str | None = None,
    modality: str | None = None,
    layers: Sequence[Mapping[str, Any]] = (),
    steps: int | None = None,
    polish: int = 0,
    points: int = 0,
    batch: int | None = None,
    seed: int = 0,
    shard: int = 1024,
    overwrite: bool = False,
    strict: bool = False,
) -> Iterator[Event]:
    """Encode `data` with a base network into the functaset `out`.

    `steps`: of the inner loop, as the network was trained where None; `polish`: Levenberg-Marquardt steps after them.
    `points`: of larger data the inner loop looks at that many, drawn with `seed`; 0: all. Errors are of all.
    `batch`: data worked on at once, at most. `shard`: data a shard, the unit of work that is lost when a run is cut
    off; the same call continues, with the same bytes as one that was never cut off. A datum that cannot be read or
    diverges keeps its row, with an mse of inf.

    Raises:
        ConfigError, DataError, StoreError: see their texts; with `strict`, DataError at the end if a file was skipped.
    """
    if modality is None:
        modality, why = basenet.detect(data)
        yield Note(f"{modality} data: {why} in {data}")
    found, where = basenet.find(base, modality)
    yield Note(f"using {where} ({found.fingerprint[:16]})")
    network = basenet.restore(found)
    own = [{"data": layer["data"]} for layer in layers if "data" in layer]
    options = basenet.settings(modality, [{"data": {"resolution": ""}}, *own]).data
    source = network.modality.open(data, options, seed=seed, geometry=found.geometry)
    source.keeps = False
    yield Note(source.found)
    yield from skipped(source.problems)
    steps = network.config.inner.steps if steps is None else steps

    store = template.begin(
        out,
        base=found,
        latent_shape=network.decoder.latent_shape,
        known=source,
        figures=_names(network, source.keeps_unseen),
        how={
            "steps": steps,
            "polish": polish,
            "points": points,
            "seed": seed,
            "source": data,
            "data": to_dict(options),
        },
        shard=shard,
        overwrite=overwrite,
    )
    told = len(source.problems)
    yield from _encoded(store, Encoder(network, source, steps, polish, seed, points), batch or BATCH)
    yield from skipped(source.problems[told:])
    store.finalize()
    yield from _close(store, network, len(source.problems), strict)


def _encoded(store: Functaset, encoder: Encoder, most: int) -> Iterator[Event]:
    """Encode what is still to be encoded, shard by shard; batches of `most` data."""
    pending = store.pending()
    done = store.n - sum(part.stop - part.start for part in pending)
    if done:
        yield Note(f"continuing: {done} of {store.n} are encoded already")
    source, network = encoder.source, encoder.network
    names = _names(network, source.keeps_unseen)
    tally = Tally(network, source.geometry)
    for part in pending:
        size = part.stop - part.start
        phi = np.full((size, *store.latent_shape), np.nan, np.float32)
        mse = np.full(size, np.inf, np.float32)
        more = {name: np.full(size, np.nan, np.float32) for name in names}
        for indices, result in encoder.encoded(range(part.start, part.stop), most):
            done += len(indices)
            if isinstance(result, str):
                yield Note(f"skipped {result}", warning=True)
                continue
            good = np.isfinite(result.mse) & np.isfinite(result.phi.reshape(len(indices), -1)).all(axis=1)
            for index in np.array(indices)[~good]:
                yield Note(f"skipped {source.ids[index]}: its modulations diverge", warning=True)
            result = Encoded(*(column[good] for column in result))
            rows = np.array(indices)[good] - part.start
            phi[rows], mse[rows] = result.phi, result.mse
            kept = [result.unseen] * source.keeps_unseen + list(result.scores.T)
            for name, values in zip(names, kept):
                more[name][rows] = values
            yield Progress(done, store.n, network.modality.unit, tally.add(result).figures())
        store.write(part, phi, mse, more)


def _close(store: Functaset, network: Network, unreadable: int, strict: bool) -> Iterator[Event]:
    """Figures of the finished set, and of its test part: `Tally.figures`, and the mean of the PSNR of each datum."""
    mse = store.errors()
    fine = np.isfinite(mse)
    good, failed = mse[fine].astype(np.float64), int((~fine).sum())
    if failed:
        yield Note(f"{failed} of {store.n} data are not encoded; each keeps its row, with an mse of inf", warning=True)
    values: dict[str, Any] = {"out": store.path, "encoded": len(good), "skipped": failed + unreadable}
    values["latent_shape"] = list(store.latent_shape)
    if len(good):
        whole = tally(store, network, fine)
        values["psnr"] = whole.pop("psnr")
        values["psnr_mean_of_data"] = float(psnr(good).mean())
        values.update(whole)
        test = np.array(store.split) == "test"
        if (fine & test).any() and (fine & ~test).any():
            values.update({f"{name}_test": value for name, value in tally(store, network, test).items()})
        values = {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
    yield Result(values)
    if not len(good):
        raise DataError(f"none of {len(mse)} data could be encoded; see the warnings above")
    if strict and failed + unreadable:
        raise DataError(f"{failed + unreadable} files could not be read or encoded and were skipped (--strict)")


def _names(network: Network, keeps_unseen: bool) -> tuple[str, ...]:
    """Figures that are kept of each datum beside its error."""
    return ("mse_unseen",) * keeps_unseen + network.modality.scores.names


def tally(store: Functaset, network: Network, chosen: np.ndarray) -> dict[str, float]:
    """Figures of the data `chosen` [datum], from what the store says of each."""
    names = network.modality.scores.names
    scores = np.stack([store.figure(name) for name in names], 1) if names else np.zeros((store.n, 0))
    unseen = store.figure("mse_unseen") if store.has("mse_unseen") else np.full(store.n, np.nan)
    found = Encoded(np.zeros((store.n, 0)), store.errors(), unseen, scores)
    return Tally(network, store.geometry).add(Encoded(*(column[chosen] for column in found))).figures()
