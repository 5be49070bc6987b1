"""How well classes are told: accuracy, likelihood, calibration, and which class is taken for which."""

from typing import Any, NamedTuple

import numpy as np

BINS = 10  # of the probability, for the error of calibration


class Scores(NamedTuple):
    """Figures of predictions for n data."""

    n: int
    accuracy: float
    nll: float  # mean of -log p(label), nats
    calibration_error: float  # mean distance of probability and accuracy, over bins of the probability
    confusion: np.ndarray  # int [classes, classes]: data of the class of the row taken for that of the column

    def per_class(self) -> np.ndarray:
        """[classes]: share of each class that is told right; NaN where there are no data of it."""
        counts = self.confusion.sum(axis=1)
        return np.where(counts > 0, np.diagonal(self.confusion) / np.maximum(counts, 1), np.nan)

    def figures(self) -> dict[str, Any]:
        """Rounded, by name."""
        named = {"accuracy": self.accuracy, "nll": self.nll, "calibration_error": self.calibration_error}
        return {name: round(value, 4) for name, value in named.items()}


def score(probabilities: np.ndarray, labels: np.ndarray) -> Scores:
    """Figures of `probabilities` [n, classes] for true `labels` [n]."""
    n, classes = probabilities.shape
    told = probabilities.argmax(axis=1)
    right, sure = told == labels, probabilities.max(axis=1)
    own = probabilities[np.arange(n), labels]
    nll = float(-np.log(np.maximum(own, np.finfo(np.float64).tiny)).mean())
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=sure - right, minlength=BINS)
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, told), 1)
    return Scores(n, float(right.mean()), nll, float(np.abs(gaps).sum() / n), confusion)
