"""Charts of a report: a histogram as SVG, and a table of which class was taken for which."""

from collections.abc import Iterator, Sequence

from functa_cli.page import said, scrolled, tag

WIDE, HIGH = 960, 290  # units of the SVG
LEFT, BELOW, ABOVE = 52, 50, 18
TICKS = 4  # lines across, at least
DARKEST = 70  # percent of the colour of bars, behind text
LABELS = 9  # edges with a number, at most


def histogram(edges: Sequence[float], counts: Sequence[int], mark: float, name: str, unit: str) -> str:
    """Bars of `counts` [bars] between `edges` [bars + 1], and a dashed line at `mark`; `name` says what it shows."""
    step = next(one for one in _steps() if max(counts) / one <= TICKS + 1)
    top = -(-max(counts) // step) * step
    across, up = (WIDE - LEFT - 12) / (edges[-1] - edges[0]), (HIGH - BELOW - ABOVE) / top
    ground = HIGH - BELOW
    x = [LEFT + (edge - edges[0]) * across for edge in edges]
    drawn = [tag("title", said(name))]
    for count in range(0, top + 1, step):
        y = round(ground - count * up, 1)
        drawn += [
            tag("line", x1=LEFT, x2=WIDE - 12, y1=y, y2=y),
            tag("text", said(count), x=LEFT - 8, y=y + 4, text_anchor="end"),
        ]
    for count, first, last, low, high in zip(counts, x, x[1:], edges, edges[1:]):
        told = tag("title", said(f"{low:g} to {high:g} {unit}: {count}"))
        bar = {"x": round(first + 1, 1), "width": round(last - first - 2, 1), "y": round(ground - count * up, 1)}
        drawn.append(tag("rect", told, class_="bar", rx=2, height=round(count * up, 1), **bar))
    every = -(-len(edges) // LABELS)
    for place, edge in list(zip(x, edges))[::every]:
        drawn.append(tag("text", said(f"{edge:g}"), x=round(place, 1), y=ground + 22, text_anchor="middle"))
    drawn.append(tag("text", said(unit), x=WIDE - 12, y=HIGH - 4, text_anchor="end"))
    at = round(LEFT + (min(max(mark, edges[0]), edges[-1]) - edges[0]) * across, 1)
    drawn.append(tag("line", x1=at, x2=at, y1=ABOVE - 8, y2=ground, class_="mark"))
    return tag("div", tag("svg", *drawn, viewBox=f"0 0 {WIDE} {HIGH}", role="img", aria_label=name), class_="chart")


def confusion(classes: Sequence[str], counts: Sequence[Sequence[int]], caption: str) -> str:
    """Data of the class of the row that were taken for that of the column; a shade says how large a share of the row.

    Columns are headed by the number that stands before the name of their row.
    """
    numbers = [str(number) for number in range(1, len(classes) + 1)]
    heads = (tag("th", said(number), scope="col", title=name) for number, name in zip(numbers, classes))
    lines = []
    shade = "background: color-mix(in srgb, var(--bar) {:.0f}%, transparent)"
    for number, name, row in zip(numbers, classes, counts):
        cells = (
            tag(
                "td",
                said(count),
                class_=None if count else "none",
                style=shade.format(DARKEST * count / sum(row)) if count else None,
                title=f"{name} taken for {other}: {count} of {sum(row)}",
            )
            for other, count in zip(classes, row)
        )
        right = f"{100 * row[int(number) - 1] / sum(row):.0f} %" if sum(row) else "-"
        lines.append(tag("tr", tag("th", said(f"{number} {name}"), scope="row"), *cells, tag("td", said(right))))
    head = tag("tr", tag("th", "class", scope="col"), *heads, tag("th", "told right", scope="col"))
    whole = tag("table", tag("caption", said(caption)), tag("thead", head), tag("tbody", *lines), class_="confusion")
    return scrolled(whole, caption)


def _steps() -> Iterator[int]:
    size = 1
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10
