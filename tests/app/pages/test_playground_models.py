"""The view "Models" in a real Chromium: a card for each model, its figures, and its buttons."""

import re

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from harness.service import Service
from tests.app.checks import pixels
from tests.app.playground import (
    canvas_pixels,
    expect_in_address,
    image_pixels,
    ok,
    open_page,
    rgb,
    sample,
    settle,
    told,
    until,
)
from tests.browser import Visit, needs_chromium

pytestmark = needs_chromium


def card(page: Page, name: str) -> Locator:
    return page.locator(f"article[aria-label='{name}']")


def test_a_card_for_each_model_and_each_broken_folder(browser: Browser, service: Service) -> None:
    models = ok(service.client.get("/v1/models")).json()["models"]
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="models")
        expect(page.locator("#cards article h3")).to_have_text([model["name"] for model in models])
        for model in models:
            here = card(page, model["name"])
            if not model["ready"]:
                expect(here).to_contain_text("This folder cannot be used:")
                expect(here).to_contain_text(model["error"])
                expect(here.locator("img, button")).to_have_count(0)
                option = page.locator(f"#model option[value='{model['name']}']")
                expect(option).to_have_text(f"{model['name']} (cannot be used)")
                expect(option).to_be_disabled()
                continue
            details = ok(service.client.get(f"/v1/models/{model['name']}")).json()
            metadata = details["metadata"]
            expect(here).to_contain_text(model["sha256"][:12])
            expect(here).to_contain_text(f"{metadata['z_dim']} numbers, {metadata['prior']}")
            if metadata["classes"]:
                expect(here).to_contain_text(f"{metadata['classes']} classes")
            unknown = "The model’s file does not say which game G and D played."
            expect(here.locator("dt:text-is('game') + dd")).to_have_text(metadata["game"] or unknown)
            shape = metadata["image_shape"]
            kind = {1: "grey", 3: "RGB"}[shape["channels"]]
            expect(here).to_contain_text(f"{shape['height']} × {shape['width']}, {kind}")
            expect(here).to_contain_text("This model has no figures.")
            here.scroll_into_view_if_needed()
            query = {"model": model["name"], "seed": 7, "n": 48, "columns": 8, "padding": 0, "scale": 2}
            wanted = pixels(ok(service.client.get("/v1/samples", params=query)).content)
            assert np.array_equal(image_pixels(here.locator("img")), rgb(wanted))
        expect(card(page, "conv").locator(".model-card")).to_be_hidden()
        card(page, "conv").get_by_text("Model card").click()
        expect(card(page, "conv").locator(".model-card")).to_contain_text("An untrained model for tests.")
        settle(visit)
        assert visit.faults == []


def features_of(evaluation: dict[str, float], key: str) -> str:
    """Return the end of a figure's name: a distance names its features."""
    if key != "frechet":
        return ""
    return ", digit classifier’s features" if "modes" in evaluation else ", features that the card names"


@pytest.mark.slow
def test_figures_beside_those_of_real_images(browser: Browser, trained: Service) -> None:
    models = {model["name"]: model["evaluation"] for model in ok(trained.client.get("/v1/models")).json()["models"]}
    keys = {
        "Fréchet distance of the exported model": ("frechet", min),
        "Precision": ("precision", max),
        "Recall": ("recall", max),
        "Coverage": ("coverage", max),
        "AUROC of D: real images against G’s": ("auroc", None),
    }
    assert len(models) > 1
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="models")
        expect(page.locator("#cards article")).to_have_count(len(models))
        for label, (key, best_of) in keys.items():
            values = {name: figures[key] for name, figures in models.items() if key in figures}
            assert values, key
            for name, value in values.items():
                head = page.get_by_role("rowheader", name=label + features_of(models[name], key), exact=True)
                row = card(page, name).locator("tr").filter(has=head)
                is_best = best_of is not None and len(values) > 1 and value == best_of(values.values())
                cells = row.locator("td")
                expect(cells.nth(0)).to_have_text(
                    told(value) + (" (best of the models of this data set)" if is_best else "")
                )
                expect(cells.nth(1)).to_have_text(
                    told(models[name][f"{key}_real"]) if f"{key}_real" in models[name] else "–"
                )
        settle(visit)
        assert visit.faults == []


def test_the_best_is_marked_among_models_of_one_data_set_and_features(browser: Browser, service: Service) -> None:
    digits = {"modes": 10.0}
    told_by = {
        "conv": {"dataset": "MNIST", "evaluation": {"frechet": 4.0, **digits}},
        "digits": {"dataset": "MNIST", "evaluation": {"frechet": 5.0, **digits}},
        "mnist-conv": {"dataset": "MNIST", "evaluation": {"frechet": 3.0}},  # other features
        "rgb": {"dataset": "MNIST", "evaluation": {"frechet": 2.0, **digits}},  # images of another size
        "three": {"dataset": "faces", "evaluation": {"frechet": 1.0, **digits}},
    }

    def answer(route: Route) -> None:
        details = route.fetch().json()
        details["metadata"] |= told_by[details["name"]]
        route.fulfill(json=details)

    with Visit(browser, service.url) as visit:
        visit.page.route("**/v1/models/*", answer)
        page = open_page(visit, service.url, view="models")
        for name in told_by:
            expect(card(page, name).locator("td.winner")).to_have_count(1 if name == "conv" else 0)
        expect(card(page, "conv").locator("td.winner")).to_have_text("4 (best of the models of this data set)")
        settle(visit)
        assert visit.faults == []


def test_a_figure_better_than_that_of_real_images_is_explained(browser: Browser, trained: Service) -> None:
    models = {model["name"]: model["evaluation"] for model in ok(trained.client.get("/v1/models")).json()["models"]}
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="models")
        for name in ("mnist-mlp", "mnist-goodfellow2014-labels"):
            for key, words in {"precision": "Precision above", "parzen_ll": "A Parzen log-likelihood above"}.items():
                note = card(page, name).get_by_text(f"{words} that of real images")
                expect(note).to_have_count(int(models[name][key] > models[name][f"{key}_real"]))
            expect(card(page, name).get_by_text("In these figures D is the judge")).to_have_count(1)
        expect(card(page, "silent").get_by_text("In these figures D is the judge")).to_have_count(0)
        page.locator("[data-view=judge]").click()
        expect(page.locator("#judge-who")).to_be_visible()
        page.locator("#model").select_option("silent")
        expect(page.locator("#judge-who")).to_be_hidden()
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_from_a_card_to_drawing_and_watching(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="draw", model="digits", seed=3, digit=2)
        page.locator("[data-view=models]").click()
        card(page, "rgb").get_by_role("button", name="Draw with this model").click()
        expect(page.locator("#draw")).to_be_visible()
        expect(page.locator("#model")).to_have_value("rgb")
        expect_in_address(page, "model", "rgb")
        expect_in_address(page, "view", "draw")
        wanted = rgb(sample(service.client, model="rgb", seed=3))
        canvas = page.locator("#inspector canvas")
        until(page, lambda: np.array_equal(canvas_pixels(canvas), wanted), "Draw shows the model's image")
        expect(page.locator("#status")).to_have_text("")
        settle(visit)
        page.go_back()
        expect(page.locator("#models")).to_be_visible()
        expect(page.locator("#model")).to_have_value("digits")
        card(page, "three").get_by_role("button", name="Watch it learn").click()
        expect(page.locator("#run-text")).to_contain_text("three: recipe")
        expect(page.locator("#model")).to_have_value("three")
        expect_in_address(page, "view", "learn")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_a_model_that_is_not_there(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, model="truncated")
        expect(page.locator("#status")).to_have_text(
            "There is no usable model “truncated”; the default “mnist-conv” is shown instead."
        )
        expect(page.locator("#model")).to_have_value("mnist-conv")
        expect(page.locator("#inspector figcaption")).to_have_text("Image 0 of seed 7")
        assert visit.faults == []


def test_a_card_is_text_with_all_of_its_content(browser: Browser, trained: Service) -> None:
    text = ok(trained.client.get("/v1/models/mnist-mlp")).json()["card"]
    words = re.findall(r"[^\W_]+", re.sub(r"\(https?://\S+\)", "", text))
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="models")
        card(page, "mnist-mlp").get_by_text("Model card").click()
        shown = card(page, "mnist-mlp").locator(".model-card")
        assert re.findall(r"[^\W_]+", shown.inner_text()) == words
        expect(shown.get_by_role("heading", name="Figures")).to_be_visible()
        expect(shown.get_by_role("cell", name="Fréchet distance").first).to_be_visible()
        assert not re.search(r"^#|\|--|\*\*|`", shown.inner_text(), re.MULTILINE)
        assert shown.evaluate("one => one.scrollHeight <= one.clientHeight + 1")  # nothing is cut off
        assert visit.overflow() == 0
        assert visit.faults == []


def test_markdown_from_elsewhere_is_text(browser: Browser, service: Service) -> None:
    script = """async text => {
        const { rendered } = await import(new URL("static/playground/markdown.js", document.baseURI));
        const whole = document.createElement("div");
        whole.append(...rendered(text));
        return whole.innerHTML;
    }"""
    cases = {
        "<script>alert(1)</script> <b>x</b>": "<p>&lt;script&gt;alert(1)&lt;/script&gt; &lt;b&gt;x&lt;/b&gt;</p>",
        "[x](javascript:alert(1))": "<p>[x](javascript:alert(1))</p>",
        "[x](https://a.test/b)": '<p><a rel="noreferrer" href="https://a.test/b">x</a></p>',
        "# A\r\nb **c** `d|e`": "<h4>A</h4><p>b <strong>c</strong> <code>d|e</code></p>",
        "```\n# not a heading\n": '<pre tabindex="0"># not a heading\n</pre>',
        "- a\n  b\n- c": "<ul><li>a\nb</li><li>c</li></ul>",
        "1. a\n2. b": "<p>1. a\n2. b</p>",
        "| a | b |\n|---|:-:|\n| 1 | 2 |": "<table><thead><tr><th>a</th><th>b</th></tr></thead>"
        "<tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
        "| a | b |\n|---|---|\n| `1|2` | 3\\|4 |": "<table><thead><tr><th>a</th><th>b</th></tr></thead>"
        "<tbody><tr><td><code>1|2</code></td><td>3|4</td></tr></tbody></table>",
        "| a |  |\n|---|---|\n| | ` |": "<table><thead><tr><th>a</th><th></th></tr></thead>"
        "<tbody><tr><td></td><td>`</td></tr></tbody></table>",
        "[x](https://a.test/b_(c)), y": '<p><a href="https://a.test/b_(c)" rel="noreferrer">x</a>, y</p>',
        "": "",
    }
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="models")
        for text, wanted in cases.items():
            html = page.evaluate(script, text).replace(
                'href="https://a.test/b" rel="noreferrer"', 'rel="noreferrer" href="https://a.test/b"'
            )
            assert html == wanted, text
        assert visit.faults == []


def test_no_sentence_says_that_no_g_is_better(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="models")
        expect(page.locator("#models .lede")).to_contain_text("for comparison")
        assert "no G can" not in page.locator("body").inner_text()


@pytest.mark.slow
def test_a_picture_that_fails_is_asked_for_again(browser: Browser, service: Service) -> None:
    tries = 0

    def answer(route: Route) -> None:
        nonlocal tries
        tries += "rgb" in route.request.url
        if "rgb" in route.request.url and tries == 1:
            route.fulfill(status=429, json={"detail": "no luck"})
        else:
            route.continue_()

    with Visit(browser, service.url) as visit:
        visit.page.route("**/v1/samples?*", answer)
        page = open_page(visit, service.url, view="models")
        picture = card(page, "rgb").locator("img")
        card(page, "rgb").scroll_into_view_if_needed()
        until(page, lambda: tries == 2, "it is asked for again")
        expect(card(page, "rgb").locator(".picture .hint")).to_be_hidden()
        expect(picture).to_be_visible()
        assert image_pixels(picture).any()


def test_a_number_is_in_one_line(browser: Browser, trained: Service) -> None:
    lines = """cell => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return Math.round(range.getBoundingClientRect().height / parseFloat(getComputedStyle(cell).lineHeight));
    }"""
    with Visit(browser, trained.url) as visit:
        page = open_page(visit, trained.url, view="models")
        page.locator("#cards").evaluate("cards => { cards.style.maxWidth = '16rem'; }")  # a narrow card
        cells = card(page, "mnist-mlp").locator("> table td:nth-child(2)").all()
        assert len(cells) > 5
        assert [cell.evaluate(lines) for cell in cells] == [1] * len(cells)
        settle(visit)
