"""`functa info`: what it tells is what is there, it never loads JAX, and what is no store gets one line."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from functa_cli import footprint, info, learned, plugins, quantiles
from functa_cli.basenet import shipped
from functa_cli.cli import contents
from functa_cli.encode import encode
from functa_cli.errors import FunctaError
from functa_cli.fit_classifier import fit_classifier
from functa_cli.store import Functaset
from tests.clusters import CLASSES, QUICK, save_clusters
from tests.sets import run, save_base, save_pictures, shell

FLOW = {"prior": {"layers": 2, "width": 8}, "learn": {"steps": 20, "recipe": "default"}, "seed": 4}
SCORED = {"trained_on": 97, "best_step": 10, "bits_per_dim_heldout": -1.25, "frechet": 2.5, "frechet_floor": 1.5}


@pytest.fixture(scope="module")
def full(base, tmp_path_factory) -> str:
    """Clusters with a prior, a classifier, a datum that diverged, and two without a label."""
    path = save_clusters(tmp_path_factory.mktemp("full") / "set.zarr", base, unlabelled=2)
    store = Functaset.open(path, writable=True)
    rng = np.random.default_rng(0)
    mse = (10 ** rng.uniform(-4, -2, store.n)).astype(np.float32)
    mse[3] = np.inf
    store.write(slice(0, store.n), store.read(slice(None))[0], mse)
    learned.begin_learned(path, "prior/flow", {})
    weights = {
        "parameters": {"enter": {"kernel": np.zeros((8, 5), np.float32)}},
        "scale": {"mean": np.zeros(8, np.float32)},
    }
    learned.finish_learned(path, "prior/flow", weights, FLOW, {**SCORED, "classes": ["ant"], "curve": [[1, 2, 3]]})
    run(fit_classifier(path, layers=[QUICK]))
    return path


@pytest.fixture(scope="module")
def pictures(base, tmp_path_factory) -> str:
    """A functaset of 12 pictures of 8 x 8, by functa encode."""
    folder = tmp_path_factory.mktemp("pictures")
    save_pictures(folder / "photos", [(8, 8)] * 12)
    run(encode(str(folder / "photos"), str(folder / "set.zarr"), base=base, steps=1))
    return str(folder / "set.zarr")


def test_counts_say_what_became_of_the_data(full, tmp_path):
    found = info.facts(full)
    assert found["counts"] == {
        "data": 122, "encoded": 121, "diverged": 1, "not_yet_encoded": 0, "train": 97, "test": 25
    }  # fmt: skip
    assert found["classes"][1] == {"class": CLASSES[1], "data": 40, "train": 32, "test": 8}
    assert found["classes"][-1] == {"class": "no label", "data": 2, "train": 1, "test": 1}
    begun = str(shutil.copytree(full, tmp_path / "begun.zarr"))
    Functaset.open(begun, writable=True).mse[:] = np.float32("nan")
    none = info.facts(begun)
    assert (none["counts"]["encoded"], none["counts"]["not_yet_encoded"], none["errors"]) == (0, 122, {})
    assert "arrays" not in none["size"]
    assert "not yet encoded" in shell("info", begun).stdout


def test_psnr_is_that_of_the_mean_error_and_its_spread_is_that_of_each(full):
    store, found = Functaset.open(full), info.facts(full)["errors"]
    mse = store.errors().astype(np.float64)
    each = -10 * np.log10(mse[np.isfinite(mse)])
    whole = found["all"]
    assert whole["psnr"] == pytest.approx(-10 * np.log10(mse[np.isfinite(mse)].mean()), abs=1e-3)
    assert whole["psnr_mean_of_data"] == pytest.approx(each.mean(), abs=1e-3)
    assert whole["quantiles"]["25%"] == pytest.approx(np.percentile(each, 25), abs=1e-3)
    assert (whole["quantiles"]["least"], whole["quantiles"]["most"]) == pytest.approx(
        (each.min(), each.max()), abs=1e-3
    )
    edges, counts = whole["histogram"]["edges"], whole["histogram"]["counts"]
    assert sum(counts) == len(each)
    assert counts[2] == ((each >= edges[2]) & (each < edges[3])).sum()
    test = np.array(store.split) == "test"
    assert found["test"]["psnr"] == pytest.approx(-10 * np.log10(mse[test & np.isfinite(mse)].mean()), abs=1e-3)


@pytest.mark.parametrize("values", [[25.0], [25.0, 25.04], [0.0, 120.0], np.linspace(20, 29.99, 200)])
def test_a_histogram_has_few_bars_with_round_edges_and_all_data(values):
    found = quantiles.histogram(np.asarray(values))
    assert sum(found["counts"]) == len(values)
    assert 1 <= len(found["counts"]) <= quantiles.BARS
    widths = np.diff(found["edges"])
    np.testing.assert_allclose(widths, widths[0], atol=1e-6)
    assert round(float(widths[0]), 3) in quantiles.WIDTHS


def test_what_was_learned_is_told_with_its_size(full):
    found = info.facts(full)
    dim, hidden = 8, QUICK["classifier"]["width"]
    perceptron = dim * hidden + hidden + hidden * hidden + hidden + hidden * len(CLASSES) + len(CLASSES)
    assert found["classifier"]["parameters"] == perceptron
    assert found["classifier"]["accuracy_test"] > 0.7
    flow = found["priors"]["flow"]
    assert SCORED.items() <= flow.items()
    assert (flow["parameters"], flow["steps"], flow["seed"], flow["classes"]) == (40, 20, 4, 1)
    assert flow["settings"] == FLOW["prior"]
    assert "curve" not in flow


def test_a_part_that_was_cut_off_is_said_to_be(full, tmp_path):
    path = str(shutil.copytree(full, tmp_path / "set.zarr"))
    learned.begin_learned(path, "prior/ddpm", {})
    learned.begin_learned(path, "classifier", {}, overwrite=True)
    found = info.facts(path)
    assert found["priors"]["ddpm"]["state"].startswith("unfinished")
    assert found["classifier"]["state"].startswith("unfinished")


def test_sizes_are_those_of_the_files(pictures):
    size = info.facts(pictures)["size"]

    def files(name: str) -> int:
        return sum(file.stat().st_size for file in Path(pictures, name).rglob("*") if file.is_file())

    groups = sum(
        (folder / "zarr.json").stat().st_size for folder in Path(pictures, "base").rglob("*") if _group(folder)
    )
    own = (Path(pictures, "base") / "zarr.json").stat().st_size
    assert size["modulations"] == files("modulations")
    assert size["base_network"] == files("base") - groups - own
    assert size["the_rest"] == sum(files(name) for name in ("mse", "id", "label", "split", "shape"))
    assert size["arrays"] == 12 * 8 * 8 * 3
    assert size["ratio_without_base_network"] == pytest.approx(12 * 8 * 8 * 3 / files("modulations"), abs=1e-3)


def _group(folder: Path) -> bool:
    return (folder / "zarr.json").exists() and json.loads((folder / "zarr.json").read_text())["node_type"] == "group"


def test_arrays_are_counted_in_bits_as_their_files_have_them(pictures):
    bits = {name: plugins.load("modalities", name).MODALITY.bits for name in plugins.names("modalities")}
    assert bits == {"image": 8, "scene": 8, "voxel": 1, "era5": 32}
    one = footprint.beside_arrays(Functaset.open(pictures), 1)
    assert (one["values"], one["arrays"]) == (12 * 8 * 8 * 3, 12 * 8 * 8 * 3 // 8)


@pytest.mark.parametrize("name", plugins.names("modalities"))
def test_a_base_network_says_what_trained_it(name):
    found = info.facts(str(shipped(name, "base.zarr")))
    assert (found["kind"], found["modality"]) == ("base network", name)
    network = found["base_network"]
    assert network["trained_on"] > network["heldout"] > 0
    assert network["psnr_heldout"] > 10
    assert network["latent_shape"] == [network["latent_dim"]]
    assert network["width"] ** 2 * (network["depth"] - 2) < network["parameters"] < 10**6
    text = json.dumps(found)
    assert len(text) < 4000, "long lists such as latitudes are told by their ends"


def test_figures_besides_the_error_are_told(tmp_path):
    example = tmp_path / "shapes"
    plugins.load("modalities", "voxel").example(example)
    base = save_base(tmp_path / "base.zarr", modality="voxel", channels=1, geometry={"channels": 1, "shape": [8, 8, 8]})
    run(encode(str(example), str(tmp_path / "set.zarr"), base=base, modality="voxel", steps=1))
    found = info.facts(str(tmp_path / "set.zarr"))
    iou = Functaset.open(str(tmp_path / "set.zarr")).figure("iou")
    assert found["figures"]["iou"]["mean"] == pytest.approx(iou.mean(), abs=1e-4)
    assert found["size"]["bits_of_a_value"] == 1


def test_the_command_prints_sections_and_bars(full):
    text = shell("info", full).stdout
    found = info.facts(full)
    lines = [line.split() for line in text.splitlines()]
    assert ["diverged", "1"] in lines
    assert ["accuracy", "test", f"{found['classifier']['accuracy_test']:.6g}"] in lines
    assert f"PSNR {found['errors']['all']['psnr']:.2f} dB".split() in lines
    drawn = [int(line[-1]) for line in lines if line[1:2] == ["to"] and line[3:4] == ["dB"] and line[-1].isdigit()]
    assert sum(drawn) == 121
    assert text.count("█") > 10


def test_json_is_one_line_with_the_same_facts(full):
    (line,) = shell("info", full, "--json").stdout.splitlines()
    assert json.loads(line) == {"event": "result", "values": json.loads(json.dumps(info.facts(full)))}


def test_bars_are_as_long_as_their_counts():
    drawn = dict(contents.bars([0, 1, 50, 100], [0, 1, 2, 3, 4]))
    assert drawn["  3 to 4 dB"] == "█" * contents.BAR + " 100"
    assert drawn["  2 to 3 dB"] == "█" * (contents.BAR // 2) + " 50"
    assert drawn["  0 to 1 dB"] == "0"
    assert re.fullmatch(r"[▏▎▍] 1", drawn["  1 to 2 dB"])


def test_it_never_loads_jax(full):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "functa_cli", "info", full],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert {"zarr", "numpy"} <= loaded
    assert not loaded & {"jax", "jaxlib", "flax", "optax"}


def test_a_store_elsewhere_is_told_as_one_here(pictures):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.put(pictures, "/elsewhere.zarr", recursive=True)
    here, there = info.facts(pictures), info.facts("memory://elsewhere.zarr")
    assert there == here | {"store": "memory://elsewhere.zarr"}


def _lacks(path: Path) -> None:
    (path / "modulations" / "zarr.json").unlink()


def _cut(path: Path) -> None:
    chunks = [file for file in (path / "base").rglob("*") if file.is_file() and file.suffix != ".json"]
    leaf = max(chunks, key=lambda file: file.stat().st_size)
    leaf.write_bytes(leaf.read_bytes()[:20])


def _header(path: Path) -> None:
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text[: len(text) // 2])


def _emptied(path: Path) -> None:
    shutil.rmtree(path / "mse")


@pytest.mark.parametrize("spoil", [_lacks, _cut, _header, _emptied])
def test_a_damaged_store_gets_one_line(pictures, tmp_path, spoil):
    path = shutil.copytree(pictures, tmp_path / "set.zarr")
    spoil(path)
    done = shell("info", path, check=1)
    assert done.stdout == ""
    assert re.fullmatch(r"error: '.*set\.zarr' .*\n", done.stderr)


def test_what_is_no_store_gets_one_line(tmp_path):
    save_pictures(tmp_path / "photos", [(8, 8)] * 2)
    (tmp_path / "notes.txt").write_text("none")
    for place, reason in (("photos", "holds no Zarr group"), ("notes.txt", "is a file"), ("none", "does not exist")):
        with pytest.raises(FunctaError, match=reason):
            info.facts(str(tmp_path / place))
