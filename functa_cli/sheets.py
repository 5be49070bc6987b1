"""Contact sheets: originals beside reconstructions, to be looked at."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CELL = 96  # pixels that a small picture is enlarged to
LARGEST_CELL = 256
GAP = 4
WIDEST = 1600  # pixels


def contact_sheet(path: Path, rows: Sequence[Sequence[np.ndarray | None]], geometry: dict[str, Any]) -> None:
    """Write a PNG of rows of one length, such as each original left of its reconstruction.

    A column that is None in all rows is left out.

    Arrays are uint8 [rows, columns] or [rows, columns, 3]; of any size, each is fitted into a cell.
    """
    del geometry
    shown = [place for place, column in enumerate(zip(*rows)) if any(array is not None for array in column)]
    largest = max(max(array.shape[:2]) for row in rows for array in row if array is not None)
    cell = min(max(CELL, largest), LARGEST_CELL)
    width = len(shown) * (cell + 1) - 1
    columns = max(
        1, min(len(rows), WIDEST // (width + GAP), int(np.ceil(np.sqrt(2 * len(rows) / max(1, len(shown) - 1)))))
    )
    lines = -(-len(rows) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, lines * (cell + GAP) + GAP), "white")
    for number, row in enumerate(rows):
        x = GAP + (number % columns) * (width + GAP)
        y = GAP + (number // columns) * (cell + GAP)
        for array in [row[place] for place in shown]:
            if array is not None:
                picture = _fitted(array, cell)
                sheet.paste(picture, (x + (cell - picture.width) // 2, y + (cell - picture.height) // 2))
            x += cell + 1
    sheet.save(path, format="PNG")


def _fitted(array: np.ndarray, cell: int) -> Image.Image:
    """Picture with its longer side as long as a cell; small ones keep their pixels visible."""
    picture = Image.fromarray(array).convert("RGB")
    scale = cell / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS)
