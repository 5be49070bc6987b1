"""Pictures in turn as one file: GIF for any program, WebP for a third of the bytes."""

from pathlib import Path

import numpy as np
from PIL import Image

MILLISECONDS = 60  # that a frame is shown


def write_gif(path: Path, frames: np.ndarray) -> None:
    """Write frames, uint8 [n, rows, columns] or [n, rows, columns, 3], as a GIF that repeats."""
    images = [Image.fromarray(frame).convert("RGB").quantize(dither=Image.Dither.NONE) for frame in frames]
    images[0].save(path, format="GIF", save_all=True, append_images=images[1:], duration=MILLISECONDS, loop=0)


def write_webp(path: Path, frames: np.ndarray) -> None:
    """Write frames as an animated WebP of high quality that repeats."""
    images = [Image.fromarray(frame).convert("RGB") for frame in frames]
    options = {"duration": MILLISECONDS, "loop": 0, "quality": 90}
    images[0].save(path, format="WEBP", save_all=True, append_images=images[1:], **options)
