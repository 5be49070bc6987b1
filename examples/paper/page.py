"""Make the one page of results from the JSON files in DIR: `python examples/paper/page.py DIR [--out FILE.md]`."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from common import HERE, SUSTAINED

HEAD = """# The paper as commands

Each table or figure of *From data to functa* (Dupont, Kim et al., ICML 2022) that can be made anew is a script of
this folder. The page is made by `python examples/paper/page.py examples/paper/results` from what the scripts wrote;
nothing in it is written by hand.

    python examples/paper/NAME.py                       small settings, on the samples that ship with the package
    python examples/paper/NAME.py --settings FILE.toml --data DATA --out DIR
    python examples/paper/NAME.py --settings examples/paper/settings/NAME.paper.toml --cost

`settings/NAME.page.toml` are those of this page (where a command below names none, a result is of the small
ones), and `settings/NAME.paper.toml` the paper's own. DATA is a folder that
holds the data sets which the settings name. The paper's numbers stand beside ours to show what it found on its data;
ours are of other data, smaller networks and a far smaller budget, so they say whether the *claim* holds, not how high
it goes.
"""


def ordered(folder: Path) -> list[Path]:
    """Results, tables before figures, each by number."""

    def place(path: Path) -> tuple[bool, int, str]:
        number = re.search(r"\d+", path.stem)
        return not path.stem.startswith("table"), int(number[0]) if number else 0, path.stem

    return sorted(folder.glob("*.json"), key=place)


def page(folder: Path, out: Path) -> str:
    """The page, for a file `out` that links pictures in `folder`."""
    found = [json.loads(path.read_text()) for path in ordered(folder)]
    link = os.path.relpath(folder.resolve(), out.resolve().parent).replace(os.sep, "/")
    lines = [HEAD]
    lines += [f"- [{one['section']}](#{_anchor(one['section'])}): {one['title']}" for one in found]
    for one in found:
        lines += ["", *_part(one, link)]
    return "\n".join(lines) + "\n"


def _part(one: dict[str, Any], link: str) -> Iterator[str]:
    yield f"## {one['section']}\n"
    yield f"{one['title']}. **The paper:** {one['claim']}\n"
    yield f"**Here:** {one['reads']}\n"
    if one["picture"]:
        yield f"![{one['alt']}]({link}/{one['picture']})\n"
    if one["rows"]:
        yield from _table(one["columns"], one["rows"])
    if one["paper"]:
        yield f"The paper's numbers, measured on {one['paper']['measured_on']}:\n"
        yield from _table(one["paper"]["columns"], one["paper"]["rows"])
    yield "What differs:\n"
    yield from (f"- {sentence}" for sentence in one["differs"])
    cost = one["cost"]
    hours = cost["paper_flops"] / SUSTAINED / 3600
    yield (
        f"\n`{one['command']}` took {cost['cpu_seconds']:,.0f} s of CPU time, for {cost['flops']:.1e} FLOP as we count "
        f"them. The paper's settings need {cost['paper_flops']:.1e}: {_told(hours)} hours at {SUSTAINED:.0e} a second."
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    digits = [max((_digits(row[place]) for row in rows), default=0) for place in range(len(columns))]
    numeric = [all(not isinstance(row[place], str) for row in rows) for place in range(len(columns))]
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "|".join("---:" if number else "---" for number in numeric) + "|"
    for row in rows:
        yield "| " + " | ".join(_cell(value, places) for value, places in zip(row, digits)) + " |"
    yield ""


def _digits(value: Any) -> int:
    return len(repr(value).partition(".")[2]) if isinstance(value, float) and "e" not in repr(value) else 0


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.{digits}f}"
    return f"{value:,d}" if isinstance(value, int) else str(value)


def _told(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _anchor(heading: str) -> str:
    """The anchor that a heading gets on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=HERE / "README.md", help="The page.")
def main(folder: Path, out: Path) -> None:
    """Write the page of the results in FOLDER."""
    out.write_text(page(folder, out))
    click.echo(f"wrote {out}")


if __name__ == "__main__":
    main()
