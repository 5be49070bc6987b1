"""`functa classify`: what it prints, what it compares, and what it refuses; and `fit --classifier` as a command."""

import csv
import io
import json
import shutil

import numpy as np
import pytest

from functa_cli.classify import classify
from functa_cli.cli import group
from functa_cli.encode import encode
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.fit_classifier import fit_classifier
from functa_cli.store import Functaset
from tests.clusters import CLASSES, QUICK, save_clusters
from tests.sets import contents, run, save_base, save_pictures, shell


@pytest.fixture(scope="module")
def learnt(base, tmp_path_factory) -> str:
    """Clusters, some without a label, and a classifier of them."""
    path = save_clusters(tmp_path_factory.mktemp("learnt") / "set.zarr", base, spread=1.2, unlabelled=6)
    run(fit_classifier(path, layers=[QUICK]))
    return path


@pytest.fixture(scope="module")
def pictures(base, tmp_path_factory) -> tuple[str, str]:
    """A folder of pictures in two classes, and a functaset of them with a classifier."""
    folder = tmp_path_factory.mktemp("pictures")
    save_pictures(folder / "photos", [(8, 8)] * 20)
    run(encode(str(folder / "photos"), str(folder / "set.zarr"), base=base, steps=2))
    run(fit_classifier(str(folder / "set.zarr"), layers=[QUICK, {"learn": {"steps": 50}}]))
    return str(folder / "photos"), str(folder / "set.zarr")


def functa(capsys, *words) -> tuple[str, str]:
    with pytest.raises(SystemExit) as end:
        group.main([str(word) for word in words], prog_name="functa")
    out, err = capsys.readouterr()
    assert end.value.code == 0, err
    return out, err


def test_a_table_says_how_right_it_is(learnt, capsys):
    out, _ = functa(capsys, "classify", learnt)
    found, _ = run(classify(learnt))
    assert (found["split"], found["n"], found["scored"]) == ("test", 26, 24)
    counts = np.array(found["confusion"])
    assert counts.sum() == 24
    assert found["accuracy"] == pytest.approx(np.trace(counts) / 24, abs=1e-4)
    lines = out.splitlines()
    assert f"accuracy           {found['accuracy']:.6g}" in lines
    for number, name in enumerate(CLASSES):
        (line,) = [line.split() for line in lines if line.split()[1:2] == [name]]
        assert line[3:] == [str(count) for count in counts[number]]
        assert line[2] == f"{100 * counts[number, number] / counts[number].sum():.0f}%"


def test_the_table_is_of_the_part_that_is_asked_for(learnt):
    parts = {split: run(classify(learnt, split=split))[0] for split in ("train", "test", "all")}
    assert [parts[split]["scored"] for split in ("train", "test", "all")] == [96, 24, 120]
    assert np.array_equal(np.array(parts["train"]["confusion"]) + parts["test"]["confusion"], parts["all"]["confusion"])


def test_csv_has_a_line_for_each_datum_and_nothing_else_is_on_stdout(learnt, tmp_path):
    done = shell("classify", learnt, "--base", learnt)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    store = Functaset.open(learnt)
    assert [row["id"] for row in rows] == store.ids
    assert list(rows[0]) == ["id", "label", "probability"]
    assert all(1 / 3 <= float(row["probability"]) <= 1 for row in rows)
    told = np.array([CLASSES.index(row["label"]) for row in rows])
    right = float((told == store.labels)[store.labels >= 0].mean())
    assert right > 0.7
    assert f"{right:.2%} of 120 data with a label are told right" in done.stderr


def test_json_lines_and_json_say_the_same_as_csv(learnt, capfd):
    rows = [json.loads(line) for line in functa(capfd, "classify", learnt, "--as", "jsonl")[0].splitlines()]
    (line,) = functa(capfd, "classify", learnt, "--as", "csv", "--json", "-q")[0].splitlines()
    values = json.loads(line)["values"]
    assert values["predictions"] == rows
    assert len(rows) == 126
    assert values["accuracy"] > 0.7


def test_data_that_are_no_functaset_are_encoded_as_the_set_was(pictures):
    photos, store = pictures
    raw, _ = run(classify(photos, base=store))
    assert raw["split"] == "all"
    own, _ = run(classify(store, form="csv"))
    assert [row["id"] for row in raw["predictions"]] == Functaset.open(store).ids
    assert [row["label"] for row in raw["predictions"]] == [row["label"] for row in own["predictions"]]
    for one, other in zip(raw["predictions"], own["predictions"]):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-4)
    with pytest.raises(ConfigError, match="--write wants a functaset, found the data"):
        run(classify(photos, base=store, write=True))


def test_what_is_told_can_be_kept_in_the_store(learnt, tmp_path):
    path = str(shutil.copytree(learnt, tmp_path / "set.zarr"))
    found, _ = run(classify(path, form="csv", write=True))
    store = Functaset.open(path)
    kept = store.group["predicted"][...].tolist()
    assert kept == [row["label"] for row in found["predictions"]]
    np.testing.assert_allclose(store.figure("probability"), [row["probability"] for row in found["predictions"]], 1e-4)
    once = contents(path)
    shown, _ = run(classify(path, write=True))
    assert shown["split"] == "test"
    assert contents(path) == once
    run(classify(path, split="test", write=True))
    told = Functaset.open(path).group["predicted"][...].tolist()
    test = np.array(store.split) == "test"
    assert [name for name, own in zip(told, test) if own] == [name for name, own in zip(kept, test) if own]
    assert {name for name, own in zip(told, test) if not own} == {""}
    assert np.isnan(Functaset.open(path).figure("probability")[~test]).all()


def test_classes_are_matched_by_name_and_strange_ones_are_told(learnt, tmp_path, base):
    other = save_clusters(tmp_path / "other.zarr", base, spread=1.2, seed=1, classes=("ant", "bee", "dog"))
    found, warnings = run(classify(other, base=learnt))
    assert "40 data are of classes that the classifier does not know (dog)" in warnings[0]
    assert found["scored"] == 80
    assert found["confusion"][2] == [0, 0, 0]
    swapped = save_clusters(tmp_path / "swapped.zarr", base, spread=1.2, seed=1, classes=("cat", "bee", "ant"))
    first, last = (run(classify(swapped, base=learnt))[0]["per_class"][name] for name in ("ant", "bee"))
    assert first < 0.2 < 0.7 < last


def test_a_table_of_data_without_labels_is_refused(learnt, tmp_path, base):
    bare = save_clusters(tmp_path / "bare.zarr", base, labels=np.full(120, -1, np.int32), classes=())
    found, _ = run(classify(bare, base=learnt))
    assert len(found["predictions"]) == 120
    assert "accuracy" not in found
    with pytest.raises(DataError, match=r"no labels of the classes that are known \(ant, bee, cat\)"):
        run(classify(bare, base=learnt, form="table"))


def test_other_base_networks_and_stores_without_a_classifier_are_refused(learnt, tmp_path, base):
    other = save_clusters(tmp_path / "other.zarr", save_base(tmp_path / "base.zarr", seed=3))
    one, two = (Functaset.open(path).fingerprint[:16] for path in (other, learnt))
    with pytest.raises(StoreError, match=f"base network {one}, the classifier in .* knows those of {two}: encode"):
        run(classify(other, base=learnt))
    with pytest.raises(StoreError, match=r"has no classifier; learn one with: functa fit .* --classifier"):
        run(classify(other))
    with pytest.raises(StoreError, match="does not exist"):
        run(classify(str(tmp_path / "nowhere"), base=learnt))
    alike = save_clusters(tmp_path / "alike.zarr", base, split=["train"] * 120)
    with pytest.raises(DataError, match="has no encoded test data; --split all takes every one"):
        run(classify(alike, base=learnt, split="test"))


def test_a_damaged_classifier_is_told(learnt, tmp_path):
    path = tmp_path / "set.zarr"
    shutil.copytree(learnt, path)
    chunk = next(file for file in sorted((path / "classifier/arrays/members").rglob("c/*")) if file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"!")
    with pytest.raises(StoreError, match="is damaged: classifier"):
        run(classify(str(path)))


def test_fit_learns_one_from_the_command_line(tmp_path, base, capsys):
    path = save_clusters(tmp_path / "set.zarr", base)
    settings = ("--set", "classifier.width=16", "--steps", "60", "--rate", "0.01")
    out, _ = functa(capsys, "fit", path, "--classifier", "--seeds", "2", *settings)
    assert "accuracy test deviation of seeds" in out
    assert len(run(classify(path))[0]["classes"]) == 3


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["fit", "--classifier"], "give the functaset that the classifier is learned from"),
        (["fit", "a.zarr", "--classifier", "--prior", "flow"], "give --prior or --classifier"),
        (["fit", "a.zarr", "--seeds", "3"], "--seeds is of --classifier"),
        (["fit", "a.zarr", "--classifier", "--width", "3"], "--width is of base networks"),
        (["fit", "a.zarr", "--classifier", "--set", "prior.width=3"], "unknown setting 'prior'"),
        (["classify", "a.zarr", "--as", "xml"], "'xml' is not one of"),
    ],
)
def test_usage_is_told(words, text, capsys):
    with pytest.raises(SystemExit) as end:
        group.main(words, prog_name="functa")
    assert end.value.code in (1, 2)
    err = " ".join(capsys.readouterr().err.split())
    assert text in err
    assert "Traceback" not in err
