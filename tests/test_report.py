"""`functa report`: a page that holds all it shows, is the same every time, and is looked at in a real browser."""

import base64
import io
import os
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from functa_cli import exhibits, gallery, learned, plugins, priornet, template
from functa_cli.basefile import read_base
from functa_cli.config import to_dict
from functa_cli.errors import DataError, FunctaError, StoreError
from functa_cli.fit_classifier import fit_classifier
from functa_cli.impute import impute
from functa_cli.report import report
from functa_cli.scale import fit_scale
from functa_cli.store import Functaset
from tests import browser
from tests.clusters import QUICK, save_clusters
from tests.sets import run, save_base, save_pictures, shell

VOID = {"img", "meta", "link", "br"}
STRANGE = "<b>&'x\"</script>"  # a name that would break a page that does not escape it


class Page(HTMLParser):
    """A page as its elements; anything that does not close as it opened is an error."""

    def __init__(self, text: str):
        super().__init__()
        self.open, self.elements, self.words, self.errors = [], [], [], []
        self.feed(text)
        self.close()
        self.errors += [f"<{name}> stays open" for name in self.open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.errors += [f"<{tag}> has {name} twice" for name, n in Counter(name for name, _ in attrs).items() if n > 1]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(f"</{tag}> closes nothing")

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag: str) -> list[dict]:
        return [attrs for name, attrs in self.elements if name == tag]

    def sections(self) -> list[str]:
        return [attrs["id"] for attrs in self.all("section")]


def save_set(path: Path, base: str, kind: str, data: Path, **options) -> str:
    """Write data of a kind as a functaset of random vectors, which costs less than to encode them."""
    modality = plugins.load("modalities", kind).MODALITY
    known = modality.open(str(data), modality.options(**options), seed=0, geometry=read_base(base).geometry)
    how = {"steps": 0, "polish": 0, "seed": 0, "source": str(data), "data": to_dict(modality.options(**options))}
    store = template.begin(str(path), base=read_base(base), latent_shape=(8,), known=known, how=how)
    rng = np.random.default_rng(0)
    phi, mse = 0.1 * rng.normal(size=(store.n, 8)), 10 ** rng.uniform(-4, -1, store.n)
    for part in store.shards():
        store.write(part, phi[part], mse[part])
    store.finalize()
    return str(path)


def save_prior(path: str, kind: str = "flow") -> None:
    """Put a prior that has learned nothing into a functaset."""
    store = Functaset.open(path)
    config = priornet.settings(kind, [{"prior": {"layers": 1, "width": 8}}])
    phi = store.whole()[store.rows("train")]
    prior = priornet.make(config, phi.shape[1], 0)
    weights = jax.tree.map(np.asarray, prior.init(jax.random.key(0)))
    scale = fit_scale(phi, config.prior.normalise, config.prior.norm_factor)
    learned.begin_learned(path, f"prior/{kind}", {})
    arrays = {"parameters": weights, "scale": scale._asdict()}
    learned.finish_learned(path, f"prior/{kind}", arrays, to_dict(config), {"classes": [], "trained_on": len(phi)})


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def full(base, place) -> str:
    """A functaset of pictures with a prior and a classifier, and beside it the pictures."""
    save_pictures(place / "photos", [(8, 8)] * 24)
    path = save_set(place / "full.zarr", base, "image", place / "photos", split="0.3")
    save_prior(path)
    run(fit_classifier(path, layers=[QUICK, {"learn": {"steps": 20}}]))
    return path


@pytest.fixture(scope="module")
def plain(base, full, place) -> str:
    """The same pictures without a prior and without a classifier."""
    return save_set(place / "plain.zarr", base, "image", place / "photos", split="0.3")


@pytest.fixture(scope="module")
def page(full, place) -> Path:
    run(report(full, str(place / "full.html"), number=6))
    return place / "full.html"


@pytest.fixture(scope="module")
def parsed(page) -> Page:
    return Page(page.read_text(encoding="utf-8"))


def test_the_page_is_well_formed_and_in_parts(parsed):
    assert parsed.errors == []
    wanted = ["summary", "data", "psnr", "extremes", "samples-flow", "interpolation", "neighbours", "classes"]
    assert parsed.sections() == wanted
    ids = [attrs["id"] for _, attrs in parsed.elements if "id" in attrs]
    assert len(set(ids)) == len(ids)
    assert [attrs["href"] for attrs in parsed.all("a")] == [f"#{name}" for name in wanted]
    assert {attrs["aria-labelledby"] for attrs in parsed.all("section")} <= set(ids)
    assert (len(parsed.all("h1")), len(parsed.all("h2")), len(parsed.all("main"))) == (1, 8, 1)


def test_the_page_refers_to_nothing_outside(page, parsed):
    text = page.read_text(encoding="utf-8")
    assert (
        re.findall(r"https?:|//[a-z]|@import|url\(|<script|<iframe|<object", re.sub(r"base64,[^\"]*", "", text)) == []
    )
    places = [attrs[key] for _, attrs in parsed.elements for key in ("src", "href", "srcset", "data") if key in attrs]
    assert [one for one in places if not one.startswith(("data:", "#"))] == []
    (policy,) = [attrs["content"] for attrs in parsed.all("meta") if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'")


def test_every_picture_is_inside_and_is_described(parsed):
    images = parsed.all("img")
    assert len(images) > 50
    for attrs in images:
        kind, data = re.fullmatch(r"data:image/(png|webp);base64,(.*)", attrs["src"]).groups()
        with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
            picture.load()
            assert picture.format == kind.upper()
            assert [str(size) for size in picture.size] == [attrs["width"], attrs["height"]]
        assert len(attrs["alt"]) > 5
    alts = Counter(attrs["alt"].split()[0] for attrs in images)
    assert alts["Original"] == alts["Functum"] == 12
    assert alts["Sample"] == 6


def test_it_can_be_read_without_seeing_it(parsed):
    assert parsed.all("html")[0]["lang"] == "en"
    assert all(attrs.get("scope") in ("col", "row") for attrs in parsed.all("th"))
    assert len(parsed.all("caption")) == len(parsed.all("table"))
    assert all(attrs["aria-label"] for attrs in parsed.all("svg"))


def test_names_of_data_are_text_whatever_is_in_them(base, tmp_path):
    ids = [f"{number} {STRANGE}" for number in range(6)]
    path = save_clusters(tmp_path / "set.zarr", base, counts=(3, 3), ids=ids, classes=(STRANGE, "b"))
    run(report(path, str(tmp_path / "page.html"), number=6))
    parsed = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert parsed.errors == []
    assert parsed.all("script") == []
    assert set(ids) <= set(parsed.words)
    assert {f"Functum of {name}" for name in ids} <= {attrs["alt"] for attrs in parsed.all("img")}


def test_the_figures_are_those_of_the_store(full, parsed):
    store = Functaset.open(full)
    mse = store.errors().astype(np.float64)
    assert f"{-10 * np.log10(mse.mean()):.2f} dB" in parsed.words
    bars = [word for word in parsed.words if re.fullmatch(r"[-\d.]+ to [-\d.]+ dB: \d+", word)]
    assert sum(int(word.split(": ")[1]) for word in bars) == len(mse)
    assert len([attrs for attrs in parsed.all("rect") if attrs["class"] == "bar"]) == len(bars)
    worst, best = store.ids[int(mse.argmax())], store.ids[int(mse.argmin())]
    heads = parsed.words.index("Best"), parsed.words.index("Worst")
    assert best in parsed.words[heads[0] : heads[0] + 6]
    assert worst in parsed.words[heads[1] : heads[1] + 6]


def test_the_same_command_gives_the_same_bytes_and_another_seed_others(full, page, place):
    run(report(full, str(place / "again.html"), number=6))
    assert (place / "again.html").read_bytes() == page.read_bytes()
    store = Functaset.open(full)
    assert exhibits.choose(store, 4, 0).shown != exhibits.choose(store, 4, 1).shown


def test_nothing_is_replaced_unasked_and_no_half_page_is_left(plain, tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    page.write_text("mine")
    with pytest.raises(StoreError, match="exists; --overwrite replaces it"):
        run(report(plain, str(page)))

    def interrupted(*places):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(report(plain, str(page), number=1, overwrite=True))
    assert page.read_text() == "mine"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    run(report(plain, str(page), number=1, overwrite=True))
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_originals_that_are_gone_are_said_to_be_and_can_be_named(plain, place, tmp_path):
    os.rename(place / "photos", place / "moved")
    try:
        _, warnings = run(report(plain, str(tmp_path / "without.html"), number=1))
        assert any("riginals are not shown" in text for text in warnings)
        text = (tmp_path / "without.html").read_text()
        assert "riginals are not shown" in text
        assert "Original of" not in text
        run(report(plain, str(tmp_path / "with.html"), number=1, data=str(place / "moved")))
        assert "Original of" in (tmp_path / "with.html").read_text()
        with pytest.raises(FunctaError):
            run(report(plain, str(tmp_path / "no.html"), data=str(place / "nowhere")))
    finally:
        os.rename(place / "moved", place / "photos")


@pytest.mark.parametrize("kind", ["voxel", "era5", "scene"])
def test_every_kind_of_data_has_its_pictures(kind, tmp_path):
    plugins.load("modalities", kind).example(tmp_path / "data")
    source = plugins.load("modalities", kind).MODALITY
    known = source.open(str(tmp_path / "data"), source.options(), seed=0)
    base = save_base(
        tmp_path / "base.zarr", modality=kind, channels=known.geometry["channels"], geometry=known.geometry
    )
    path = save_set(tmp_path / "set.zarr", base, kind, tmp_path / "data")
    found, warnings = run(report(path, str(tmp_path / "page.html"), number=2))
    assert warnings == []
    parsed = Page((tmp_path / "page.html").read_text())
    assert parsed.errors == []
    assert parsed.sections() == ["summary", "data", "psnr", "extremes", "interpolation", "neighbours"]
    assert len(parsed.all("img")) == found["pictures"] >= 12
    originals = [attrs for attrs in parsed.all("img") if attrs["alt"].startswith("Original")]
    data = [base64.b64decode(attrs["src"].partition(",")[2]) for attrs in originals]
    assert all(np.asarray(Image.open(io.BytesIO(one)).convert("L")).std() > 1 for one in data), "a picture is blank"


def test_completions_are_shown_beside_what_was_seen(plain, place, tmp_path):
    rule = ["rect:2:6,2:6"]
    run(impute(plain, str(place / "photos/b"), str(tmp_path / "set.zarr"), observe=rule, prior="none", steps=1))
    _, warnings = run(report(str(tmp_path / "set.zarr"), str(tmp_path / "page.html"), number=2))
    assert warnings == []
    parsed = Page((tmp_path / "page.html").read_text())
    assert parsed.errors == []
    alts = Counter(attrs["alt"].split(" of ")[0] for attrs in parsed.all("img"))
    assert [word for word in parsed.words if re.match(r"[\d.]+ dB where seen", word)]
    assert alts["What was seen"] == alts["Completion"] == alts["Data"] == 4
    (seen,) = [attrs for attrs in parsed.all("img") if attrs["alt"].startswith("What was seen")][:1]
    hidden = np.asarray(Image.open(io.BytesIO(base64.b64decode(seen["src"].partition(",")[2]))))[2:6, 2:6]
    assert (hidden == 128).all()


def test_a_truth_of_other_names_is_taken_in_its_order(plain, place, tmp_path):
    for number, path in enumerate(sorted((place / "photos/b").iterdir())):
        (tmp_path / "true").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "true" / f"other{number}{path.suffix}")
    asked = {"observe": ["rect:2:6,2:6"], "prior": "none", "truth": str(tmp_path / "true")}
    run(impute(plain, str(place / "photos/b"), str(tmp_path / "set.zarr"), **asked))
    _, warnings = run(report(str(tmp_path / "set.zarr"), str(tmp_path / "page.html"), number=2))
    assert warnings == []
    parsed = Page((tmp_path / "page.html").read_text())
    assert len([attrs for attrs in parsed.all("img") if attrs["alt"].startswith("What was seen")]) == 4


def test_samples_have_no_originals_and_no_errors(base, tmp_path):
    path = save_clusters(tmp_path / "set.zarr", base, counts=(6, 6, 6))
    store = Functaset.open(path, writable=True)
    store.write(slice(0, store.n), store.read(slice(None))[0], np.zeros(store.n, np.float32))
    attrs = dict(store.group.attrs["functa"])
    attrs["sample"] = attrs.pop("encode")
    store.group.attrs["functa"] = attrs
    run(report(path, str(tmp_path / "page.html"), number=3))
    parsed = Page((tmp_path / "page.html").read_text())
    assert parsed.sections() == ["summary", "data", "interpolation", "neighbours"]
    assert not [word for word in parsed.words if " dB" in word]


def test_neighbours_are_the_nearest_and_no_copies(base, tmp_path):
    ids = ["one.png", "one.png@01", *(f"{number:02d}.png" for number in range(2, 30))]
    path = save_clusters(tmp_path / "set.zarr", base, counts=(10, 10, 10), ids=ids)
    store = Functaset.open(path)
    phi = store.read(slice(None))[0]
    rows = np.arange(30)
    found = gallery.neighbours(store, rows, rows, 4)
    for row in rows:
        far = np.linalg.norm(phi - phi[row], axis=1)
        far[[row] if row > 1 else [0, 1]] = np.inf
        assert found.nearest[row].tolist() == np.argsort(far)[:4].tolist()
        np.testing.assert_allclose(found.distance[row], np.sort(far)[:4], rtol=1e-4)
    share, n = gallery.agreement(store, found)
    assert (share, n) == (pytest.approx((store.labels[found.nearest[:, 0]] == store.labels).mean()), 30)


def test_ways_lead_between_test_data_of_two_classes(full):
    chosen = exhibits.choose(Functaset.open(full), 6, 0)
    store = Functaset.open(full)
    assert len(chosen.ends) == exhibits.PAIRS
    assert {store.split[row] for pair in chosen.ends for row in pair} == {"test"}
    assert all(store.labels[first] != store.labels[last] for first, last in chosen.ends)


def test_what_cannot_be_drawn_gets_one_line(base, plain, tmp_path):
    done = shell("report", base, tmp_path / "page.html", check=1)
    assert re.fullmatch(r"error: .*holds a base network but no modulations.*\n", done.stderr)
    with pytest.raises(FunctaError, match="holds no Zarr group"):
        run(report(str(tmp_path), str(tmp_path / "page.html")))
    empty = str(shutil.copytree(plain, tmp_path / "empty.zarr"))
    Functaset.open(empty, writable=True).mse[:] = np.float32("nan")
    with pytest.raises(FunctaError, match="holds no encoded data"):
        run(report(empty, str(tmp_path / "page.html")))
    assert not (tmp_path / "page.html").exists()


def test_samples_cannot_be_told_where_their_data_are(base, tmp_path):
    path = save_clusters(tmp_path / "set.zarr", base, counts=(2, 2))
    with pytest.raises(DataError):
        run(report(path, str(tmp_path / "page.html"), data=str(tmp_path)))


needs_browser = pytest.mark.skipif(browser.find() is None, reason=f"no browser on PATH: {', '.join(browser.NAMES)}")


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_browser_draws_the_whole_page_and_asks_for_nothing(page, parsed, tmp_path, dark):
    opened = browser.open_page(page, tmp_path / "profile", dark=dark)
    assert set(opened.requests) == {"/harness.html", "/page.html"}
    assert opened.console == []
    assert [frame["width"] for frame in opened.frames] == list(browser.WIDTHS)
    for frame in opened.frames:
        assert frame["fetched"] == []
        assert frame["across"] <= frame["width"], "the page is wider than the screen"
        assert frame["down"] > 1500
        assert len(frame["headings"]) == 8
        assert frame["least"] >= 12
        sizes = [[int(attrs["width"]), int(attrs["height"]), 16] for attrs in parsed.all("img")]
        assert frame["images"] == sizes, "a picture was not painted"
        ground, ink = (np.mean([float(one) for one in re.findall(r"\d+", frame[key])[:3]]) for key in ("ground", "ink"))
        assert (ground < 60 and ink > 200) if dark else (ground > 230 and ink < 60)


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_screenshot_shows_a_page(page, tmp_path, dark):
    shot = browser.picture(page, tmp_path, dark=dark)
    assert shot.shape == (1000, 1000, 3)
    corner = shot[:10, :10].mean()
    assert corner < 60 if dark else corner > 230
    assert len(np.unique(shot.reshape(-1, 3), axis=0)) > 500, "pictures have many colours"
    assert 0.02 < (np.abs(shot.astype(int) - shot[0, 0]).max(axis=2) > 40).mean() < 0.9


@needs_browser
def test_the_browser_would_tell(tmp_path):
    bad = (
        '<title>x</title><h1>a</h1><p style="font-size:9px">b</p><img src="data:image/png;base64,AAAA" alt="x">'
        '<img src="y.png" alt="y"><script>console.error("broken")</script><div style="width:3000px">w</div>'
    )
    (tmp_path / "bad.html").write_text(f"<!DOCTYPE html><html><body>{bad}</body></html>")
    opened = browser.open_page(tmp_path / "bad.html", tmp_path / "profile")
    assert "/y.png" in opened.requests
    assert any("broken" in line for line in opened.console)
    for frame in opened.frames:
        assert frame["across"] > frame["width"]
        assert [one[2] for one in frame["images"]] == [0, 0]
        assert frame["least"] == 9
        assert frame["fetched"]
