"""One picture file as an array in [0, 1]: every colour mode that cameras and scanners write, or a reason why not."""

import contextlib
import io
import math
import re
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from functa_cli.errors import ConfigError, DataError, reason_of
from functa_cli.folder import check_regular

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
LARGEST = 2 * (Image.MAX_IMAGE_PIXELS or 89_478_485)  # pixels; Pillow's own limit against decompression bombs
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F")
ORIENTATION = 0x0112  # EXIF tag
TOUCHED = 0.05  # share of a pixel that hidden ones make up, above which it is hidden
ROTATED = (5, 6, 7, 8)  # orientations that swap rows and columns

# What Pillow warns of is refused below or does not matter; a filter for a while would not be safe in a thread.
warnings.filterwarnings("ignore", module=r"PIL\.")


class Header(NamedTuple):
    """What a picture file says before it is decoded."""

    shape: tuple[int, int]  # rows, columns as shown, after the EXIF rotation
    gray: bool


def read_header(path: Path | bytes) -> Header:
    """Size and kind of a picture, a file or the bytes of one; decodes nothing.

    Raises:
        DataError: not a picture, too large, or more than one; the text is the reason alone.
    """
    with _decoding(path), _opened(path) as image:
        return _header(image)


def read(path: Path | bytes, channels: int, background: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """Picture, a file or its bytes, as float32 [rows, columns, channels] in [0, 1], rotated as its EXIF tag says.

    `channels`: 1 (colour becomes luma) or 3 (gray is repeated). Alpha is blended over `background`, a colour name or
    #rrggbb. `size`: (rows, columns) to crop centrally to that aspect and resample to (Lanczos).

    Raises:
        DataError: the file cannot be decoded whole; the text is the reason alone.
    """
    with _decoding(path), _opened(path) as image:
        _header(image)
        if image.format == "PNG":  # its decoder can return black for a damaged one, so its sums are checked first
            with _opened(path) as copy:
                copy.verify()
        if size is not None and image.format == "JPEG" and _orientation(image) not in ROTATED:
            image.draft(None, (2 * size[1], 2 * size[0]))
        image.load()
        shown = ImageOps.exif_transpose(image)
        values = _deep(shown) if shown.mode[0] in "IF" else _flat(shown, background, channels)
    if size is not None:
        values = _resampled(values, size)
    if values.shape[2] == channels:
        return values
    if channels == 3:
        return np.repeat(values, 3, axis=2)
    return values @ np.array([[0.299], [0.587], [0.114]], np.float32)


def masked(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask bool [rows, columns] of a picture as `read` crops and resizes that: what hidden ones touch is hidden."""
    return _resampled(mask.astype(np.float32)[..., None], size)[..., 0] > TOUCHED


def parse_colour(text: str) -> tuple[int, int, int]:
    """`"white"` or `"#ffffff"` as (255, 255, 255). Raises ConfigError for anything else."""
    try:
        return ImageColor.getrgb(text)[:3]
    except ValueError:
        raise ConfigError(f"data.background is a colour such as white or #rrggbb; found {text!r}") from None


def parse_size(text: str) -> tuple[int, int]:
    """`"256"` as (256, 256) and `"361x720"` as (361, 720): rows x columns. Raises ConfigError for anything else."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text.strip())
    size = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if min(size) < 1 or size[0] * size[1] > LARGEST:
        raise ConfigError(f"a resolution is R or ROWSxCOLUMNS, such as 256 or 361x720; found {text!r}")
    return size


@contextlib.contextmanager
def _decoding(path: Path | bytes) -> Generator[None, None, None]:
    """Whatever a decoder raises on bytes that it does not like becomes one reason."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except UnidentifiedImageError:
        empty = (len(path) if isinstance(path, bytes) else path.stat().st_size) == 0
        raise DataError("is empty (0 bytes)" if empty else "is not a picture, whatever its name says") from None
    except Image.DecompressionBombError:
        raise DataError(f"claims more than {LARGEST:,} pixels") from None
    except PermissionError:
        raise DataError("may not be read (permission denied)") from None
    except Exception as error:
        raise DataError(f"cannot be decoded: {reason_of(error)}") from None


def _opened(path: Path | bytes) -> Image.Image:
    if isinstance(path, bytes):
        return Image.open(io.BytesIO(path))
    check_regular(path)
    return Image.open(path)


def _header(image: Image.Image) -> Header:
    width, height = image.size
    if width * height > LARGEST:
        raise DataError(f"claims {width} x {height} pixels, more than {LARGEST:,}")
    frames = getattr(image, "n_frames", 1)
    if frames != 1 and image.format != "MPO":  # cameras add previews to a JPEG; the first picture is the photo
        raise DataError(f"holds {frames} frames; expected one picture")
    shape = (width, height) if _orientation(image) in ROTATED else (height, width)
    return Header(shape, image.mode in GRAY_MODES)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:
        return 1


def _deep(image: Image.Image) -> np.ndarray:
    """16-bit, 32-bit and float gray: [rows, columns, 1]."""
    values = np.asarray(image)
    if image.mode == "F":
        if not (np.all(np.isfinite(values)) and values.min() >= 0 and values.max() <= 1):
            raise DataError(f"holds numbers from {values.min()} to {values.max()}; expected all in [0, 1]")
        return values.astype(np.float32)[..., None]
    if values.min() < 0 or values.max() > 65535:
        raise DataError(f"holds integers from {values.min()} to {values.max()}; expected 16 bits, 0 to 65535")
    return (values.astype(np.float32) / 65535.0)[..., None]


def _flat(image: Image.Image, background: str, channels: int) -> np.ndarray:
    """8-bit and 1-bit pictures: [rows, columns, 1 or 3], alpha blended."""
    if {"A", "a"} & set(image.getbands()) or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*parse_colour(background), 255))
        image = Image.alpha_composite(ground, image).convert("RGB")
    gray = image.mode in GRAY_MODES or channels == 1
    values = np.asarray(image.convert("L" if gray else "RGB"), np.float32) / 255.0
    return values[..., None] if gray else values


def _resampled(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Centre-cropped to the aspect of `size` and resampled; pixels outside of the crop have no influence."""
    rows, columns = values.shape[:2]
    scale = min(rows / size[0], columns / size[1])
    high, wide = scale * size[0], scale * size[1]
    top, left = (rows - high) / 2, (columns - wide) / 2
    first, start = math.floor(top + 1e-6), math.floor(left + 1e-6)
    values = values[first : math.ceil(top + high - 1e-6), start : math.ceil(left + wide - 1e-6)]
    bottom, right = min(top - first + high, values.shape[0]), min(left - start + wide, values.shape[1])
    box = (max(left - start, 0.0), max(top - first, 0.0), right, bottom)
    planes = [
        np.asarray(Image.fromarray(values[..., c]).resize((size[1], size[0]), Image.Resampling.LANCZOS, box=box))
        for c in range(values.shape[2])
    ]
    return np.clip(np.stack(planes, axis=-1), 0.0, 1.0)
