"""SIREN with modulations (Sitzmann et al., 2020; section 3 of the paper): sin(w0 (W h + b) + w0 s) layer by layer.

Three kinds of modulations phi, all zero for the unmodulated network:
- `latent`: phi [latent_dim], mapped linearly to the shifts of all layers (the paper's choice);
- `shift`: phi is the shifts themselves, [width * (depth - 1)];
- `shift+scale`: phi is scales and then shifts, [2 * width * (depth - 1)]; a layer is multiplied by 1 + scale.

`depth` counts the output layer, so depth - 1 sine layers are modulated. Initialisation follows the released code:
first weights U(+-1/n_in), all others U(+-sqrt(6/n_in)/w0), biases 0, output + 0.5; the map from phi to shifts is
normal, truncated at two deviations, of deviation 1/sqrt(latent_dim).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from functa_cli.linear import dense, spread
from functa_cli.sine import sin


@dataclass(frozen=True)
class Options:
    """Settings of the field."""

    kind: str = "siren"
    modulation: Literal["latent", "shift", "shift+scale"] = "latent"
    latent_dim: int = 128  # of phi, for `latent`
    width: int = 128
    depth: int = 5
    w0: float = 30.0


class Modulation(NamedTuple):
    """Per layer, what one datum adds: sin(w0 scale (W h) + phase)."""

    scale: jax.Array | None  # [depth - 1, width], or None where layers are only shifted
    phase: jax.Array  # [depth - 1, width], radians


class Siren(nnx.Module):
    """SIREN whose layers are shifted (and scaled) by modulations; w0 and biases are folded into the phase once."""

    def __init__(self, options: Options, field_dim: int, channels: int, *, rngs: nnx.Rngs):
        self.kind, self.w0, self.width = options.modulation, options.w0, options.width
        self.layers = options.depth - 1
        shifts = self.layers * self.width
        sizes = {"latent": options.latent_dim, "shift": shifts, "shift+scale": 2 * shifts}
        self.latent_shape = (sizes[self.kind],)
        for index, n_in in enumerate([field_dim] + [self.width] * (self.layers - 1)):
            bound = 1.0 / n_in if index == 0 else (6.0 / n_in) ** 0.5 / self.w0
            setattr(self, f"sine_{index}", _linear(n_in, self.width, bound, rngs))
        self.out = _linear(self.width, channels, (6.0 / self.width) ** 0.5 / self.w0, rngs)
        if self.kind == "latent":
            spread = nnx.initializers.truncated_normal(options.latent_dim**-0.5)
            self.map = nnx.Linear(options.latent_dim, shifts, kernel_init=spread, rngs=rngs)

    def modulate(self, phi: jax.Array) -> Modulation:
        """Phases, and scales if any, of all layers for `phi` [*latent_shape]."""
        shape = (self.layers, self.width)
        biases = jnp.stack([jnp.asarray(self._sine(index).bias) for index in range(self.layers)])
        if self.kind == "shift+scale":
            scale, shift = (part.reshape(shape) for part in jnp.split(phi, 2))
            return Modulation(1.0 + scale, self.w0 * ((1.0 + scale) * biases + shift))
        shift = self.map(phi) if self.kind == "latent" else phi
        return Modulation(None, self.w0 * (biases + shift.reshape(shape)))

    def __call__(self, modulation: Modulation, x: jax.Array) -> jax.Array:
        """Values [n, c] at `x` [n, field_dim]."""
        for index in range(self.layers):
            x = dense(x, self.w0 * jnp.asarray(self._sine(index).kernel))
            if modulation.scale is not None:
                x = x * spread(modulation.scale[index], x.shape[-2])
            x = sin(x + spread(modulation.phase[index], x.shape[-2]))
        return dense(x, jnp.asarray(self.out.kernel)) + jnp.asarray(self.out.bias) + 0.5

    def _sine(self, index: int) -> nnx.Linear:
        return getattr(self, f"sine_{index}")


def make(options: Options, field_dim: int, channels: int, *, rngs: nnx.Rngs) -> Siren:
    """Field for coordinates of `field_dim` channels and features of `channels` channels."""
    return Siren(options, field_dim, channels, rngs=rngs)


def _linear(n_in: int, n_out: int, bound: float, rngs: nnx.Rngs) -> nnx.Linear:
    def uniform(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return nnx.Linear(n_in, n_out, kernel_init=uniform, rngs=rngs)
