"""Photos in the view "Judge" in a real Chromium: the found box, its corners, the stages, and reasons."""

import base64
import io
import json
import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, FilePayload, Locator, Page, Request, expect

from harness.service import Service
from tests.app.checks import TURN_TO_FILE, pixels
from tests.app.playground import (
    expect_opinion,
    frames,
    hold,
    image_pixels,
    ok,
    open_page,
    rgb,
    score_of,
    settle,
    told,
    until,
)
from tests.browser import Scheme, Visit, needs_chromium

pytestmark = needs_chromium

SIZE = (480, 320)
SEVEN = [(250, 90), (330, 90), (280, 230)]
"""Corners of the digit on the photo of `photo()`, in its pixels."""
INK = (240, 80, 340, 240)
"""Where its ink is at most: left, top, right, bottom."""


CLS = """() => {
    window.shifts = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
    }).observe({ type: "layout-shift" });
}"""


THREE = (-190, -40, 100)
"""Where the digits of a picture of three digits are."""


def photo(*places: int, size: tuple[int, int] = SIZE, ink: bool = True) -> Image.Image:
    """Draw a seven in felt pen on grey paper, moved to the right by each of `places` pixels; once by default."""
    image = Image.new("RGB", size, (196, 193, 180))
    pen = ImageDraw.Draw(image)
    for right in places or (0,):
        if ink:
            pen.line([(x + right, y) for x, y in SEVEN], fill=(40, 40, 60), width=14, joint="curve")
    return image


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def payload(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "image/jpeg" if name.endswith("jpg") else "image/png", "buffer": content}


def choose(page: Page, *files: FilePayload) -> None:
    page.locator("#files").set_input_files(list(files))


def result_of(client: httpx.Client, content: bytes, **query: str) -> dict[str, object]:
    """Return the API's only result for a file, with the steps of its preparation."""
    files = [("files", ("it.png", content, "image/png"))]
    (result,) = ok(client.post("/v1/score", params={"steps": "true", **query}, files=files)).json()["results"]
    return dict(result)


def box_on(page: Page) -> list[float]:
    """Return the box on the photo as a person sees it: the place of its line on screen, in the photo's pixels."""
    return list(
        page.locator("#photo").evaluate(
            """frame => {
                const image = frame.querySelector("img");
                const outer = frame.getBoundingClientRect();
                const inner = frame.querySelector("rect.line.chosen").getBoundingClientRect();
                const [width, height] = [image.naturalWidth, image.naturalHeight];
                const scale = Math.max(width, height) / outer.width;
                const [left, top] = [width, height].map((side) => (Math.max(width, height) - side) / 2);
                const x = (side) => (side - outer.left) * scale - left;
                const y = (side) => (side - outer.top) * scale - top;
                return [x(inner.left), y(inner.top), x(inner.right), y(inner.bottom)];
            }"""
        )
    )


def expect_box(page: Page, box: object, off: float = 4) -> None:
    """Wait until the box on the photo is at these pixels; a line is up to `off` pixels of the photo thick."""
    expect(page.locator("#photo rect.line.chosen")).to_be_visible()
    until(
        page, lambda: np.allclose(box_on(page), np.array(box, float), atol=off), f"the box is {box}, not {box_on(page)}"
    )


def split_three_digits(page: Page) -> Locator:
    """Choose a picture of three digits, let each be scored, and return their thumbnails."""
    choose(page, payload("three.png", file_of(photo(*THREE))))
    page.get_by_role("button", name="Score each digit").click()
    thumbnails = page.locator("#judged-list button")
    expect(thumbnails).to_have_count(3)
    return thumbnails


def corner(page: Page, name: str) -> Locator:
    return page.get_by_role("slider", name=f"{name} corner of the box")


def place_of(page: Page, x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the photo of `photo()` is on screen."""
    frame = page.locator("#photo").bounding_box()
    assert frame is not None
    scale = frame["width"] / max(SIZE)
    top = (max(SIZE) - SIZE[1]) / 2
    return frame["x"] + x * scale, frame["y"] + (y + top) * scale


def drag(page: Page, start: tuple[float, float], end: tuple[float, float], *, lift: bool = True) -> None:
    """Drag from one pixel of the photo to another with the mouse."""
    page.mouse.move(*place_of(page, *start))
    page.mouse.down()
    page.mouse.move(*place_of(page, *end), steps=5)
    if lift:
        page.mouse.up()


def box_of(text: str | None) -> list[int]:
    """Return the place of a corner from what a screen reader says of it: x and y."""
    found = re.fullmatch(r"(\d+) of \d+ pixels from the left, (\d+) of \d+ from the top", text or "")
    assert found, text
    return [int(found[1]), int(found[2])]


def edited(page: Page) -> list[int]:
    """Return the box that the corners tell: left, top, right, bottom."""
    top_left = box_of(corner(page, "Top left").get_attribute("aria-valuetext"))
    bottom_right = box_of(corner(page, "Bottom right").get_attribute("aria-valuetext"))
    return top_left + bottom_right


def cut_of(image: Image.Image, box: list[int]) -> bytes:
    return file_of(image.crop((box[0], box[1], box[2], box[3])))


def expect_judged(page: Page, client: httpx.Client, content: bytes, **query: str) -> None:
    """Wait until the page shows what the API says of a file: D's opinion, or why there is none."""
    result = result_of(client, content, **query)
    if result["found"]:
        expect_opinion(page.locator("#verdict"), score_of(client, content, **query))
    else:
        expect(page.locator("#verdict")).to_have_text(f"D did not judge this: {result['reason']}.")


def score_calls(visit: Visit) -> list[dict[str, list[str]]]:
    """Return a list that gets the parameters of each call for scores from now on."""
    calls: list[dict[str, list[str]]] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).path.endswith("/v1/score"):
            calls.append(parse_qs(urlsplit(request.url).query))

    visit.page.on("request", note)
    return calls


def test_a_photo_with_its_box_and_stages(browser: Browser, service: Service) -> None:
    content = file_of(photo())
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        calls = score_calls(visit)
        choose(page, payload("seven.png", content))
        result = result_of(service.client, content)
        expect_opinion(page.locator("#verdict"), score_of(service.client, content))
        expect_box(page, result["box"])
        left, top, right, bottom = box_on(page)
        assert INK[0] - 8 < left < SEVEN[0][0], "the box is where the ink is"
        assert SEVEN[1][0] < right < INK[2] + 8
        assert INK[1] - 8 < top < SEVEN[0][1]
        assert SEVEN[2][1] < bottom < INK[3] + 8
        shown = page.get_by_alt_text("Your image: seven.png")
        assert (shown.get_attribute("src") or "").startswith("blob:")
        assert np.array_equal(image_pixels(shown), np.asarray(photo()))
        assert page.evaluate("url => fetch(url).then(() => true, () => false)", shown.get_attribute("src")) is False
        visit.faults.clear()  # that fetch of a URL that is revoked
        expect(page.locator("#pad")).to_be_hidden()
        expect(page.locator("#photo-hint")).to_have_text("If the box is wrong, drag a corner.")

        stages = page.locator(".stages li")
        steps = list(result["steps"])  # type: ignore[call-overload]
        assert len(steps) > 1
        expect(stages.locator("figcaption")).to_have_text([step["words"] for step in steps])
        for k, step in enumerate(steps):
            stage = image_pixels(stages.nth(k).get_by_alt_text(step["name"]))
            assert np.array_equal(stage, rgb(pixels(base64.b64decode(step["png"]))))
        assert [call.get("steps") for call in calls] == [["true"]]
        assert visit.overflow() == 0
        assert visit.serious_findings() == []
        settle(visit)
        assert visit.faults == []


@pytest.mark.parametrize(
    ("kind", "orientation"),
    [
        ("WEBP", 6),
        *(
            pytest.param(kind, orientation, marks=pytest.mark.slow)
            for kind, orientations in {"JPEG": (1, 3, 6, 8), "PNG": (1, 3, 6, 8), "WEBP": (1, 2, 3, 4, 5, 7, 8)}.items()
            for orientation in orientations
        ),
    ],
)
def test_the_box_of_a_photo_that_was_taken_sideways(
    browser: Browser, service: Service, kind: str, orientation: int
) -> None:
    """The page shows the pixels that the service judges, also where the browser itself does not turn them."""
    turn = TURN_TO_FILE[orientation]
    turned = photo() if turn is None else photo().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = file_of(turned, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        choose(page, payload(f"seven.{kind.lower()}", content))
        expect_box(page, result_of(service.client, content)["box"])
        expect_box(page, [SEVEN[0][0], SEVEN[0][1], SEVEN[1][0], SEVEN[2][1]], off=12)
        assert page.locator("#photo svg").get_attribute("viewBox") == f"0 0 {SIZE[0]} {SIZE[1]}"
        shown = image_pixels(page.locator("#photo img")).astype(float)
        assert np.abs(shown - np.asarray(photo())).max() < (60 if kind == "JPEG" else 1)
        left, top, *_ = edited(page)
        drag(page, (left, top), (220, 60))  # the cut is upright, too
        expect(page.locator("#photo-hint")).to_have_text("D judges what is in your box.")
        settle(visit)
        seen = image_pixels(page.get_by_alt_text("What D sees"))[..., 0].astype(float)
        rows = seen.sum(axis=1)
        assert rows[4:9].max() > 1.5 * rows[12:20].max(), "the bar of the seven is at the top"
        assert visit.faults == []


@pytest.mark.parametrize(
    "kind", ["GIF", pytest.param("PNG", marks=pytest.mark.slow), pytest.param("WEBP", marks=pytest.mark.slow)]
)
def test_an_animation_shows_the_picture_that_is_judged(browser: Browser, service: Service, kind: str) -> None:
    """It is played once: a browser would show its last picture, which is blank."""
    blank = Image.new(photo().mode, photo().size, 255)
    more = {"lossless": True} if kind == "WEBP" else {}
    content = file_of(photo(), kind, save_all=True, append_images=[blank], duration=20, loop=1, **more)
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        frame = page.locator("#photo")
        pictures = []
        for name, data in {"still.png": file_of(photo()), f"seven.{kind.lower()}": content}.items():
            choose(page, payload(name, data))
            expect_box(page, result_of(service.client, data)["box"])
            page.mouse.move(0, 0)
            page.wait_for_timeout(300)
            pictures.append(np.asarray(Image.open(io.BytesIO(frame.screenshot())).convert("L")).astype(int))
        assert np.abs(pictures[0] - pictures[1]).mean() < 1
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("place", ["files", "camera"])
def test_a_photo_that_is_chosen_before_the_script_is_there(browser: Browser, service: Service, place: str) -> None:
    content = file_of(photo())
    with Visit(browser, service.url) as visit:
        held = hold(visit.page, "**/views/judge.js")
        visit.page.goto(f"{service.url}/?view=judge")
        until(visit.page, lambda: bool(held), "the script of the view is asked for")
        visit.page.locator(f"#{place}").set_input_files(payload("seven.png", content))
        calls = score_calls(visit)
        held[0].continue_()
        expect_opinion(visit.page.locator("#verdict"), score_of(service.client, content))
        expect_box(visit.page, result_of(service.client, content)["box"])
        settle(visit)
        assert len(calls) == 1
        visit.page.get_by_role("link", name="Walk").click()
        settle(visit)
        visit.page.get_by_role("link", name="Judge").click()
        settle(visit)
        assert len(calls) == 1


def test_a_corner_is_dragged(browser: Browser, service: Service) -> None:
    content = file_of(photo())
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        choose(page, payload("seven.png", content))
        found = score_of(service.client, content)
        verdict = page.locator("#verdict")
        expect_opinion(verdict, found)
        box = result_of(service.client, content)["box"]
        expect_box(page, box)
        again = page.get_by_role("button", name="Use the found box again")
        expect(again).to_be_hidden()
        assert isinstance(box, list)
        drag(page, (box[2], box[3]), (box[2] - 30, box[3] + 40))
        mine = edited(page)
        assert mine[:2] == box[:2]
        assert np.allclose(mine[2:], [box[2] - 30, box[3] + 40], atol=3)
        expect_judged(page, service.client, cut_of(photo(), mine))
        expect_box(page, mine)
        expect(page.locator("#photo rect.line.own")).to_have_count(1)  # it is dashed, so colour is not all that differs
        expect(page.locator(".stages li")).not_to_have_count(0)
        again.click()
        expect_opinion(verdict, found)
        expect_box(page, box)
        expect(again).to_be_hidden()
        expect(page.locator("#photo rect.line.own")).to_have_count(0)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_escape_and_a_click_change_no_box(browser: Browser, service: Service) -> None:
    content = file_of(photo())
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        choose(page, payload("seven.png", content))
        expect(page.locator("#photo rect.line.chosen")).to_be_visible()
        settle(visit)
        calls = score_calls(visit)
        before = edited(page)
        for start in ((before[0], before[1]), (30, 30)):  # a corner, and a new box
            drag(page, start, (120, 150), lift=False)
            assert edited(page) != before
            page.keyboard.press("Escape")
            assert edited(page) == before
            page.mouse.up()
        page.mouse.click(*place_of(page, 40, 300))
        corner(page, "Top left").focus()
        page.keyboard.press("ArrowLeft")
        assert edited(page) != before
        page.keyboard.press("Escape")
        assert edited(page) == before
        page.evaluate("() => new Promise(done => setTimeout(done, 800))")  # longer than the arrow keys may rest
        assert edited(page) == before
        assert calls == []
        assert visit.faults == []


def test_the_corners_have_keys(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        choose(page, payload("seven.png", file_of(photo())))
        expect(page.locator("#photo rect.line.chosen")).to_be_visible()
        settle(visit)
        calls = score_calls(visit)
        before = edited(page)
        handle = corner(page, "Bottom right")
        handle.focus()
        for key in ("ArrowRight", "Shift+ArrowRight", "ArrowDown", "ArrowUp", "Shift+ArrowUp"):
            page.keyboard.press(key)
        assert page.evaluate("scrollY") == 0  # the keys move the corner and do not scroll the page
        step = round(0.005 * max(SIZE))
        mine = [before[0], before[1], before[2] + 11 * step, before[3] - 10 * step]
        assert edited(page) == mine
        expect_judged(page, service.client, cut_of(photo(), mine))
        expect(handle).to_be_focused()
        assert len(calls) == 1, "D judges once the keys rest"
        for _ in range(60):
            page.keyboard.press("Shift+ArrowLeft")
        left, _, right, _ = edited(page)
        assert 0 < right - left < 0.03 * max(SIZE), "the box keeps a width"
        page.keyboard.press("Enter")  # at once
        until(page, lambda: len(calls) == 2, "D judges it")
        settle(visit)
        assert visit.serious_findings() == []
        assert visit.faults == []


def test_a_new_box_is_drawn_with_the_mouse(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        image = photo(-190, 0)
        choose(page, payload("two.png", file_of(image)))
        expect(page.locator("#photo rect.line.chosen")).to_be_visible()
        settle(visit)
        drag(page, (170, 270), (30, 60))
        mine = edited(page)
        assert np.allclose(mine, [30, 60, 170, 270], atol=3)
        expect_judged(page, service.client, cut_of(image, mine))
        page.locator("#model").select_option("conv")  # another model judges the same box
        expect_judged(page, service.client, cut_of(image, mine), model="conv")
        expect_box(page, mine)
        settle(visit)
        assert visit.faults == []


def test_a_finger_drags_a_corner_and_scrolls_elsewhere(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=390) as visit:
        page = open_page(visit, service.url, view="judge")
        page.set_viewport_size({"width": 390, "height": 844})
        choose(page, payload("seven.png", file_of(photo())))
        expect(page.locator("#photo rect.line.chosen")).to_be_visible()
        settle(visit)
        before = edited(page)
        touch = page.context.new_cdp_session(page)

        def swipe(start: tuple[float, float], end: tuple[float, float]) -> None:
            (x, y), (to_x, to_y) = place_of(page, *start), place_of(page, *end)
            places = [(x + (to_x - x) * k / 5, y + (to_y - y) * k / 5) for k in range(6)]
            kinds = ["touchStart"] + ["touchMove"] * 5
            for kind, (at_x, at_y) in zip(kinds, places, strict=True):
                touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": at_x, "y": at_y}]})
            touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
            frames(page, 5)

        swipe((before[0], before[1]), (before[0] - 60, before[1] - 60))
        assert page.evaluate("scrollY") == 0
        mine = edited(page)
        assert np.allclose(mine, [before[0] - 60, before[1] - 60, *before[2:]], atol=6)
        expect_judged(page, service.client, cut_of(photo(), mine))
        swipe((60, 160), (60, 20))
        until(page, lambda: page.evaluate("scrollY") > 20, "the page has moved")
        assert edited(page) == mine
        assert visit.overflow() == 0
        assert visit.serious_findings() == []
        settle(visit)
        assert visit.faults == []


def test_nothing_is_found(browser: Browser, service: Service) -> None:
    content = file_of(photo(ink=False))
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        choose(page, payload("paper.png", content))
        result = result_of(service.client, content)
        assert result["found"] is False
        words = f"D did not judge this: {result['reason']}."
        expect(page.locator("#verdict")).to_have_text(words)
        expect(page.locator("#announcer")).to_have_text(words)
        expect(page.locator("#photo img")).to_be_visible()
        expect(page.get_by_role("button", name="Find G’s nearest image")).to_have_count(0)
        expect(page.get_by_role("button", name="Score each digit")).to_have_count(0)
        expect(page.locator("#photo-hint")).to_have_text("Drag the dashed box’s corners to a digit.")
        mine = edited(page)
        assert visit.serious_findings() == []
        calls = score_calls(visit)
        corner(page, "Top left").press("Enter")  # the box as it is
        until(page, lambda: len(calls) == 1, "D judges it")
        settle(visit)
        assert edited(page) == mine
        expect(page.locator("#verdict")).to_contain_text("D did not judge this: ")
        expect(page.get_by_role("button", name="Use the found box again")).to_be_hidden()  # there is none

        choose(
            page,
            payload("paper.png", content),
            payload("seven.png", file_of(photo())),
            payload("three.png", file_of(photo(*THREE))),
        )
        thumbnails = page.locator("#judged-list button")
        expect(thumbnails).to_have_count(3)
        expect(thumbnails.nth(2)).to_have_text(re.compile("several digits"))
        expect(thumbnails.first).to_have_text(re.compile("none found"))
        expect(page.locator("#verdict")).to_have_text(words)
        thumbnails.nth(1).click()
        expect(thumbnails.nth(1)).to_have_attribute("aria-pressed", "true")
        expect_opinion(page.locator("#verdict"), score_of(service.client, file_of(photo())))
        expect(page.locator("#photo img")).to_have_attribute("alt", "Your image: seven.png")
        expect(page.locator(".stages li")).not_to_have_count(0)  # they are asked for when it is shown
        settle(visit)
        assert visit.faults == []


def test_several_digits(browser: Browser, service: Service) -> None:
    content = file_of(photo(*THREE))
    files = [("files", ("it.png", content, "image/png"))]
    results = ok(service.client.post("/v1/score", params={"split": "true"}, files=files)).json()["results"]
    boxes = [result["box"] for result in results]
    assert len(boxes) == 3
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        choose(page, payload("three.png", content))
        verdict = page.locator("#verdict")
        expect(verdict).to_contain_text("D did not judge this: there are 3 digits in the picture.")
        expect(verdict).not_to_contain_text("split")
        page.get_by_role("button", name="Score each digit").click()
        numbers = page.locator("#photo").get_by_role("button", name=re.compile("^Digit"))
        expect(numbers).to_have_text(["1", "2", "3"])
        thumbnails = page.locator("#judged-list button")
        expect(thumbnails).to_have_text([re.compile(f"^{number}: 0") for number in (1, 2, 3)])
        opinions = thumbnails.all_inner_texts()
        first, second, third = (text.split(": ")[1] for text in opinions)
        probability = verdict.locator(".figures dd b").nth(1)
        expect(probability).to_have_text(first)
        expect_box(page, boxes[0])
        expect(page.locator("#photo-hint")).to_have_text("Digit 1 of 3. If the box is wrong, drag a corner.")
        page.mouse.click(*place_of(page, 394, 160))  # in the third box
        expect(probability).to_have_text(third)
        expect_box(page, boxes[2])
        for group in (numbers, thumbnails):
            pressed = group.evaluate_all("buttons => buttons.map(one => one.getAttribute('aria-pressed'))")
            assert pressed == ["false", "false", "true"]
        thumbnails.nth(1).click()
        expect(probability).to_have_text(second)
        expect_box(page, boxes[1])
        expect(page.locator(".stages li")).not_to_have_count(0)
        command = page.locator("#command input.code").input_value()
        assert "split=true" in command
        assert visit.serious_findings() == []
        drag(page, (boxes[1][0], boxes[1][1]), (boxes[1][0] - 20, boxes[1][1] - 20))
        expect(thumbnails.first).to_have_text(opinions[0])  # only the digit that was cut is judged anew
        page.get_by_role("button", name="Use the found box again").click()
        expect(thumbnails).to_have_text(opinions)
        settle(visit)
        assert visit.faults == []


@pytest.mark.parametrize("files", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_box_stays_with_its_own_subject(browser: Browser, service: Service, files: int) -> None:
    """An arrow key moves a corner; before its box is judged, another digit, or another file, is chosen."""
    image = photo(*THREE) if files == 1 else photo()
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        choose(page, payload("one.png", file_of(image)), *[payload("two.png", file_of(photo(-60)))][: files - 1])
        if files == 1:
            page.get_by_role("button", name="Score each digit").click()
        thumbnails = page.locator("#judged-list button")
        expect(thumbnails).to_have_count(3 if files == 1 else 2)
        expect(page.locator("#photo rect.line.chosen")).to_be_visible()
        settle(visit)
        thumbnails.last.click()
        settle(visit)
        other = edited(page), thumbnails.last.inner_text()
        thumbnails.first.click()
        settle(visit)
        corner(page, "Top left").focus()
        page.keyboard.press("Shift+ArrowLeft")
        mine = edited(page)
        thumbnails.last.click()
        settle(visit)
        page.evaluate("() => new Promise(done => setTimeout(done, 800))")  # longer than the arrow keys may rest
        settle(visit)
        assert (edited(page), thumbnails.last.inner_text()) == other
        expect(thumbnails.last).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#photo-hint")).not_to_contain_text("your box")
        thumbnails.first.click()
        expect(page.locator("#photo-hint")).to_contain_text("D judges what is in your box.")
        assert edited(page) == mine
        expect_judged(page, service.client, cut_of(image, mine))
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_another_file_is_chosen_while_digits_are_looked_for(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        choose(page, payload("three.png", file_of(photo(*THREE))), payload("seven.png", file_of(photo())))
        thumbnails = page.locator("#judged-list button")
        expect(thumbnails).to_have_count(2)
        settle(visit)
        held = hold(page, "**/v1/score?*split=true*")
        page.get_by_role("button", name="Score each digit").click()
        thumbnails.nth(1).click()
        expect(page.get_by_alt_text("Your image: seven.png")).to_be_visible()  # at once
        until(page, lambda: bool(held), "the digits are asked for")
        for route in held:
            route.continue_()
        expect(thumbnails).to_have_count(4)
        expect(page.get_by_alt_text("Your image: seven.png")).to_be_visible()
        expect(thumbnails.last).to_have_attribute("aria-pressed", "true")
        expect_judged(page, service.client, file_of(photo()))
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_a_single_digit_with_several_in_its_box_is_split_again(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        thumbnails = split_three_digits(page)
        settle(visit)
        drag(page, (10, 20), (470, 300))
        page.get_by_role("button", name="Score each digit").click()
        expect(page.locator("#photo-hint")).to_have_text("Digit 1 of 3. If the box is wrong, drag a corner.")
        expect(thumbnails).to_have_count(3)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_boxes_and_digits_are_there_again_after_no_preprocessing(browser: Browser, service: Service) -> None:
    image = photo(*THREE)
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        thumbnails = split_three_digits(page)
        thumbnails.nth(1).click()
        settle(visit)
        corner(page, "Top left").focus()
        page.keyboard.press("Shift+ArrowLeft")
        mine = edited(page)
        page.locator("#as-is").check()  # before the box has been judged
        expect(thumbnails).to_have_count(0)
        settle(visit)
        page.locator("#model").select_option("conv")
        settle(visit)
        page.locator("#as-is").uncheck()
        expect(thumbnails).to_have_count(3)
        expect(thumbnails.nth(1)).to_have_attribute("aria-pressed", "true")
        expect_judged(page, service.client, cut_of(image, mine), model="conv")
        assert edited(page) == mine
        settle(visit)
        calls = score_calls(visit)
        page.locator("#as-is").check()
        settle(visit)
        page.locator("#as-is").uncheck()
        expect(thumbnails).to_have_count(3)
        expect_judged(page, service.client, cut_of(image, mine), model="conv")
        settle(visit)
        assert [call["preprocess"] for call in calls] == [["none"]], "the results are kept, too"
        visit.faults[:] = [fault for fault in visit.faults if "422" not in fault]  # the photo is not of D's size
        assert visit.faults == []


@pytest.mark.slow
def test_digits_that_a_model_does_not_find_are_there_again_for_the_next_one(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        thumbnails = split_three_digits(page)
        expect(thumbnails).to_have_text([re.compile(f"^{number}: 0") for number in (1, 2, 3)])
        opinions = thumbnails.all_inner_texts()
        thumbnails.nth(2).click()
        settle(visit)
        corner(page, "Top left").focus()
        page.keyboard.press("Shift+ArrowLeft")
        again = page.get_by_role("button", name="Use the found box again")
        expect(again).to_be_visible()
        settle(visit)
        page.locator("#model").select_option("rgb")  # it takes the picture as one image
        expect(thumbnails.nth(1)).to_have_text(re.compile("^none found"))
        again.click()
        expect(thumbnails.nth(2)).to_have_text(re.compile("^none found"))
        expect(thumbnails.nth(2)).to_have_attribute("aria-pressed", "true")
        words = "D did not judge this: for this model, the picture has no digit 3."
        expect(page.locator("#verdict")).to_have_text(words)
        settle(visit)
        page.locator("#model").select_option("mnist-conv")
        expect(thumbnails).to_have_text(opinions)
        expect(thumbnails.nth(2)).to_have_attribute("aria-pressed", "true")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist-conv", "conv"])
def test_files_digits_and_boxes_are_there_again_after_a_drawing(browser: Browser, service: Service, name: str) -> None:
    image = photo(*THREE)
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        earlier = page.get_by_role("button", name="Earlier images")
        choose(page, payload("three.png", file_of(image)), payload("one.png", file_of(photo())))
        expect(page.locator("#judged-list button")).to_have_count(2)
        expect(earlier).to_be_hidden()
        page.get_by_role("button", name="Score each digit").click()
        thumbnails = page.locator("#judged-list button")
        expect(thumbnails).to_have_count(4)
        thumbnails.nth(1).click()
        settle(visit)
        corner(page, "Top left").focus()
        page.keyboard.press("Shift+ArrowLeft")
        mine = edited(page)
        page.get_by_role("button", name="Draw", exact=True).click()  # before the box has been judged
        expect(page.locator("#pad")).to_be_focused()
        expect(thumbnails).to_have_count(0)
        page.locator("#pad").click()
        page.locator("#as-is").check()
        page.locator("#model").select_option(name)
        settle(visit)
        page.get_by_role("button", name="Let G draw one").click()
        expect(page.locator("#photo")).to_be_visible()
        settle(visit)
        expect(earlier).to_have_attribute("title", "three.png, one.png")
        earlier.click()
        expect(thumbnails).to_have_count(4)
        expect(thumbnails.nth(1)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#as-is")).not_to_be_checked()
        expect_judged(page, service.client, cut_of(image, mine), model=name)
        assert edited(page) == mine
        earlier.click()
        expect(page.locator("#photo-hint")).to_have_text("D judges the whole image, as it is.")
        expect(earlier).to_be_visible()
        settle(visit)
        assert visit.faults == []


def test_a_drawing_asks_for_no_stages(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        calls = score_calls(visit)
        pad = page.locator("#pad").bounding_box()
        assert pad is not None
        page.mouse.move(pad["x"] + 80, pad["y"] + 60)
        page.mouse.down()
        page.mouse.move(pad["x"] + 90, pad["y"] + 200, steps=5)
        page.mouse.up()
        expect(page.locator("#verdict .opinion")).to_be_visible()
        settle(visit)
        assert calls
        assert all("steps" not in call and "split" not in call for call in calls)
        expect(page.locator("#photo")).to_be_hidden()
        expect(page.locator(".stages")).to_have_count(0)
        expect(page.locator("#command")).to_be_empty()
        choose(page, payload("seven.png", file_of(photo())))
        expect(page.locator("#photo rect.line.chosen")).to_be_visible()
        page.get_by_role("button", name="Draw", exact=True).click()  # back to the drawing, as it was
        expect(page.locator("#pad")).to_be_focused()
        expect(page.locator("#photo")).to_be_hidden()
        expect(page.locator("#verdict .opinion")).to_be_visible()
        expect(page.locator(".stages")).to_have_count(0)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_the_nearest_image_is_that_of_the_cut(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        choose(page, payload("seven.png", file_of(photo())))
        expect(page.locator("#photo rect.line.chosen")).to_be_visible()
        settle(visit)
        drag(page, (210, 60), (370, 260))
        expect(page.get_by_role("button", name="Use the found box again")).to_be_visible()
        settle(visit)
        mine = edited(page)
        page.get_by_role("button", name="Find G’s nearest image").click()
        nearest = page.get_by_alt_text("G’s nearest image")
        files = {"file": ("it.png", cut_of(photo(), mine), "image/png")}
        answer = ok(service.client.post("/v1/projections", files=files)).json()
        wanted = rgb(pixels(base64.b64decode(answer["png"])))
        until(page, lambda: np.array_equal(image_pixels(nearest), wanted), "the image nearest to the cut")

        words = "'seven.png': there is no ink in the picture, or it is too faint; send a picture of one digit"
        page.route("**/v1/projections?*", lambda route: route.fulfill(status=422, json={"detail": words}))
        page.get_by_role("button", name="Find G’s nearest image").click()
        expect(page.locator("#status.error")).to_have_text(f"That did not work: {words}")
        settle(visit)
        assert all("422" in fault for fault in visit.faults), visit.faults


def test_an_image_is_pasted(browser: Browser, service: Service) -> None:
    """Chromium itself pastes here what the page has put on the clipboard."""
    copy = """async data => {
        const blob = new Blob([Uint8Array.from(atob(data), letter => letter.charCodeAt(0))], { type: "image/png" });
        await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
    }"""
    content = file_of(photo())
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.evaluate(copy, base64.b64encode(content).decode())
        page.keyboard.press("Control+V")
        expect_opinion(page.locator("#verdict"), score_of(service.client, content))
        expect_box(page, result_of(service.client, content)["box"])
        expect(page.get_by_role("link", name="Save the image")).to_be_visible()  # the command needs it in a folder
        page.locator("#command input.code").focus()
        page.evaluate("navigator.clipboard.writeText('seven')")
        page.keyboard.press("Control+V")
        expect(page.locator("#status")).to_have_text("")
        page.locator("[data-view=models]").click()
        expect(page.locator("#models")).to_be_visible()
        calls = score_calls(visit)
        page.evaluate(copy, base64.b64encode(content).decode())
        page.keyboard.press("Control+V")
        settle(visit)
        assert calls == []
        assert visit.faults == []


def test_a_camera_is_offered_where_there_is_a_finger(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        expect(page.locator(".camera")).to_be_hidden()
    with Visit(browser, service.url, width=390) as visit:
        page = open_page(visit, service.url, view="judge")
        camera = page.get_by_label("Take a photo")
        expect(camera).to_be_visible()
        assert camera.get_attribute("capture") == "environment"
        assert camera.get_attribute("accept") == "image/*"
        content = file_of(photo(), "JPEG")
        with page.expect_file_chooser() as chooser:
            page.locator(".camera").tap()
        chooser.value.set_files(payload("IMG_1.jpg", content))
        expect_opinion(page.locator("#verdict"), score_of(service.client, content))
        settle(visit)
        assert visit.faults == []


def test_curl_scores_the_same_file(browser: Browser, prefixed_service: Service, tmp_path: Path) -> None:
    """The command also works for a name that means something to a shell or to curl, and behind a path prefix."""
    name = 'it\'s "a";b, c.png'
    content = file_of(photo())
    (tmp_path / name).write_bytes(content)
    with Visit(browser, prefixed_service.url) as visit:
        page = open_page(visit, f"{prefixed_service.url}/gan", view="judge")
        page.locator("#files").set_input_files(tmp_path / name)
        verdict = page.locator("#verdict")
        expect(verdict.locator(".figures dd b").first).to_be_visible()
        expect(page.get_by_role("link", name="Save the image")).to_be_hidden()
        settle(visit)
        logit = run_curl(page, tmp_path)["results"][0]["logit"]
        expect(verdict.locator(".figures dd b").first).to_have_text(told(logit))

        drag(page, (210, 60), (370, 260))
        expect(page.get_by_role("button", name="Use the found box again")).to_be_visible()
        settle(visit)
        link = page.get_by_role("link", name="Save the image")
        with page.expect_download() as info:
            link.click()
        info.value.save_as(tmp_path / (link.get_attribute("download") or ""))
        logit = run_curl(page, tmp_path)["results"][0]["logit"]
        expect(verdict.locator(".figures dd b").first).to_have_text(told(logit))
        assert visit.faults == []


def test_curl_finds_what_is_saved_under_its_name(browser: Browser, prefixed_service: Service, tmp_path: Path) -> None:
    """Browsers replace some characters in the name of a file that they save, and add an ending where there is none."""
    with Visit(browser, prefixed_service.url) as visit:
        page = open_page(visit, f"{prefixed_service.url}/gan", view="judge")
        logit = page.locator("#verdict .figures dd b").first

        def save_and_run() -> str:
            expect(logit).to_be_visible()
            settle(visit)
            with page.expect_download() as info:
                page.get_by_role("link", name="Save the image").click()
            info.value.save_as(tmp_path / info.value.suggested_filename)
            expect(logit).to_have_text(told(run_curl(page, tmp_path)["results"][0]["logit"]))
            return info.value.suggested_filename

        page.get_by_role("button", name="Let G draw one").click()
        assert re.fullmatch(r"image 0 of seed \d+\.png", save_and_run())
        choose(page, payload('.a: "b"? <c>|*~%d\\e.png', file_of(photo())))
        settle(visit)
        drag(page, (210, 60), (370, 260))
        expect(page.get_by_role("button", name="Use the found box again")).to_be_visible()
        assert save_and_run() == "_a_ _b__ _c_____d_e-cut.png"
        assert visit.faults == []


@pytest.mark.slow
def test_curl_scores_a_file_whose_name_is_a_dash(browser: Browser, prefixed_service: Service, tmp_path: Path) -> None:
    (tmp_path / "-").write_bytes(file_of(photo()))
    with Visit(browser, prefixed_service.url) as visit:
        page = open_page(visit, f"{prefixed_service.url}/gan", view="judge")
        page.locator("#files").set_input_files(tmp_path / "-")
        verdict = page.locator("#verdict")
        expect(verdict.locator(".figures dd b").first).to_be_visible()
        settle(visit)
        assert "@./-'" in page.locator("#command input.code").input_value()
        logit = run_curl(page, tmp_path)["results"][0]["logit"]
        expect(verdict.locator(".figures dd b").first).to_have_text(told(logit))
        assert visit.faults == []


def run_curl(page: Page, folder: Path) -> dict[str, list[dict[str, float]]]:
    """Run the command that the page offers in a shell, and return the service's answer."""
    command = page.locator("#command input.code").input_value()
    assert "/gan/v1/score?" in command
    subprocess.run(["sh", "-c", command], cwd=folder, check=True, capture_output=True, timeout=60)
    answer: dict[str, list[dict[str, float]]] = json.loads((folder / "score.json").read_text())
    return answer


def test_the_words_of_the_third_percentile(browser: Browser, service: Service) -> None:
    figures = """async varied => {
        const { opinion } = await import(new URL("static/playground/opinion.js", document.baseURI));
        const calibration = { real: [-1, 0, 1], generated: [-1, 0, 1] };
        const score = { logit: 0, probability: 0.5, percentile: { real: 12, generated: 34, varied } };
        const shown = opinion(score, calibration);
        const texts = (tag) => [...shown.querySelectorAll(tag)].map((one) => one.textContent);
        const [words, terms, values] = [texts(".verdict-words"), texts("dt"), texts("dd")];
        return [...words, ...terms.map((term, at) => `${term}: ${values[at]}`)];
    }"""
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        words, *told_figures = page.evaluate(figures, 56.7)
        assert "out of 100 real digits by other pens and scanners, 57;" in words
        assert "percentile, varied: 56.7 % of real digits by other pens and scanners have a lower D(x)" in told_figures
        words, *told_figures = page.evaluate(figures, None)
        assert "scanners" not in words
        assert len(told_figures) == 4
        assert visit.faults == []


@pytest.mark.parametrize(
    ("width", "height", "scheme"),
    [(1280, 900, "light"), (390, 844, "dark"), pytest.param(1280, 900, "dark", marks=pytest.mark.slow)],
)
def test_a_photo_and_its_opinion_are_on_one_screen(
    browser: Browser, service: Service, width: int, height: int, scheme: Scheme
) -> None:
    """A slow service does not move what is on screen: all that comes late has its place, or comes below."""
    with Visit(browser, service.url, width=width, scheme=scheme) as visit:
        visit.page.set_viewport_size({"width": width, "height": height})
        page = open_page(visit, service.url, view="judge")
        held = hold(page, "**/v1/score?*")
        choose(page, payload("seven.png", file_of(photo())))
        expect(page.locator("#verdict")).to_have_text("Waiting for D’s opinion …")
        page.evaluate(
            "() => new Promise(done => setTimeout(done, 600))"
        )  # an input excuses what moves so soon after it
        page.evaluate(f"({CLS})()")
        until(page, lambda: len(held) == 1, "it is asked for")
        held[0].continue_()
        expect(page.locator("#photo rect.line.chosen")).to_be_visible()
        settle(visit)
        frames(page, 5)
        assert page.evaluate("window.shifts") == 0
        on_screen = ["#photo", "#photo-hint", ".verdict-words strong", ".seen img"]
        if width > 1000:
            on_screen += ["#verdict .figures", ".stages", "#nearest", "#command", ".judge-files"]
        for selector in on_screen:
            box = page.locator(selector).first.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= height, selector
        photo_box = page.locator("#photo").bounding_box()
        assert photo_box is not None
        assert photo_box["width"] > 0.8 * min(width, 400)
        assert visit.overflow() == 0
        assert visit.serious_findings() == []
        assert visit.faults == []


def test_the_box_is_seen_in_forced_colours_and_by_tab(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        visit.page.emulate_media(forced_colors="active")
        page = open_page(visit, service.url, view="judge")
        choose(page, payload("seven.png", file_of(photo())))
        expect(page.locator("#photo rect.line.chosen")).to_be_visible()
        settle(visit)
        strokes = [
            page.locator(f"#photo rect.{kind}.chosen").evaluate("line => getComputedStyle(line).stroke")
            for kind in ("casing", "line")
        ]
        assert strokes[0] == "rgb(0, 0, 0)"
        assert strokes[1] != strokes[0], "a light line on a dark one is seen on every photo"
        page.locator("#judge-title").click()
        names = []
        for _ in range(4):
            page.keyboard.press("Tab")
            names.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
        assert names == [
            f"{name} corner of the box" for name in ("Top left", "Top right", "Bottom left", "Bottom right")
        ]
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        assert visit.faults == []
