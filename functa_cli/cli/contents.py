"""What `functa info` found, as tables on the terminal: a heading a section, and bars for the PSNR."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from functa_cli.inventory import sections

BAR = 30  # characters of the longest bar
PARTS = " ▏▎▍▌▋▊▉█"  # eighths of a character


def tell(values: Mapping[str, Any]) -> None:
    """Print all sections on stdout."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    for key, heading, lines in sections(values):
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in [*lines, *(bars(**values["errors"]["all"]["histogram"]) if key == "errors" else ())]:
            table.add_row(Text(name), Text(text))
        if heading:
            console.print()
            console.print(Text(heading, style="bold"))
        console.print(table)


def bars(counts: Sequence[int], edges: Sequence[float]) -> Iterator[tuple[str, str]]:
    """A line a bar: the range in dB, and a bar as long as the count is large, with the count behind it."""
    for count, low, high in zip(counts, edges, edges[1:]):
        eighths = round(8 * BAR * count / max(counts))
        bar = PARTS[-1] * (eighths // 8) + PARTS[eighths % 8].strip()
        yield f"  {low:g} to {high:g} dB", f"{bar or ('▏' if count else '')} {count}".strip()
