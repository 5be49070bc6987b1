"""How PSNR is spread over the data of a set: quantiles and a histogram."""

from typing import Any

import numpy as np

from functa_cli.metrics import psnr

QUANTILES = (5, 25, 50, 75, 95)  # percent
BARS = 16  # of a histogram, at most
WIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # dB that a bar may span


def described(mse: np.ndarray) -> dict[str, Any]:
    """PSNR (dB) of data with these errors, float64 [n], n > 0.

    psnr: of the mean error (A.3); psnr_mean_of_data: the mean of that of each; quantiles: by name, with the smallest
    and largest; histogram: `edges` [bars + 1] and `counts` [bars].
    """
    each = psnr(mse)
    quantiles = np.quantile(each, [share / 100 for share in QUANTILES])
    named = {f"{share}%": round(float(value), 4) for share, value in zip(QUANTILES, quantiles)}
    return {
        "psnr": round(float(psnr(mse.mean())), 4),
        "psnr_mean_of_data": round(float(each.mean()), 4),
        "quantiles": {"least": round(float(each.min()), 4), **named, "most": round(float(each.max()), 4)},
        "histogram": histogram(each),
    }


def histogram(values: np.ndarray) -> dict[str, list]:
    """Counts between round edges; the narrowest of `WIDTHS` that needs no more than `BARS` bars."""
    low, high = float(values.min()), float(values.max())
    for width in WIDTHS:
        first, last = np.floor(low / width), np.floor(high / width) + 1
        if last - first <= BARS:
            break
    edges = np.arange(first, last + 1) * width
    counts, _ = np.histogram(values, edges)
    return {"edges": [round(float(edge), 1) for edge in edges], "counts": counts.tolist()}


def summary(values: np.ndarray, mean: float) -> dict[str, float]:
    """Least, median and most of `values` [n], n > 0, and their `mean` in the sense that the caller has."""
    found = {"mean": mean, "least": values.min(), "median": np.median(values), "most": values.max()}
    return {name: round(float(value), 4) for name, value in found.items()}
