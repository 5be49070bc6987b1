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


def contact_sheet(path: Path, rows: Sequence[tuple[np.ndarray | None, np.ndarray]], geometry: dict[str, Any]) -> None:
    """Write a PNG of pairs: each original (None: left out everywhere if all are) left of its reconstruction.

    Arrays are uint8 [rows, columns] or [rows, columns, 3]; of any size, each is fitted into a cell.
    """
    del geometry
    paired = any(original is not None for original, _ in rows)
    largest = max(max(array.shape[:2]) for _, array in rows)
    cell = min(max(CELL, largest), LARGEST_CELL)
    width = (2 if paired else 1) * cell + (1 if paired else 0)
    columns = max(1, min(len(rows), WIDEST // (width + GAP), int(np.ceil(np.sqrt(2 * len(rows))))))
    lines = -(-len(rows) // columns)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, lines * (cell + GAP) + GAP), "white")
    for number, pair in enumerate(rows):
        x = GAP + (number % columns) * (width + GAP)
        y = GAP + (number // columns) * (cell + GAP)
        for array in pair if paired else pair[1:]:
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
