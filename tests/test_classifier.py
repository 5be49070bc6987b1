"""Classifiers of modulations: what they learn, how sure they are, and what `fit --classifier` keeps and refuses."""

import shutil

import jax
import numpy as np
import pytest

from functa_cli import classifier, classifiernet, learned
from functa_cli.classifier import calibrate, class_weights, log_softmax
from functa_cli.config import PerceptronConfig
from functa_cli.confusion import score
from functa_cli.errors import ConfigError, DataError, StoreError
from functa_cli.events import Note, Progress
from functa_cli.fit_classifier import fit_classifier
from functa_cli.labelled import parts_of, validation
from functa_cli.store import Functaset
from tests.clusters import QUICK, save_clusters
from tests.sets import contents, run, save_base


@pytest.fixture(scope="module")
def made(base, tmp_path_factory) -> str:
    """Three clusters far apart."""
    return save_clusters(tmp_path_factory.mktemp("clusters") / "set.zarr", base, unlabelled=5)


@pytest.fixture
def clusters(made, tmp_path) -> str:
    return str(shutil.copytree(made, tmp_path / "set.zarr"))


def fit(path: str, *layers, **options):
    return run(fit_classifier(path, layers=[QUICK, *layers], **options))


def test_clusters_that_are_apart_are_told_apart(clusters):
    found, warnings = fit(clusters)
    assert found["accuracy_test"] == found["accuracy_validation"] == 1.0
    assert (found["trained_on"], found["validation"], found["test"]) == (87, 9, 24)
    assert warnings == []
    assert found["parameters"] == 8 * 16 + 16 + 16 * 16 + 16 + 16 * 3 + 3


def test_labels_that_mean_nothing_are_told_by_chance(tmp_path, base):
    labels = np.random.default_rng(1).integers(0, 3, 600).astype(np.int32)
    path = save_clusters(tmp_path / "set.zarr", base, counts=(200, 200, 200), labels=labels)
    found, _ = fit(path)
    assert 0.2 < found["accuracy_test"] < 0.47
    assert found["nll_test"] == pytest.approx(np.log(3), abs=0.08)


def test_a_class_of_few_counts_as_much_as_others_if_it_is_to(tmp_path, base):
    options = {"counts": (300, 30), "spread": 3.0, "classes": ("many", "few")}
    path = save_clusters(tmp_path / "set.zarr", base, **options)
    noted = [event.text for event in fit_classifier(path, layers=[QUICK]) if isinstance(event, Note)]
    assert any("the largest class has 240 data, the smallest 24" in text for text in noted)
    recall = {}
    for balanced in (False, True):
        fit(path, {"classifier": {"balanced": balanced}}, overwrite=True)
        store = Functaset.open(path)
        own = store.labels == 1
        told = classifiernet.restore(store).probabilities(store.read(slice(None))[0])
        recall[balanced] = float((told.argmax(axis=1)[own] == 1).mean())
    assert recall[True] > recall[False] + 0.2


def test_class_weights_have_a_mean_of_one_over_the_data():
    labels = np.array([0] * 6 + [2] * 2)
    weights = class_weights(labels, 3)
    assert weights.tolist() == pytest.approx([8 / 12, 0, 2])
    assert weights[labels].mean() == pytest.approx(1)


def test_the_loss_is_the_cross_entropy_to_smoothed_labels():
    net = classifier.make(5, 4, PerceptronConfig(width=7, depth=2, smoothing=0.2), np.array([1, 2, 3, 4]))
    parameters = net.init(jax.random.key(3))
    x, labels = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32), np.array([0, 1, 2, 3, 3, 0])
    log_p = log_softmax(np.asarray(net.logits(parameters, x)))
    target = 0.8 * np.eye(4)[labels] + 0.2 / 4
    want = -(target * log_p).sum(axis=1) * (labels + 1)
    key = jax.random.key(0)
    np.testing.assert_allclose(net.loss(parameters, x, labels, key, dropout=False), want, rtol=1e-5)
    dropped = [np.asarray(net.loss(parameters, x, labels, jax.random.key(one), dropout=True)) for one in (0, 0, 1)]
    np.testing.assert_array_equal(dropped[0], dropped[1])
    assert np.abs(dropped[0] - dropped[2]).max() > 1e-3
    assert np.abs(dropped[0] - want).max() > 1e-3


def test_calibration_mends_logits_that_are_too_sure():
    rng = np.random.default_rng(0)
    true = rng.normal(size=(4000, 5)) * 1.5
    labels = np.array([rng.choice(5, p=row) for row in np.exp(log_softmax(true))])
    loud = 4.0 * true
    temperature = calibrate(loud[:2000], labels[:2000])
    assert temperature == pytest.approx(4.0, rel=0.1)
    before, after = (score(np.exp(log_softmax(loud[2000:] / by)), labels[2000:]) for by in (1.0, temperature))
    assert after.nll < before.nll - 0.5
    assert after.accuracy == before.accuracy
    assert after.calibration_error < 0.04 < before.calibration_error


def test_calibration_stays_modest_where_few_data_are_all_right():
    labels = np.arange(20) % 4
    assert 0.2 < calibrate(2.0 * np.eye(4)[labels], labels) < 1.0


def test_figures_of_predictions():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.7, 0.3, 0.0]])
    found = score(probabilities, np.array([0, 1, 1]))
    assert found.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]
    np.testing.assert_array_equal(found.per_class(), [1.0, 0.5, np.nan])
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.nll == pytest.approx(-np.log([0.9, 0.6, 0.3]).mean())
    assert found.calibration_error == pytest.approx((0.1 + 0.4 + 0.7) / 3)


def test_copies_of_a_datum_go_where_it_goes(tmp_path, base):
    ids = [f"{number // 4:03d}.png" + (f"@{number % 4:02d}" if number % 4 else "") for number in range(120)]
    path = save_clusters(tmp_path / "set.zarr", base, ids=ids, split=["train"] * 120)
    parts = parts_of(Functaset.open(path))
    left = validation(parts, 0.2, 0)
    assert left.sum() == 3 * 2 * 4
    assert np.bincount(parts.labels[left]).tolist() == [8, 8, 8]
    out, kept = ({ids[row][:7] for row in parts.train[rows]} for rows in (left, ~left))
    assert not out & kept
    assert not np.array_equal(left, validation(parts, 0.2, 1))
    _, warnings = fit(path)
    assert len(warnings) == 1
    assert "no labelled test data" in warnings[0]


def test_test_data_decide_nothing(clusters, tmp_path):
    other = str(shutil.copytree(clusters, tmp_path / "other.zarr"))
    store = Functaset.open(other, writable=True)
    labels = store.labels
    labels[np.array(store.split) == "test"] = 0
    store.group["label"][...] = labels
    found = [fit(path)[0] for path in (clusters, other)]
    assert found[0]["accuracy_test"] > found[1]["accuracy_test"]
    kept = [learned.read_learned(path, "classifier") for path in (clusters, other)]
    assert kept[0].fingerprint == kept[1].fingerprint


def test_one_seed_gives_the_same_bytes_and_another_gives_others(clusters, tmp_path):
    other = str(shutil.copytree(clusters, tmp_path / "other.zarr"))
    fit(clusters)
    fit(other)
    assert contents(clusters) == contents(other)
    events = list(fit_classifier(clusters, layers=[QUICK]))
    assert "already complete" in events[0].text
    assert contents(clusters) == contents(other)
    with pytest.raises(StoreError, match=r"another classifier \(seed 0, asked 1\); --overwrite replaces it"):
        fit(clusters, {"seed": 1})
    fit(clusters, {"seed": 1}, overwrite=True)
    assert contents(clusters) != contents(other)


def test_a_run_that_was_cut_off_ends_with_the_same_bytes(clusters, tmp_path):
    other = str(shutil.copytree(clusters, tmp_path / "other.zarr"))
    layers = {"seeds": 2, "learn": {"steps": 120, "evaluate": 5}}
    fit(other, layers)
    for wanted in (70, 200):
        events = fit_classifier(clusters, layers=[QUICK, layers])
        for event in events:
            if isinstance(event, Progress) and event.done >= wanted:
                break
        events.close()
    notes = [event.text for event in fit_classifier(clusters, layers=[QUICK, layers]) if isinstance(event, Note)]
    assert any("continuing from step 45 of 120 (perceptron 2 of 2)" in text for text in notes)
    assert contents(clusters) == contents(other)


def test_several_seeds_decide_together(tmp_path, base):
    path = save_clusters(tmp_path / "set.zarr", base, counts=(150, 150, 150), spread=1.5)
    found, _ = fit(path, {"seeds": 3})
    assert found["accuracy_test_deviation_of_seeds"] > 0
    store = Functaset.open(path)
    model = classifiernet.restore(store)
    phi, test = store.read(slice(None))[0], np.array(store.split) == "test"
    logits = model.logits(phi[test])
    single = (logits.argmax(axis=2) == store.labels[test]).mean(axis=1)
    assert found["accuracy_test_mean_of_seeds"] == pytest.approx(single.mean(), abs=1e-4)
    assert found["accuracy_test_deviation_of_seeds"] == pytest.approx(single.std(ddof=1), abs=1e-4)
    mean = np.mean([np.exp(log_softmax(one / model.temperature)) for one in logits], axis=0)
    np.testing.assert_allclose(model.probabilities(phi[test]), mean)
    assert found["accuracy_test"] == pytest.approx((mean.argmax(1) == store.labels[test]).mean(), abs=1e-4)


def test_the_recipe_of_the_paper_is_that_of_the_paper():
    config = classifiernet.settings([{"learn": {"recipe": "paper", "ema": 0.5}}])
    assert (config.learn.rate, config.learn.steps, config.learn.batch) == (1e-4, 30_000, 1024)
    assert config.learn.ema == 0.5


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"labels": np.full(120, -1, np.int32)}, DataError, "has no labels; put the data in one folder for each class"),
        ({"classes": ()}, DataError, "has no labels"),
        ({"counts": (120,)}, DataError, r"of 1 classes \(only of 'ant'\); a classifier needs two at least"),
        ({"counts": (5, 2)}, DataError, "has one training datum of the class 'bee'; each class needs two at least"),
        ({"labels": np.array([0, 9] * 60, np.int32)}, StoreError, "is damaged: a label is 9 of 3 classes"),
    ],
)
def test_what_cannot_be_learned_from_is_told_in_a_line(changes, kind, text, tmp_path, base):
    path = save_clusters(tmp_path / "set.zarr", base, **changes)
    with pytest.raises(kind, match=text) as error:
        fit(path)
    assert "\n" not in str(error.value)
    assert "classifier" not in Functaset.open(path).group


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        ({"classifier": {"dropout": 1.0}}, "'classifier.dropout' is at least 0 and below 1; found 1.0"),
        ({"validation": 0.0}, "'validation' is between 0 and 1; found 0.0"),
        ({"seeds": 0}, "'seeds' is at least 1; found 0"),
        ({"classifier": {"layers": 3}}, "unknown setting 'classifier.layers'; known here: width, depth"),
    ],
)
def test_settings_that_cannot_be_are_refused(layer, text, clusters):
    with pytest.raises(ConfigError, match=text):
        fit(clusters, layer)


def test_a_classifier_of_another_base_network_is_refused(clusters, tmp_path):
    fit(clusters)
    other = save_clusters(tmp_path / "other.zarr", save_base(tmp_path / "base.zarr", seed=3))
    shutil.copytree(f"{clusters}/classifier", f"{other}/classifier")
    first, second = (Functaset.open(path).fingerprint[:16] for path in (other, clusters))
    with pytest.raises(StoreError, match=f"base network {first} and a classifier of {second}"):
        classifiernet.restore(Functaset.open(other))
