"""The view "Judge" in a real Chromium: drawings and files, D's opinion, and G's nearest image."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from harness.service import Service
from tests.app.checks import pixels, png_bytes
from tests.app.playground import (
    asks,
    canvas_pixels,
    expect_in_address,
    expect_opinion,
    frames,
    hold,
    image_of,
    image_pixels,
    latent_of,
    mark_by_ticks,
    ok,
    open_page,
    parameters,
    rgb,
    run,
    score_of,
    settle,
    told,
    until,
)
from tests.browser import Scheme, Visit, needs_chromium

pytestmark = needs_chromium

SEVEN = [(0.25, 0.25), (0.75, 0.25), (0.45, 0.8)]


def draw(page: Page, corners: list[tuple[float, float]]) -> None:
    """Draw a line on the pad with the mouse. The corners are shares of the pad's width and height."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def pad_png(page: Page) -> bytes:
    data = page.locator("#pad").evaluate("canvas => canvas.toDataURL()")
    return base64.b64decode(data.partition(",")[2])


def picture(seed: int) -> NDArray[np.uint8]:
    """Draw a light stroke on a dark picture of D's size: another one for each seed."""
    top, bottom = np.random.default_rng(seed).integers(6, 22, 2)
    image = Image.new("L", (28, 28))
    ImageDraw.Draw(image).line([(int(top), 6), (14, 14), (int(bottom), 21)], fill=255, width=3, joint="curve")
    return np.asarray(image)


def payload(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/png", "buffer": content}


def seen(page: Page) -> Locator:
    return page.get_by_alt_text("What D sees")


def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file on the view, as a person would from a folder."""
    transfer = page.evaluate_handle(
        """([name, data]) => {
            const transfer = new DataTransfer();
            const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
            transfer.items.add(new File([bytes], name, { type: "image/png" }));
            return transfer;
        }""",
        [name, base64.b64encode(content).decode()],
    )
    page.locator("#drop").dispatch_event("dragover", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_have_class("drop over")
    page.locator("#drop").dispatch_event("drop", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_have_class("drop")


def test_a_drawing_is_judged_as_it_is_drawn(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        verdict = page.locator("#verdict")
        expect(verdict).to_contain_text("Nothing to judge yet.")
        empty = pad_png(page)
        draw(page, SEVEN)
        first = pad_png(page)
        strokes = pixels(first)[..., 0] > 128
        assert strokes[70, 140]  # where the pen went
        assert not strokes[200, 240]
        score = score_of(service.client, first)
        expect_opinion(verdict, score)
        expect(verdict.locator(".verdict-words strong")).to_have_text(
            [
                "D takes this for fake.",
                "D leans towards fake.",
                "D cannot tell whether this is real or fake.",
                "D leans towards real.",
                "D takes this for real.",
            ][int(np.digitize(score["D(x)"], [0.05, 0.4, 0.6, 0.95]))]
        )
        mark = mark_by_ticks(verdict.locator(".histogram"))
        arrow = verdict.locator(".mark-text").text_content() or ""
        if "◂" not in arrow and "▸" not in arrow:
            assert mark == pytest.approx(score["logit"], abs=0.05)

        draw(page, [(0.3, 0.5), (0.7, 0.5)])
        both = pad_png(page)
        assert both != first
        expect_opinion(verdict, score_of(service.client, both))
        page.get_by_role("button", name="Undo").click()
        assert pad_png(page) == first
        expect_opinion(verdict, score)
        page.get_by_role("button", name="Clear").click()
        assert pad_png(page) == empty
        expect(verdict).to_contain_text("Nothing to judge yet.")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_another_model_judges_the_same_drawing(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        draw(page, SEVEN)
        drawn = pad_png(page)
        expect_opinion(page.locator("#verdict"), score_of(service.client, drawn))
        page.locator("#model").select_option("conv")
        expect_opinion(page.locator("#verdict"), score_of(service.client, drawn, model="conv"))
        page.locator("[data-view=models]").click()
        expect(page.locator("#models")).to_be_visible()
        settle(visit)
        page.go_back()
        expect_opinion(page.locator("#verdict"), score_of(service.client, drawn, model="conv"))
        assert pad_png(page) == drawn
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_where_d_looks(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        draw(page, SEVEN)
        files = [("files", ("drawing.png", pad_png(page), "image/png"))]
        (result,) = ok(service.client.post("/v1/score?explain=true", files=files)).json()["results"]
        expect_opinion(page.locator("#verdict"), score_of(service.client, pad_png(page)))
        assert np.array_equal(image_pixels(seen(page)), rgb(pixels(base64.b64decode(result["input"]))))
        overlay = page.locator("#verdict img.overlay")
        assert overlay.get_attribute("src") == f"data:image/png;base64,{result['explanation']}"
        with Image.open(io.BytesIO(seen(page).screenshot())) as image:
            coloured = np.asarray(image.convert("RGB")).astype(int)
        assert np.ptp(coloured, axis=2).max() > 30  # orange or blue on grey
        assert overlay.bounding_box() == seen(page).bounding_box()
        page.get_by_label("Where D looks").uncheck()
        expect(overlay).to_be_hidden()
        with Image.open(io.BytesIO(seen(page).screenshot())) as image:
            plain = np.asarray(image.convert("RGB")).astype(int)
        assert np.ptp(plain[8:-8, 8:-8], axis=2).max() == 0
        draw(page, [(0.3, 0.5), (0.7, 0.5)])  # it stays off
        expect_opinion(page.locator("#verdict"), score_of(service.client, pad_png(page)))
        expect(overlay).to_be_hidden()
        page.get_by_label("Where D looks").check()
        expect(overlay).to_be_visible()
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_several_files(browser: Browser, service: Service) -> None:
    contents = [png_bytes(picture(seed)) for seed in range(3)]
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files([payload(f"{k}.png", content) for k, content in enumerate(contents)])
        thumbnails = page.locator("#judged-list button")
        expect(thumbnails).to_have_count(3)
        scores = [score_of(service.client, content) for content in contents]
        expect(thumbnails).to_have_text([told(score["D(x)"]) for score in scores])
        expect_opinion(page.locator("#verdict"), scores[0])
        for k in (2, 1):
            thumbnails.nth(k).click()
            expect_opinion(page.locator("#verdict"), scores[k])
            assert np.array_equal(image_pixels(seen(page)), image_pixels(thumbnails.nth(k).locator("img")))
        assert not np.array_equal(image_pixels(seen(page)), rgb(picture(1)))  # preprocessing changed it
        page.get_by_label("the images already have the model’s size").check()
        as_they_are = [score_of(service.client, content, preprocess="none") for content in contents]
        expect(thumbnails).to_have_text([told(score["D(x)"]) for score in as_they_are])
        thumbnails.nth(1).click()
        expect_opinion(page.locator("#verdict"), as_they_are[1])
        assert np.array_equal(image_pixels(seen(page)), rgb(picture(1)))

        page.get_by_role("button", name="Draw", exact=True).click()
        draw(page, SEVEN)  # a drawing replaces them, and is always preprocessed
        expect_opinion(page.locator("#verdict"), score_of(service.client, pad_png(page)))
        expect(thumbnails).to_have_count(0)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_a_file_is_dropped(browser: Browser, service: Service) -> None:
    content = png_bytes(picture(5))
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        drop(page, "dropped.png", content)
        expect_opinion(page.locator("#verdict"), score_of(service.client, content))
        page.get_by_label("the images already have the model’s size").check()
        expect_opinion(page.locator("#verdict"), score_of(service.client, content, preprocess="none"))
        page.get_by_label("the images already have the model’s size").uncheck()
        expect_opinion(page.locator("#verdict"), score_of(service.client, content))
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_what_is_no_image_is_told_in_the_services_words(browser: Browser, service: Service) -> None:
    files = [("files", ("notes.txt", b"seven", "text/plain"))]
    words = service.client.post("/v1/score", files=files).json()["detail"]
    assert "notes.txt" in words
    good = [payload(f"{k}.png", png_bytes(picture(k))) for k in range(2)]
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files(good)
        expect(page.locator("#judged-list button")).to_have_count(2)
        page.locator("#files").set_input_files(payload("notes.txt", b"seven"))
        expect(page.locator("#status.error")).to_contain_text(words)
        expect(page.locator("#verdict")).to_have_text("D could not judge this.")  # the earlier opinion is gone
        expect(page.locator("#judged-list button")).to_have_count(0)
        page.locator("#files").set_input_files([payload("one.png", png_bytes(picture(1)))] * 65)
        expect(page.locator("#status.error")).to_have_text("65 files are too many: choose at most 64.")
        page.locator("#files").set_input_files(good)
        expect(page.locator("#judged-list button")).to_have_count(2)
        expect(page.locator("#status")).to_have_text("")
        settle(visit)
        assert all("415" in fault for fault in visit.faults), visit.faults


def test_too_many_files_leave_those_before_them(browser: Browser, service: Service) -> None:
    content = png_bytes(picture(1))
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files(payload("one.png", content))
        expect_opinion(page.locator("#verdict"), score_of(service.client, content))
        page.locator("#files").set_input_files([payload("one.png", content)] * 65)
        expect(page.locator("#status.error")).to_have_text("65 files are too many: choose at most 64.")
        page.get_by_label("the images already have the model’s size").check()
        expect_opinion(page.locator("#verdict"), score_of(service.client, content, preprocess="none"))
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_no_opinion_of_another_image_or_model_is_shown(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        verdict = page.locator("#verdict")
        draw(page, SEVEN)
        drawn = pad_png(page)
        expect_opinion(verdict, score_of(service.client, drawn))
        settle(visit)
        held = hold(page, "**/v1/score?*")
        page.locator("#model").select_option("conv")
        expect(verdict).to_have_text("Waiting for D’s opinion …")
        held[0].fulfill(status=500, json={"detail": "no luck"})
        expect(verdict).to_have_text("D could not judge this.")
        expect(page.locator("#status.error")).to_contain_text("no luck")
        page.locator("[data-view=judge]").click()  # this tries again
        until(page, lambda: len(held) == 2, "it is asked for again")
        held[1].continue_()
        expect_opinion(verdict, score_of(service.client, drawn, model="conv"))
        page.locator("#files").set_input_files(payload("one.png", png_bytes(picture(1))))
        expect(verdict).to_have_text("Waiting for D’s opinion …")
        page.get_by_role("button", name="Draw", exact=True).click()
        page.get_by_role("button", name="Clear").click()
        page.unroute_all()  # lets the held requests continue
        settle(visit)
        expect(verdict).to_contain_text("Nothing to judge yet.")
        assert all("500" in fault for fault in visit.faults), visit.faults


@pytest.mark.slow
@pytest.mark.parametrize("busy", [False, True])
def test_a_new_input_does_not_wait_for_the_one_before(browser: Browser, service: Service, busy: bool) -> None:
    """The files before are given up, also while the page waits because the service is busy."""
    many = [payload(f"{k}.png", png_bytes(picture(k))) for k in range(8)]
    content = png_bytes(picture(1))
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        held = hold(page, "**/v1/score?*")
        page.locator("#files").set_input_files(many)
        until(page, lambda: len(held) == 1, "the files are judged")
        if busy:
            held[0].fulfill(status=429, headers={"Retry-After": "3600"}, json={"detail": "busy"})
            expect(page.locator("#status")).to_have_text("The service is busy. Trying again …")
        page.locator("#files").set_input_files(payload("one.png", content))
        until(page, lambda: len(held) == 2, "the one file is judged at once")
        held[1].continue_()
        expect_opinion(page.locator("#verdict"), score_of(service.client, content))
        expect(page.locator("#judged-list button")).to_have_count(0)
        expect(page.locator("#status")).to_have_text("")
        until(page, lambda: not visit.pending, "the first call has been given up")
        assert all("429" in fault for fault in visit.faults), visit.faults


@pytest.mark.slow
def test_what_is_found_stays_until_something_else_is_judged(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        draw(page, SEVEN)
        settle(visit)
        page.get_by_role("button", name="Find G’s nearest image").click()
        nearest = page.get_by_alt_text("G’s nearest image")
        expect(nearest).to_be_visible()
        page.locator(".skip").press("Enter")
        expect(page).to_have_url(re.compile("#main$"))
        settle(visit)
        expect(nearest).to_be_visible()
        page.locator("[data-view=judge]").click()
        settle(visit)
        expect(nearest).to_be_visible()
        page.go_back()
        settle(visit)
        expect(nearest).to_be_visible()
        draw(page, [(0.3, 0.5), (0.7, 0.5)])
        expect(nearest).to_have_count(0)
        settle(visit)
        assert visit.faults == []


def test_found_in_g_and_taken_to_draw(browser: Browser, service: Service) -> None:
    client = service.client
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        draw(page, SEVEN)
        drawn = pad_png(page)
        expect_opinion(page.locator("#verdict"), score_of(client, drawn))
        page.get_by_role("button", name="Find G’s nearest image").click()
        nearest = page.get_by_alt_text("G’s nearest image")
        expect(nearest).to_be_visible()
        answer = ok(client.post("/v1/projections", files={"file": ("drawing.png", drawn, "image/png")})).json()
        found = rgb(pixels(base64.b64decode(answer["png"])))
        assert np.array_equal(image_pixels(nearest), found)
        expect(page.locator("#found")).to_contain_text(
            f"{told(answer['distance']['mean_absolute'])} of 255 grey levels"
        )
        logits = [told(answer["score"][name]["logit"]) for name in ("projection", "input")]
        expect(page.locator("#found")).to_contain_text(
            f"D’s logit is {logits[0]} for this image and {logits[1]} for yours."
        )

        page.get_by_role("button", name="Edit its latent").click()
        expect(page.locator("#draw")).to_be_visible()
        canvas = page.locator("#inspector canvas")
        until(page, lambda: np.array_equal(canvas_pixels(canvas), found), "Draw shows what was found")
        expect(page.locator("#inspector figcaption")).to_have_text("Image of a custom latent")
        latent = np.array(answer["latent"], dtype=np.float32)
        assert np.array_equal(latent_of(parameters(page.url)["latent"]), latent)
        page.locator("#inspector [data-at='0']").focus()
        page.keyboard.press("End")
        changed = latent.copy()
        changed[0] = 3
        until(
            page, lambda: not np.array_equal(latent_of(parameters(page.url)["latent"]), latent), "the address follows"
        )
        until(page, lambda: np.array_equal(canvas_pixels(canvas), rgb(image_of(client, changed))), "it is changed")
        by_curl = run(client, page.locator("#inspector input.code").input_value())
        assert np.array_equal(pixels(by_curl)[::8, ::8], image_of(client, changed))
        page.get_by_role("button", name="Reset").click()
        until(page, lambda: np.array_equal(canvas_pixels(canvas), found), "it is as it was found")
        until(
            page,
            lambda: np.array_equal(latent_of(parameters(page.url).get("latent", "")), latent),
            "the address holds what is shown",
        )
        settle(visit)
        page.reload()
        until(page, lambda: np.array_equal(canvas_pixels(canvas), found), "and gives it again")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_all_that_judge_shows_is_for_everyone(browser: Browser, service: Service, width: int, scheme: Scheme) -> None:
    files = [payload(f"{k}.png", png_bytes(picture(k))) for k in range(2)]
    with Visit(browser, service.url, width=width, scheme=scheme) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files(files)
        page.get_by_role("button", name="Find G’s nearest image").click()
        expect(page.get_by_role("button", name="Edit its latent")).to_be_visible()
        assert visit.overflow() == 0
        assert visit.serious_findings() == []
        page.get_by_role("button", name="Edit its latent").click()
        expect(page.locator("#inspector .opinion")).to_be_visible()  # on a narrow screen it is a sheet over the grid
        assert visit.overflow() == 0
        assert visit.serious_findings() == []
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_what_is_found_for_another_file_is_not_shown(browser: Browser, service: Service) -> None:
    """If another file is chosen during a search, the result must not appear beside the wrong picture."""
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        held = hold(page, "**/v1/projections?*")
        page.locator("#files").set_input_files([payload(f"{k}.png", png_bytes(picture(k))) for k in range(2)])
        page.get_by_role("button", name="Find G’s nearest image").click()
        expect(page.locator("#found")).to_contain_text("Searching")
        until(page, lambda: len(held) == 1, "it is searched for")
        page.locator("#judged-list button").nth(1).click()
        with page.expect_response(lambda response: asks("/v1/projections")(response.request)):
            held[0].continue_()
        settle(visit)
        expect(page.locator("#found")).to_be_empty()
        page.get_by_role("button", name="Find G’s nearest image").click()
        until(page, lambda: len(held) == 2, "the other is searched for")
        held[1].continue_()
        expect(page.get_by_alt_text("G’s nearest image")).to_be_visible()
        assert visit.faults == []


@pytest.mark.slow
def test_a_digit_of_gs(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        with page.expect_request(asks("/v1/samples", n=1)) as info:
            page.get_by_role("button", name="Let G draw one").click()
        content = ok(service.client.get(info.value.url)).content
        expect_opinion(page.locator("#verdict"), score_of(service.client, content, preprocess="none"))
        assert np.array_equal(image_pixels(seen(page)), rgb(pixels(content)))
        expect_in_address(page, "view", "judge")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_drawn_with_a_finger(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=360) as visit:
        page = open_page(visit, service.url, view="judge")
        empty = pad_png(page)
        page.locator("#pad").scroll_into_view_if_needed()
        box = page.locator("#pad").bounding_box()
        assert box is not None
        touch = page.context.new_cdp_session(page)
        scrolled = page.evaluate("scrollY")
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in SEVEN]
        for kind, points in [("touchStart", places[:1]), ("touchMove", places[1:2]), ("touchMove", places[2:])]:
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        until(page, lambda: pad_png(page) != empty, "there is a stroke")
        assert page.evaluate("scrollY") == scrolled  # the finger draws and does not scroll the page
        strokes = pixels(pad_png(page))[..., 0] > 128
        for x, y in [(0.25, 0.25), (0.5, 0.25), (0.75, 0.25), (0.45, 0.8)]:
            assert strokes[int(y * 280), int(x * 280)], (x, y)
        expect_opinion(page.locator("#verdict"), score_of(service.client, pad_png(page)))
        assert visit.overflow() == 0
        settle(visit)
        assert visit.faults == []


def test_one_pointer_draws_at_a_time(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=360) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#pad").scroll_into_view_if_needed()
        box = page.locator("#pad").bounding_box()
        assert box is not None
        touch = page.context.new_cdp_session(page)

        def fingers(kind: str, *places: tuple[int, float, float]) -> None:
            (left, top), (width, height) = (box["x"], box["y"]), (box["width"], box["height"])
            points = [{"id": k, "x": left + x * width, "y": top + y * height} for k, x, y in places]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        fingers("touchStart", (0, 0.2, 0.2))
        fingers("touchStart", (0, 0.2, 0.2), (1, 0.8, 0.8))
        fingers("touchMove", (0, 0.4, 0.2), (1, 0.6, 0.8))
        fingers("touchMove", (0, 0.4, 0.2))  # the second finger lifts, and the first draws on
        fingers("touchMove", (0, 0.8, 0.2))
        fingers("touchEnd")
        page.locator("#pad").click(button="right", position={"x": 0.5 * box["width"], "y": 0.6 * box["height"]})
        page.locator("#pad").click(button="middle", position={"x": 0.5 * box["width"], "y": 0.6 * box["height"]})
        strokes = pixels(pad_png(page))[..., 0] > 128
        for share in (0.2, 0.3, 0.6, 0.8):
            assert strokes[int(0.2 * 280), int(share * 280)], share
        assert not strokes[int(0.3 * 280) :].any()
        settle(visit)
        assert visit.faults == []


def test_the_words_agree_with_the_figure(browser: Browser, service: Service) -> None:
    """For every D(x) and every calibration, the words do not say the opposite of the figure."""
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        words_of = """async ([probability, realMedian, generatedMedian, percent]) => {
            const { opinion } = await import(new URL("static/playground/opinion.js", document.baseURI));
            const spread = median => Array.from({ length: 101 }, (_, k) => median + (k - 50) / 10);
            const percentile = { real: percent, generated: percent };
            const score = { logit: Math.log(probability / (1 - probability)), probability, percentile };
            const calibration = { real: spread(realMedian), generated: spread(generatedMedian) };
            return opinion(score, calibration).querySelector(".verdict-words").textContent;
        }"""
        for probability in (0.01, 0.06, 0.25, 0.39, 0.5, 0.61, 0.9, 0.99):
            for median in (-3, 3):
                for percent in (0, 40, 100):
                    words = page.evaluate(words_of, [probability, median, median, percent])
                    said_fake, said_real = (re.search(f"(for|towards) {kind}[.] ", words) for kind in ("fake", "real"))
                    assert bool(said_fake) == (probability < 0.4), words
                    assert bool(said_real) == (probability > 0.6), words
                    assert ("too" in words) == ((probability < 0.4) == (median < 0) and abs(probability - 0.5) > 0.1)


@pytest.mark.slow
def test_the_same_file_can_be_chosen_again(browser: Browser, service: Service) -> None:
    """A browser reports only a change of the list of files, so the list must be empty before each choice."""
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files(payload("one.png", png_bytes(picture(1))))
        settle(visit)
        with page.expect_file_chooser():
            page.locator("#drop span").click()
        assert page.locator("#files").evaluate("input => input.files.length") == 0
        assert visit.faults == []


def test_a_drop_that_cannot_be_judged_is_told(browser: Browser, service: Service, tmp_path: Path) -> None:
    """Chromium itself drags here: it drops nothing where a page does not allow it."""
    file = tmp_path / "seven.png"
    file.write_bytes(png_bytes(picture(1)))
    text: dict[str, object] = {
        "items": [{"mimeType": "text/plain", "data": "https://example.com/seven.png"}],
        "files": [],
    }
    picture_file: dict[str, object] = {"items": [], "files": [str(file)]}
    beside = (picture_file, "To let D judge an image, open the view “Judge”, and drop it there.")
    for view, target, (data, words) in [
        ("judge", "#drop", (text, "That is no file. Save the image, and drop its file here.")),
        ("judge", "header.top h1", (picture_file, "")),  # it is judged
        ("draw", "#draw-title", beside),
    ]:
        with Visit(browser, service.url) as visit:
            page = open_page(visit, service.url, view=view)
            box = page.locator(target).bounding_box()
            assert box is not None
            place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
            mouse = page.context.new_cdp_session(page)
            for kind in ("dragEnter", "dragOver", "drop"):
                dragged = {**data, "dragOperationsMask": 1}
                mouse.send("Input.dispatchDragEvent", {"type": kind, **place, "data": dragged})
            expect(page.locator("#status")).to_have_text(words)
            if words == "":
                expect_opinion(page.locator("#verdict"), score_of(service.client, file.read_bytes()))
            settle(visit)
            assert visit.faults == []


def test_files_dropped_beside_the_target_do_not_leave_the_page(browser: Browser, service: Service) -> None:
    script = """([selector, type, data]) => {
        const dataTransfer = new DataTransfer();
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        dataTransfer.items.add(new File([bytes], "seven.png", { type: "image/png" }));
        const event = new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer });
        document.querySelector(selector).dispatchEvent(event);
        return event.defaultPrevented;
    }"""
    content = png_bytes(picture(1))
    data = base64.b64encode(content).decode()
    with Visit(browser, service.url) as visit:
        for view, selector in [("judge", "header.top"), ("judge", "html"), ("draw", "#grid"), ("models", "#models")]:
            page = open_page(visit, service.url, view=view)
            for kind in ("dragover", "drop"):
                assert page.evaluate(script, [selector, kind, data]), (view, selector, kind)
            if view == "judge":
                expect_opinion(page.locator("#verdict"), score_of(service.client, content))
                expect(page.locator("#status")).to_have_text("")
            else:
                words = "To let D judge an image, open the view “Judge”, and drop it there."
                expect(page.locator("#status")).to_have_text(words)
            settle(visit)
        page.locator("[data-view=judge]").click()
        settle(visit)
        page.locator("[data-view=draw]").click()
        assert page.evaluate(script, ["#grid", "drop", data])
        expect(page.locator("#status")).to_have_text(words)  # a view that was open before takes nothing
        assert visit.faults == []


def test_of_several_files_those_that_can_be_read_are_judged(browser: Browser, service: Service) -> None:
    refused = [payload("notes.png", b"seven"), payload('a "blank".png', b"")]
    good = [payload(f"{k}.png", png_bytes(picture(k))) for k in range(3)]
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files([refused[0], good[0], good[1], refused[1], good[2]])
        thumbnails = page.locator("#judged-list button")
        expect(thumbnails).to_have_count(5)
        expect(page.locator("#status.error")).to_have_text(
            'D could not judge “notes.png”, “a "blank".png”. Choose it below to see why.'
        )
        for place, k in ((1, 0), (2, 1), (4, 2)):
            if place > 1:
                thumbnails.nth(place).click()
            expect(thumbnails.nth(place)).to_have_attribute("aria-pressed", "true")  # at first the first that is good
            expect_opinion(page.locator("#verdict"), score_of(service.client, png_bytes(picture(k))))
        thumbnails.first.click()
        expect(thumbnails.first).to_have_text(re.compile("^refused"))
        words = service.client.post("/v1/score", files=[("files", ("notes.png", b"seven"))]).json()["detail"]
        expect(page.locator("#verdict")).to_have_text(f"D did not judge this: {words}.")
        page.locator("#files").set_input_files(refused)  # none is good
        expect(page.locator("#verdict")).to_have_text("D could not judge this.")
        expect(page.locator("#status.error")).to_have_text(f"That did not work: {words}")
        page.locator("#files").set_input_files(good)
        expect(thumbnails).to_have_count(3)
        expect(page.locator("#status")).to_have_text("")
        settle(visit)
        assert all("415" in fault or "422" in fault for fault in visit.faults), visit.faults


@pytest.mark.slow
def test_a_late_image_of_g_does_not_replace_what_a_person_does_meanwhile(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        held = hold(page, "**/v1/samples?*")
        for fails in (False, True):
            page.get_by_role("button", name="Let G draw one").click()
            until(page, lambda: len(held) == 1, "the image is asked for")
            draw(page, SEVEN)
            drawn = pad_png(page)
            expect_opinion(page.locator("#verdict"), score_of(service.client, drawn))
            if fails:
                held.pop().fulfill(status=500, json={"detail": "no luck"})
            else:
                held.pop().continue_()
            settle(visit)
            expect(page.locator("#pad")).to_be_visible()
            assert pad_png(page) == drawn
            expect_opinion(page.locator("#verdict"), score_of(service.client, drawn))
            expect(page.locator("#status")).to_have_text("")


@pytest.mark.parametrize("name", ["conv", "rgb"])
def test_d_judges_an_image_of_its_own_g(browser: Browser, service: Service, name: str) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        held = hold(page, "**/v1/samples?*")
        page.get_by_role("button", name="Let G draw one").click()
        until(page, lambda: len(held) == 1, "the image is asked for")
        page.locator("#model").select_option(name)
        expect_in_address(page, "model", name)
        held[0].continue_()
        until(page, lambda: len(held) == 2, "the chosen model's image is asked for")
        asked = parameters(held[1].request.url)
        assert asked["model"].startswith(f"{name}@")
        held[1].continue_()
        params = {key: asked[key] for key in ("model", "seed", "n")}
        image = ok(service.client.get("/v1/samples", params=params)).content
        expect_opinion(page.locator("#verdict"), score_of(service.client, image, model=name, preprocess="none"))
        assert np.array_equal(image_pixels(page.locator("#photo img")), rgb(pixels(image)))
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "again"), [("conv", False), ("rgb", True)])
def test_after_an_image_of_g_a_model_of_any_size_is_chosen(
    browser: Browser, service: Service, name: str, again: bool
) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        with page.expect_request("**/v1/samples?*") as asked:
            page.get_by_role("button", name="Let G draw one").click()
        query = {"seed": parameters(asked.value.url)["seed"], "n": "1"}
        first = ok(service.client.get("/v1/samples", params=query)).content
        expect_opinion(page.locator("#verdict"), score_of(service.client, first, preprocess="none"))
        page.locator("#model").select_option(name)
        image = ok(service.client.get("/v1/samples", params=query | {"model": name})).content if again else first
        expect_opinion(page.locator("#verdict"), score_of(service.client, image, model=name, preprocess="none"))
        settle(visit)
        assert np.array_equal(image_pixels(page.locator("#photo img")), rgb(pixels(image)))
        expect(page.locator("#status")).to_have_text("")
        assert visit.faults == []


def test_of_several_files_the_chosen_one_is_named_and_stays(browser: Browser, service: Service) -> None:
    contents = [png_bytes(picture(seed)) for seed in range(3)]
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files([payload(f"{k}.png", content) for k, content in enumerate(contents)])
        hint, thumbnails = page.locator("#photo-hint"), page.locator("#judged-list button")
        expect(hint).to_have_text(re.compile("^“0.png”: "))
        thumbnails.nth(2).focus()
        page.keyboard.press("Enter")
        expect(hint).to_have_text(re.compile("^“2.png”: "))
        expect(thumbnails.nth(2)).to_be_focused()
        page.locator("#model").select_option("conv")
        expect_opinion(page.locator("#verdict"), score_of(service.client, contents[2], model="conv"))
        expect(hint).to_have_text(re.compile("^“2.png”: "))
        page.get_by_label("the images already have the model’s size").check()
        query = {"model": "conv", "preprocess": "none"}
        expect_opinion(page.locator("#verdict"), score_of(service.client, contents[2], **query))
        expect(thumbnails.nth(2)).to_have_attribute("aria-pressed", "true")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_a_step_back_on_an_empty_pad_is_none(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        held = hold(page, "**/v1/samples?*")
        page.get_by_role("button", name="Let G draw one").click()
        until(page, lambda: len(held) == 1, "the image is asked for")
        for name in ("Undo", "Clear"):
            page.get_by_role("button", name=name).click()
        held[0].continue_()
        expect(page.locator("#verdict .opinion")).to_be_visible()
        expect(page.get_by_role("button", name="Undo")).to_be_hidden()


@pytest.mark.slow
def test_undo_right_after_clear_brings_the_drawing_back(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        for corners in (SEVEN, [(0.3, 0.5), (0.6, 0.5)]):
            draw(page, corners)
        drawn = pad_png(page)
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#verdict")).to_contain_text("Nothing to judge yet.")
        page.get_by_role("button", name="Undo").click()
        assert pad_png(page) == drawn
        expect_opinion(page.locator("#verdict"), score_of(service.client, drawn))
        page.get_by_role("button", name="Undo").click()
        assert pad_png(page) != drawn, "one line is left"
        page.get_by_role("button", name="Clear").click()
        draw(page, [(0.3, 0.5), (0.6, 0.5)])
        page.get_by_role("button", name="Undo").click()
        expect(page.locator("#verdict")).to_contain_text("Nothing to judge yet.")  # what was drawn since counts
        page.get_by_role("button", name="Undo").click()
        assert pad_png(page) not in (drawn, b""), "the one line is there again"
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_an_error_goes_once_the_same_thing_works(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        status = page.locator("#status")
        for name, calls, there in [
            ("Let G draw one", "**/v1/samples?*", page.locator("#verdict .opinion")),
            ("Find G’s nearest image", "**/v1/projections?*", page.get_by_alt_text("G’s nearest image")),
        ]:
            page.route(calls, lambda route: route.abort())
            page.get_by_role("button", name=name).click()
            expect(status).to_have_text("That did not work: the service does not answer; is it running?")
            page.unroute(calls)
            page.get_by_role("button", name=name).click()
            expect(there).to_be_visible()
            expect(status).to_have_text("")
        settle(visit)


@pytest.mark.slow
def test_a_file_that_is_deleted_after_it_was_chosen_is_told(browser: Browser, service: Service, tmp_path: Path) -> None:
    file = tmp_path / "gone.png"
    file.write_bytes(png_bytes(picture(1)))
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files(file)
        expect_opinion(page.locator("#verdict"), score_of(service.client, png_bytes(picture(1))))
        settle(visit)
        file.unlink()
        page.locator("#model").select_option("conv")
        words = "“gone.png” cannot be read: it is a folder, or the file has been moved, changed or deleted"
        expect(page.locator("#status.error")).to_have_text(f"That did not work: {words}")
        expect(page.locator("#verdict")).to_have_text("D could not judge this.")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_a_file_is_named_in_errors_as_it_is(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files({"name": 'my "7".png', "mimeType": "image/png", "buffer": b"seven"})
        status = page.locator("#status.error")
        expect(status).to_contain_text('my "7".png')
        expect(status).not_to_contain_text("%22")


def test_a_search_for_the_drawing_before_its_last_stroke_begins_anew(browser: Browser, service: Service) -> None:
    """D's opinion of the last stroke comes after the click: the nearest image is that of what D's opinion is of."""
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        draw(page, SEVEN)
        settle(visit)
        held = hold(page, "**/v1/score*")
        draw(page, [(0.3, 0.55), (0.7, 0.6)])
        until(page, lambda: bool(held), "the call for the last stroke")
        page.get_by_role("button", name="Find G’s nearest image").click()
        expect(page.locator("#found")).to_contain_text("for yours")
        before = page.locator("#found").inner_text()
        while held:  # each stroke is a call of its own, and the next one begins when this one has ended
            held.pop().continue_()
            frames(page, 5)
        until(page, lambda: page.locator("#found").inner_text() not in ("", before), "the search for the new drawing")
        expect(page.locator("#found")).to_contain_text("for yours")
        logit = page.locator("#verdict .figures dd b").first.inner_text()
        assert f"{logit} for yours" in page.locator("#found").inner_text()
