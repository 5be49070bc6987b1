"""`functa report`: what is in a functaset as one page with pictures, which asks for nothing but itself."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from functa_cli import __version__, basenet, belongings, exhibits, overview, priornet
from functa_cli.classify import classify
from functa_cli.errors import ConfigError, FunctaError, StoreError
from functa_cli.events import Event, Note, Progress, Result
from functa_cli.gallery import Gallery
from functa_cli.info import facts
from functa_cli.learned import finished
from functa_cli.page import Section, document, paragraph
from functa_cli.store import Functaset
from functa_cli.writers import check_picture

PARTIAL = ".partial"  # the page until it is whole


def report(
    path: str, out: str, *, data: str | None = None, number: int = 12, seed: int = 0, overwrite: bool = False
) -> Iterator[Event]:
    """Write a page of HTML about the functaset at `path` to `out`: the same bytes for the same store and arguments.

    `data`: where the data are, None: where they were when the set was made. `number`: data, and samples of each prior,
    that are shown; which ones comes from `seed`. The file appears whole or not at all.

    Raises:
        ConfigError, DataError, StoreError: see their texts.
    """
    check_picture(out, overwrite=overwrite)
    if number < 1:
        raise ConfigError(f"--number is at least 1; found {number}")
    store = Functaset.open(path)
    network = basenet.restore(store.base)
    if store.latent_shape != network.decoder.latent_shape:
        raise StoreError(f"{path!r} is damaged: its modulations do not fit its base network; fetch or make it again")
    rows = store.rows()
    if not len(rows):
        raise StoreError(f"{path!r} holds no encoded data; run functa encode first")
    found = facts(path)
    chosen = exhibits.choose(store, number, seed)
    known = belongings.find(store, network, data, chosen.rows())
    if known.note:
        yield Note(known.note, warning=True)
    gallery = Gallery(store, network, rows.tolist(), known.originals)
    models = [priornet.restore(store, kind) for kind in finished(path, priornet.FOLDER)]
    jobs: list[Callable[[], Section | None]] = [
        partial(overview.summary, found),
        partial(exhibits.pairs, gallery, chosen.shown, known),
        partial(overview.spread, found),
        partial(exhibits.extremes, gallery, chosen, known),
        *(partial(exhibits.samples, gallery, model, number, seed) for model in models),
        partial(exhibits.ways, gallery, chosen.ends, models),
        partial(exhibits.nearest, gallery, chosen.queries),
        partial(_told, path, found),
    ]
    made = []
    for done, job in enumerate(jobs, 1):
        section = job()
        made += [section] if section is not None else []
        yield Progress(done, len(jobs), "section", {})
    how = f"functa report {path} --number {number} --seed {seed}"
    foot = f"Made by functa {__version__}: {how}. This page holds all it shows, and asks for nothing else."
    text = document(Path(path.rstrip("/")).name, overview.lead(found, network.modality.unit), made, foot)
    _write(Path(out), text)
    yield Result({"out": out, "sections": len(made), "pictures": text.count("<img "), "bytes": len(text.encode())})


def _told(path: str, found: dict) -> Section | None:
    """Which class was taken for which, where there are a classifier and labels to compare with."""
    if not found["classifier"]:
        return None
    try:
        values = next(event.values for event in classify(path, form="table") if isinstance(event, Result))
    except FunctaError as error:
        return Section("classes", "Classes told", paragraph(f"The classes are not told: {error}."))
    return overview.told(values)


def _write(out: Path, text: str) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(out.name + PARTIAL)
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, out)
    finally:
        unfinished.unlink(missing_ok=True)
