"""Speed and scratch memory beside the reference formulation and the machine's peak: `python -m tests.benchmarks.speed`.

The reference formulation is what the paper's released code computes, written plainly (tests/oracles.py): autodiff,
`jnp.sin`, steps unrolled, nothing shared or recomputed, one signal at a time or mapped over a few. Ratios are of one
run in which the variants take turns. "share of peak" is the time that the variant's multiply-adds would take at the
speed of a large matrix product, over the time it took. Counted in evaluations of the field: an inner step is 2, the
gradient through it 6 (4 where nothing is recomputed), and the shared first step 4 (16 with its gradient) a batch.
"""

import os
from functools import partial

from functa_cli.cli.runtime import prepare_jax

prepare_jax(os.environ)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from functa_cli.config import InnerConfig  # noqa: E402
from functa_cli.evaluate import decode_points, runner  # noqa: E402
from functa_cli.inner import fit_modulations, outer_loss  # noqa: E402
from functa_cli.tiles import plan  # noqa: E402
from tests.benchmarks.measure import forward_flops, multiply_add, scratch, seconds, table  # noqa: E402
from tests.networks import network, pictures  # noqa: E402
from tests.oracles import reference_fit, reference_network, reference_outer  # noqa: E402

RATE = 0.05
NETWORK = {"width": 256, "depth": 10, "latent_dim": 256, "inner": InnerConfig()}


def encode(repeats: int = 5, b: int = 64, steps: int = 3) -> list[dict]:
    """Rows for encoding 64x64x3 pictures; modulations are equal to 1e-5."""
    options, decoder, theta = network(**NETWORK)
    batch = pictures(b, (64, 64))
    few = batch._replace(features=batch.features[:8], weights=batch.weights[:8])
    ours = jax.jit(partial(fit_modulations, decoder, steps=steps, rate=RATE))

    def reference(theta, batch):
        one = partial(reference_fit, theta, options.w0, options.depth, batch.coords, steps=steps, rate=RATE)
        return jax.vmap(lambda features, weights: one(features, weights))(batch.features, batch.weights)

    mapped, alone = jax.jit(reference), few._replace(features=few.features[:1], weights=few.weights[:1])
    product, flops = multiply_add()
    taken = seconds(
        {
            "peak": product,
            "ours": lambda: ours(theta, batch),
            "reference, 8 mapped": lambda: mapped(theta, few),
            "reference, one at a time": lambda: mapped(theta, alone),
        },
        repeats,
    )
    np.testing.assert_allclose(ours(theta, batch).phi[:8], mapped(theta, few)[0], atol=1e-5)
    peak, forward = flops / taken["peak"], forward_flops(64 * 64, options.width, options.depth, 2, 3)
    large = pictures(1, (256, 256))
    memory = {
        "ours": (scratch(partial(fit_modulations, decoder, steps=steps, rate=RATE), theta, batch),
                 scratch(partial(fit_modulations, decoder, steps=steps, rate=RATE), theta, large)),
        "reference, 8 mapped": (scratch(reference, theta, few), None),
        "reference, one at a time": (scratch(reference, theta, alone), None),
    }  # fmt: skip
    need = {
        "ours": 2 * (steps - 1) + 1 + 4 / b,
        "reference, 8 mapped": 2 * steps + 1,
        "reference, one at a time": 2 * steps + 1,
    }
    per = {"ours": b, "reference, 8 mapped": 8, "reference, one at a time": 1}
    return [
        _row("encode 64x64x3, K = 3", name, taken[name] / per[name], taken["reference, 8 mapped"] / 8, 1.0,
             "images", need[name] * forward / peak, *memory[name])
        for name in memory
    ]  # fmt: skip


def meta_step(repeats: int = 3, b: int = 4, steps: int = 3) -> list[dict]:
    """Rows for the outer gradient on 64x64x3 pictures; gradients are equal to 1e-4."""
    options, decoder, theta = network(**NETWORK)
    batch = pictures(b, (64, 64))

    def ours(theta, batch, steps=steps):
        return outer_loss(decoder, theta, batch, steps=steps, rate=RATE)

    def reference(theta, batch):
        return reference_outer(theta, options.w0, options.depth, *batch, steps, RATE)

    fast, plain = jax.jit(jax.grad(ours)), jax.jit(jax.grad(reference))
    product, flops = multiply_add()
    taken = seconds(
        {"peak": product, "ours": lambda: fast(theta, batch), "reference": lambda: plain(theta, batch)}, repeats
    )
    for a, e in zip(jax.tree.leaves(fast(theta, batch)["field"]), jax.tree.leaves(plain(theta, batch)["field"])):
        assert float(jnp.linalg.norm(a - e)) <= 1e-4 * float(jnp.linalg.norm(e))
    forward = b * forward_flops(64 * 64, options.width, options.depth, 2, 3) * taken["peak"] / flops
    need = {"ours": (8 * (steps - 1) + 3 + 16 / b) * forward, "reference": (6 * steps + 3) * forward}
    more = {
        "ours": scratch(jax.grad(ours), theta, batch),
        "ours, K = 6": scratch(jax.grad(partial(ours, steps=6)), theta, batch),
        "ours, 128x128": scratch(jax.grad(ours), theta, pictures(b, (128, 128))),
        "reference": scratch(jax.grad(reference), theta, batch),
    }
    return [
        _row(f"meta-step, {b} pictures", name, taken.get(name), taken["reference"], 1.0, "steps",
             need.get(name), memory, None)
        for name, memory in more.items()
    ]  # fmt: skip


def decode(repeats: int = 3) -> list[dict]:
    """Rows for decoding one functum at 512x512; scratch of 128^3 points too."""
    options, decoder, theta = network(**NETWORK)
    phi = np.random.default_rng(0).normal(size=256).astype(np.float32) * 0.1
    coords = np.asarray(pictures(1, (512, 512)).coords)
    run = runner(decoder, theta)

    def ours() -> np.ndarray:
        return run(phi, lambda start, stop: coords[start:stop], len(coords), len(coords))

    plain = jax.jit(lambda theta, phi, x: reference_network(theta, options.w0, options.depth, phi, x))
    product, flops = multiply_add()
    taken = seconds(
        {
            "peak": product,
            "ours": ours,
            "reference": lambda: plain(theta, phi, coords),
        },
        repeats,
    )
    np.testing.assert_allclose(ours(), plain(theta, phi, coords), atol=1e-4)
    rows = plan(1, 128**3, options.width).points
    voxels = np.zeros((-(-(128**3) // rows), rows, 2), np.float32)
    need = forward_flops(512 * 512, options.width, options.depth, 2, 3) / (flops / taken["peak"])
    memory = {
        "ours": (scratch(partial(decode_points, decoder), theta, phi, voxels[:64]), None),
        "reference": (scratch(plain, theta, phi, coords), None),
    }
    return [
        _row("decode 512x512", name, taken[name], taken["reference"], 0.512**2, "Mpoints", need, *memory[name])
        for name in memory
    ]


def _row(what, name, taken, reference, amount, unit, need, memory, large) -> dict:
    return {
        "what": what,
        "variant": name,
        "rate": "" if taken is None else f"{amount / taken:.3g} {unit}/s",
        "speed-up": "" if taken is None else f"{reference / taken:.2f}",
        "share of peak": "" if taken is None or need is None else f"{100 * need / taken:.0f} %",
        "scratch MB": f"{memory / 1e6:.1f}" + ("" if large is None else f" (256x256: {large / 1e6:.1f})"),
    }


if __name__ == "__main__":
    print(table([*encode(), *meta_step(), *decode()]))
