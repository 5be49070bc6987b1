"""Grids of latitude and longitude: their cells, and averaging over the cells of a coarser one."""

import numpy as np

FULL = 1e-6  # degrees from a pole within which a latitude is the pole
POLAR = 2.0  # degrees between the outermost cell and a pole that it is taken to reach
NEAR = 0.4  # or so many of its own heights
LEAST = 0.5  # share of a coarse cell that must have values for it to have one


def edges(centres: np.ndarray) -> np.ndarray:
    """Edges [n + 1] of cells around monotonic `centres` [n], halfway between them; a single cell is 1 wide."""
    centres = np.asarray(centres, np.float64)
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def parallels(latitude: np.ndarray) -> np.ndarray:
    """Edges [rows + 1] of cells around latitudes that go from north to south, degrees.

    They end at a pole where the outermost cell nearly reaches it, as those of a Gaussian grid do.
    """
    found = edges(latitude)
    if len(latitude) == 1:
        return np.clip(found[::-1], -90.0, 90.0)
    if 90.0 - found[0] <= max(POLAR, NEAR * (found[0] - found[1])):
        found[0] = 90.0
    if 90.0 + found[-1] <= max(POLAR, NEAR * (found[-2] - found[-1])):
        found[-1] = -90.0
    return found


def is_global(latitude: np.ndarray, longitude: np.ndarray) -> bool:
    """Whether a grid covers the whole sphere."""
    if len(latitude) < 3 or len(longitude) < 3:
        return False
    around = abs(longitude[-1] - longitude[0]) + abs(longitude[1] - longitude[0])
    tall = parallels(latitude)
    return bool(around >= 359.0 and tall[0] == 90.0 and tall[-1] == -90.0)


def axes(latitude: np.ndarray, longitude: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Latitudes [rows] and longitudes [columns] of another grid over what the given one covers.

    A global grid begins at the same longitude and has the poles if the given one has them; a regional one has the same
    outer edges. Latitudes go from north to south.
    """
    if is_global(latitude, longitude):
        across = longitude[0] + 360.0 * np.arange(columns) / columns
        if np.abs(latitude).max() > 90.0 - FULL and rows > 1:
            return np.linspace(90.0, -90.0, rows), across
        return 90.0 - (np.arange(rows) + 0.5) * 180.0 / rows, across
    high, wide = parallels(latitude), edges(longitude)
    down = high[0] + (np.arange(rows) + 0.5) * (high[-1] - high[0]) / rows
    return down, wide[0] + (np.arange(columns) + 0.5) * (wide[-1] - wide[0]) / columns


class Averaging:
    """Area-weighted means of a fine grid over the cells of a coarse one; cells without a value (NaN) do not count."""

    def __init__(self, latitude: np.ndarray, longitude: np.ndarray, rows: int, columns: int):
        self.latitude, self.longitude = axes(latitude, longitude, rows, columns)
        high, wide = parallels(latitude), edges(longitude)
        low = high[[0, -1]] if rows == 1 else parallels(self.latitude)
        broad = wide[[0, -1]] if columns == 1 else edges(self.longitude)
        # a cell's area is its width times the difference of the sines of its edges
        self.down = overlaps(-np.sin(np.deg2rad(low)), -np.sin(np.deg2rad(high)))
        self.across = overlaps(broad, wide, 360.0 if is_global(latitude, longitude) else None)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """`values` [fine rows, fine columns] as float32 [rows, columns], NaN where less than half a cell has values."""
        known = np.isfinite(values)
        total = self.down @ np.where(known, values, 0.0) @ self.across.T
        share = self.down @ known.astype(np.float64) @ self.across.T
        full = self.down.sum(1)[:, None] * self.across.sum(1)[None]
        return np.where(share >= LEAST * full, total / np.maximum(share, 1e-12), np.nan).astype(np.float32)


def overlaps(coarse: np.ndarray, fine: np.ndarray, period: float | None = None) -> np.ndarray:
    """Lengths [coarse cells, fine cells] that intervals between ascending edges share; on a circle with `period`."""
    total = np.zeros((len(coarse) - 1, len(fine) - 1))
    for turn in (0.0,) if period is None else (-period, 0.0, period):
        low = np.maximum(coarse[:-1, None], fine[None, :-1] + turn)
        high = np.minimum(coarse[1:, None], fine[None, 1:] + turn)
        total += np.maximum(high - low, 0.0)
    return total
