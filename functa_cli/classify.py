"""`functa classify`: tell the classes of functa, or of data that are encoded first, with a classifier (6.6)."""

import glob
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from functa_cli import classifiernet
from functa_cli.classifiernet import Model
from functa_cli.confusion import Scores, score
from functa_cli.encode import encode
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.events import Event, Note, Result
from functa_cli.place import is_local, open_group
from functa_cli.store import Functaset

SPLITS = ("train", "test", "all")
FORMS = ("table", "csv", "jsonl")


class Told(NamedTuple):
    """What was found for some data of a functaset."""

    rows: np.ndarray  # of the set
    ids: list[str]
    probabilities: np.ndarray  # [n, classes of the classifier]
    labels: np.ndarray  # true classes of the classifier [n]; -1 = none, or one that it does not know


def classify(
    data: str,
    *,
    base: str | None = None,
    split: str | None = None,
    form: str | None = None,
    write: bool = False,
    batch: int | None = None,
) -> Iterator[Event]:
    """Tell the classes of `data`, a functaset, or what can be encoded, with the classifier in the functaset `base`.

    `base`: None is `data` itself. What is not a functaset is encoded in a temporary place as `base` was. `split`: the
    part that is told: "train", "test" or "all"; None is "all", but "test" for a table of a set that has test data.
    `form`: of the result, see `FORMS`; None is a table where `data` has the classifier, else csv. `write`: keep
    "predicted" and "probability" in the functaset `data`, of all data where no `split` is asked for.

    The result has `predictions`, a list of {id, label, probability}, for csv and jsonl, and figures for a table.

    Raises:
        ConfigError, DataError, StoreError: see their texts.
    """
    _check(split, form)
    form = form or ("csv" if base else "table")
    whole = Functaset.open(base or data)
    model = classifiernet.restore(whole)
    with tempfile.TemporaryDirectory(prefix="functa-") as folder:
        if base is not None and not _is_store(data):
            if write:
                raise ConfigError(f"--write wants a functaset, found the data {data!r}; run functa encode first")
            store = yield from _encoded(data, whole, str(Path(folder, "set.zarr")), batch)
        else:
            store = Functaset.open(data, writable=write)
        _compare(store, whole)
        shown = split or ("test" if form == "table" and "test" in store.split else "all")
        told = _told(store, model, shown)
        yield from _left_out(store, model, told)
        known = told.labels >= 0
        scores = score(told.probabilities[known], told.labels[known]) if known.any() else None
        if form == "table" and scores is None:
            raise DataError(
                f"{data!r} has no labels of the classes that are known ({', '.join(model.classes)}) to compare with; "
                "--as csv prints what is told"
            )
        if write:
            every = told if split else _told(store, model, "all")
            _write(store, model, every)
            yield Note(f"wrote 'predicted' and 'probability' of {len(every.rows)} data into {store.path}")
        if form != "table" and scores is not None:
            yield Note(f"{scores.accuracy:.2%} of {scores.n} data with a label are told right")
        values = {"data": data, "classifier": whole.path, "split": shown, "n": len(told.rows)}
        if scores is not None:
            values |= _figures(scores, model)
        if form != "table":
            values["predictions"] = list(_predictions(told, model))
        yield Result(values)


def _told(store: Functaset, model: Model, split: str) -> Told:
    """Probabilities of the encoded data of a split."""
    rows = store.rows(None if split == "all" else split)
    if not len(rows):
        have = "no encoded data" if not len(store.rows()) else f"no encoded {split} data; --split all takes every one"
        raise DataError(f"{store.path!r} has {have}")
    labels, ids = store.labels[rows], store.ids
    if labels.max() >= len(store.classes):
        raise StoreError(f"{store.path!r} is damaged: a label is {labels.max()} of {len(store.classes)} classes")
    phi, _ = store.read(rows)
    return Told(rows, [ids[row] for row in rows], model.probabilities(phi), _places(store, model)[labels])


def _places(store: Functaset, model: Model) -> np.ndarray:
    """Number that the classifier has for each class of the set, -1 where it has none; the last one is for no label."""
    return np.array([model.classes.index(name) if name in model.classes else -1 for name in store.classes] + [-1])


def _left_out(store: Functaset, model: Model, told: Told) -> Iterator[Note]:
    """Warnings of data that are not told, or not scored."""
    failed = int((~np.isfinite(store.errors())).sum())
    if failed:
        yield Note(f"left out {failed} data that are not encoded or failed", warning=True)
    labels = store.labels[told.rows]
    strange = (labels >= 0) & (told.labels < 0)
    if strange.any():
        names = ", ".join(store.classes[number] for number in np.unique(labels[strange]))
        yield Note(
            f"{strange.sum()} data are of classes that the classifier does not know ({names}); "
            "they are told as one of those that it does, and not scored",
            warning=True,
        )


def _encoded(data: str, whole: Functaset, place: str, batch: int | None) -> Generator[Event, None, Functaset]:
    """`data` as a functaset at `place`, made by the network and with the settings that made `whole`."""
    how = whole.attrs.get("encode", {})
    options = {key: value for key, value in how.get("data", {}).items() if key not in ("limit", "split", "augment")}
    rest: dict[str, Any] = {"steps": how.get("steps"), **{key: how.get(key, 0) for key in ("polish", "points", "seed")}}
    layers = [{"data": {**options, "split": "none"}}]
    modality = whole.attrs["modality"]
    for event in encode(data, place, base=whole.path, modality=modality, layers=layers, batch=batch, **rest):
        if not isinstance(event, Result):
            yield event
    return Functaset.open(place)


def _compare(store: Functaset, whole: Functaset) -> None:
    if store.fingerprint != whole.fingerprint:
        raise StoreError(
            f"{store.path!r} has modulations of the base network {store.fingerprint[:16]}, the classifier in "
            f"{whole.path!r} knows those of {whole.fingerprint[:16]}: encode the data with --base {whole.path}"
        )


def _is_store(path: str) -> bool:
    """Whether a path is to be read as a functaset, and not to be encoded: also one that leads nowhere."""
    if not is_local(path):
        return True
    if not Path(path).exists():
        return not glob.glob(path)
    try:
        return "functa" in open_group(path).attrs
    except StoreError:
        return False


def _write(store: Functaset, model: Model, told: Told) -> None:
    """Keep names of classes and probabilities of all data; "" and NaN for those that were not told."""
    names = np.full(store.n, "", dtype=np.dtypes.StringDType())
    names[told.rows] = np.array(model.classes, dtype=np.dtypes.StringDType())[told.probabilities.argmax(axis=1)]
    sure = np.full(store.n, np.nan, np.float32)
    sure[told.rows] = told.probabilities.max(axis=1)
    store.annotate({"predicted": names, "probability": sure})


def _predictions(told: Told, model: Model) -> Iterator[dict[str, Any]]:
    for name, row in zip(told.ids, told.probabilities):
        yield {"id": name, "label": model.classes[int(row.argmax())], "probability": round(float(row.max()), 6)}


def _figures(scores: Scores, model: Model) -> dict[str, Any]:
    right = [None if np.isnan(value) else round(float(value), 4) for value in scores.per_class()]
    return {
        "scored": scores.n,
        **scores.figures(),
        "per_class": dict(zip(model.classes, right)),
        "classes": list(model.classes),
        "confusion": scores.confusion.tolist(),
    }


def _check(split: str | None, form: str | None) -> None:
    for name, value, known in (("--split", split, SPLITS), ("--as", form, FORMS)):
        if value is not None and value not in known:
            raise ConfigError(f"{name} is one of {', '.join(known)}; found {value!r}")
