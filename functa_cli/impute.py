"""`functa impute`: complete data of which a part was seen, with a prior (section 4, "Inference", equation 2)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from functa_cli import basenet, priornet, template
from functa_cli.basenet import Network
from functa_cli.complete import Ask, Completer
from functa_cli.completions import Rows, draw
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.events import Event, Note, Progress, Result, skipped
from functa_cli.nearest import KNOWN
from functa_cli.partly import SAMPLE, Partly
from functa_cli.priornet import Model
from functa_cli.store import Functaset
from functa_cli.truth import Truth, figures, summed
from functa_cli.writers import check_picture

NONE = "none"  # the prior that is none
PARTS = ("all", "train", "test")
STEPS = 12
STARTS = 0
STREAM = 14  # of random numbers


def impute(
    path: str,
    data: str,
    out: str,
    *,
    observe: Sequence[str] = (),
    mask: str | None = None,
    options: Mapping[str, Any] | None = None,
    prior: str | None = None,
    trust: float | None = None,
    worth: float | None = None,
    near: float | None = None,
    steps: int = STEPS,
    starts: int = STARTS,
    samples: int = 1,
    truth: str | None = None,
    part: str = "all",
    sheet: str | None = None,
    seed: int = 0,
    shard: int = 256,
    overwrite: bool = False,
) -> Iterator[Event]:
    """Complete `data` with the base network and prior of the functaset at `path`, into the functaset `out`.

    `observe`, `mask`: what is seen, see `partly.Partly`. `options`: settings of the data that differ from those that
    the functaset was encoded with. `prior`: which one; None: the only one; "none": the inner loop on what is seen.
    `trust`: lambda of equation 2; None: by how well functa fit their data and by `worth`, see `Completer`; it is that
    of the modality where it is None, as is `near`, in [0, 1), see `Completer`. `steps`, `starts`, `samples`: see
    `complete.Ask`; of several samples the rows are called id#0, id#1 and so on. `truth`: the complete data, for figures
    of what is seen and what is hidden. `part`: of the split. `sheet`: a PNG of some data: what was seen, completed
    without and with the prior, and the truth. The same call continues one that was cut off, with the same bytes.

    Raises:
        ConfigError, DataError, StoreError: see their texts.
    """
    _check(path, out, prior, samples, sheet, overwrite)
    if trust is not None and worth is not None:
        raise ConfigError("--lambda and --worth both say what a squared error weighs; give one of them")
    if near is not None and not 0.0 <= near < 1.0:
        raise ConfigError(f"--near is from 0 to below 1, found {near:g}")
    if near and samples > 1:
        raise ConfigError("--near narrows the prior for the most likely completion; --samples are of the whole prior")
    store = Functaset.open(path)
    network = basenet.restore(store.base)
    model = None if prior == NONE else _model(store, prior)
    own = {**store.attrs.get("encode", {}).get("data", {}), "limit": 0, "resolution": "", **(options or {})}
    partly = Partly(network, data, observe=observe, mask=mask, options=own, seed=seed, geometry=store.geometry)
    yield Note(partly.source.found)
    yield from skipped(partly.source.problems)
    error = _error(store)
    known = Truth(network, partly, truth, own, store.geometry) if truth is not None else None
    narrowed = 0.0 if samples > 1 else network.modality.near if near is None else near
    if model is not None:
        how = f"{samples} samples" if samples > 1 else "the most likely completion"
        told = f"lambda {trust:g}" if trust is not None else f"lambda by an error of {error:.3g}"
        if narrowed:
            told += f", narrowed by {narrowed:g} around the most similar functum"
        yield Note(f"{how} by the {model.config.kind} prior in {path} ({model.fingerprint[:16]}), {told}")
    ask = Ask(trust, error, steps, starts, samples, seed, worth, narrowed)
    rows = _rows(partly, part, samples)
    kind = NONE if model is None else model.config.kind
    request = {**partly.request, "prior": kind, "prior_fingerprint": model.fingerprint if model else None}
    request = {
        **request,
        "lambda": trust,
        "worth": worth,
        "near": near,
        "error": error,
        "steps": steps,
        "starts": starts,
        "samples": samples,
        "part": part,
    }
    names = ["objective", "lambda"] * (model is not None) + (known.names if known else [])
    done = template.begin(
        out,
        base=store.base,
        latent_shape=store.latent_shape,
        known=rows,
        figures=names,
        how={**request, "store": path, "truth": truth},
        verb="impute",
        shard=shard,
        overwrite=overwrite,
    )
    completer = Completer(network, partly, model, ask, None if model is None else _functa(store, seed))
    yield from _completed(done, rows, completer, known, names)
    done.finalize()
    if sheet is not None:
        yield from draw(sheet, done, rows, completer, known)
    yield from _close(done, network, rows, known, [out, *([sheet] if sheet else [])])


def _error(store: Functaset) -> float:
    """Mean error of the set's training data, which is what lambda is told from."""
    mse, train = store.errors(), np.array(store.split) == "train"
    usable = np.isfinite(mse)
    if not usable.any():
        raise StoreError(f"{store.path!r} has no encoded data; run functa encode first")
    chosen = usable & train if (usable & train).any() else usable
    return max(float(mse[chosen].mean(dtype=np.float64)), 1e-9)


def _functa(store: Functaset, seed: int) -> np.ndarray:
    """Modulations [m, *latent_shape] of the set's training data, or of as many as are compared with what is seen."""
    rows = store.rows("train")
    rows = rows if len(rows) else store.rows()
    if len(rows) > KNOWN:
        rows = np.sort(np.random.default_rng([seed, STREAM]).choice(rows, KNOWN, replace=False))
    return store.read(rows)[0]


def _check(path: str, out: str, prior: str | None, samples: int, sheet: str | None, overwrite: bool) -> None:
    if Path(path).resolve() == Path(out).resolve():
        raise ConfigError(f"{out!r} is the functaset with the prior; completions go to a store of their own")
    if prior == NONE and samples > 1:
        raise ConfigError("--samples are drawn with a prior; --prior none has one completion")
    if sheet is not None:
        check_picture(sheet, overwrite=overwrite)


def _model(store: Functaset, kind: str | None) -> Model:
    """The prior that is asked for, which must have a density."""
    model = priornet.restore(store, kind)
    if None in (model.prior.log_prob, model.prior.to_noise, model.prior.from_noise):
        raise ConfigError(
            f"the {model.config.kind} prior has no density, which equation 2 needs; "
            f"learn one that has: functa fit {store.path} --prior flow"
        )
    return model


def _rows(partly: Partly, part: str, samples: int) -> Rows:
    source = partly.source
    chosen = [index for index, own in enumerate(source.split) if part in ("all", own)]
    if not chosen:
        raise DataError(f"none of the {len(source)} data are {part} data; --part all takes all")
    index = np.repeat(chosen, samples)
    ids = [source.ids[one] for one in index]
    if samples > 1:
        ids = [f"{name}{SAMPLE}{place % samples}" for place, name in enumerate(ids)]
    return Rows(
        ids,
        np.asarray(source.labels)[index],
        source.classes,
        [source.split[one] for one in index],
        np.asarray(source.shapes)[index],
        {name: np.asarray(values)[index] for name, values in source.columns.items()},
        source.geometry,
        index,
        np.arange(len(index)) % samples,
    )


def _completed(
    store: Functaset, rows: Rows, completer: Completer, known: Truth | None, names: Sequence[str]
) -> Iterator[Event]:
    """Complete what is still to be completed, shard by shard."""
    pending, ids = store.pending(), completer.partly.source.ids
    done = store.n - sum(part.stop - part.start for part in pending)
    if done:
        yield Note(f"continuing: {done} of {store.n} are completed already")
    told: set[int] = set()
    for part in pending:
        size = part.stop - part.start
        phi = np.full((size, *store.latent_shape), np.nan, np.float32)
        mse = np.full(size, np.inf, np.float32)
        more = {name: np.full(size, np.nan, np.float32) for name in names}
        asked = [(int(rows.index[row]), int(rows.number[row])) for row in range(part.start, part.stop)]
        place = {row: number for number, row in enumerate(asked)}
        for own, found in completer.completed(asked):
            done += len(own)
            if isinstance(found, str):
                yield Note(f"skipped {found}", warning=True)
                continue
            for row, observed, completed in zip(own, *found):
                if observed.note and row[0] not in told:
                    yield Note(observed.note, warning=True)
                told.add(row[0])
                if not np.isfinite(completed.phi).all():
                    yield Note(f"skipped {ids[row[0]]}: its modulations diverge", warning=True)
                    continue
                at = place[row]
                looked = completer.look(completed.phi, observed.signal)
                phi[at], mse[at] = completed.phi, looked[0]
                if "objective" in more:
                    more["objective"][at], more["lambda"][at] = completed.objective, completed.trust
                if known is not None:
                    for name, value in known.figures(completer, observed, completed.phi, looked).items():
                        more[name][at] = value
            shown = mse[np.isfinite(mse)]
            yield Progress(done, store.n, completer.network.modality.unit, summed(shown, "seen") if len(shown) else {})
        store.write(part, phi, mse, more)


def _close(store: Functaset, network: Network, rows: Rows, known: Truth | None, out: list[str]) -> Iterator[Event]:
    mse = store.errors()
    fine = np.isfinite(mse)
    failed = int((~fine).sum())
    values: dict[str, Any] = {"out": out if len(out) > 1 else out[0], "completed": int(fine.sum()), "skipped": failed}
    if fine.any():
        values |= figures(store, network, fine, known)
        test = fine & (np.array(rows.split) == "test")
        if test.any() and (fine & ~test).any():
            values |= {f"{name}_test": value for name, value in figures(store, network, test, known).items()}
    yield Result({key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()})
    if not fine.any():
        raise DataError(f"none of {store.n} data could be completed; see the warnings above")
