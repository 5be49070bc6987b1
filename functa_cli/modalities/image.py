"""Images: a folder of pictures, each a signal of pixel values at (row, column) cell centres in [0, 1]."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from functa_cli.coords import grid
from functa_cli.errors import ConfigError, DataError
from functa_cli.folder import labels, listing, safe_id, splits
from functa_cli.modality import (
    DataOptions,
    DecodeOptions,
    Form,
    Geometry,
    Match,
    Modality,
    Problem,
    Shape,
    Source,
    Target,
    by,
)
from functa_cli.pictures import SUFFIXES, masked, parse_colour, parse_size, read, read_header
from functa_cli.sheets import contact_sheet
from functa_cli.signal import Signal


@dataclass(frozen=True)
class Options(DataOptions):
    """Settings of image data."""

    channels: int = 0  # 1 gray, 3 RGB; 0: gray if every picture is gray, else RGB
    background: str = field(default="white", metadata={"help": "Colour that transparent pixels are blended over."})


class ImageSource(Source):
    """Pictures of a folder; headers are read at once, pixels when asked for."""

    def __init__(self, path: str | Path, options: Options, *, seed: int = 0, geometry: dict[str, Any] | None = None):
        if geometry is not None:
            options = replace(options, channels=geometry["channels"], background=geometry.get("background", "white"))
        if options.channels not in (0, 1, 3):
            raise ConfigError(f"data.channels is 0 (as the pictures are), 1 or 3; found {options.channels}")
        parse_colour(options.background)
        self.size = parse_size(options.resolution) if options.resolution else None
        found = listing(Path(path), SUFFIXES)
        self.problems = [Problem(safe_id(name), reason) for name, reason in found.problems]
        names, headers = [], []
        for name in found.names:
            try:
                headers.append(read_header(found.root / name))
            except DataError as error:
                self.problems.append(Problem(safe_id(name), str(error)))
            else:
                names.append(name)
            if options.limit and len(names) == options.limit:
                break
        if not names:
            seen = f"{len(found.names)} unreadable pictures" if found.names else f"{found.others} files, none a picture"
            first = f"; {self.problems[0].path} {self.problems[0].reason}" if self.problems else ""
            raise DataError(f"{str(path)!r} holds {seen}{first}; expected {', '.join(SUFFIXES)} files")
        self.root, self.files, self.ids = found.root, names, [safe_id(name) for name in names]
        self.labels, self.classes = labels(names)
        self.split = splits(names, self.ids, options.split, seed)
        native = [header.shape for header in headers]
        self.shapes = np.array([self.size or shape for shape in native], np.int32)
        self._native = native
        gray = sum(header.gray for header in headers)
        self.channels = options.channels or (1 if gray == len(headers) else 3)
        self.background = options.background
        same = len({tuple(shape) for shape in self.shapes.tolist()}) == 1
        self.geometry = {
            "channels": self.channels,
            "background": self.background,
            "shape": self.shapes[0].tolist() if same else None,
        }
        self.found = _sentence(self, native, gray)

    def __getitem__(self, index: int) -> Signal:
        try:
            values = read(self.root / self.files[index], self.channels, self.background, self.size)
        except DataError as error:
            raise DataError(f"{self.ids[index]} {error}") from None
        except OSError as error:
            raise DataError(f"{self.ids[index]} cannot be read: {error.strerror or error}") from None
        shape = values.shape[:2]
        if shape != tuple(self.shapes[index]):
            raise DataError(f"{self.ids[index]} is {by(shape)}, its header said {by(self.shapes[index])}")
        return Signal(_grid(shape), values.reshape(-1, self.channels), np.ones(shape[0] * shape[1], np.float32))

    def hidden(self, index: int, mask: np.ndarray) -> np.ndarray:
        """A mask of the grid, or of the picture as it is stored, which is cropped and resized as the picture is."""
        if self.size and mask.shape == self._native[index] != self.size:
            return masked(mask, self.size)
        return super().hidden(index, mask)


def accepts(path: Path) -> Match | None:
    """Why a path is image data, such as "40 .png files"; looks at 1,000 files at most."""
    if path.is_file():
        return Match(1, f"a {path.suffix.lower()} file") if path.suffix.lower() in SUFFIXES else None
    found = listing(path, SUFFIXES, most=1000)
    if not found.names:
        return None
    kinds = [Path(name).suffix.lower() for name in found.names]
    common = max(sorted(set(kinds)), key=kinds.count)
    return Match(1, f"{kinds.count(common)}{'+' if len(kinds) >= 1000 else ''} {common} files")


def target(geometry: Geometry, shape: Shape, resolution: str, options: DecodeOptions) -> Target:
    """Decode at the grid that `resolution` names, or at the picture's own."""
    del options
    return Target(parse_size(resolution) if resolution else shape, geometry)


def query(geometry: Geometry, shape: Shape, start: int, stop: int) -> np.ndarray:
    """Coordinates [stop - start, 2] of these pixels of a picture of `shape`."""
    del geometry
    return grid(shape, start, stop)


def assemble(geometry: Geometry, features: np.ndarray, shape: Shape) -> np.ndarray:
    """Picture uint8 [rows, columns] or [rows, columns, 3] from features [n, c] in [0, 1]; others are clipped."""
    values: np.ndarray = np.clip(np.nan_to_num(features), 0.0, 1.0)
    values = np.rint(values * 255.0).astype(np.uint8)
    return values.reshape(*shape) if geometry["channels"] == 1 else values.reshape(*shape, 3)


def picture(array: np.ndarray) -> np.ndarray:
    """An assembled picture as float32 [1, rows, columns, 1 or 3] in [0, 1]."""
    return (array / np.float32(255.0)).reshape(1, *array.shape[:2], -1)


def write_png(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Write a picture as PNG, which keeps every value."""
    del geometry
    Image.fromarray(array).save(path, format="PNG")


def write_webp(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Write a picture as WebP of high quality."""
    del geometry
    Image.fromarray(array).save(path, format="WEBP", quality=90)


def write_jpeg(path: Path, array: np.ndarray, geometry: Geometry) -> None:
    """Write a picture as JPEG of high quality."""
    del geometry
    Image.fromarray(array).save(path, format="JPEG", quality=92)


def example(folder: Path) -> None:
    """Write six pictures of 8 x 8 pixels in two classes."""
    rng = np.random.default_rng(0)
    for number in range(6):
        path = folder / ("round" if number % 2 else "square") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), {})


MODALITY = Modality(
    coord_dim=2,
    field_dim=2,
    options=Options,
    preset={"data": {"resolution": "64"}},
    accepts=accepts,
    open=ImageSource,
    target=target,
    query=query,
    assemble=assemble,
    forms={"png": Form(".png", write_png), "jpg": Form(".jpg", write_jpeg), "webp": Form(".webp", write_webp)},
    sheet=contact_sheet,
    axes=("row", "column"),
    unit="image",
    picture=picture,
    bits=8,
)


_grid = lru_cache(maxsize=2)(grid)  # data of one shape come one after the other, and grids can be large


def _sentence(source: ImageSource, native: list[tuple[int, int]], gray: int) -> str:
    sizes = sorted(set(native), key=lambda shape: shape[0] * shape[1])
    size = by(sizes[0]) if len(sizes) == 1 else f"of {len(sizes)} sizes ({by(sizes[0])} to {by(sizes[-1])})"
    colour = "RGB" if source.channels == 3 else "gray"
    if source.channels == 3 and gray:
        colour += f" ({gray} gray ones repeated)"
    elif source.channels == 1 and gray < len(native):
        colour += f" ({len(native) - gray} colour ones as luma)"
    classes = f" in {len(source.classes)} classes" if source.classes else ""
    test = source.split.count("test")
    resized = ""
    if source.size and sizes != [source.size]:
        rows, columns = source.size
        crop = "centre-cropped and " if any(high * columns != wide * rows for high, wide in sizes) else ""
        resized = f"; each {crop}resized to {by(source.size)} (Lanczos)"
        small = sum(high < rows or wide < columns for high, wide in native)
        if small:
            resized += f", {small} of them enlarged"
    return f"found {len(native)} images {size} {colour}{classes}, {test} test{resized}"
