"""The parts of a report that show pictures, each as a section of the page."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from functa_cli import merit, walk
from functa_cli.belongings import Belongings
from functa_cli.gallery import Gallery, agreement, neighbours
from functa_cli.metrics import psnr
from functa_cli.page import Section, Shown, card, cards, paragraph, tag
from functa_cli.prior import Draw
from functa_cli.priornet import Model
from functa_cli.store import Functaset

STEPS = 8  # functa on a way between two
NEAREST = 6  # neighbours of a datum
FEWER = 50  # steps of a sampler that may take fewer than it was trained with
PAIRS = 2  # of data that ways lead between


class Chosen(NamedTuple):
    """Rows of a set that are shown."""

    shown: list[int]
    best: list[int]
    worst: list[int]
    ends: list[tuple[int, int]]  # of ways
    queries: list[int]  # whose neighbours are shown

    def rows(self) -> list[int]:
        """All that are shown beside their originals, in order."""
        return sorted({*self.shown, *self.best, *self.worst})


def choose(store: Functaset, number: int, seed: int) -> Chosen:
    """`number` encoded data drawn with `seed`, test data first; of all of them those with least and most error."""
    rng = np.random.default_rng([seed, 61])
    labels, mse, rows = store.labels, store.errors(), store.rows()
    test = np.isin(rows, store.rows("test"))
    mixed = np.concatenate([rng.permutation(rows[test]), rng.permutation(rows[~test])])
    order = rows[np.argsort(mse[rows], kind="stable")]
    few = min(number // 2, len(rows) // 2) if (mse[rows] > 0).any() else 0
    best, worst = order[:few], order[::-1][:few]
    asked = mixed[: max(test.sum(), 2)] if test.sum() != 1 else mixed
    queries = asked[: max(1, number // 3)] if len(rows) > 1 else mixed[:0]
    ends = _ends(asked, labels)
    return Chosen(sorted(mixed[:number].tolist()), best.tolist(), worst.tolist(), ends, queries.tolist())


def _ends(rows: np.ndarray, labels: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows that have none in common, of two classes as far as there are such."""
    left, found = rows.tolist(), []
    while len(left) > 1 and len(found) < PAIRS:
        first = left.pop(0)
        last = next((row for row in left if labels[row] != labels[first]), left[0])
        left.remove(last)
        found.append((first, last))
    return found


def pairs(gallery: Gallery, rows: Sequence[int], known: Belongings) -> Section:
    """Data as they were read, beside their functa."""
    made = gallery.store.attrs
    if "impute" in made:
        title, text = "Completions", "What was seen, what it was completed to, and the data where they hold the whole."
    elif "encode" in made:
        title, text = (
            "Reconstructions",
            "Left a datum as it was read, right its functum at the same points.",
        )
    else:
        title, text = "Functa", "What some of the vectors decode to."
    text = known.note if known.note and not known.originals else text + (f" {known.note}" if known.note else "")
    return Section("data", title, paragraph(text) + _cards(gallery, rows, known))


def extremes(gallery: Gallery, chosen: Chosen, known: Belongings) -> Section | None:
    """The data that are held best, and those that are held worst."""
    if not chosen.best:
        return None
    body = paragraph("Of all data, those with the smallest and those with the largest error, the extreme first.")
    body += tag("h3", "Best") + _cards(gallery, chosen.best, known)
    body += tag("h3", "Worst") + _cards(gallery, chosen.worst, known)
    return Section("extremes", "Best and worst", body)


def samples(gallery: Gallery, model: Model, number: int, seed: int) -> Section:
    """Samples of a prior, each with how far it is from the nearest training vector."""
    store, kind = gallery.store, model.config.kind
    train = store.rows("train")
    like, labels = int(train[0]), np.full(number, -1, np.int32)
    if model.classes:
        labels = np.random.default_rng([seed, 62]).choice(store.labels[train], number).astype(np.int32)
    drawn = model.sample(labels, seed, Draw(steps=FEWER) if "steps" in model.prior.draws else Draw())
    far = merit.nearest(drawn, gallery.vectors(train))[1]
    inside = []
    for place, (vector, label, away) in enumerate(zip(drawn, labels, far), 1):
        name = store.classes[label] if label >= 0 else f"sample {place}"
        alt = f"Sample {place} of the {kind} prior" + (f", class {name}" if label >= 0 else "")
        inside.append(card([Shown(gallery.vector(vector, like), alt)], name, f"{away:#.3g} away"))
    info = model.info
    told = [f"Drawn from the {kind} prior, which was learned from {info.get('trained_on', 'some')} vectors."]
    if "bits_per_dim_heldout" in info:
        told.append(f"It needs {info['bits_per_dim_heldout']:.2f} bits for each number of held-out ones.")
    if "frechet" in info:
        floor = f"real vectors are {info['frechet_floor']:.3g} from each other"
        told.append(f"As a set, samples are {info['frechet']:.3g} from held-out vectors (Fréchet); {floor}.")
    told.append("Under each is how far it is from the nearest training vector; a copy would be 0 away.")
    return Section(f"samples-{kind}", f"Samples ({kind})", paragraph(" ".join(told)) + cards(inside))


def ways(gallery: Gallery, ends: Sequence[tuple[int, int]], models: Sequence[Model]) -> Section | None:
    """Ways between two functa: straight among modulations, and along the noise of the first prior that has some."""
    if not ends:
        return None
    model = next((one for one in models if one.prior.to_noise is not None), None)
    body = paragraph("What lies between two functa; the first and the last of each line are data of the set.")
    for first, last in ends:
        phi = gallery.vectors(np.array([first, last]))
        made = {"straight among vectors": walk.between(phi[0], phi[1], STEPS)}
        if model is not None:
            noise = walk.noise_of(model, phi, np.full(2, -1))
            back = walk.from_noise(model, walk.arc(noise[0], noise[1], STEPS), np.full(STEPS, -1))
            made[f"along the noise of the {model.config.kind} prior"] = back
        names = f"{gallery.ids[first]} to {gallery.ids[last]}"
        for how, vectors in made.items():
            alts = [f"{100 * place / (STEPS - 1):.0f} % of the way from {names}, {how}" for place in range(STEPS)]
            row = [Shown(gallery.vector(one, first), alt) for one, alt in zip(vectors, alts)]
            body += cards([card(row, f"{names}, {how}")], wide=True)
    return Section("interpolation", "Interpolation", body)


def nearest(gallery: Gallery, queries: Sequence[int]) -> Section | None:
    """Data, each with those whose vectors are nearest to its own: training data for test data, else any other."""
    store = gallery.store
    test, train = store.rows("test"), store.rows("train")
    asked, pool = (test, train) if len(test) > 1 and len(train) else (store.rows(), store.rows())
    found = neighbours(store, np.array(queries, int), pool, NEAREST) if len(queries) else None
    if found is None:
        return None
    text = "First a datum, then those whose vectors are nearest to its own, with how far they are away (Euclidean)."
    agreed = agreement(store, neighbours(store, asked, pool, 1))
    if agreed:
        text += f" Of {agreed[1]} data, {100 * agreed[0]:.0f} % have a nearest one of their own class."
    body = paragraph(text)
    for row, near, far in zip(found.queries, found.nearest, found.distance):
        name = gallery.ids[row]
        pictures = [Shown(gallery.functum(row), f"{name}, whose neighbours follow", gallery.kind(row) or "datum")]
        for other, away in zip(near, far):
            if np.isfinite(away):
                label = f"{gallery.kind(other)} {away:#.3g}".strip()
                pictures.append(Shown(gallery.functum(other), f"Neighbour {gallery.ids[other]}", label))
        body += cards([card(pictures, name)], wide=True)
    return Section("neighbours", "Nearest neighbours", body)


def _cards(gallery: Gallery, rows: Sequence[int], known: Belongings) -> str:
    """A card for each row: what was seen of it, what it was, and what its functum is, as far as these are there."""
    mse, split, inside = gallery.store.errors(), gallery.store.split, []
    completed = "impute" in gallery.store.attrs
    for row in rows:
        name, pictures = gallery.ids[row], []
        if row in known.seen:
            pictures.append(Shown(gallery.original(row, known.seen[row]), f"What was seen of {name}", "seen"))
        if row in known.originals and not completed:
            pictures.append(Shown(gallery.original(row), f"Original of {name}", "original"))
        label = "completed" if completed else "functum"
        alt = f"{'Completion' if completed else 'Functum'} of {name}"
        pictures.append(Shown(gallery.functum(row), alt, label if pictures or completed else ""))
        if row in known.originals and completed:
            pictures.append(Shown(gallery.original(row), f"Data of {name}", "data"))
        part = " where seen" * completed
        told = [f"{psnr(float(mse[row])):.1f} dB{part}"] * bool(mse[row] > 0) + [split[row]] * (len(set(split)) > 1)
        inside.append(card(pictures, name, ", ".join(told)))
    return cards(inside)
