"""Pictures of voxel shapes: parallel rays from above and the side, smooth shading, a soft shadow on the ground."""

import numpy as np

PIXELS = 160  # side of a picture
FINER = 2  # rays along a pixel's side
LARGEST = 128  # cells along an axis; finer grids are drawn reduced
VIEW = 1.3  # side of what is seen, in sides of the unit cube
EYE = (0.55, 0.52, 0.85)  # from the shape to the eye; y is up
LIGHT = (-0.25, 0.9, 0.55)  # from the shape to the light
COLOUR, PAPER = (0.40, 0.63, 0.92), 0.98


def shaded(field: np.ndarray, level: float = 0.5) -> np.ndarray:
    """Picture uint8 [160, 160, 3] of where a field [x, y, z] over the unit cube is above `level`; y is up.

    The view does not depend on the shape, so that two of them can be compared.
    """
    solid, eye, light = _coarse(np.asarray(field) > level), _unit(EYE), _unit(LIGHT)
    right = _unit(np.cross((0.0, 1.0, 0.0), eye))
    rays = PIXELS * FINER
    across = ((np.arange(rays) + 0.5) / rays - 0.5) * VIEW
    up = np.cross(eye, right)
    origins = 0.5 + 2.0 * eye + (across[None, :, None] * right - across[:, None, None] * up).reshape(-1, 3)
    colours = np.full((len(origins), 3), PAPER)
    if solid.any():
        colours *= 1.0 - _shadow(solid, origins, eye)[:, None]
        hit, places = _hits(solid, origins, -eye)
        colours[hit] = _lit(solid, places, eye, light)
    picture = colours.reshape(PIXELS, FINER, PIXELS, FINER, 3).mean((1, 3))
    return np.rint(np.clip(picture, 0.0, 1.0) * 255.0).astype(np.uint8)


def _coarse(solid: np.ndarray) -> np.ndarray:
    """The shape with at most LARGEST cells along an axis: filled where any part of them is."""
    for axis, size in enumerate(solid.shape):
        if size > LARGEST:
            starts = np.arange(LARGEST) * size // LARGEST
            solid = np.logical_or.reduceat(solid, starts, axis=axis)
    return solid


def _hits(solid: np.ndarray, origins: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rays that meet the shape, by number, and where in the unit cube [h, 3]."""
    size = np.array(solid.shape)
    filled = [np.flatnonzero(solid.any(tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    low = np.array([cells[0] for cells in filled]) / size
    high = np.array([cells[-1] + 1 for cells in filled]) / size
    ends = np.stack([(low - origins) / direction, (high - origins) / direction])
    enter, leave = ends.min(0).max(1), ends.max(0).min(1)
    going = np.flatnonzero(leave > enter)
    step = 0.4 / size.max()
    at, found = enter[going] + 1e-6, np.full(len(origins), np.nan)
    while len(going):
        cells = np.clip(((origins[going] + at[:, None] * direction) * size).astype(np.int32), 0, size - 1)
        inside = solid[cells[:, 0], cells[:, 1], cells[:, 2]]
        found[going[inside]] = at[inside]
        on = ~inside & (at + step < leave[going])
        going, at = going[on], at[on] + step
    hit = np.flatnonzero(np.isfinite(found))
    return hit, origins[hit] + found[hit, None] * direction


def _lit(solid: np.ndarray, places: np.ndarray, eye: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Colours [h, 3] of places [h, 3] on the surface: soft light, darker in corners and creases, a little shine."""
    size, margin = np.array(solid.shape), 4
    soft = _blurred(np.pad(solid, margin).astype(np.float32), 2)
    wide = _blurred(soft, 6)
    at = places * size + margin - 0.5
    slopes = np.stack([_between(slope, at) for slope in np.gradient(soft)], axis=-1) * size
    normals = -slopes / np.maximum(np.linalg.norm(slopes, axis=-1, keepdims=True), 1e-9)
    facing = normals @ eye
    normals = np.where(facing[:, None] < 0, normals - 2 * facing[:, None] * eye, normals)  # thin parts
    crowded = np.clip(_between(wide, at + 2.5 * normals) * 1.8, 0.0, 1.0)
    diffuse = 0.46 + 0.62 * np.clip(normals @ light, 0.0, 1.0)
    shine = 0.16 * np.clip(normals @ _unit(light + eye), 0.0, 1.0) ** 30
    return np.array(COLOUR) * (diffuse * (1.0 - 0.55 * crowded))[:, None] + shine[:, None]


def _shadow(solid: np.ndarray, origins: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """How dark, [p] in 0 to 1, the ground under the shape is where rays meet it."""
    height = np.flatnonzero(solid.any((0, 2)))
    floor, above = height[0] / solid.shape[1], (np.arange(solid.shape[1]) - height[0]) / solid.shape[1]
    cast = (solid * np.exp(-4.0 * np.maximum(above, 0.0)).astype(np.float32)[None, :, None]).max(1)
    size, margin = np.array(cast.shape), 16
    cast = _blurred(np.pad(cast, margin)[:, None], 10)[:, 0]
    places = origins - ((origins[:, 1] - floor) / eye[1])[:, None] * eye
    at = np.clip(places[:, [0, 2]] * size + margin - 0.5, 0, np.array(cast.shape) - 1).round().astype(np.int32)
    return 0.38 * cast[at[:, 0], at[:, 1]]


def _blurred(field: np.ndarray, times: int) -> np.ndarray:
    for _ in range(times):
        for axis in range(field.ndim):
            if field.shape[axis] > 1:
                before, after = (slice(None),) * axis + (slice(-1),), (slice(None),) * axis + (slice(1, None),)
                mixed = 0.5 * field
                mixed[after] += 0.25 * field[before]
                mixed[before] += 0.25 * field[after]
                field = mixed
    return field


def _between(field: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values [h] of a field between its cell centres, at places [h, 3] in cells."""
    at = np.clip(at, 0, np.array(field.shape) - 1.001)
    low = at.astype(np.int32)
    part, total = at - low, np.zeros(len(at))
    for corner in np.ndindex(2, 2, 2):
        x, y, z = (low + corner).T
        total += np.where(corner, part, 1.0 - part).prod(1) * field[x, y, z]
    return total


def _unit(vector: tuple[float, ...] | np.ndarray) -> np.ndarray:
    return np.asarray(vector) / np.linalg.norm(vector)
