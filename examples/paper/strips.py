"""Pictures in rows, with words: a head over each column, a label left of each row, a line under each picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LARGEST = 300_000  # bytes of a file; above it, colours are reduced to 256
GAP, MARGIN = 6, 10  # pixels
LINE = 15  # height of a line of words
WORDS, FAINT = (40, 40, 40), (105, 105, 105)


class Cell(NamedTuple):
    """One picture, or none, and what stands under it."""

    picture: np.ndarray | None  # uint8 [rows, columns] or [rows, columns, 3]
    text: str = ""


class Strip(NamedTuple):
    """One row of pictures."""

    label: str  # lines are parted by \n
    cells: Sequence[Cell]
    heads: Sequence[str] = ()  # over its cells; begins a new part of the sheet


def write_strips(path: Path, strips: Sequence[Strip], size: int = 128) -> None:
    """Write rows of pictures, each `size` pixels wide, to a PNG."""
    plain, small = ImageFont.load_default(13), ImageFont.load_default(11)
    left = MARGIN + max(int(plain.getlength(line)) for strip in strips for line in strip.label.split("\n")) + MARGIN
    wide = left + max(len(strip.cells) for strip in strips) * (size + GAP) - GAP + MARGIN
    fitted = [[_fitted(cell.picture, size) for cell in strip.cells] for strip in strips]
    heights = [max(picture.height for picture in row if picture is not None) for row in fitted]
    under = [LINE if any(cell.text for cell in strip.cells) else 0 for strip in strips]
    over = [(LINE + (MARGIN if number else 0)) if strip.heads else 0 for number, strip in enumerate(strips)]
    tall = sum(heights) + sum(under) + sum(over) + GAP * (len(strips) - 1) + 2 * MARGIN
    sheet = Image.new("RGB", (wide, tall), "white")
    write, y = ImageDraw.Draw(sheet), MARGIN
    for strip, row, height, below, above in zip(strips, fitted, heights, under, over):
        y += above
        for number, head in enumerate(strip.heads):
            middle = left + number * (size + GAP) + size // 2
            write.text((middle, y - 5), head, WORDS, font=plain, anchor="ms")
        lines = strip.label.split("\n")
        for number, line in enumerate(lines):
            at = y + height / 2 + LINE * (number - (len(lines) - 1) / 2)
            write.text((left - MARGIN, at), line, WORDS, font=plain, anchor="rm")
        for number, (cell, picture) in enumerate(zip(strip.cells, row)):
            x = left + number * (size + GAP)
            if picture is not None:
                sheet.paste(picture, (x, y + (height - picture.height) // 2))
            write.text((x + size // 2, y + height + 2), cell.text, FAINT, font=small, anchor="mt")
        y += height + below + GAP
    sheet.save(path, format="PNG", optimize=True)
    if path.stat().st_size > LARGEST:
        sheet.quantize(256, dither=Image.Dither.NONE).save(path, format="PNG", optimize=True)


def _fitted(array: np.ndarray | None, size: int) -> Image.Image | None:
    """A picture of this width; small ones keep their pixels visible."""
    if array is None:
        return None
    picture = Image.fromarray(array).convert("RGB")
    height = max(1, round(picture.height * size / picture.width))
    enlarged = size >= picture.width
    return picture.resize((size, height), Image.Resampling.NEAREST if enlarged else Image.Resampling.LANCZOS)
