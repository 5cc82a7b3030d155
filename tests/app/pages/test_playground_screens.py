"""The playground on screens of all kinds: keyboards, fingers, telephones, paper, forced colours and slow networks."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from harness.service import Service
from harness.tiny_models import make_tiny_model_folder
from tests.app.playground import frames, open_page, parameters, settle
from tests.browser import Visit, needs_chromium
from tests.services import running

pytestmark = needs_chromium

FOCUSED = """() => {
    const { activeElement: at } = document;
    return at === document.body ? null : `${at.tagName} ${at.id} ${at.textContent} ${at.getAttribute("aria-label")}`;
}"""

CLS = """() => {
    window.shifts = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
}"""


@pytest.mark.parametrize(
    "view", ["draw", "judge", *(pytest.param(view, marks=pytest.mark.slow) for view in ("walk", "learn", "models"))]
)
def test_tab_leads_through_the_whole_page(browser: Browser, service: Service, view: str) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view=view, model="digits")
        if view == "draw":
            page.locator("#grid [data-index='2']").click()
            settle(visit)
        page.locator(".skip").focus()
        seen: list[str] = []
        for _ in range(120):
            page.keyboard.press("Tab")
            at = page.evaluate(FOCUSED)
            if at is None:
                break
            assert not seen or at != seen[-1], f"Tab stays at {at}"
            seen.append(at)
        else:
            pytest.fail(f"Tab never leaves the page: {seen[-5:]}")
        assert len(seen) > 10
        if view == "draw":
            assert any("z 0" in one for one in seen)
            assert "Copy" in seen[-1]


def test_typing_in_the_inspector_is_not_swallowed(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=360) as visit:
        page = open_page(visit, service.url, image=3)
        page.evaluate("addEventListener('keydown', ({ defaultPrevented }) => (window.swallowed = defaultPrevented))")
        page.locator("#inspector button").first.focus()
        for key in ("Tab", "a", "PageDown"):
            page.keyboard.press(key)
            assert page.evaluate("window.swallowed") is False, key
        page.keyboard.press("Escape")
        expect(page.locator("#inspector")).to_be_hidden()


def test_the_sheet_takes_the_focus_and_gives_it_back(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=390) as visit:
        page = open_page(visit, service.url)
        sheet, tile = page.locator("#inspector"), page.locator("#grid [data-index='2']")
        page.locator("#grid [data-index='0']").focus()
        page.keyboard.press("ArrowRight")  # goes on to the next image and stays in the grid
        expect(sheet).to_be_visible()
        page.keyboard.press("ArrowRight")
        expect(tile).to_be_focused()
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()
        expect(tile).to_be_focused()
        page.keyboard.press("Enter")
        close = sheet.get_by_role("button", name="Close")
        expect(close).to_be_focused()
        settle(visit)
        expect(page.locator("#inspector figcaption")).to_have_text("Image 2 of seed 7")
        expect(close).to_be_focused()
        page.keyboard.press("Escape")
        expect(sheet).to_be_hidden()
        expect(tile).to_be_focused()
        assert "image" not in parameters(page.url)
        assert visit.faults == []


def swipe(page: Page, selector: str, dy: float) -> None:
    """Swipe over an element with a finger."""
    box = page.locator(selector).bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 9):
        point = {"x": x, "y": y + dy * step / 8}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    frames(page, 5)


def test_scrolling_over_a_slider_does_not_move_it(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=390) as visit:
        page = open_page(visit, service.url)
        page.locator("#truncation").fill("0.5")
        page.evaluate("scrollTo(0, 0)")
        swipe(page, "#truncation", -200)
        assert page.evaluate("scrollY") > 50
        expect(page.locator("#truncation")).to_have_value("0.5")


def test_scrolling_over_the_bars_changes_no_latent(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=390) as visit:
        page = open_page(visit, service.url, image=3, model="digits")
        bars = page.locator("#inspector [role=slider]")
        bars.first.scroll_into_view_if_needed()
        before = bars.evaluate_all("bars => bars.map(bar => bar.getAttribute('aria-valuenow'))")
        scrolled = page.locator("#inspector").evaluate("sheet => sheet.scrollTop")
        swipe(page, "#inspector [data-at='4']", -150)
        assert bars.evaluate_all("bars => bars.map(bar => bar.getAttribute('aria-valuenow'))") == before
        assert page.locator("#inspector").evaluate("sheet => sheet.scrollTop") > scrolled
        expect(page.locator("#inspector figcaption")).to_have_text("Image 3 of seed 7")
        page.locator("#inspector [data-at='4']").tap()
        slider = page.locator("#inspector input[type=range]")
        expect(slider).to_have_attribute("aria-label", "z 4")
        assert "latent" not in parameters(page.url)
        slider.fill("1.5")
        expect(page.locator("#inspector [data-at='4']")).to_have_attribute("aria-valuenow", "1.50")
        expect(page.locator("#inspector figcaption")).to_have_text("Image 3 of seed 7, changed")
        settle(visit)
        assert visit.serious_findings() == []
        assert visit.faults == []


@pytest.mark.parametrize(
    "size",
    [
        (900, 900),
        *(pytest.param(size, marks=pytest.mark.slow) for size in [(950, 800), (1023, 700), (844, 390), (740, 360)]),
        (667, 375),
    ],
)
def test_the_grid_is_beside_the_inspector(browser: Browser, service: Service, size: tuple[int, int]) -> None:
    with Visit(browser, service.url, width=size[0]) as visit:
        visit.page.set_viewport_size({"width": size[0], "height": size[1]})
        page = open_page(visit, service.url, image=3, model="digits")
        tile, panel = page.locator("#grid [data-index='3']").bounding_box(), page.locator("#inspector").bounding_box()
        assert tile is not None
        assert panel is not None
        assert tile["y"] + tile["height"] / 2 < size[1], "no image is on the first screen"
        assert tile["x"] + tile["width"] <= panel["x"], "the inspector covers the grid"
        assert panel["y"] < size[1]
        assert visit.overflow() == 0
        assert visit.faults == []


def test_print_has_the_images(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=360) as visit:
        page = open_page(visit, service.url)
        assert page.pdf(print_background=False).count(b"/Subtype /Image") > 0
        page.set_viewport_size({"width": 1280, "height": 900})
        open_page(visit, service.url, image=3, model="digits")
        page.emulate_media(media="print")
        panel = page.locator("#inspector")
        assert panel.evaluate("panel => panel.scrollHeight <= panel.clientHeight + 1")
        expect(page.locator("#draw .take")).to_be_hidden()
        assert (
            page.locator("#inspector [data-at='0'] i").evaluate("i => getComputedStyle(i).printColorAdjust") == "exact"
        )
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 32, 36)"


def test_forced_colours_keep_what_colours_say(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        visit.page.emulate_media(forced_colors="active")
        page = open_page(visit, service.url, image=3, model="digits")
        canvas = page.evaluate("getComputedStyle(document.body).backgroundColor")
        for selector in ("#inspector [data-at='0'] i", ".key.real", ".key.model", "#digit input:checked + span"):
            assert page.locator(selector).first.evaluate("one => getComputedStyle(one).backgroundColor") != canvas
        assert page.locator(".tile").first.evaluate("one => getComputedStyle(one).backgroundImage") != "none"
        selected = page.locator("#grid [aria-selected=true]")
        assert selected.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        assert visit.faults == []


@pytest.mark.parametrize(
    ("width", "model"),
    [
        (390, "digits"),
        pytest.param(1280, "digits", marks=pytest.mark.slow),
        pytest.param(1280, "mnist-conv", marks=pytest.mark.slow),
    ],
)
def test_a_slow_network(browser: Browser, service: Service, width: int, model: str) -> None:
    with Visit(browser, service.url, width=width) as visit:
        page = visit.page
        network = page.context.new_cdp_session(page)
        network.send("Network.enable")
        limits = {"offline": False, "latency": 300, "downloadThroughput": 150_000, "uploadThroughput": 100_000}
        network.send("Network.emulateNetworkConditions", limits)
        page.add_init_script(f"({CLS})()")
        page.goto(f"{service.url}/?model={model}", wait_until="commit")
        expect(page.locator("#loading")).to_be_visible()
        expect(page.get_by_role("heading", level=2)).to_be_visible()
        assert page.locator("#grid [role=option]").count() == 0
        expect(page.locator("#loading")).to_have_text(re.compile("Loading"))
        expect(page.locator("#loading")).to_be_hidden()  # after the images are there
        assert page.locator("#grid [role=option]").count() > 0
        settle(visit)
        assert page.evaluate("window.shifts") < 0.1


@pytest.mark.parametrize("width", [320, pytest.param(1440, marks=pytest.mark.slow)])
def test_long_names_of_models_widen_no_page(browser: Browser, tmp_path: Path, width: int) -> None:
    names = ["m" * 64, "-".join(["long"] * 12)]
    for name in names:
        make_tiny_model_folder(tmp_path / "models" / name)
    with running(tmp_path, models_dir=tmp_path / "models") as service:
        for view in ("draw", "walk", "judge", "learn", "models"):
            with Visit(browser, service.url, width=width) as visit:
                page = open_page(visit, service.url, view=view, model=f"{names[0]}@0")
                expect(page.locator("#status")).to_contain_text(names[0])  # the longest word of a message
                assert visit.overflow() <= 0, view


def test_the_keys_of_a_chart_differ_in_forced_colours(browser: Browser, trained: Service) -> None:
    for scheme in ("light", "dark"):
        with Visit(browser, trained.url, scheme=scheme) as visit:
            visit.page.emulate_media(forced_colors="active")
            page = open_page(visit, trained.url, view="learn")
            for chart in (0, 1):
                keys = page.locator("section.chart").nth(chart).locator(".key:not(.theory)")
                expect(keys).to_have_count(2)
                colours = keys.evaluate_all("keys => keys.map(key => getComputedStyle(key).backgroundColor)")
                one, other = ([int(part) for part in re.findall(r"\d+", colour)[:3]] for colour in colours)
                assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 200, (scheme, colours)
