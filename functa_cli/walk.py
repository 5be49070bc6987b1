"""Ways between functa and around one: straight among modulations, or along the noise that a prior makes them from.

Gaussian noise of many entries lies in a thin shell, which a straight line leaves, so in noise the ways are arcs.
"""

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli.priornet import Model
from functa_cli.scale import Scale


def between(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """`steps` vectors [steps, d] on the straight line from `a` [d] to `b`, both included."""
    share = np.linspace(0.0, 1.0, steps)[:, None]
    return ((1.0 - share) * a + share * b).astype(np.float32)


def arc(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """`steps` vectors [steps, d] from `a` [d] to `b`, whose direction and length change evenly (spherical)."""
    length = np.linalg.norm(a), np.linalg.norm(b)
    cosine = float(np.clip(a @ b / max(length[0] * length[1], 1e-12), -1.0, 1.0))
    angle, share = np.arccos(cosine), np.linspace(0.0, 1.0, steps)[:, None]
    if angle < 1e-4 or angle > np.pi - 1e-4:
        return between(a, b, steps)
    ways = (np.sin((1.0 - share) * angle) * a / length[0] + np.sin(share * angle) * b / length[1]) / np.sin(angle)
    return (ways * ((1.0 - share) * length[0] + share * length[1])).astype(np.float32)


def around(z: np.ndarray, radius: float, n: int, seed: int) -> np.ndarray:
    """`n` vectors near noise `z` [d]: mixed with fresh noise such that the deviation stays 1; `radius` in [0, 1]."""
    fresh = np.random.default_rng([seed, 41]).standard_normal((n, len(z)))
    return (np.sqrt(1.0 - radius**2) * z + radius * fresh).astype(np.float32)


def beside(phi: np.ndarray, scale: Scale, radius: float, n: int, seed: int) -> np.ndarray:
    """`n` modulations near `phi` [d]: moved by `radius` deviations of the set, along its covariance."""
    fresh = np.random.default_rng([seed, 41]).standard_normal((n, len(phi)))
    return (phi + radius * (scale.restore(fresh) - scale.mean)).astype(np.float32)


def noise_of(model: Model, phi: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Noise [n, d] that the prior of `model` makes `phi` [n, d] from."""
    assert model.prior.to_noise is not None
    found = jax.jit(model.prior.to_noise)(model.parameters, model.scale.normalise(phi), model.label(labels))
    return np.asarray(found)


def from_noise(model: Model, noise: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Modulations [n, d] of noise [n, d]."""
    assert model.prior.from_noise is not None
    found = jax.jit(model.prior.from_noise)(model.parameters, jnp.asarray(noise), model.label(labels))
    return model.scale.restore(np.asarray(found))
