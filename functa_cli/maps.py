"""Fields on the sphere as pictures: a map, and the globe from two sides."""

import numpy as np

from functa_cli.regrid import is_global

# A perceptually even run from cold to warm: lightness rises steadily (own control points).
COLOURS = np.array(
    [[24, 16, 72], [38, 62, 148], [32, 118, 174], [58, 166, 158], [140, 200, 124], [232, 214, 106], [250, 244, 196]]
)
LAND = np.array([205, 205, 205])  # cells without a value
GROUND = np.array([255, 255, 255])
TILT = 20.0  # degrees that the globe's north is turned to the viewer


def coloured(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """uint8 [..., 3] of `values` [...]; NaN is gray."""
    share = np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0)
    known = np.isfinite(share)
    at = np.where(known, share, 0.0) * (len(COLOURS) - 1)
    below = np.minimum(at.astype(int), len(COLOURS) - 2)
    mixed = COLOURS[below] + (at - below)[..., None] * (COLOURS[below + 1] - COLOURS[below])
    return np.rint(np.where(known[..., None], mixed, LAND)).astype(np.uint8)


def map_of(values: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map uint8 [rows, columns, 3], a degree as long one way as the other, at least 180 pixels wide."""
    wide, tall = abs(longitude[-1] - longitude[0]), abs(latitude[-1] - latitude[0])
    columns = max(180, len(longitude))
    rows = int(np.clip(round(columns * tall / max(wide, 1e-6)), 24, 4 * columns))
    row = np.abs(latitude[None] - np.linspace(latitude[0], latitude[-1], rows)[:, None]).argmin(axis=1)
    column = np.abs(longitude[None] - np.linspace(longitude[0], longitude[-1], columns)[:, None]).argmin(axis=1)
    return coloured(values[row][:, column], low, high)


def globe(
    values: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, low: float, high: float, size: int, centre: float
) -> np.ndarray:
    """The sphere as seen from far above longitude `centre`: uint8 [size, size, 3], orthographic."""
    y, x = (0.5 - (np.mgrid[:size, :size] + 0.5) / size) * 2.08
    x = -x
    inside = x**2 + y**2 < 1.0
    z = np.sqrt(np.maximum(1.0 - x**2 - y**2, 0.0))
    turn = np.deg2rad(TILT)
    up, ahead = y * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - y * np.sin(turn)
    lat = np.rad2deg(np.arcsin(np.clip(up, -1.0, 1.0)))
    lon = centre + np.rad2deg(np.arctan2(x, ahead))
    row = np.clip(np.searchsorted(-(latitude[1:] + latitude[:-1]) / 2, -lat), 0, len(latitude) - 1)
    step = 360.0 / len(longitude)
    column = np.rint((lon - longitude[0]) / step).astype(int) % len(longitude)
    shade = (0.55 + 0.45 * z)[..., None]
    shown = coloured(values[row, column], low, high) * shade
    return np.rint(np.where(inside[..., None], shown, GROUND)).astype(np.uint8)


def drawn(values: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, low: float, high: float) -> np.ndarray:
    """A field as a picture: its map, and under it two globes where it covers the whole sphere."""
    flat = map_of(values, latitude, longitude, low, high)
    if not is_global(latitude, longitude):
        return flat
    size = flat.shape[1] // 2
    sides = [globe(values, latitude, longitude, low, high, size, centre) for centre in (0.0, 180.0)]
    balls = np.concatenate(sides, axis=1)
    missing = flat.shape[1] - balls.shape[1]
    balls = np.pad(balls, [(4, 0), (0, missing), (0, 0)], constant_values=255)
    return np.concatenate([flat, balls], axis=0)
