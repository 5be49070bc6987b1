"""One picture of one assembled array, whatever its modality, as a file that fits into a page."""

import base64
import io
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from functa_cli.modality import Geometry, Modality
from functa_cli.sheets import GAP

LARGEST = 480  # pixels along the longer side
SMALL = 160  # pixels; up to them a picture is kept as it is, in PNG
QUALITY = 88  # of WebP above them


class Portrait(NamedTuple):
    """A picture inside a page."""

    uri: str  # data:image/...
    width: int  # pixels
    height: int


def portrait(modality: Modality, array: np.ndarray, geometry: Geometry) -> Portrait:
    """The picture of an assembled array, as a data URI: the same bytes for the same array."""
    image = look(modality, array, geometry).convert("RGB")
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    kind, options = ("png", {}) if max(image.size) <= SMALL else ("webp", {"quality": QUALITY, "method": 2})
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return Portrait(f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}", *image.size)


def look(modality: Modality, array: np.ndarray, geometry: Geometry) -> Image.Image:
    """An assembled array as it is best seen: its first picture, its PNG file, or its part of a contact sheet."""
    if modality.picture is not None:
        values = np.rint(np.clip(modality.picture(array)[0], 0.0, 1.0) * 255.0).astype(np.uint8)
        return Image.fromarray(values[..., 0] if values.shape[-1] == 1 else values)
    with tempfile.TemporaryDirectory(prefix="functa-") as folder:
        path = Path(folder, "look.png")
        form = modality.forms.get("png")
        if form is not None and form.suffix == ".png":
            form.write(path, array, geometry)
            return _read(path)
        modality.sheet(path, [(array,)], geometry)
        sheet = _read(path)
        return sheet.crop((GAP, GAP, sheet.width - GAP, sheet.height - GAP))


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()
