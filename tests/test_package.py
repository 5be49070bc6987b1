"""The package as it is handed out: what the wheel holds, whose it is, and what no file of the repository says."""

import importlib.metadata
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import functa_cli
from functa_cli import basenet, place, plugins
from functa_cli.basefile import read_base
from functa_cli.encoder import Encoder

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(functa_cli.__file__).parent / "data"


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_the_sample_is_small_real_and_licensed():
    sample = basenet.shipped("image", "sample")
    assert sample is not None
    pictures = sorted(sample.rglob("*.jpg"))
    assert set(Counter(picture.parent.name for picture in pictures).values()) == {27}
    assert len(pictures) == 270
    assert size(sample) < 1_500_000
    for picture in pictures[::27]:
        with Image.open(picture) as image:
            assert (image.size, image.mode, image.format) == ((64, 64), "RGB", "JPEG")
    assert "MIT License" in (sample / "LICENSE").read_text()
    assert "Copernicus Sentinel data" in (sample / "README.md").read_text()


def test_other_files_in_the_sample_are_not_taken_for_pictures():
    options = basenet.settings("image", []).data
    source = basenet.modality("image").open(str(basenet.shipped("image", "sample")), options, seed=0)
    assert len(source) == 270
    assert len(source.classes) == 10
    assert source.problems == []


KINDS = plugins.names("modalities")


@pytest.mark.parametrize("kind", KINDS)
def test_a_base_network_ships_that_is_finished_and_small(kind):
    path = basenet.shipped(kind, "base.zarr")
    assert path is not None, f"no base.zarr in the package; examples/{kind}/train-shipped-base.sh makes it"
    base = read_base(str(path))
    assert base.modality == kind
    assert base.geometry["channels"] in (1, 3)
    assert "train" not in place.open_group(str(path))
    assert size(path) < 1_500_000
    assert "/" not in base.info["data"], "the network says where its data lay on the machine that made it"


@pytest.mark.parametrize("kind", KINDS)
def test_a_real_sample_ships_that_its_network_can_encode(kind):
    sample = basenet.shipped(kind, "sample")
    assert size(sample) < 1_600_000
    name, _ = basenet.detect(str(sample))
    assert name == kind
    base, where = basenet.find("shipped", kind)
    modality = basenet.modality(kind)
    source = modality.open(str(sample), modality.options(), seed=0, geometry=base.geometry)
    assert source.problems == []
    assert len(source) >= 14
    assert 0 < list(source.split).count("test") < len(source)
    assert where == "the base network that ships with the package"
    Encoder(basenet.restore(base), source, 3)
    assert source.sample(0, 10, np.random.default_rng(0)).features.shape == (10, base.geometry["channels"])


def test_all_data_in_the_package_are_small():
    assert size(DATA) < 12_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> list[str]:
    """Names in the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    line = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    assert file.stat().st_size < 12_000_000
    return zipfile.ZipFile(file).namelist()


def test_the_wheel_holds_the_package_whole_and_nothing_else(wheel):
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "functa_cli").rglob("*") if path.is_file()}
    expected = {name for name in package if "__pycache__" not in name}
    assert {name for name in wheel if ".dist-info/" not in name} == expected


def test_the_wheel_carries_every_licence(wheel):
    licences = {name.partition(".dist-info/licenses/")[2] for name in wheel if ".dist-info/licenses/" in name}
    beside = {file.relative_to(ROOT).as_posix() for file in DATA.rglob("LICENSE")}
    assert "functa_cli/data/voxel/sample/LICENSE" in beside
    assert licences == {"LICENSE", *beside}


def test_each_folder_of_data_has_its_licence_beside_it():
    folders = {
        file.parent for file in DATA.rglob("*") if file.suffix in (".jpg", ".png", ".npy", ".nc", ".binvox", ".zip")
    }
    for folder in folders:
        assert any((parent / "LICENSE").exists() for parent in (folder, folder.parent)), folder


def test_the_version_is_one():
    assert importlib.metadata.version("functa") == functa_cli.__version__
    line = [sys.executable, "-m", "functa_cli", "--version"]
    shown = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert shown == f"functa {functa_cli.__version__}\n"
    assert f"\n## {functa_cli.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_no_file_names_a_registry_or_a_machine():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    unwanted = ["pypi" + ".org", "python" + "hosted", "anaconda" + ".org", "/wo" + "rk/", "/ro" + "ot/", "/fa" + "rm/"]
    pattern = re.compile("|".join(map(re.escape, unwanted)))
    found = []
    for name in listed.stdout.split("\0"):
        file = ROOT / name
        if name and file.is_file() and file.suffix not in (".jpg", ".png"):
            text = file.read_bytes().decode("utf-8", "replace")
            found += [f"{name}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []
