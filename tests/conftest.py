"""Shared fixtures: the real data beside the checkout where there are any, and small networks."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

# One cache of compiled programs for all tests and for the processes they start; JAX reads it when it loads.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="functa-tests-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data beside the checkout."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.exists():
        pytest.skip("no shared/data beside the checkout")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


PROGRAMS: dict = {}


@pytest.fixture
def one_program(monkeypatch) -> None:
    """Inner loops are traced once for all tests: what a network computes depends on its settings alone."""
    from functa_cli import basenet

    real = basenet.compiled_fit

    def kept(network, steps):
        key = (network.config, np.shape(network.theta["field"]["out"]["bias"]), steps)
        if key not in PROGRAMS:
            PROGRAMS[key] = real(network, steps)
        return PROGRAMS[key]

    monkeypatch.setattr(basenet, "compiled_fit", kept)


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> str:
    """Path of an untrained base network for RGB pictures, width 16, depth 3, latent 8."""
    from tests.sets import save_base

    return save_base(tmp_path_factory.mktemp("base") / "base.zarr")
