"""What `functa info` found, as tables: a heading a section, a name and a value a line, and bars for the PSNR."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from functa_cli.cli import figures

BAR = 30  # characters of the longest bar
PARTS = " ▏▎▍▌▋▊▉█"  # eighths of a character
HEADS = {
    "data": "data settings",
    "base_network": "base network",
    "classes": "classes",
    "errors": "error of the data",
    "figures": "other figures of each datum",
    "priors": "priors",
    "size": "size",
}


def tell(values: Mapping[str, Any]) -> None:
    """Print all sections on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=False)
    head = {key: value for key, value in values.items() if not isinstance(value, (Mapping, list))}
    sections = {key: value for key, value in values.items() if value and key not in head and key != "curve"}
    for name, rows in [("", lines(head)), *((key, section(key, value)) for key, value in sections.items())]:
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in rows:
            table.add_row(Text(label), Text(text))
        if name:
            console.print()
            console.print(Text(HEADS.get(name, name), style="bold"))
        console.print(table)


def section(name: str, value: Any) -> list[tuple[str, str]]:
    """Lines of a section, as a label and a text each."""
    if name == "classes":
        return [(row["class"], _parts({key: count for key, count in row.items() if key != "class"})) for row in value]
    if name == "errors":
        return list(_errors(value))
    if name == "figures":
        return [(figures.label(key), _figure(key, one)) for key, one in value.items()]
    if name == "priors":
        return [line for kind, one in value.items() for line in [("kind", kind), *lines(one)]]
    if name == "size":
        return list(_size(value))
    return lines(value)


def lines(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A line a value, those that are None left out; of a fingerprint as much as other commands print."""
    shown = {
        key: str(item)[:16] if key.endswith("fingerprint") else item for key, item in values.items() if item is not None
    }
    return [(figures.label(key), figures.value(key, item)) for key, item in shown.items()]


def size(count: int) -> str:
    """Bytes as text, such as "117.2 kB"."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:,.1f} {unit}"
    return f"{count} B"


def bars(counts: Sequence[int], edges: Sequence[float]) -> Iterator[tuple[str, str]]:
    """A line a bar: the range in dB, and a bar as long as the count is large, with the count behind it."""
    for count, low, high in zip(counts, edges, edges[1:]):
        eighths = round(8 * BAR * count / max(counts))
        bar = PARTS[-1] * (eighths // 8) + PARTS[eighths % 8].strip()
        yield f"  {low:g} to {high:g} dB", f"{bar or ('▏' if count else '')} {count}".strip()


def _errors(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for part, one in values.items():
        rest = {key: item for key, item in one.items() if key not in ("quantiles", "histogram")}
        yield from ((f"{figures.label(key)}{'' if part == 'all' else f' {part}'}", text) for key, text in _told(rest))
    whole = values["all"]
    yield "PSNR of each", ", ".join(f"{name} {value:.1f}" for name, value in whole["quantiles"].items()) + " dB"
    yield from bars(whole["histogram"]["counts"], whole["histogram"]["edges"])


def _told(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((key, figures.value(key, item)) for key, item in values.items())


def _figure(key: str, values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {figures.value(key, float(value))}" for name, value in values.items())


def _size(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("modulations", "base_network", "the_rest"):
        if key in values:
            yield figures.label(key), f"{size(values[key])} on the disk"
    if "arrays" in values:
        bits = values["bits_of_a_value"]
        yield (
            "the data as arrays",
            (f"{size(values['arrays'])}: {values['values']:,} values of {bits} bit{'s' * (bits > 1)}, not compressed"),
        )
        ratio, without = values["ratio"], values["ratio_without_base_network"]
        yield "arrays to functa", f"{ratio:,.2f} times; {without:,.2f} times without the base network"


def _parts(values: Mapping[str, int]) -> str:
    whole, *parts = values.items()
    return f"{whole[1]}" + (f" ({', '.join(f'{name} {count}' for name, count in parts)})" if len(parts) > 1 else "")
