"""The verb fit: what it trains on, what it writes, and what it refuses before any training."""

import numpy as np
import pytest

from functa_cli import fit as fits
from functa_cli.basefile import read_base
from functa_cli.basenet import settings
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.events import Note, Progress
from functa_cli.fit import fit
from functa_cli.modalities.image import ImageSource, Options
from tests.sets import run, save_pictures

pytestmark = pytest.mark.usefixtures("one_program")
SMALL = {
    "data": {"resolution": "8"},
    "field": {"width": 16, "depth": 3, "latent_dim": 8},
    "outer": {"steps": 12, "batch": 4, "evaluate": 6, "heldout": 4, "checkpoint": 6},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit") / "data"
    save_pictures(folder, [(8, 8)] * 20)
    return folder


def trained(data, out, *layers, **options):
    return fit(str(data), str(out), modality="image", layers=[SMALL, *layers], **options)


def test_the_base_network_says_how_it_was_made(tmp_path, data):
    events = list(trained(data, tmp_path / "base.zarr"))
    base = read_base(str(tmp_path / "base.zarr"))
    assert base.modality == "image"
    assert base.config["field"]["latent_dim"] == 8
    assert base.info["found"].startswith("found 20 images 8x8 RGB in 2 classes, 2 test")
    assert [row[0] for row in base.info["curve"]] == [6, 12]
    assert np.isfinite(np.array(base.info["curve"], float)).all()
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress if "psnr_heldout" in event.metrics] == [6, 12]
    assert base.info["curve"][1][2] == pytest.approx(base.info["psnr_heldout"], abs=1e-3)  # both on the two held out
    start = basenet_start(base)
    assert max(np.abs(a - b).max() for a, b in zip(start, leaves(base.theta["field"]))) > 1e-4


def basenet_start(base):
    from functa_cli import basenet

    return leaves(basenet.create(settings("image", [base.config]), 3).theta["field"])


def leaves(tree):
    import jax

    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def test_a_finished_run_is_not_repeated_and_another_one_is_refused(tmp_path, data):
    out = tmp_path / "base.zarr"
    first, _ = run(trained(data, out))
    again = list(trained(data, out))
    assert "is already complete; nothing to do" in [event.text for event in again if isinstance(event, Note)][1]
    assert run(trained(data, out))[0]["fingerprint"] == first["fingerprint"]
    with pytest.raises(StoreError, match="exists and is complete"):
        list(trained(data, out, {"outer": {"steps": 13}}))


def test_recipe_ema_and_learned_rates_train(tmp_path, data):
    layer = {"outer": {"recipe": "paper", "ema": 0.5}, "field": {"w0": 5.0}}
    list(trained(data, tmp_path / "base.zarr", layer))
    base = read_base(str(tmp_path / "base.zarr"))
    assert base.config["inner"]["rates"] == "meta-sgd"
    rates = base.theta["inner"]["rates"]
    assert rates.shape == (8,)
    assert (rates > 0.0).all()
    assert (rates < 1.0).all()


def test_the_size_of_the_modulations_is_told_for_every_kind(tmp_path, data):
    result, _ = run(trained(data, tmp_path / "base.zarr", {"field": {"modulation": "shift"}, "outer": {"steps": 1}}))
    assert result["latent_dim"] == 16 * 2


def test_training_on_reads_the_data_as_the_network_did(tmp_path, base):
    save_pictures(tmp_path / "gray", [(8, 8)] * 6, gray=True)
    result, _ = run(trained(tmp_path / "gray", tmp_path / "base.zarr", init=base))
    assert read_base(str(tmp_path / "base.zarr")).geometry["channels"] == 3
    assert result["psnr_heldout"] > 0


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ({"field": {"latent_dim": 9}}, "field.latent_dim = 8, asked 9; leave field.latent_dim as it is"),
        ({"inner": {"rates": "meta-sgd"}}, "inner.rates = fixed, asked meta-sgd"),
    ],
)
def test_training_on_refuses_another_network(tmp_path, data, base, layer, text):
    with pytest.raises(ConfigError, match=text):
        list(trained(data, tmp_path / "base.zarr", layer, init=base))
    assert not (tmp_path / "base.zarr").exists()


def test_sizes_that_differ_and_sets_without_training_data_are_refused(tmp_path):
    save_pictures(tmp_path / "mixed", [(8, 8), (8, 9)])
    with pytest.raises(DataError, match="holds data of several sizes; give --resolution R"):
        list(trained(tmp_path / "mixed", tmp_path / "base.zarr", {"data": {"resolution": ""}}))
    assert not (tmp_path / "base.zarr").exists()


def test_strict_fails_after_the_network_is_written(tmp_path, data):
    save_pictures(tmp_path / "data", [(8, 8)] * 6)
    (tmp_path / "data" / "a" / "000.png").write_bytes(b"")
    with pytest.raises(DataError, match="1 files could not be read and were skipped"):
        list(trained(tmp_path / "data", tmp_path / "base.zarr", strict=True))
    assert read_base(str(tmp_path / "base.zarr")).info["trained_on"] == 5


def test_the_first_few_heldout_data_are_a_fair_sample(tmp_path):
    save_pictures(tmp_path / "data", [(2, 2)] * 200)
    source = ImageSource(tmp_path / "data", Options(split="0.4"))
    _, tested = fits._split(source, 0)
    labels = source.labels[tested[:16]]
    assert {0, 1} == set(labels.tolist())
    assert sorted(tested.tolist()) == [row for row, part in enumerate(source.split) if part == "test"]
