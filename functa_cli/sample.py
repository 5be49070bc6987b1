"""`functa sample`: new functa from a prior, or ways between and around those that are there (section 4)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli import basenet, merit, quality, template
from functa_cli.basenet import Network
from functa_cli.drawn import Drawn, Request, Rows, draw, model_of, usable
from functa_cli.errors import ConfigError
from functa_cli.evaluate import assembled, targets_of, viewed
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.pairs import draw as draw_pairs
from functa_cli.priornet import Model
from functa_cli.store import Functaset
from functa_cli.writers import check_picture

SHEET = 64  # samples on a sheet, at most


def sample(
    path: str,
    out: str,
    request: Request,
    *,
    sheet: str | None = None,
    novelty: str | None = None,
    coverage: bool = False,
    inception: str | None = None,
    original: str | None = None,
    overwrite: bool = False,
) -> Iterator[Event]:
    """Write new functa of the functaset at `path` to the functaset `out`, which has the same base network.

    `sheet`: a PNG of what they decode to. `novelty`: a PNG of each beside the nearest training datum (Figure 19), with
    a list of which that is. `coverage`: figures of decoded shapes; `inception`: weights for the FID of decoded
    pictures, with `original` in the place of where the set was encoded from. Samples have no error, so their mse is 0.

    Raises:
        ConfigError, DataError, StoreError: see their texts.
    """
    _check(request, path, out, sheet, novelty, overwrite)
    store = Functaset.open(path)
    network = basenet.restore(store.base)
    model = model_of(store, request)
    rows = usable(store)
    if model is not None:
        known = f", {len(model.classes)} classes" if model.classes else ""
        yield Note(f"sampling from the {model.config.kind} prior in {path} ({model.fingerprint[:16]}{known})")
    drawn = draw(store, model, request, rows)
    phi, _ = store.read(slice(None))
    phi = phi.reshape(len(phi), -1)
    far = merit.nearest(drawn.phi, phi[rows.train])
    how = {**request._asdict(), "store": path, "prior_fingerprint": model.fingerprint if model else None}
    samples = template.begin(
        out,
        base=store.base,
        latent_shape=store.latent_shape,
        known=drawn,
        figures=["distance"],
        how={**how, "source": path},
        verb="sample",
        overwrite=overwrite,
    )
    for part in samples.pending():
        own = drawn.phi[part].reshape(-1, *store.latent_shape)
        samples.write(part, own, np.zeros(len(own), np.float32), {"distance": far[1][part]})
        yield Progress(part.stop, samples.n, "sample", {})
    samples.finalize()
    found = _figures(store, drawn, model, request, rows, phi, far[1])
    if sheet is not None:
        shown = range(min(SHEET, samples.n))
        targets = targets_of(samples, network, shown, "", network.modality.decode_options())
        yield from draw_pairs(sheet, None, samples, viewed(network, samples, targets), targets, own_size=False)
    if novelty is not None:
        yield from _novelty(novelty, network, store, samples, rows.train[far[0]])
        names = store.ids
        found["nearest"] = [
            {"id": name, "nearest": names[rows.train[near]], "distance": round(float(away), 5)}
            for name, near, away in zip(drawn.ids, *far)
        ]
    if coverage:
        yield Note("comparing decoded shapes")
        found |= quality.shapes(store, samples, request.seed)
    if inception is not None:
        yield Note("comparing decoded pictures")
        found |= quality.fid(store, samples, inception, original)
    yield Result({"out": [out, *filter(None, (sheet, novelty))], "samples": samples.n, **found})


def _check(request: Request, path: str, out: str, sheet: str | None, novelty: str | None, overwrite: bool) -> None:
    if Path(path).resolve() == Path(out).resolve():
        raise ConfigError(
            f"{out!r} is the functaset to sample from; samples go to a store of their own: give another OUT"
        )
    if request.between and request.near:
        raise ConfigError("--interpolate and --near are two ways to sample; give one of them")
    if (request.between or request.near) and (request.label or request.temperature is not None):
        raise ConfigError("--label and --temperature are of fresh samples; --interpolate and --near have neither")
    if request.between and request.n is not None:
        raise ConfigError("--interpolate takes --steps, the number of functa on the way, and not -n")
    if not 0.0 <= request.radius <= 1.0:
        raise ConfigError(f"--radius is between 0 and 1; found {request.radius:g}")
    for picture in filter(None, (sheet, novelty)):
        check_picture(picture, overwrite=overwrite)


def _figures(
    store: Functaset, drawn: Drawn, model: Model | None, request: Request, rows: Rows, phi: np.ndarray, far: np.ndarray
) -> dict[str, Any]:
    """How near samples are to the training data, beside how near held-out data are; and how far as a set."""
    found: dict[str, Any] = {"distance_to_train": float(np.median(far))}
    train, heldout = phi[rows.train], phi[rows.heldout]
    if len(heldout):
        found["distance_to_train_heldout"] = float(np.median(merit.nearest(heldout, train)[1]))
    if model is None or request.near or request.between:
        return found
    if request.label is not None:
        chosen = store.classes.index(request.label)
        train, heldout = (part[store.labels[own] == chosen] for part, own in zip((train, heldout), rows))
    distance = merit.distance(drawn.phi, heldout, train, request.seed)
    return found | (distance.figures() if distance is not None else {})


def _novelty(
    novelty: str, network: Network, store: Functaset, samples: Functaset, nearest: np.ndarray
) -> Iterator[Event]:
    """Draw each sample, right, beside the training datum whose modulations are nearest (Figure 19)."""
    shown = list(range(min(SHEET, samples.n)))
    near = list(dict.fromkeys(nearest[shown].tolist()))
    of = dict(zip(near, assembled(network, store, near)))
    rows = [(of[int(nearest[row])], array) for row, array in zip(shown, assembled(network, samples, shown))]
    Path(novelty).parent.mkdir(parents=True, exist_ok=True)
    first = targets_of(samples, network, [0], "", network.modality.decode_options())[0]
    network.modality.sheet(Path(novelty), rows, first.geometry)
    yield Note(f"{novelty}: left the nearest of {store.n} training data, right the sample")
