"""How names, values and sizes of results read, on the command line and in reports."""

from collections.abc import Mapping
from typing import Any

NAMES = {"psnr": "PSNR", "iou": "IoU", "rmse": "RMSE", "fid": "FID", "cov": "COV", "mmd": "MMD", "nna": "1-NNA"}
PLURALS = {"datum": "data"}
SHOWN = 16  # characters of a fingerprint that are enough to tell it from others


def label(key: str) -> str:
    """A name as it reads, such as "PSNR test" for "psnr_test"."""
    return " ".join(NAMES.get(word, word) for word in key.split("_"))


def is_psnr(key: str) -> bool:
    """Whether a figure of this name is in dB."""
    return "psnr" in key.split("_")


def value(key: str, found: Any) -> str:
    """A value as it reads; `key` is its name, which says its unit."""
    if isinstance(found, Mapping):
        return ", ".join(f"{label(name)} {value(name, item)}" for name, item in found.items())
    if isinstance(found, (list, tuple)):
        return ", ".join(value(key, item) for item in found)
    if isinstance(found, float):
        return f"{found:.2f} dB" if is_psnr(key) else f"{found:.6g}"
    return str(found)


def lines(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A name and a text for each value that is not None; of a fingerprint its beginning."""
    known = {key: item for key, item in values.items() if item is not None}
    return [
        (label(key), value(key, item)[: SHOWN if key.endswith("fingerprint") else None]) for key, item in known.items()
    ]


def size(count: int) -> str:
    """Bytes as text, such as "117.2 kB"."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count} B"


def plural(unit: str) -> str:
    """Return "data" for "datum", "steps" for "step"."""
    return PLURALS.get(unit, f"{unit}s")
