"""A report as one page of HTML that asks for nothing: pictures are inside it, styles too, and there is no script."""

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from functa_cli.portraits import Portrait

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # the browser itself keeps the promise
BIG = 200  # pixels; larger pictures get wider cards
SHARP = 128  # pixels; smaller pictures are enlarged with their pixels kept sharp


class Section(NamedTuple):
    """A part of the page with a heading of its own."""

    key: str  # what links lead to
    title: str
    body: str  # HTML


class Shown(NamedTuple):
    """A picture with what is said of it."""

    portrait: Portrait
    alt: str  # for those who do not see it
    label: str = ""  # under it; "" = nothing


def tag(name: str, *inside: str, **attributes: object) -> str:
    """An element of HTML around `inside`, which is HTML already; attributes are escaped, `class_` is class."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(str(item))}"'
        for key, item in attributes.items()
        if item is not None
    )
    return f"<{name}{words}>{''.join(inside)}</{name}>"


def said(text: object) -> str:
    """Text as HTML."""
    return html.escape(str(text), quote=False)


def paragraph(text: str) -> str:
    """A paragraph of plain text."""
    return tag("p", said(text))


def image(shown: Shown) -> str:
    """A picture, and its label under it."""
    uri, width, height = shown.portrait
    sharp = ' class="sharp"' if max(width, height) <= SHARP else ""
    drawn = f'<img src="{uri}" alt="{html.escape(shown.alt)}" width="{width}" height="{height}"{sharp}>'
    return tag("span", drawn, *([tag("small", said(shown.label))] if shown.label else []), class_="shown")


def card(pictures: Sequence[Shown], caption: str = "", detail: str = "") -> str:
    """Pictures side by side with one caption, such as an original and its reconstruction."""
    under = tag("figcaption", said(caption), *([tag("b", said(detail))] if detail else [])) if caption or detail else ""
    big = " big" if max(one.portrait.width for one in pictures) > BIG else ""
    row = tag("div", *map(image, pictures), class_="row")
    return tag("figure", row, under, class_=f"card of-{len(pictures)}{big}")


def cards(inside: Iterable[str], wide: bool = False) -> str:
    """Cards that fill the width, or each a line of its own."""
    return tag("div", *inside, class_="cards wide" if wide else "cards")


def tiles(values: Iterable[tuple[str, str, str]]) -> str:
    """Figures that are seen first: a name, a value, and what to hold it against."""
    return tag(
        "dl",
        *(
            tag("div", tag("dt", said(name)), tag("dd", said(found), *([tag("small", said(note))] if note else [])))
            for name, found, note in values
        ),
        class_="tiles",
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> str:
    """A table whose first column heads its rows."""
    top = tag("thead", tag("tr", *(tag("th", said(name), scope="col") for name in head)))
    lines = (
        tag("tr", tag("th", said(first), scope="row"), *(tag("td", said(item)) for item in rest))
        for first, *rest in rows
    )
    body = tag("table", tag("caption", said(caption)), top, tag("tbody", *lines))
    return scrolled(body, caption)


def facts(heading: str, lines: Sequence[tuple[str, str]]) -> str:
    """A table of names and texts that opens when it is asked for."""
    rows = (tag("tr", tag("th", said(name), scope="row"), tag("td", said(text))) for name, text in lines)
    whole = tag("table", tag("caption", said(heading)), tag("tbody", *rows), class_="facts")
    return tag("details", tag("summary", said(heading)), scrolled(whole, heading))


def scrolled(inside: str, name: str) -> str:
    """What may be wider than a phone, in a region of its own that can be scrolled, by keys too."""
    return tag("div", inside, class_="scroll", role="region", tabindex=0, aria_label=name)


def document(title: str, lead: str, sections: Sequence[Section], foot: str) -> str:
    """The whole page."""
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    links = (tag("a", said(part.title), href=f"#{part.key}") for part in sections)
    parts = (
        tag("section", tag("h2", said(part.title), id=f"{part.key}-title"), part.body, id=part.key,
            aria_labelledby=f"{part.key}-title")
        for part in sections
    )  # fmt: skip
    head = [
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="color-scheme" content="light dark">',
        '<link rel="icon" href="data:,">',
        tag("title", said(title)),
        f"<style>\n{style}</style>",
    ]
    body = [
        tag("header", tag("h1", said(title)), paragraph(lead), tag("nav", *links, aria_label="Parts of this report")),
        tag("main", *parts),
        tag("footer", paragraph(foot)),
    ]
    lines = ["<!DOCTYPE html>", '<html lang="en">', "<head>", *head, "</head>", "<body>", *body, "</body>", "</html>"]
    return "\n".join(lines) + "\n"
