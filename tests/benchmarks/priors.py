"""Compile time of flows by depth, and samples a second of each prior: `python -m tests.benchmarks.priors`.

All ratios are of one run. Modulations have 128 numbers; networks have the default sizes.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from functa_cli.prior import Draw
from functa_cli.priors import ddpm, flow
from tests.benchmarks.measure import seconds

DIM, COUNT, ROUNDS = 128, 256, 3


def compile_seconds(layers: int) -> float:
    """Seconds to trace and compile a training step's gradient."""
    prior = flow.make(DIM, 0, flow.Options(layers=layers))
    shapes = jax.eval_shape(prior.init, jax.random.key(0))
    labels = jnp.zeros(64, jnp.int32)

    def loss(parameters, x, key):
        return prior.loss(parameters, x, labels, key, dropout=True).mean()

    start = time.perf_counter()
    jax.jit(jax.grad(loss)).lower(shapes, jnp.zeros((64, DIM)), jax.random.key(0)).compile()
    return time.perf_counter() - start


def sampler(prior, draw: Draw):
    """A call that draws `COUNT` samples."""
    parameters, labels = prior.init(jax.random.key(0)), jnp.zeros(COUNT, jnp.int32)
    run = jax.jit(lambda parameters, key, labels: prior.sample(parameters, key, labels, draw))
    return lambda: run(parameters, jax.random.key(1), labels)


def main() -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    compile_seconds(2)  # what only the first compilation costs
    short, long = (np.median([compile_seconds(layers) for _ in range(ROUNDS)]) for layers in (8, 64))
    print(f"compiling the gradient of a flow: 8 layers {short:.2f} s, 64 layers {long:.2f} s, ratio {long / short:.2f}")
    diffusion = ddpm.make(DIM, 0, ddpm.Options())
    kinds = {
        "flow, 8 layers": (flow.make(DIM, 0, flow.Options()), Draw()),
        "ddpm, 1,000 steps": (diffusion, Draw()),
        "ddpm, DDIM of 50 steps": (diffusion, Draw(steps=50)),
    }
    found = seconds({name: sampler(*each) for name, each in kinds.items()}, ROUNDS)
    for name, took in found.items():
        ratio = found["ddpm, 1,000 steps"] / took
        print(f"{name:24} {COUNT / took:10,.0f} samples/s {ratio:8.1f} times ddpm")


if __name__ == "__main__":
    main()
