"""Labelled data of a functaset for a classifier: what it learns from, what stops and calibrates it, what scores it."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from functa_cli.errors import DataError, StoreError
from functa_cli.store import Functaset


class Parts(NamedTuple):
    """What is learned from and scored on: encoded data that have a label."""

    phi: np.ndarray  # [datum, d], of all data
    labels: np.ndarray  # int32 [datum], -1 = none
    groups: np.ndarray  # int [datum]: the same for a datum and its augmented copies
    train: np.ndarray  # rows
    test: np.ndarray
    classes: tuple[str, ...]


def parts_of(store: Functaset) -> Parts:
    """What a classifier learns from and is scored on.

    Raises:
        StoreError: the set is not encoded to its end. DataError: no labels, one class, or a class with one datum.
    """
    phi = store.whole()
    labels, classes, ids = store.labels, store.classes, store.ids
    if not classes or not (labels >= 0).any():
        raise DataError(
            f"{store.path!r} has no labels; put the data in one folder for each class and run functa encode again"
        )
    if labels.max() >= len(classes):
        raise StoreError(f"{store.path!r} is damaged: a label is {labels.max()} of {len(classes)} classes")
    train, test = (rows[labels[rows] >= 0] for rows in (store.rows("train"), store.rows("test")))
    group = groups(ids)
    there = [number for number in range(len(classes)) if (labels[train] == number).any()]
    if len(there) < 2:
        only = f"only of {classes[there[0]]!r}" if there else "none"
        raise DataError(
            f"{store.path!r} has encoded training data of {len(there)} classes ({only}); "
            "a classifier needs two at least: encode data of more classes"
        )
    for number in there:
        if len(set(group[train][labels[train] == number].tolist())) < 2:
            raise DataError(
                f"{store.path!r} has one training datum of the class {classes[number]!r}; each class needs two "
                "at least, one to learn from and one to judge by: encode more of it, or leave it out"
            )
    return Parts(phi, labels, group, train, test, classes)


def validation(parts: Parts, share: float, seed: int) -> np.ndarray:
    """Mask [rows of `parts.train`]: those that are not learned from, `share` of each class, at least one datum of it.

    Copies of a datum go where it goes.
    """
    rng = np.random.default_rng([seed, 37])
    group, labels = parts.groups[parts.train], parts.labels[parts.train]
    out: set[int] = set()
    for number in np.unique(labels):
        own = rng.permutation(np.unique(group[labels == number]))
        out |= set(own[: max(1, min(round(share * len(own)), len(own) - 1))].tolist())
    return np.isin(group, sorted(out))


def groups(ids: Sequence[str]) -> np.ndarray:
    """Int [datum]: the same number for a datum and for its augmented copies, whose names end in @01, @02, ..."""
    known = set(ids)
    origins = [match[1] if (match := re.fullmatch(r"(.*)@\d+", one)) and match[1] in known else one for one in ids]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(origins))}
    return np.array([numbers[name] for name in origins])
