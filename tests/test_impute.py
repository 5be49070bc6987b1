"""`functa impute` on small pictures: what is seen decides, what is hidden has no say, and bad input is told."""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from functa_cli import basenet, complete, learned, priornet
from functa_cli.config import to_dict
from functa_cli.coords import grid
from functa_cli.decode import decode
from functa_cli.encode import encode
from functa_cli.errors import FunctaError
from functa_cli.events import Progress
from functa_cli.impute import impute
from functa_cli.scale import fit_scale
from functa_cli.store import Functaset
from tests.sets import contents, run, save_base, save_pictures, shell

pytestmark = pytest.mark.usefixtures("one_program")
HALF = ["row:0:4"]
QUICK = {"steps": 3}


def save_prior(store: str, kind: str = "flow") -> None:
    """Write an untrained prior of the functaset `store`: the Gaussian of its modulations for a flow."""
    small = {"flow": {"layers": 2, "width": 8}, "ddpm": {"width": 8, "blocks": 1}}[kind]
    config = priornet.settings(kind, [{"prior": small}])
    phi, _ = Functaset.open(store).read(slice(None))
    scale = fit_scale(phi, config.prior.normalise, config.prior.norm_factor)
    prior = priornet.make(config, phi.shape[1], 0)
    parameters = jax.tree.map(np.asarray, prior.init(jax.random.key(0)))
    learned.begin_learned(store, f"prior/{kind}", {})
    arrays = {"parameters": parameters, "scale": scale._asdict()}
    learned.finish_learned(store, f"prior/{kind}", arrays, to_dict(config), {"classes": []})


PROGRAMS: dict = {}


@pytest.fixture(autouse=True)
def one_descent(monkeypatch) -> None:
    """Programs are traced once for all tests: they depend on settings alone."""
    real = complete.programs

    def kept(network, model, steps):
        key = (network.config, model.config, steps)
        if key not in PROGRAMS:
            PROGRAMS[key] = real(network, model, steps)
        return PROGRAMS[key]

    monkeypatch.setattr(complete, "programs", kept)


@pytest.fixture(scope="module")
def made(tmp_path_factory, base) -> Path:
    """A functaset of pictures with a prior, one with a ddpm only, one without; and some pictures to complete."""
    folder = tmp_path_factory.mktemp("impute")
    save_pictures(folder / "data", [(8, 8)] * 24)
    save_pictures(folder / "new", [(8, 8)] * 5, seed=1)
    for name in ("set", "ddpm", "bare"):
        run(encode(str(folder / "data"), str(folder / f"{name}.zarr"), base=base))
    save_prior(str(folder / "set.zarr"))
    save_prior(str(folder / "ddpm.zarr"), "ddpm")
    return folder


@pytest.fixture
def store(made) -> str:
    return str(made / "set.zarr")


@pytest.fixture
def new(made) -> str:
    return str(made / "new")


def modulations(path: Path | str) -> np.ndarray:
    return Functaset.open(str(path)).read(slice(None))[0]


def test_hidden_pixels_have_no_say_and_seen_ones_do(tmp_path, store, new):
    for source in sorted(Path(new).rglob("*.png")):
        pixels = np.asarray(Image.open(source)).copy()
        for name, rows in (("below", slice(4, 8)), ("above", slice(0, 4))):
            changed = pixels.copy()
            changed[rows] = 255 - changed[rows]
            path = tmp_path / name / source.relative_to(new)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(changed).save(path)
    for name, data in (("real", new), ("below", tmp_path / "below"), ("above", tmp_path / "above")):
        run(impute(store, str(data), str(tmp_path / f"{name}.zarr"), observe=HALF, trust=1e4, **QUICK))
    real, below, above = (modulations(tmp_path / f"{name}.zarr") for name in ("real", "below", "above"))
    np.testing.assert_array_equal(real, below)
    assert (np.abs(real - above).max(axis=1) > 0.1 * np.abs(real).max()).all()


def test_the_same_bytes_from_a_mask_as_from_a_rule_but_for_the_request(tmp_path, store, new):
    mask = np.zeros((8, 8), np.uint8)
    mask[4:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    run(impute(store, new, str(tmp_path / "rule.zarr"), observe=HALF, **QUICK))
    run(impute(store, new, str(tmp_path / "mask.zarr"), mask=str(tmp_path / "mask.png"), **QUICK))
    np.testing.assert_array_equal(modulations(tmp_path / "rule.zarr"), modulations(tmp_path / "mask.zarr"))


def test_a_run_that_was_cut_off_ends_with_the_same_bytes(tmp_path, store, new):
    asked = {"observe": ["random:0.5"], "samples": 2, "shard": 4, **QUICK}
    run(impute(store, new, str(tmp_path / "whole.zarr"), **asked))
    cut = impute(store, new, str(tmp_path / "cut.zarr"), **asked)
    assert next(event for event in cut if isinstance(event, Progress) and event.done > 4)
    cut.close()
    assert Functaset.open(str(tmp_path / "cut.zarr")).pending()
    run(impute(store, new, str(tmp_path / "cut.zarr"), **asked))
    assert contents(tmp_path / "whole.zarr") == contents(tmp_path / "cut.zarr")
    run(impute(store, new, str(tmp_path / "other.zarr"), **asked, seed=1))
    assert not np.array_equal(modulations(tmp_path / "other.zarr"), modulations(tmp_path / "cut.zarr"))


def test_without_a_prior_and_with_all_seen_it_is_encode(tmp_path, store, new, base):
    _, warnings = run(impute(store, new, str(tmp_path / "none.zarr"), prior="none"))
    assert len(warnings) == 5
    assert "all of it is observed" in warnings[0]
    run(encode(new, str(tmp_path / "encoded.zarr"), base=base))
    for name in ("modulations", "mse"):
        first, second = (Functaset.open(str(tmp_path / f"{one}.zarr")).group[name][...] for one in ("none", "encoded"))
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)


def test_more_starts_never_end_higher_and_less_trust_ends_nearer_to_the_mean(tmp_path, store, new):
    for starts in (0, 3):
        run(impute(store, new, str(tmp_path / f"{starts}.zarr"), observe=HALF, steps=3, starts=starts))
    few, many = (Functaset.open(str(tmp_path / f"{starts}.zarr")).figure("objective") for starts in (0, 3))
    assert (many <= few).all()
    model = priornet.restore(Functaset.open(store), "flow")
    far, error = [], []
    for trust in (1e-3, 10.0):
        run(impute(store, new, str(tmp_path / f"{trust}.zarr"), observe=HALF, trust=trust, **QUICK))
        opened = Functaset.open(str(tmp_path / f"{trust}.zarr"))
        far.append(np.linalg.norm(model.scale.normalise(opened.read(slice(None))[0]), axis=1))
        error.append(opened.errors())
        np.testing.assert_allclose(opened.figure("lambda"), trust, rtol=1e-6)
    assert (far[0] < far[1]).all()
    assert (error[0] > error[1]).all()


def test_steps_start_from_a_training_functum_where_it_shows_best_what_is_seen(tmp_path, made, base):
    store, data = str(tmp_path / "set.zarr"), str(made / "data")
    run(encode(data, store, base=base, polish=20))
    save_prior(store)
    opened = Functaset.open(store)
    rows = opened.rows("train")
    run(impute(store, data, str(tmp_path / "o.zarr"), observe=HALF, trust=1e4, steps=0, part="train"))
    found = Functaset.open(str(tmp_path / "o.zarr")).read(slice(None))[0]
    away = np.abs(found[:, None] - opened.read(rows)[0][None]).max(axis=2).min(axis=1)
    assert (away < 1e-6).all()


def test_the_nearer_the_more_like_the_training_functum(tmp_path, made, base, store):
    opened = Functaset.open(store)
    known, away = opened.read(opened.rows("train"))[0], []
    for near in (0.0, 0.9, 0.999):
        asked = {"observe": HALF, "near": near, "trust": 1e-3, "steps": 6}
        run(impute(store, str(made / "new"), str(tmp_path / f"{near}.zarr"), **asked))
        found = Functaset.open(str(tmp_path / f"{near}.zarr")).read(slice(None))[0]
        away.append(np.linalg.norm(found[:, None] - known[None], axis=2).min(axis=1).mean())
    assert away[0] > 2 * away[1] > 4 * away[2]
    for wrong in ({"near": 1.0}, {"near": 0.5, "samples": 2}):
        with pytest.raises(FunctaError, match="--near"):
            run(impute(store, str(made / "new"), str(tmp_path / "no.zarr"), observe=HALF, **wrong))


def test_samples_that_are_told_nothing_are_those_of_the_prior(tmp_path, store, new):
    out = str(tmp_path / "samples.zarr")
    result, _ = run(impute(store, new, out, observe=HALF, samples=16, trust=1e-6, **QUICK))
    opened = Functaset.open(out)
    assert result["completed"] == opened.n == 80
    first = opened.ids[0].removesuffix("#0")
    assert opened.ids[:17] == [*(f"{first}#{k}" for k in range(16)), opened.ids[16]]
    model = priornet.restore(Functaset.open(store), "flow")
    x = model.scale.normalise(modulations(out)) * model.config.prior.norm_factor
    np.testing.assert_allclose(np.cov(x, rowvar=False), np.eye(8), atol=0.6)
    np.testing.assert_allclose(x.std(), 1.0, atol=0.1)
    run(decode(out, str(tmp_path / "all.npz")))
    result, _ = run(decode(out, str(tmp_path / "spread.npz"), spread=True))
    assert result["decoded"] == 5
    every, spread = (np.load(tmp_path / f"{name}.npz")["values"] for name in ("all", "spread"))
    np.testing.assert_array_equal(spread, every.reshape(5, 16, 8, 8, 3).astype(float).std(axis=1).astype(np.uint8))
    with pytest.raises(FunctaError, match="--spread is of several samples"):
        run(decode(store, str(tmp_path / "no.npz"), spread=True))


def test_decode_puts_back_what_was_seen(tmp_path, store, new):
    run(impute(store, new, str(tmp_path / "done.zarr"), observe=["random:0.4"], **QUICK))
    run(decode(str(tmp_path / "done.zarr"), str(tmp_path / "plain.npz")))
    run(decode(str(tmp_path / "done.zarr"), str(tmp_path / "back.npz"), observed=True))
    plain, back = (np.load(tmp_path / name)["values"] for name in ("plain.npz", "back.npz"))
    truth = np.stack([np.asarray(Image.open(path)) for path in sorted(Path(new).rglob("*.png"))])
    same = (back == truth).all(-1)
    assert (same.sum((1, 2)) >= 26).all()
    hidden = ~same
    np.testing.assert_array_equal(back[hidden], plain[hidden])
    with pytest.raises(FunctaError, match="leave --resolution out"):
        run(decode(str(tmp_path / "done.zarr"), str(tmp_path / "big"), resolution="16", observed=True))
    with pytest.raises(FunctaError, match="not made by functa impute"):
        run(decode(store, str(tmp_path / "big"), observed=True))


def test_worth_scales_lambda_and_goes_without_it(tmp_path, store, new):
    found = []
    for worth in (None, 1.0, 3.0):
        run(impute(store, new, str(tmp_path / f"{worth}.zarr"), observe=HALF, worth=worth, **QUICK))
        found.append(Functaset.open(str(tmp_path / f"{worth}.zarr")).figure("lambda"))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_allclose(found[2], 3 * found[0], rtol=1e-6)
    with pytest.raises(FunctaError, match="give one of them"):
        run(impute(store, new, str(tmp_path / "no.zarr"), observe=HALF, worth=1.0, trust=1.0, **QUICK))


def test_decode_leaves_out_what_cannot_be_read_again(tmp_path, store, new):
    data = tmp_path / "data"
    shutil.copytree(new, data)
    run(impute(store, str(data), str(tmp_path / "done.zarr"), observe=HALF, **QUICK))
    lost = sorted(data.rglob("*.png"))[1]
    lost.write_bytes(lost.read_bytes()[:60])
    result, warnings = run(decode(str(tmp_path / "done.zarr"), str(tmp_path / "out"), observed=True))
    assert result["decoded"] == 4
    assert len(warnings) == 1
    assert lost.name in warnings[0]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 4


def test_truth_scores_seen_and_hidden_points_each_for_itself(tmp_path, store, new):
    asked = {"observe": HALF, "truth": new, "sheet": str(tmp_path / "sheet.png"), **QUICK}
    result, _ = run(impute(store, new, str(tmp_path / "done.zarr"), **asked))
    opened = Functaset.open(str(tmp_path / "done.zarr"))
    network = basenet.restore(opened.base)
    values = np.stack([network.decoder(network.theta, phi, grid((8, 8))) for phi in modulations(opened.path)])
    truth = np.stack([np.asarray(Image.open(path)) for path in sorted(Path(new).rglob("*.png"))]) / 255.0
    squared = ((values.reshape(truth.shape) - truth) ** 2).mean((2, 3))
    for side, rows in (("seen", slice(0, 4)), ("hidden", slice(4, 8))):
        np.testing.assert_allclose(opened.figure(f"mse_{side}"), squared[:, rows].mean(1), rtol=1e-4)
        np.testing.assert_allclose(result[f"psnr_{side}"], -10 * np.log10(squared[:, rows].mean()), atol=1e-3)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width >= 4 * 96  # observed, without, with, truth


def test_voxels_with_gaps_are_completed(tmp_path):
    from functa_cli.modalities import voxel

    voxel.example(tmp_path / "data")
    where = save_base(tmp_path / "base.zarr", modality="voxel", geometry={"channels": 1}, channels=1)
    run(encode(str(tmp_path / "data"), str(tmp_path / "set.zarr"), base=where))
    save_prior(str(tmp_path / "set.zarr"))
    np.save(tmp_path / "gappy.npy", np.where(np.arange(8)[:, None, None] < 4, np.ones((8, 8, 8)), np.nan))
    np.save(tmp_path / "whole.npy", np.ones((8, 8, 8)))
    asked = {"truth": str(tmp_path / "whole.npy"), "sheet": str(tmp_path / "s.png"), **QUICK}
    result, warnings = run(
        impute(str(tmp_path / "set.zarr"), str(tmp_path / "gappy.npy"), str(tmp_path / "done.zarr"), **asked)
    )
    assert warnings == []
    assert {"iou_seen", "iou_hidden", "psnr_hidden"} <= set(result)
    run(decode(str(tmp_path / "done.zarr"), str(tmp_path / "out"), observed=True))
    assert np.load(next((tmp_path / "out").iterdir()))["voxels"][:4].all()


def test_a_scene_is_completed_from_one_view(tmp_path):
    from functa_cli.modalities import scene

    scene.example(tmp_path / "data")
    geometry = scene.MODALITY.open(tmp_path / "data", scene.MODALITY.options()).geometry
    where = save_base(tmp_path / "base.zarr", modality="scene", geometry=geometry)
    run(encode(str(tmp_path / "data"), str(tmp_path / "set.zarr"), base=where))
    save_prior(str(tmp_path / "set.zarr"))
    data = str(tmp_path / "data")
    asked = {"observe": ["views:1", "rect:2:4,2:4"], "truth": data, "sheet": str(tmp_path / "s.png"), "steps": 1}
    result, warnings = run(impute(str(tmp_path / "set.zarr"), data, str(tmp_path / "done.zarr"), **asked))
    assert warnings == []
    assert {"psnr_seen", "psnr_hidden"} <= set(result)
    with pytest.raises(FunctaError, match="decode has other views"):
        run(decode(str(tmp_path / "done.zarr"), str(tmp_path / "out"), observed=True))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"path": "bare.zarr"}, "has no prior; learn one with: functa fit"),
        ({"path": "ddpm.zarr"}, "the ddpm prior has no density.*--prior flow"),
        ({"path": "set.zarr", "prior": "ddpm"}, "has no ddpm prior"),
        ({"mask": "masks"}, "masks"),
        ({"mask": "small.png"}, "is 4x4, .* is 8x8"),
        ({"mask": "white.png"}, "none of 5 data could be completed"),
        ({"observe": ["z:0:4"]}, "names no axis of these data"),
        ({"truth": "other"}, "lacks 5 of 5 data"),
        ({"samples": 2, "prior": "none"}, "--prior none has one completion"),
        ({"out": "set.zarr"}, "store of their own"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(made, tmp_path, asked, words):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(made / "small.png")
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(made / "white.png")
    if not (made / "other").exists():
        save_pictures(made / "other", [(8, 8)] * 2)
        for path in sorted((made / "other").rglob("*.png")):
            path.rename(path.with_name(f"other{path.name}"))
    given = {"path": "set.zarr", "data": "new", **asked}
    places = ("path", "data", "mask", "truth", "out")
    given = {key: str(made / value) if key in places else value for key, value in given.items()}
    given.setdefault("out", str(tmp_path / "out.zarr"))
    with pytest.raises(FunctaError, match=words) as found:
        run(impute(**given, **QUICK))
    assert "\n" not in str(found.value)


def test_the_command_says_so_and_ends(made, tmp_path):
    words = ["impute", made / "set.zarr", made / "new", tmp_path / "done.zarr"]
    done = shell(*words, "--observe", "row:0:4", "--steps", 2, "--lambda", 100, "--json")
    assert '"completed": 5' in done.stdout
    assert "lambda 100" in done.stderr + done.stdout
    failed = shell(*words, "--views", "0", "--overwrite", check=1)
    assert "axis 'view'" in failed.stderr
