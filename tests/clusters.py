"""Functasets whose modulations are drawn around a centre for each class, for the tests of classifiers."""

from types import SimpleNamespace

import numpy as np

from functa_cli import template
from functa_cli.basefile import read_base
from functa_cli.store import Functaset

CLASSES = ("ant", "bee", "cat")
QUICK = {"classifier": {"width": 16, "depth": 2}, "learn": {"steps": 300, "evaluate": 50, "rate": 0.01}}


def save_clusters(
    path, base: str, *, counts=(40, 40, 40), spread: float = 0.3, classes=CLASSES, unlabelled: int = 0, **changes
) -> str:
    """Write `counts` data of each class, a fifth of them test data, 8 numbers each, and some without a label."""
    rng = np.random.default_rng(changes.pop("seed", 0))
    centres = np.random.default_rng(5).normal(size=(len(counts) + 1, 8))
    labels = np.repeat([*range(len(counts)), -1], [*counts, unlabelled]).astype(np.int32)
    phi = (centres[labels] + spread * rng.normal(size=(len(labels), 8))).astype(np.float32)
    n = len(labels)
    fields = {
        "ids": [f"{number:03d}.png" for number in range(n)],
        "labels": labels,
        "classes": classes,
        "split": ["test" if number % 5 == 0 else "train" for number in range(n)],
        "shapes": np.full((n, 2), 8, np.int32),
        "columns": {},
        "geometry": {"channels": 3},
        **changes,
    }
    how = {"steps": 1, "polish": 0, "seed": 0, "source": "here", "data": {"resolution": "8"}}
    store = template.begin(
        str(path), base=read_base(base), latent_shape=(8,), known=SimpleNamespace(**fields), how=how, shard=n
    )
    store.write(slice(0, n), phi, np.ones(n, np.float32))
    store.finalize()
    return Functaset.open(str(path)).path
