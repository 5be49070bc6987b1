"""`functa fit --prior` and `functa sample` on small functasets, and the figures that they tell."""

import jax
import numpy as np
import pytest
import xarray

from functa_cli import learn, merit, priornet, walk
from functa_cli.config import LearnConfig, PriorConfig
from functa_cli.decode import decode
from functa_cli.drawn import Request
from functa_cli.errors import FunctaError, TrainingError
from functa_cli.fit_prior import fit_prior, parts_of
from functa_cli.learn import Vectors
from functa_cli.sample import sample
from functa_cli.scale import covariance, fit_scale
from functa_cli.store import Functaset
from tests.clusters import save_clusters
from tests.sets import contents, run, save_base, shell

SMALL = {
    "flow": {"prior": {"layers": 2, "width": 8, "label_dim": 4}, "learn": {"steps": 120, "evaluate": 20, "rate": 0.01}},
    "ddpm": {
        "prior": {"width": 16, "blocks": 1, "label_dim": 4, "noise_steps": 50, "beta_last": 0.2},
        "learn": {"steps": 60, "evaluate": 20},
    },
}


def fitted(path: str, kind: str = "flow", **changes) -> dict:
    return run(fit_prior(path, kind=kind, layers=[SMALL[kind]], **changes))[0]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> str:
    return save_base(tmp_path_factory.mktemp("base") / "base.zarr")


@pytest.fixture(scope="module")
def made(tmp_path_factory, base) -> str:
    """A functaset of three classes with both priors."""
    path = save_clusters(tmp_path_factory.mktemp("set") / "set.zarr", base)
    fitted(path)
    fitted(path, "ddpm")
    return path


# normalisation and figures


@pytest.mark.parametrize("kind", ["standard", "whiten"])
def test_normalisation_gives_deviation_one_over_the_factor_and_back(kind, rng):
    phi = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5)) + 3
    scale = fit_scale(phi, kind, 4.0)
    x = scale.normalise(phi)
    np.testing.assert_allclose(4 * x.std(axis=0), 1, atol=0.05)
    np.testing.assert_allclose(scale.restore(x), phi, atol=1e-4)
    if kind == "whiten":
        np.testing.assert_allclose(16 * np.cov(x, rowvar=False), np.eye(5), atol=0.15)
    np.testing.assert_allclose(scale.log_volume, np.linalg.slogdet(scale.factor)[1], rtol=1e-5)


def test_a_constant_entry_does_not_break_normalisation(rng):
    phi = np.concatenate([rng.normal(size=(50, 2)), np.full((50, 1), 2.0)], axis=1)
    for kind in ("standard", "whiten"):
        assert np.isfinite(fit_scale(phi, kind).normalise(phi)).all()


def test_the_covariance_of_few_data_is_shrunk_and_that_of_many_is_not(rng):
    root = rng.normal(size=(20, 20)) * np.geomspace(1, 0.01, 20)
    few, many = (rng.normal(size=(n, 20)) @ root.T for n in (22, 20_000))
    np.testing.assert_allclose(covariance(many), np.cov(many, rowvar=False), rtol=0.01, atol=1e-3)
    least = np.linalg.eigvalsh(np.cov(few, rowvar=False))[0]
    assert np.linalg.eigvalsh(covariance(few))[0] > 2 * least


def test_the_frechet_distance_has_the_value_of_the_formula(rng):
    a, b = rng.normal(size=(500, 3)), 0.5 * rng.normal(size=(400, 3)) + 1
    of_a, of_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.sqrt(np.linalg.eigvals(of_a @ of_b).real).sum()
    want = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(of_a) + np.trace(of_b) - 2 * root
    assert merit.frechet(a, b) == pytest.approx(want, rel=1e-6)
    assert merit.frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_distance_is_near_its_floor_for_like_sets_and_far_above_for_others(rng):
    train, heldout = rng.normal(size=(300, 4)), rng.normal(size=(100, 4))
    like = merit.distance(rng.normal(size=(200, 4)), heldout, train, 0)
    other = merit.distance(3 * rng.normal(size=(200, 4)), heldout, train, 0)
    assert like.size == 100
    assert like.value < 3 * like.floor
    assert other.value > 10 * other.floor
    assert merit.distance(train, heldout[:4], train, 0) is None


def test_nearest_finds_itself(rng):
    rows = rng.normal(size=(30, 3)).astype(np.float32)
    near, far = merit.nearest(rows[[4, 9]], rows)
    assert near.tolist() == [4, 9]
    np.testing.assert_allclose(far, 0, atol=1e-6)


def test_ways_end_where_they_are_asked_to_and_arcs_keep_their_length(rng):
    a, b = rng.normal(size=(2, 64))
    for way in (walk.between, walk.arc):
        found = way(a, b, 7)
        np.testing.assert_allclose(found[[0, -1]], [a, b], atol=1e-5)
    lengths = np.linalg.norm(walk.arc(a, b, 7), axis=1)
    assert lengths.min() > 0.95 * min(np.linalg.norm(a), np.linalg.norm(b))
    assert np.linalg.norm(walk.between(a, b, 7), axis=1).min() < 0.9 * lengths.min()


# learning


def quadratic(parameters, x, labels, key, *, dropout):
    del labels, key, dropout
    return ((x - parameters["m"]) ** 2).sum(axis=1)


def test_learning_keeps_the_best_look_and_ends_when_it_gets_no_better(rng):
    train, heldout = (Vectors(np.full((8, 2), value, np.float32), np.zeros(8, np.int32)) for value in (1.0, 0.5))
    options = LearnConfig(steps=2000, evaluate=10, patience=3, rate=0.02, ema=0.0, warmup=1, batch=4)
    *_, last = learn.learn(learn.begin({"m": np.zeros(2)}, options), 0, options, 0, train, heldout, quadratic)
    assert last.last
    assert last.step < 2000
    assert "best at step" in last.note
    np.testing.assert_allclose(last.run.best["m"], 0.5, atol=0.15)  # not 1, where training ends
    assert learn.best_of(last.run)[1] < 0.05


def test_a_loss_that_is_not_finite_lowers_the_rate_and_then_gives_up():
    def broken(parameters, x, labels, key, *, dropout):
        return quadratic(parameters, x, labels, key, dropout=dropout) + (np.nan if dropout else 0.0)

    data = Vectors(np.ones((8, 2), np.float32), np.zeros(8, np.int32))
    options = LearnConfig(steps=20, evaluate=10)
    with pytest.raises(TrainingError, match="try a lower --rate"):
        list(learn.learn(learn.begin({"m": np.zeros(2)}, options), 0, options, 0, data, data, broken))


def test_every_datum_comes_once_before_any_comes_again():
    order = learn._order(10, 0, 5, 4, 0).ravel()
    assert sorted(order[:10].tolist()) == list(range(10)) == sorted(order[10:].tolist())
    np.testing.assert_array_equal(learn._order(10, 3, 5, 4, 0), order.reshape(5, 4)[3:])


# fit --prior


def test_copies_of_a_datum_are_held_out_with_it(tmp_path, base):
    ids = [
        name for number in range(30) for name in (f"{number:03d}.png", *(f"{number:03d}.png@{n:02d}" for n in (1, 2)))
    ]
    path = save_clusters(tmp_path / "set.zarr", base, counts=(30, 30, 30), ids=ids, split=["train"] * 90)
    parts = parts_of(Functaset.open(path), PriorConfig("flow", None))
    origin = [{ids[row].partition("@")[0] for row in rows} for rows in (parts.train, parts.heldout)]
    assert len(origin[1]) == 3
    assert len(parts.heldout) == 9
    assert not origin[0] & origin[1]


def test_a_prior_tells_its_figures_and_stays_in_the_store(made):
    model = priornet.restore(Functaset.open(made), "flow")
    info = model.info
    assert model.classes == ("ant", "bee", "cat")
    assert info["trained_on"] == 96
    assert info["heldout"] == 24
    assert info["bits_per_dim_heldout"] < info["bits_per_dim_heldout_gaussian"]
    phi, _ = Functaset.open(made).read(slice(None))
    rows = np.array(Functaset.open(made).split) == "test"
    nats = -model.log_prob(phi[rows], Functaset.open(made).labels[rows]).mean()
    assert priornet.bits(nats, 8) == pytest.approx(info["bits_per_dim_heldout"], abs=1e-3)
    xarray.open_datatree(made, engine="zarr").close()


def test_a_prior_that_was_cut_off_ends_with_the_same_bytes(tmp_path, base, monkeypatch):
    one, two = (save_clusters(tmp_path / name / "set.zarr", base) for name in ("one", "two"))
    fitted(one)
    monkeypatch.setattr("functa_cli.fit_prior.EVERY", 1)
    events = fit_prior(two, kind="flow", layers=[SMALL["flow"]])
    for event in events:
        if getattr(event, "done", 0) == 40:
            break
    events.close()
    with pytest.raises(FunctaError, match="no prior"):
        priornet.restore(Functaset.open(two), None)
    found, _ = run(fit_prior(two, kind="flow", layers=[SMALL["flow"]]))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert found["best_step"] >= 0
    again, _ = run(fit_prior(two, kind="flow", layers=[SMALL["flow"]]))
    assert again == found


def test_what_cannot_be_learned_from_is_told_in_one_line(tmp_path, base, made):
    few = save_clusters(tmp_path / "few.zarr", base, counts=(4, 4))
    with pytest.raises(FunctaError, match="a prior needs 16 at least: encode more data"):
        fitted(few)
    with pytest.raises(FunctaError, match=r"has another prior/flow .*--overwrite replaces it"):
        run(fit_prior(made, kind="flow", layers=[SMALL["flow"], {"learn": {"steps": 40}}]))
    with pytest.raises(FunctaError, match=r"unknown setting 'prior.depth'"):
        run(fit_prior(made, kind="flow", layers=[{"prior": {"depth": 3}}]))
    with pytest.raises(FunctaError, match="no modulations"):
        fitted(base)


# sample


def test_samples_are_a_functaset_that_decodes(made, tmp_path):
    out = str(tmp_path / "new.zarr")
    found, warnings = run(
        sample(made, out, Request(n=20, prior="flow"), sheet=str(tmp_path / "s.png"), novelty=str(tmp_path / "n.png"))
    )
    assert not warnings
    assert found["samples"] == 20
    assert {"distance_to_train", "distance_to_train_heldout", "frechet", "frechet_floor"} <= set(found)
    assert len(found["nearest"]) == 20
    store = Functaset.open(out)
    assert store.fingerprint == Functaset.open(made).fingerprint
    assert store.attrs["sample"]["prior"] == "flow"
    assert set(store.labels.tolist()) <= {0, 1, 2}
    assert (store.figure("distance") > 0).all()
    assert xarray.open_zarr(out).sizes["datum"] == 20
    assert (tmp_path / "s.png").stat().st_size > 1000
    decoded, _ = run(decode(out, str(tmp_path / "out"), resolution="4"))
    assert decoded["decoded"] == 20


def test_samples_of_a_label_are_nearest_to_data_of_it(made, tmp_path):
    source = Functaset.open(made)
    phi, _ = source.read(slice(None))
    for label, name in enumerate(source.classes):
        out = str(tmp_path / f"{name}.zarr")
        run(sample(made, out, Request(n=30, prior="flow", label=name)))
        rows, _ = Functaset.open(out).read(slice(None))
        near, _ = merit.nearest(rows, phi)
        assert (source.labels[near] == label).mean() > 0.6


def test_the_same_command_gives_the_same_bytes_and_another_seed_others(made, tmp_path):
    asked = [("a", 0), ("b", 0), ("c", 1)]
    for name, seed in asked:
        run(sample(made, str(tmp_path / name / "new.zarr"), Request(n=4, prior="ddpm", steps=5, seed=seed)))
    first, again, other = (contents(tmp_path / name) for name, _ in asked)
    assert first == again
    assert first != other


@pytest.mark.parametrize("space", ["modulation", "flow"])
def test_a_way_between_two_data_ends_at_them(made, tmp_path, space):
    source = Functaset.open(made)
    out = str(tmp_path / "way.zarr")
    run(sample(made, out, Request(between=("001.png", "007.png"), steps=5, space=space)))
    phi, _ = Functaset.open(out).read(slice(None))
    ends, _ = source.read(np.array([1, 7]))
    assert len(phi) == 5
    np.testing.assert_allclose(phi[[0, -1]], ends, atol=1e-3)
    assert np.abs(phi[2] - ends).max() > 0.01


@pytest.mark.parametrize("space", ["modulation", "flow"])
def test_what_is_near_a_datum_is_nearer_for_a_smaller_radius(made, tmp_path, space):
    ends, _ = Functaset.open(made).read(np.array([1]))
    far = []
    for radius in (0.05, 0.8):
        out = str(tmp_path / f"{radius}.zarr")
        run(sample(made, out, Request(n=12, near="001.png", radius=radius, space=space)))
        far.append(np.linalg.norm(Functaset.open(out).read(slice(None))[0] - ends, axis=1).mean())
    assert 0 < far[0] < 0.5 * far[1]


def test_what_cannot_be_sampled_is_told_in_one_line(made, tmp_path, base):
    out = str(tmp_path / "x.zarr")
    bare = save_clusters(tmp_path / "bare.zarr", base)
    wrong = [
        (made, Request(), "several priors .ddpm, flow.; choose one with --prior"),
        (bare, Request(), "has no prior; learn one with: functa fit .* --prior flow"),
        (made, Request(prior="flow", label="dog"), "no class is named 'dog'; known: ant, bee, cat"),
        (made, Request(prior="flow", steps=5), "does not know --steps; it knows --temperature"),
        (made, Request(between=("001.png", "nope")), "no datum is named 'nope'"),
        (made, Request(near="001.png", space="ddpm"), "no noise that a datum is made from"),
        (base, Request(), "no modulations"),
    ]
    for store, request, text in wrong:
        with pytest.raises(FunctaError, match=text) as told:
            run(sample(store, out, request))
        assert "\n" not in str(told.value)
        assert not (tmp_path / "x.zarr").exists()


def test_a_prior_of_another_base_network_is_refused(made, tmp_path, base):
    import shutil

    import zarr

    copy = str(tmp_path / "copy.zarr")
    shutil.copytree(made, copy)
    group = zarr.open_group(copy, mode="r+", use_consolidated=False)["prior/flow"]
    group.attrs["functa"] = {**group.attrs["functa"], "base": "0" * 64}
    with pytest.raises(FunctaError, match=r"modulations of the base network .* and a flow prior of 0000"):
        priornet.restore(Functaset.open(copy), "flow")


def test_the_commands_refuse_flags_of_others(made, tmp_path):
    words = shell("fit", made, "--prior", "flow", "--points", "5", check=2)
    assert "--points is of base networks" in words.stderr
    words = shell("sample", made, tmp_path / "y.zarr", "--near", "a", "--interpolate", "a", "b", check=1)
    assert "give one of them" in words.stderr


def test_a_sampler_and_a_density_do_not_depend_on_how_many_are_asked_for(made):
    model = priornet.restore(Functaset.open(made), "flow")
    labels = np.zeros(6, np.int32)
    from functa_cli.prior import Draw

    np.testing.assert_array_equal(model.sample(labels, 3, Draw()), model.sample(np.zeros(8, np.int32), 3, Draw())[:6])
    assert jax.tree.leaves(model.parameters)
