"""The view "Watch it learn" in a real Chromium: pictures, curves and readings show the same epoch."""

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from harness.service import Service
from models.model_folder.game_rules import THE_PAPERS, THE_RELATIVISTIC, Optimum
from tests.app.checks import pixels
from tests.app.playground import expect_in_address, hold, image_pixels, ok, open_page, rgb, settle, told, until
from tests.browser import Visit, needs_chromium

pytestmark = needs_chromium


def scrubber(page: Page) -> Locator:
    return page.get_by_label("Epoch", exact=True)


def chart(page: Page, title: str) -> Locator:
    return page.locator("section.chart").filter(has=page.get_by_role("heading", name=title, exact=True))


def caption(page: Page) -> Locator:
    return page.locator("#learning figcaption")


class Told:
    """The training of a model, as the API gives it."""

    def __init__(self, service: Service, model: str = "mnist-mlp") -> None:
        self._service = service
        self.records: list[dict[str, Any]] = ok(service.client.get(f"/v1/models/{model}/history")).json()["epochs"]
        self.pictures: list[dict[str, Any]] = ok(service.client.get(f"/v1/models/{model}/timeline")).json()["pictures"]

    def at(self, epoch: int) -> dict[str, Any]:
        return next(record for record in self.records if record["epoch"] == epoch)

    def metric(self, name: str, epoch: int) -> float:
        """Return the last value measured up to an epoch."""
        measured = [record for record in self.records if record["epoch"] <= epoch and name in record["metrics"]]
        return float(measured[-1]["metrics"][name])

    def expect_at(self, page: Page, index: int) -> None:
        """Wait until the page shows a picture, its caption, and the readings of all charts at its epoch."""
        epoch, last = self.pictures[index]["epoch"], self.pictures[-1]["epoch"]
        expect(caption(page)).to_have_text(f"After epoch {epoch} of {last}" if epoch else "Before training: noise")
        wanted = rgb(pixels(ok(self._service.client.get(self.pictures[index]["url"])).content))
        picture = page.locator("#learning img")
        until(page, lambda: np.array_equal(image_pixels(picture), wanted), f"the picture is that of epoch {epoch}")
        expect(scrubber(page)).to_have_value(str(index))
        record = self.at(epoch) if epoch else None
        for title, names in {
            "Losses": {"D’s loss": "loss_d", "G’s loss": "loss_g"},
            "D’s output": {"D(x)": "d_real", "D(G(z))": "d_fake"},
            "V(G, D) of the 2014 paper": {"V(G, D)": "value"},
        }.items():
            readings = chart(page, title).locator(".chart-readings span").filter(has=page.locator("b"))
            expect(readings).to_have_text(
                [f"{name} {told(record[key]) if record else '–'}" for name, key in names.items()]
            )


def test_pictures_and_readings_keep_step(browser: Browser, trained: Service) -> None:
    told_by = Told(trained)
    last = len(told_by.pictures) - 1
    assert last > 10
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="learn")
        expect(page.locator("#run-text")).to_contain_text("mnist-mlp: recipe")
        assert scrubber(page).get_attribute("max") == str(last)
        told_by.expect_at(page, last)
        scrubber(page).focus()
        page.keyboard.press("ArrowLeft")
        told_by.expect_at(page, last - 1)
        expect_in_address(page, "epoch", told_by.pictures[last - 1]["epoch"])
        page.keyboard.press("Home")
        told_by.expect_at(page, 0)
        expect_in_address(page, "epoch", 0)
        for index in (1, 6):
            scrubber(page).fill(str(index))
            told_by.expect_at(page, index)
        epoch = told_by.pictures[6]["epoch"]
        fid = chart(page, "Fréchet distance during training").locator("b")
        expect(fid).to_have_text(told(told_by.metric("frechet", epoch)))
        shares = chart(page, "Coverage").locator("b")
        expect(shares).to_have_text([told(told_by.metric(name, epoch)) for name in ("coverage", "smallest_share")])
        expect_in_address(page, "epoch", epoch)
        settle(visit)
        page.reload()
        settle(visit)
        told_by.expect_at(page, 6)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_played_to_the_end(browser: Browser, trained: Service) -> None:
    told_by = Told(trained)
    last = len(told_by.pictures) - 1
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="learn", epoch=told_by.pictures[last - 2]["epoch"])
        told_by.expect_at(page, last - 2)
        page.get_by_role("button", name="Play").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        expect(page.get_by_role("button", name="Play")).to_be_visible()  # it stops at the end
        told_by.expect_at(page, last)
        expect_in_address(page, "epoch", told_by.pictures[last]["epoch"])
        page.get_by_role("button", name="Play").click()  # at the end, "Play" starts again from the beginning
        expect(caption(page)).to_have_text("Before training: noise")
        until(page, lambda: int(scrubber(page).input_value()) > 0, "it goes on")
        page.get_by_role("button", name="Pause").click()
        stopped = int(scrubber(page).input_value())
        told_by.expect_at(page, stopped)
        expect_in_address(page, "epoch", told_by.pictures[stopped]["epoch"])
        settle(visit)
        assert visit.faults == []


@pytest.mark.parametrize("title", ["Losses", "Fréchet distance during training"])
def test_a_click_on_a_chart_goes_to_its_epoch(browser: Browser, trained: Service, title: str) -> None:
    told_by = Told(trained)
    first, last = told_by.records[0]["epoch"], told_by.records[-1]["epoch"]
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="learn")
        plot = chart(page, title).locator(".u-over")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box is not None
        for share in (0.5, 0.2):
            page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)
            clicked = first + share * (last - first)
            index = max(k for k, picture in enumerate(told_by.pictures) if picture["epoch"] <= clicked + 0.5)
            told_by.expect_at(page, index)
            expect_in_address(page, "epoch", told_by.pictures[index]["epoch"])
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_another_model_is_watched_from_its_own_end(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn")
        told_by = Told(service, "mnist-conv")
        told_by.expect_at(page, 2)
        expect(page.locator("#learning h3")).to_have_text(["Losses", "D’s output", "V(G, D) of the 2014 paper"])
        scrubber(page).focus()
        page.keyboard.press("Home")
        told_by.expect_at(page, 0)
        page.locator("#model").select_option("rgb")
        expect(page.locator("#run-text")).to_contain_text("rgb: recipe tiny on none, 128 images seen.")
        Told(service, "rgb").expect_at(page, 2)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_a_model_without_pictures(browser: Browser, trained: Service) -> None:
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="learn")
        Told(trained).expect_at(page, len(Told(trained).pictures) - 1)
        page.locator("#model").select_option("silent")
        expect(caption(page)).to_have_text("No picture yet.")
        expect(page.locator("#learning img")).to_be_hidden()  # otherwise the other model's picture would be visible
        expect(page.get_by_role("button", name="Play")).to_be_disabled()
        expect(scrubber(page)).to_be_disabled()
        record = Told(trained, "silent").at(2)
        expect(chart(page, "Losses").locator("b")).to_have_text([told(record["loss_d"]), told(record["loss_g"])])
        box = chart(page, "Losses").locator(".u-over").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + 3, box["y"] + 50)
        expect(page.locator("#status")).to_have_text("")
        page.locator("#model").select_option("mnist-mlp")
        Told(trained).expect_at(page, len(Told(trained).pictures) - 1)
        expect(page.get_by_role("button", name="Play")).to_be_enabled()
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_a_late_failure_is_not_told_of_the_model_chosen_after_it(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn")
        held = hold(page, "**/v1/models/rgb@*/history")
        page.locator("#model").select_option("rgb")
        until(page, lambda: len(held) == 1, "the slow history is asked for")
        page.locator("#model").select_option("mnist-conv")
        expect(page.locator("#loading")).to_be_hidden()
        held[0].abort()
        settle(visit)
        expect(page.locator("#status")).to_have_text("")
        expect(page.locator("#run-text")).to_contain_text("mnist-conv: recipe")


def test_a_run_that_collapsed(browser: Browser, service: Service) -> None:
    exhibit = "/static/exhibits/collapse"
    history = ok(service.client.get(f"{exhibit}/history.json")).json()
    pictures = ok(service.client.get(f"{exhibit}/timeline.json")).json()["pictures"]
    (collapse,) = history["events"]
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn")
        page.get_by_label("Training run").select_option("collapse")
        last = pictures[-1]["epoch"]
        expect(caption(page)).to_have_text(f"After epoch {last} of {last}")
        expect_in_address(page, "run", "collapse")
        expect(page.locator("#run-text")).to_contain_text("Helvetica scenario")
        expect(page.locator("#learning .game")).to_contain_text(
            "a game with the non-saturating loss, with the penalty R1"
        )
        expect(page.locator("#learning .key.theory")).to_have_count(2)  # “at best” of the two measures of quality
        words = collapse["detail"].replace("smallest_share", "the share of the rarest digit")
        expect(page.locator(".events")).to_have_text(f"Epoch {collapse['epoch']}, G has collapsed: {words}")
        wanted = rgb(pixels(ok(service.client.get(f"{exhibit}/{pictures[-1]['url']}")).content))
        picture = page.locator("#learning img")
        until(page, lambda: np.array_equal(image_pixels(picture), wanted), "the last picture is there")
        coverage = history["epochs"][-1]["metrics"]["coverage"]
        expect(chart(page, "Coverage").locator(".chart-readings")).to_contain_text(f"coverage {told(coverage)}")
        settle(visit)  # a picture that is still on its way would be given up
        page.reload()
        expect(page.get_by_label("Training run")).to_have_value("collapse")
        page.get_by_label("Training run").select_option("")
        expect(page.locator("#run-text")).to_contain_text("mnist-conv: recipe")
        expect(page.locator(".events")).to_be_hidden()
        settle(visit)
        assert visit.faults == []


def models_of(service: Service) -> list[dict[str, Any]]:
    return list(ok(service.client.get("/v1/models")).json()["models"])


COLLAPSED = "/static/exhibits/collapse/timeline.json"


def side(page: Page, name: str) -> Locator:
    """One of two runs that are beside each other."""
    return page.get_by_role("group", name=name, exact=True)


def test_two_runs_beside_each_other(browser: Browser, trained: Service) -> None:
    """They show the same epoch, whichever is moved or plays; the address keeps both."""
    mlp, other = Told(trained), Told(trained, "mnist-goodfellow2014-labels")
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="learn")
        page.get_by_label("Another run beside it").select_option(label="mnist-goodfellow2014-labels")
        last = other.pictures[-1]["epoch"]
        expect(side(page, "mnist-goodfellow2014-labels").locator("figcaption")).to_have_text(
            f"After epoch {last} of {last}"
        )
        expect(page.locator("#beside-text")).to_contain_text(
            "mnist-goodfellow2014-labels: recipe goodfellow2014-labels"
        )
        for moved in ("mnist-mlp", "mnist-goodfellow2014-labels"):
            for index in (0, 3):
                side(page, moved).get_by_label("Epoch", exact=True).fill(str(index))
                epoch = (mlp if moved == "mnist-mlp" else other).pictures[index]["epoch"]
                for name, told_by in {"mnist-mlp": mlp, "mnist-goodfellow2014-labels": other}.items():
                    shown = [picture for picture in told_by.pictures if picture["epoch"] <= epoch][-1]
                    picture = side(page, name).locator("img")
                    wanted = rgb(pixels(ok(trained.client.get(shown["url"])).content))
                    until(page, lambda: np.array_equal(image_pixels(picture), wanted), f"{name} is at {epoch}")  # noqa: B023
                expect_in_address(page, "epoch", epoch)
        side(page, "mnist-mlp").get_by_role("button", name="Play").click()
        until(
            page,
            lambda: int(side(page, "mnist-goodfellow2014-labels").get_by_label("Epoch", exact=True).input_value()) > 3,
            "the other run follows",
        )
        side(page, "mnist-goodfellow2014-labels").get_by_role("button", name="Play").click()
        expect(side(page, "mnist-mlp").get_by_role("button", name="Play")).to_be_visible()
        expect(
            side(page, "mnist-goodfellow2014-labels").get_by_role("button", name="Play")
        ).to_be_visible()  # at its end
        reference = next(
            model["model"] for model in models_of(trained) if model["name"] == "mnist-goodfellow2014-labels"
        )
        expect_in_address(page, "beside", reference)
        assert visit.overflow() <= 0
        settle(visit)
        page.reload()
        expect(side(page, "mnist-goodfellow2014-labels")).to_be_visible()
        page.get_by_label("Another run beside it").select_option("")
        expect(page.locator("#learning > *")).to_have_count(1)
        settle(visit)
        assert visit.faults == []


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ("gone", "“beside=gone”: there is no such run"),
        (
            "mnist-goodfellow2014-labels@000000000000",
            "“beside=mnist-goodfellow2014-labels@000000000000”: its version {version} is shown",
        ),
    ],
)
def test_a_run_beside_it_that_is_not_there_is_told(browser: Browser, trained: Service, beside: str, said: str) -> None:
    version = next(
        model["model"] for model in models_of(trained) if model["name"] == "mnist-goodfellow2014-labels"
    ).split("@")[1]
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="learn", beside=beside)
        expect(page.locator("#status")).to_have_text(f"Ignored in the address: {said.format(version=version)}.")
        expect(page.locator("#learning > *")).to_have_count(2 if "@" in beside else 1)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("beside", ["", "collapse"])
def test_an_epoch_without_a_picture_is_told(browser: Browser, trained: Service, beside: str) -> None:
    """An epoch of which one of two runs has a picture is none."""
    mine = [picture["epoch"] for picture in Told(trained).pictures]
    other = [picture["epoch"] for picture in ok(trained.client.get(COLLAPSED)).json()["pictures"]]
    none = next(epoch for epoch in range(1, mine[-1]) if epoch not in [*mine, *other])
    only_other = next(epoch for epoch in other if epoch not in mine)
    with Visit(browser, trained.url) as visit:
        for epoch in (none, only_other, 9999):
            page = open_page(visit, trained.url, view="learn", epoch=epoch, beside=beside)
            shown = max(one for one in mine if one <= epoch)
            expect(page.locator("#learning figcaption").first).to_have_text(f"After epoch {shown} of {mine[-1]}")
            about = f"“epoch={epoch}”: there is no picture of this epoch; the last one before it is shown"
            told = "" if beside and epoch == only_other else f"Ignored in the address: {about}."
            expect(page.locator("#status")).to_have_text(told)
        settle(visit)
        assert visit.faults == []


def test_the_epoch_of_a_run_that_is_no_models_stays_with_that_run(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn", model="gone", run="collapse", epoch=0)
        expect(page.locator("#status")).to_have_text(
            "There is no usable model “gone”; the default “mnist-conv” is shown instead."
        )
        expect(caption(page)).to_have_text("Before training: noise")
        page.locator("#model").select_option("rgb")
        expect_in_address(page, "model", "rgb")
        settle(visit)
        expect(caption(page)).to_have_text("Before training: noise")
        expect_in_address(page, "epoch", 0)
        page.locator("[data-view=models]").click()
        page.locator("article[aria-label=three]").get_by_role("button", name="Watch it learn").click()
        expect(page.locator("#run-text")).to_contain_text("three: recipe")
        expect(page.get_by_label("Training run")).to_have_value("")
        settle(visit)
        expect_in_address(page, "run", None)
        expect_in_address(page, "epoch", None)
        assert visit.faults == []


@pytest.mark.slow
def test_no_earlier_run_stays_under_the_name_of_one_that_is_late_or_fails(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn")
        told_by = Told(service, "mnist-conv")
        told_by.expect_at(page, 2)
        held = hold(page, "**/v1/models/rgb@*/history")
        page.locator("#model").select_option("rgb")
        expect(page.locator("#run-text")).to_have_text("Loading this run …")
        expect(page.locator(".learning")).to_be_hidden()
        held[0].abort()
        expect(page.locator("#status.error")).to_contain_text("the service does not answer")
        expect(page.locator("#run-text")).to_have_text("This run could not be loaded.")
        expect(page.locator(".learning")).to_be_hidden()
        page.locator("#model").select_option("mnist-conv")
        expect(page.locator("#run-text")).to_contain_text("mnist-conv: recipe")
        told_by.expect_at(page, 2)
        settle(visit)


@pytest.mark.slow
@pytest.mark.parametrize("slow", ["**/v1/models/rgb@*/history", "**/exhibits/collapse/history.json"])
def test_a_late_answer_does_not_replace_the_run_chosen_after_it(browser: Browser, service: Service, slow: str) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn")
        told_by = Told(service, "mnist-conv")
        held = hold(page, slow)
        if "rgb" in slow:
            page.locator("#model").select_option("rgb")
        else:
            page.get_by_label("Training run").select_option("collapse")
        until(page, lambda: len(held) == 1, "the slow history is asked for")
        if "rgb" in slow:
            page.locator("#model").select_option("mnist-conv")
        else:
            page.get_by_label("Training run").select_option("")
        expect(page.locator("#loading")).to_be_hidden()
        held[0].continue_()
        settle(visit)
        expect(page.locator("#run-text")).to_contain_text("mnist-conv: recipe")
        told_by.expect_at(page, len(told_by.pictures) - 1)
        assert visit.faults == []


def test_alarms_are_told_in_words(browser: Browser, service: Service) -> None:
    script = """async events => {
        const { Learning } = await import(new URL("static/viewer/learning.js", document.baseURI));
        const learning = new Learning();
        learning.show({ epochs: [], events }, []);
        return [...learning.element.querySelectorAll(".events li")].map(item => item.textContent);
    }"""
    kinds = ["collapse", "discriminator-won", "not-finite", "constructor", "another-kind"]
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn")
        told = page.evaluate(script, [{"epoch": 1, "kind": kind, "detail": "loss_d is nan"} for kind in kinds])
    assert told == [
        f"Epoch 1, {words}: loss d is nan"
        for words in ("G has collapsed", "D has won", "a number became NaN or infinite", "constructor", "another kind")
    ]


TEXTS_OF_A_CHART = """async ([values, optimum]) => {
    const { Charts } = await import(new URL("static/viewer/charts.js", document.baseURI));
    const charts = new Charts(() => {});
    const told = [];
    const fill = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
        if (this.textAlign === "right") told.push([text, x - this.measureText(text).width, y]);
        return fill.call(this, text, x, y);
    };
    document.getElementById("learning").append(charts.element);
    charts.show(values.map((value, index) => ({ epoch: index + 1, value })), optimum);
    await new Promise(done => setTimeout(done, 300));
    CanvasRenderingContext2D.prototype.fillText = fill;
    return told;
}"""


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (-1.9, -1.1),
        pytest.param(-1.6, -0.95, marks=pytest.mark.slow),
        pytest.param(0, 100, marks=pytest.mark.slow),
        pytest.param(-1.38635, -1.38625, marks=pytest.mark.slow),
        (-1.386295, -1.386293),
        (0, 8_000_000),
        pytest.param(0, 1e8, marks=pytest.mark.slow),
        (1e30, 1e31),
    ],
)
def test_the_numbers_of_an_axis_are_those_of_its_lines_and_fit(
    browser: Browser, service: Service, low: float, high: float
) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn")
        told = page.evaluate(TEXTS_OF_A_CHART, [[low, high], THE_PAPERS.model_dump()])
    numbers = sorted({(y, float(text.replace("−", "-"))) for text, _, y in told})
    assert len(numbers) > 2
    assert all(left >= 0 for _, left, _ in told), told  # none is cut off
    heights = np.diff([y for y, _ in numbers])
    steps = -np.diff([number for _, number in numbers])
    np.testing.assert_allclose(heights, heights[0], atol=1.01)
    np.testing.assert_allclose(steps, steps[0], rtol=1e-6)


LINES: dict[str, dict[str, str | None]] = {
    "conv": {
        "Losses": "theory log 2, for the game of the 2014 paper",
        "D’s output": "theory ½, for the game of the 2014 paper",
        "The value of the game, V(G, D)": "theory −log 4, for the game of the 2014 paper",
    },
    "digits": {
        "Losses": "theory log 2, for the relativistic game",
        "D’s output": None,
        "V(G, D) of the 2014 paper": None,
    },
    "three": {"Losses": None, "D’s output": None, "V(G, D) of the 2014 paper": None},
    "rgb": {"Losses": None, "D’s output": None, "V(G, D) of the 2014 paper": None},
}
"""The line of theory that each chart names, by model; the models are those of `tests.app.conftest`."""

ABOUT_LINES = {
    "conv": "",
    "digits": "",
    "three": " Theory gives no values for the curves of this game, so the charts have no lines for it.",
    "rgb": "The record does not say which game G and D played, so the charts have no lines of theory.",
}


def test_theorys_lines_are_named_for_the_game_that_was_played(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn", model="conv")
        for model, lines in LINES.items():
            page.locator("#model").select_option(model)
            expect(page.locator("#run-text")).to_contain_text(f"{model}: recipe")
            told = ok(service.client.get(f"/v1/models/{model}")).json()["metadata"]["game"]
            expect(page.locator("#learning .game")).to_have_text((told or "") + ABOUT_LINES[model])
            for title, line in lines.items():
                named = chart(page, title).locator(".chart-readings span").filter(has=page.locator(".theory"))
                expect(named).to_have_text([line] if line else [])
                words = chart(page, title).locator(".hint")
                if model == "conv" and "V(G, D)" in title:
                    expect(words).to_contain_text(
                        "D tries to raise this value and G to lower it (equation 1 of the 2014"
                    )
                else:
                    expect(words).not_to_contain_text("D tries to raise")
        settle(visit)
        assert visit.faults == []


LINES_OF_CHARTS = """async optimum => {
    const { Charts } = await import(new URL("static/viewer/charts.js", document.baseURI));
    const charts = new Charts(() => {});
    document.getElementById("learning").replaceChildren(charts.element);
    const told = {};
    const dash = CanvasRenderingContext2D.prototype.setLineDash;
    CanvasRenderingContext2D.prototype.setLineDash = function (lengths) {
        const title = this.canvas.closest(".chart")?.querySelector("h3").textContent;
        if (lengths.length) told[title] = (told[title] ?? 0) + 1;
        return dash.call(this, lengths);
    };
    const figures = { loss_d: 0.6, loss_g: 0.8, d_real: 0.6, d_fake: 0.4, value: -1.3 };
    charts.show([{ epoch: 1, ...figures }, { epoch: 2, ...figures, loss_d: 0.7 }], optimum);
    await new Promise(done => setTimeout(done, 300));
    CanvasRenderingContext2D.prototype.setLineDash = dash;
    return Object.keys(told).sort();
}"""


@pytest.mark.parametrize(
    ("optimum", "titles"),
    [
        (THE_PAPERS, ["D’s output", "Losses", "The value of the game, V(G, D)"]),
        (THE_RELATIVISTIC, ["Losses"]),
        (None, []),
    ],
)
def test_only_the_lines_of_the_game_are_drawn(
    browser: Browser, service: Service, optimum: Optimum | None, titles: list[str]
) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn")
        told = page.evaluate(LINES_OF_CHARTS, optimum and optimum.model_dump())
        assert told == titles
        assert visit.faults == []


@pytest.mark.slow
def test_a_long_word_in_an_alarm_does_not_widen_the_page(browser: Browser, service: Service) -> None:
    script = """async word => {
        const { Learning } = await import(new URL("static/viewer/learning.js", document.baseURI));
        const learning = new Learning();
        learning.show({ epochs: [], events: [{ epoch: 1, kind: word, detail: word }] }, []);
        document.getElementById("learning").replaceChildren(learning.element);
    }"""
    for width in (360, 1440):
        with Visit(browser, service.url, width=width) as visit:
            page = open_page(visit, service.url, view="learn")
            page.evaluate(script, "x" * 300)
            assert visit.overflow() <= 0


@pytest.mark.slow
def test_a_picture_that_fails_is_told_and_asked_for_again(browser: Browser, service: Service) -> None:
    told_by = Told(service, "mnist-conv")
    url = told_by.pictures[0]["url"]
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn")
        told_by.expect_at(page, 2)
        page.clock.install()
        page.reload()  # nothing has been loaded before
        page.route(f"**{url}", lambda route: route.fulfill(status=429, json={"detail": "no luck"}))
        settle(visit)
        page.evaluate("caches => fetch(caches, { cache: 'reload' })", f"{service.url}{url}")
        scrubber(page).fill("0")
        figure = page.locator("#learning figure")
        expect(figure).to_contain_text("The picture could not be loaded. Trying again …")
        expect(figure.locator("img")).not_to_be_visible()
        button = figure.get_by_role("button", name="Try again")
        for _ in range(3):
            expect(button).to_have_count(0)
            with page.expect_response(f"**{url}"):
                page.clock.fast_forward(8_000)
        page.unroute_all()
        button.click()
        expect(figure.locator("img")).to_be_visible()
        told_by.expect_at(page, 0)
        expect(figure).not_to_contain_text("could not be loaded")


@pytest.mark.slow
def test_no_earlier_picture_is_above_the_caption_of_one_that_is_late(browser: Browser, service: Service) -> None:
    told_by = Told(service, "mnist-conv")
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="learn", epoch=told_by.pictures[2]["epoch"])
        told_by.expect_at(page, 2)
        held = hold(page, "**/late.png")
        page.evaluate(
            """async () => {
                const { Learning } = await import(new URL("static/viewer/learning.js", document.baseURI));
                const learning = new Learning();
                const there = document.querySelector("#learning img").src;
                document.getElementById("learning").replaceChildren(learning.element);
                learning.show({ epochs: [] }, [{ epoch: 1, url: there }, { epoch: 2, url: "late.png" }], 1);
            }"""
        )
        picture = page.locator("#learning img")
        expect(picture).to_be_visible()
        scrubber(page).fill("1")
        expect(page.locator("#learning figure")).to_have_text("Loading the picture …After epoch 2 of 2")
        expect(picture).not_to_be_visible()
        content = ok(service.client.get(told_by.pictures[1]["url"])).content
        for route in held:
            route.fulfill(status=200, body=content, content_type="image/png")
        expect(picture).to_be_visible()
        assert np.array_equal(image_pixels(picture), rgb(pixels(content)))
