"""Polishing: never worse, to the minimum where the problem is linear, and equal however the data are cut."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from functa_cli import encoder as encoding
from functa_cli.decoder import Decoder
from functa_cli.encode import encode
from functa_cli.inner import fit_modulations, look
from functa_cli.polish import polish
from functa_cli.store import Functaset
from tests.networks import network, pictures
from tests.sets import run, save_pictures


def linear(basis: np.ndarray, constant: float) -> Decoder:
    """A decoder whose values are linear in phi: `basis` [points, d] looked up by a coordinate."""

    def observe(theta, modulation, coords):
        return constant + (jnp.asarray(basis)[coords[:, 0].astype(jnp.int32)] @ modulation)[:, None]

    return Decoder(lambda theta, phi: phi, observe, (basis.shape[1],), 1)


def test_a_linear_problem_is_solved_as_least_squares_solve_it(rng):
    from functa_cli.signal import Signal

    basis = rng.normal(size=(50, 4)).astype(np.float32)
    truth, weights = rng.normal(size=(3, 50)).astype(np.float32), rng.uniform(size=(3, 50)).astype(np.float32)
    weights[0, :20] = 0
    batch = Signal(np.arange(50, dtype=np.float32)[:, None], truth[..., None], weights)
    found = polish(linear(basis, 0.5), {}, jnp.zeros((3, 4)), batch, steps=40)
    for own, values, each in zip(found, truth, np.sqrt(weights)):
        want = np.linalg.lstsq(each[:, None] * basis, each * (values - 0.5), rcond=None)[0]
        np.testing.assert_allclose(own, want, atol=1e-4)


@pytest.mark.parametrize("modulation", ["latent", "shift+scale"])
def test_no_step_raises_the_error_and_many_lower_it(modulation):
    _, built, theta = network(modulation=modulation)
    batch = pictures(3, (9, 8), hidden=0.2)
    begun = jax.jit(partial(fit_modulations, built, steps=3))(theta, batch)
    before = np.asarray(begun.mse[:, -1])
    errors = [before]
    for steps in (1, 4, 12):
        phi = jax.jit(partial(polish, built, steps=steps))(theta, begun.phi, batch)
        errors.append(np.asarray(look(built, theta, phi, batch)[0]))
    assert all((after <= earlier * 1.0001).all() for earlier, after in itertools.pairwise(errors))
    assert (errors[-1] < 0.97 * before).all()


def test_encode_polishes_and_says_so(tmp_path, base, monkeypatch):
    save_pictures(tmp_path / "data", [(8, 8)] * 3 + [(12, 9)])
    plain, _ = run(encode(str(tmp_path / "data"), str(tmp_path / "plain.zarr"), base=base))
    whole, _ = run(encode(str(tmp_path / "data"), str(tmp_path / "whole.zarr"), base=base, polish=4))
    assert whole["psnr"] > plain["psnr"] + 0.1
    assert Functaset.open(str(tmp_path / "whole.zarr")).attrs["encode"]["polish"] == 4
    monkeypatch.setattr(encoding, "POLISHED", 40)  # of 64 and 108 points
    some, _ = run(encode(str(tmp_path / "data"), str(tmp_path / "some.zarr"), base=base, polish=4))
    assert some["psnr"] > plain["psnr"] + 0.1
    assert some["psnr"] != whole["psnr"]
    monkeypatch.setattr(encoding, "WHOLE", 10)
    monkeypatch.setattr(encoding, "BLOCK", 48)
    blocks, _ = run(encode(str(tmp_path / "data"), str(tmp_path / "blocks.zarr"), base=base, polish=4))
    assert blocks["psnr"] == pytest.approx(some["psnr"], abs=0.02)
