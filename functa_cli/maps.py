"""Fields on the sphere as pictures: a map, and for global fields the globe from two sides. North is up, east right."""

import numpy as np
from PIL import Image, ImageDraw

from functa_cli.regrid import edges, is_global, parallels

# From cold to warm, dark at the ends: temperatures of most of the sphere are in the warm half, which has most hues.
COLD = [[30, 22, 84], [48, 70, 160], [64, 138, 190], [148, 206, 200]]
WARM = [[240, 240, 190], [247, 178, 92], [214, 84, 56], [122, 18, 44]]
COLOURS = np.array([*COLD, *WARM])
LAND = np.array([190, 190, 190])  # cells without a value
GROUND = 255
WIDTH = 720  # pixels of a map
TALLEST = 1440
TILT = 20.0  # degrees that the globe's north is turned to the viewer
CENTRES = (20.0, -160.0)  # longitudes that the globes face: Africa and Europe, the Pacific
FINER = 2  # pixels an axis that one pixel of a globe is the mean of


def drawn(values: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, low: float, high: float) -> np.ndarray:
    """A field [latitudes, longitudes] as uint8 [rows, 720, 3]: its map, and two globes under it if it is global.

    `low`, `high`: the values that have the first and the last colour; cells without a value (NaN) are gray.
    """
    seen = _Seen(values, latitude, longitude, low, high)
    flat = seen.map()
    if not is_global(latitude, longitude):
        return flat
    globes = np.concatenate([seen.globe(WIDTH // 2, centre) for centre in CENTRES], axis=1)
    return np.concatenate([flat, np.full((8, WIDTH, 3), GROUND, np.uint8), globes])


def legend(low: float, high: float, unit: str) -> np.ndarray:
    """The colours from `low` to `high` with these values beside, uint8 [24, 720, 3]."""
    bar = np.full((24, WIDTH, 3), GROUND, np.uint8)
    bar[8:18, WIDTH // 4 : 3 * WIDTH // 4] = coloured(np.linspace(0, 1, WIDTH // 2), 0, 1)
    picture = Image.fromarray(bar)
    write = ImageDraw.Draw(picture)
    write.text((WIDTH // 4 - 8, 13), f"{low:.4g} {unit}", "black", anchor="rm")
    write.text((3 * WIDTH // 4 + 8, 13), f"{high:.4g} {unit}", "black", anchor="lm")
    return np.asarray(picture)


def coloured(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8 [..., 3] of `values` [...]; NaN is gray."""
    share = np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0)
    known = np.isfinite(share)
    at = np.where(known, share, 0.0) * (len(COLOURS) - 1)
    below = np.minimum(at.astype(int), len(COLOURS) - 2)
    mixed = COLOURS[below] + (at - below)[..., None] * (COLOURS[below + 1] - COLOURS[below])
    return np.rint(np.where(known[..., None], mixed, LAND)).astype(np.uint8)


class _Seen:
    """A coloured field that is looked at from somewhere."""

    def __init__(self, values: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, low: float, high: float):
        self.colours = coloured(values, low, high)
        self.rows, self.columns = parallels(latitude), edges(longitude)  # north to south, west to east
        self.whole = is_global(latitude, longitude)

    def at(self, latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
        """Colours [..., 3] of the cells that hold these places, degrees [...]."""
        east = self.columns[0] + (longitude - self.columns[0]) % 360.0
        row = np.clip(np.searchsorted(-self.rows, -latitude, side="right") - 1, 0, len(self.rows) - 2)
        column = np.clip(np.searchsorted(self.columns, east, side="right") - 1, 0, len(self.columns) - 2)
        return self.colours[row, column]

    def map(self) -> np.ndarray:
        """Map uint8 [rows, 720, 3]: the whole sphere with Greenwich in its middle, or a region."""
        (north, south), (west, east) = (90.0, -90.0), (-180.0, 180.0)
        stretch = 1.0
        if not self.whole:
            north, south, west, east = self.rows[0], self.rows[-1], self.columns[0], self.columns[-1]
            stretch = 1 / max(np.cos(np.deg2rad((north + south) / 2)), 0.2)  # as long as a degree of longitude there
        rows = int(np.clip(round(WIDTH * stretch * (north - south) / (east - west)), 24, TALLEST))
        latitude = north + (np.arange(rows) + 0.5) / rows * (south - north)
        longitude = west + (np.arange(WIDTH) + 0.5) / WIDTH * (east - west)
        return self.at(latitude[:, None], longitude[None])

    def globe(self, size: int, centre: float) -> np.ndarray:
        """The sphere as seen from far above longitude `centre`: uint8 [size, size, 3], orthographic."""
        across = ((np.arange(size * FINER) + 0.5) / (size * FINER) * 2 - 1) * 1.04
        x, y = across[None], -across[:, None]
        z = np.sqrt(np.maximum(1.0 - x**2 - y**2, 0.0))  # to the viewer
        turn = np.deg2rad(TILT)
        up, ahead = y * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - y * np.sin(turn)
        latitude = np.rad2deg(np.arcsin(np.clip(up, -1.0, 1.0)))
        longitude = centre + np.rad2deg(np.arctan2(x, ahead))
        shaded = self.at(latitude, longitude) * (0.6 + 0.4 * z)[..., None]
        fine = np.where((x**2 + y**2 < 1.0)[..., None], shaded, GROUND)
        return np.rint(fine.reshape(size, FINER, size, FINER, 3).mean((1, 3))).astype(np.uint8)
