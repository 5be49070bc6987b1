"""What `functa info` found, as headings and lines of a name and a text: for the terminal and for reports."""

from collections.abc import Iterator, Mapping
from typing import Any

from functa_cli.wording import label, lines, size, value

Lines = list[tuple[str, str]]
HEADS = {
    "data": "data settings",
    "errors": "PSNR of the data",
    "figures": "other figures",
    "provenance": "how it was made",
    "size": "size on the disk",
}
PASSED_OVER = ("curve", "histogram")


def sections(facts: Mapping[str, Any]) -> Iterator[tuple[str, str, Lines]]:
    """Key, heading and lines of each section of `info.facts`; the first, "", is of what belongs to none."""
    yield "", "", lines({key: item for key, item in facts.items() if not isinstance(item, (Mapping, list))})
    for key, item in facts.items():
        if isinstance(item, (Mapping, list)) and item and key not in PASSED_OVER:
            yield key, HEADS.get(key, label(key)), SPECIAL.get(key, lines)(item)


def _classes(rows: list[Mapping[str, Any]]) -> Lines:
    found = []
    for row in rows:
        parts = [f"{name} {count}" for name, count in row.items() if name not in ("class", "data")]
        found.append((row["class"], f"{row['data']}" + (f" ({', '.join(parts)})" if len(parts) > 1 else "")))
    return found


def _errors(parts: Mapping[str, Any]) -> Lines:
    found = []
    for part, one in parts.items():
        plain = {key: item for key, item in one.items() if key not in ("quantiles", *PASSED_OVER)}
        found += [(name if part == "all" else f"{name} {part}", text) for name, text in lines(plain)]
    each = ", ".join(f"{name} {share:.1f}" for name, share in parts["all"]["quantiles"].items())
    return [*found, ("PSNR of each", f"{each} dB")]


def _figures(parts: Mapping[str, Mapping[str, float]]) -> Lines:
    return [
        (label(key), ", ".join(f"{name} {value(key, item)}" for name, item in one.items()))
        for key, one in parts.items()
    ]


def _priors(parts: Mapping[str, Mapping[str, Any]]) -> Lines:
    return [line for kind, one in parts.items() for line in [("kind", kind), *lines(one)]]


def _size(parts: Mapping[str, Any]) -> Lines:
    found = [(label(key), size(parts[key])) for key in ("modulations", "base_network", "the_rest") if key in parts]
    if "arrays" in parts:
        bits = f"{parts['values']:,} values of {parts['bits_of_a_value']} bit{'s' * (parts['bits_of_a_value'] > 1)}"
        ratios = f"{parts['ratio']:,.2f} times; {parts['ratio_without_base_network']:,.2f} without the base network"
        found += [
            ("the data as arrays", f"{size(parts['arrays'])}: {bits}, not compressed"),
            ("arrays to functa", ratios),
        ]
    return found


SPECIAL = {"classes": _classes, "errors": _errors, "figures": _figures, "priors": _priors, "size": _size}
