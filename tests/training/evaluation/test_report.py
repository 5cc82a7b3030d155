"""The page of an evaluation: complete, readable, safe with hostile texts, and without external resources."""

import base64
import io
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser

from models.grids import split_grid
from models.images import ImageShape, channels_last
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.inference.tiles import one_thread
from models.model_folder.game_rules import THE_PAPERS
from tests.browser import LOOKS, Scheme, needs_chromium
from tests.training.support import make_game, tiny_images, tiny_recipe
from training.data.dataset import Dataset
from training.evaluation.charts import draw_histograms, draw_shares
from training.evaluation.evaluate import Evaluation, evaluate
from training.evaluation.full.full_evaluation import FullEvaluation
from training.evaluation.full.telling_samples import TellingSamples
from training.evaluation.report import Origin, render_report, write_report
from training.evaluation.table import group_figures

HOSTILE = '"><script>alert(1)</script>&$model${dataset}'
ORIGIN = Origin(
    command="python -m training evaluate '<b>'",
    commit="0123abc-dirty",
    made=datetime(2026, 3, 1, 12, 30, tzinfo=UTC),
    machine="A <fast> processor (2 cores)",
    seconds=41.6,
)
VOID = {"meta", "link", "img", "br"}


@pytest.fixture(scope="module", params=["digits", "grey", "rgb"])
def judged(request: pytest.FixtureRequest) -> tuple[Evaluation, Dataset]:
    """An untrained pair, evaluated on images that count as digits, on others that do not, and on coloured ones."""
    images, shape = torch.from_numpy(tiny_images(120))[:, None], ImageShape(height=16, width=16)
    data = Dataset("digits & <more>", images[:80], images[80:], shape, digits=int(request.param == "digits"))
    game = make_game(tiny_recipe("mlp"))
    sampler = Sampler(game.generator, z_dim=4, image_shape=shape)
    scorer = Scorer(game.discriminator, image_shape=shape)
    with one_thread():
        evaluation = evaluate(sampler, scorer, data, prior="normal", samples=150)
    if request.param != "rgb":
        return evaluation, data
    in_colour = replace(data, images=_coloured(data.images), held_out=_coloured(data.held_out))
    return replace(evaluation, samples=_coloured(evaluation.samples)), in_colour


def _coloured(images: torch.Tensor) -> torch.Tensor:
    return torch.cat([images, images // 2, 255 - images], dim=1)


@pytest.fixture(scope="module")
def page(judged: tuple[Evaluation, Dataset]) -> str:
    return render_report(*judged, model="tiny@0123", origin=ORIGIN)


class Reader(HTMLParser):
    """A parser that checks that tags are closed in order, and records their texts and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.setdefault(tag, []).append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag][-1] += data

    def of(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def pictures(page: str) -> list[np.ndarray]:
    sources = [image["src"].removeprefix("data:image/png;base64,") for image in Reader(page).of("img")]
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]


def test_the_page_is_well_formed_and_has_its_sections(page: str, judged: tuple[Evaluation, Dataset]):
    reader = Reader(page)
    assert page.startswith("<!doctype html>")
    headings = ["Samples", "The figures", "Which digits", "Does it copy?", "What D likes", "How this page was made"]
    if not judged[1].digits:
        headings.remove("Which digits")
    assert reader.texts["h2"] == headings
    assert len(reader.texts["h1"]) == 1
    identifiers = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(set(identifiers)) == len(identifiers)
    assert {section["aria-labelledby"] for section in reader.of("section")} == set(identifiers)


def test_the_page_loads_nothing(page: str):
    reader = Reader(page)
    without_data = re.sub('"data:[^"]*"', "", page)
    assert not re.search("https?:|//|@import|url\\(", without_data)
    assert not {"script", "iframe", "object", "embed", "video"} & {tag for tag, _ in reader.tags}
    assert all(address.startswith("data:") for _, a in reader.tags for k, address in a.items() if k in ("src", "href"))


def test_every_picture_has_words_and_every_table_headers(page: str):
    reader = Reader(page)
    assert all(len(image["alt"]) > 8 for image in reader.of("img"))
    assert all(len(svg["aria-label"]) > 8 and svg["role"] == "img" for svg in reader.of("svg"))
    assert len(reader.of("caption")) == len(reader.of("table"))
    assert {header["scope"] for header in reader.of("th")} == {"col", "row"}


def test_the_tables_hold_every_row(page: str, judged: tuple[Evaluation, Dataset]):
    told = Reader(page).texts
    for group in group_figures(judged[0].figures):
        assert group.question in told["caption"]
        for row in group.rows:
            assert row.name in told["th"]
            assert {row.model, row.real, row.best} <= set(told["td"])


def test_the_pictures_are_those_that_they_say(page: str, judged: tuple[Evaluation, Dataset]):
    evaluation, data = judged
    samples, real, hundredth, first, best, least = pictures(page)

    def shown(of: torch.Tensor | np.ndarray) -> np.ndarray:
        return np.asarray(channels_last(of) if isinstance(of, torch.Tensor) else of)

    np.testing.assert_array_equal(split_grid(samples, 16, padding=2), shown(evaluation.samples[:64]))
    np.testing.assert_array_equal(split_grid(real, 16, padding=2)[:40], shown(data.held_out))
    assert evaluation.nearest is not None
    closest = int(evaluation.nearest.distances.argmin())
    assert hundredth.shape[:2] == (32 + 6, 16 + 6)  # the hundredth of 150 is one pair
    np.testing.assert_array_equal(hundredth[3:19, 3:19], shown(evaluation.samples[closest : closest + 1])[0])
    nearest = evaluation.nearest.rows[closest]
    np.testing.assert_array_equal(hundredth[19:35, 3:19], shown(data.images[nearest : nearest + 1])[0])
    np.testing.assert_array_equal(first[3:19, 22:38], shown(evaluation.samples[1:2])[0])
    order = np.argsort(-evaluation.logits["samples"], kind="stable")
    liked = split_grid(best, 16, padding=2)
    np.testing.assert_array_equal(liked, shown(evaluation.samples[torch.from_numpy(order[:32].copy())]))
    np.testing.assert_array_equal(split_grid(least, 16, padding=2)[0], shown(evaluation.samples[order[-1] :][:1])[0])


def test_texts_from_outside_are_only_text(judged: tuple[Evaluation, Dataset]):
    page = render_report(*judged, model=HOSTILE, origin=ORIGIN)
    reader = Reader(page)
    assert not reader.of("script")
    assert not reader.of("b")
    assert reader.texts["h1"] == [f"{HOSTILE}, judged on digits & <more>"]
    assert reader.texts["title"][0] == f"{HOSTILE}: an evaluation"
    assert reader.texts["code"] == ["python -m training evaluate '<b>'", "0123abc-dirty"]
    assert "A <fast> processor (2 cores); the evaluation took 42 s" in reader.texts["dd"]


def test_where_it_comes_from(page: str):
    reader = Reader(page)
    assert reader.texts["dt"] == ["Command", "Commit", "Date", "Machine"]
    assert reader.of("time") == [{"datetime": "2026-03-01T12:30:00+00:00"}]
    assert reader.texts["time"] == ["01 March 2026, 12:30 UTC"]


def test_the_file_is_whole_or_not_there(tmp_path: Path, judged: tuple[Evaluation, Dataset], page: str):
    write_report(tmp_path / "page.html", *judged, model="tiny@0123", origin=ORIGIN)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path / "no" / "page.html", *judged, model="tiny@0123", origin=ORIGIN)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


# --- Charts --------------------------------------------------------------------------------------------------------


def test_bars_are_as_high_as_their_shares():
    bars = Reader(draw_shares([0.1, 0.3, 0.0], [0.2, 0.05, 0.3], title="t")).of("rect")
    assert [bar["class"] for bar in bars] == ["model", "real"] * 3
    heights = [float(bar["height"]) for bar in bars]
    assert [height / heights[1] for height in heights] == pytest.approx([0.5, 1, 1.5, 0.25, 0, 1.5], abs=0.01)
    bottoms = {round(float(bar["y"]) + float(bar["height"]), 0) for bar in bars}
    assert len(bottoms) == 1
    places = [float(bar["x"]) for bar in bars]
    assert places == sorted(places)


@pytest.mark.parametrize("top", [1.0, 0.41, 1e-3])
def test_bars_of_any_share_stay_inside(top: float):
    reader = Reader(draw_shares([top, 0.0], [0.0, top], title="t"))
    assert all(float(bar["y"]) >= 0 for bar in reader.of("rect"))
    assert all(float(line["y1"]) >= 0 for line in reader.of("line"))


def outline(path: str) -> list[tuple[float, float]]:
    """Return (right edge, height above the base) of each bin."""
    base = float(re.search(r"V([\d.]+)Z", path)[1])  # type: ignore[index]
    return [(float(x), base - float(y)) for y, x in re.findall(r"V([\d.]+)H([\d.]+)", path)]


def test_histograms_count():
    values = {
        "a": np.array([0, 1, 1], np.float32),
        "b": np.array([0, 1], np.float32),
        "<beyond>": np.array([50, 50, 50, -70], np.float32),
    }
    reader = Reader(draw_histograms(values, {"a": "real"}, title="t"))
    assert [path["class"] for path in reader.of("path")] == ["real", "other", "other"]
    assert "<beyond>" in reader.texts["text"]
    a, b, beyond = (outline(path["d"]) for path in reader.of("path"))
    full = max(height for _, height in a)
    assert sorted(round(height / full, 2) for _, height in a if height > 0) == [0.5, 1]
    assert sorted(round(height / full, 2) for _, height in b if height > 0) == [1, 1]
    assert beyond[-1][1] == pytest.approx(full, abs=0.1)  # 50 is at the right end, −70 at the left
    assert beyond[0][1] == pytest.approx(full / 3, abs=0.1)
    assert sum(height > 0 for _, height in beyond) == 2


def test_histograms_of_one_value_are_drawn():
    alone = np.zeros(5, np.float32)
    assert len(Reader(draw_histograms({"a": alone, "b": alone}, {}, title="t")).of("path")) == 2


# --- In a browser --------------------------------------------------------------------------------------------------


@needs_chromium
@pytest.mark.parametrize(
    ("width", "scheme"), [LOOKS[0], *(pytest.param(*look, marks=pytest.mark.slow) for look in LOOKS[1:])]
)
def test_in_chromium(browser: Browser, tmp_path: Path, page: str, width: int, scheme: Scheme):
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    visit = context.new_page()
    faults: list[str] = []
    visit.on("console", lambda message: faults.append(message.text))
    visit.on("pageerror", lambda error: faults.append(str(error)))
    visit.on("request", lambda request: requests.append(request.url))
    requests: list[str] = []
    visit.goto((tmp_path / "page.html").as_uri())
    assert visit.evaluate("document.documentElement.scrollWidth") == width
    assert visit.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    paper = visit.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(16, 20, 24)" if scheme == "dark" else "rgb(250, 248, 244)")
    assert faults == []
    assert [url for url in requests if not url.startswith("data:")] == [(tmp_path / "page.html").as_uri()]
    context.close()


def test_images_that_g_was_not_trained_on_are_not_called_training_images(judged: tuple[Evaluation, Dataset]):
    evaluation, data = judged
    figures = {name: figure for name, figure in evaluation.figures.items() if not name.startswith("nearest_")}
    page = render_report(replace(evaluation, nearest=None, figures=figures), data, model="m", origin=ORIGIN)
    assert "training" not in page.split("<main>")[1].split("How this page was made")[0].lower()
    assert "Does it copy?" not in page
    assert "other images of digits &amp; &lt;more&gt; in place of the samples" in page


def test_a_full_evaluation_has_a_section_with_its_telling_samples(page: str, judged: tuple[Evaluation, Dataset]):
    evaluation, data = judged
    shown = evaluation.samples[:3]
    telling = TellingSamples(shown, shown, misread=shown, nearest=shown, training=data.images[:3])
    full = FullEvaluation({"two_sample_auroc": 0.625}, {"copies": "of <this>"}, telling)
    whole = render_report(evaluation, data, model="m", origin=ORIGIN, full=full)
    reader = Reader(whole)
    assert "Telling samples" in reader.texts["h2"]
    assert "0.625" in reader.texts["td"]
    assert "Left out: the test for copies, because of <this>." in reader.texts["p"]
    assert len(reader.of("img")) == len(Reader(page).of("img")) + 4
    assert "Telling samples" not in page


def test_the_judge_has_its_own_name(page: str, judged: tuple[Evaluation, Dataset]):
    whole = render_report(*judged, model="m", origin=ORIGIN, judge=True, optimum=THE_PAPERS)
    assert "The D of this model is the judge" in whole
    assert "What does the judge know?" in Reader(whole).texts["caption"]
    assert "−log 4" not in whole
    assert "The D of this model is the judge" not in page
    assert "−log 4" in render_report(*judged, model="m", origin=ORIGIN, optimum=THE_PAPERS)


def test_a_figure_above_that_of_real_images_is_explained(judged: tuple[Evaluation, Dataset]):
    evaluation, data = judged
    figures = evaluation.figures | {"precision": 0.5, "precision_real": 0.25, "parzen_ll": 1.0, "parzen_ll_real": 2.0}
    figures |= {"density": 0.0}
    notes = Reader(render_report(replace(evaluation, figures=figures), data, model="m", origin=ORIGIN)).texts["p"]
    assert any(note.startswith("Precision is above that of real images") for note in notes)
    assert not any("Parzen" in note for note in notes)


def test_few_images_are_a_warning(page: str, judged: tuple[Evaluation, Dataset]):
    assert "<strong>Warning:</strong> there are only 40 held-out images to compare with" in page
    evaluation, data = judged
    many = replace(data, held_out=data.held_out[:1].expand(1000, -1, -1, -1))
    assert "Warning" not in render_report(evaluation, many, model="m", origin=ORIGIN)
