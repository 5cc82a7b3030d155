"""A browser that comes back to the page restores what a person chose: each value must land in its own control."""

from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page, expect

from harness.service import Service
from tests.app.checks import png_bytes
from tests.app.playground import expect_opinion, open_page, score_of, settle
from tests.browser import Visit, needs_chromium

pytestmark = needs_chromium

NAMELESS = """() => [...document.querySelectorAll("input, select, textarea")]
    .filter((control) => !control.name && control.autocomplete !== "off")
    .map((control) => control.outerHTML)"""

STATEFUL = """() => [...document.querySelectorAll("input, select, textarea")]
    .filter((control) => control.autocomplete !== "off")
    .map((control) => control.id)"""
"""The controls whose values a browser restores."""


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    """A picture of D's size, which D judges as it is or prepared."""
    image = Image.new("L", (28, 28))
    ImageDraw.Draw(image).line([(8, 6), (20, 6), (12, 21)], fill=255, width=3, joint="curve")
    file = tmp_path / "digit.png"
    file.write_bytes(png_bytes(image))
    return file


def come_back(visit: Visit) -> Page:
    """Leave the page for another one, and come back by the browser's history: the page is loaded anew."""
    visit.page.evaluate("window.isSame = true")
    visit.page.goto("about:blank")
    visit.page.go_back()
    visit.page.locator("#judge").wait_for()
    assert visit.page.evaluate("window.isSame") is None, "the page was not kept in memory"
    settle(visit)
    return visit.page


@pytest.mark.slow
def test_what_comes_back_is_judged_as_before(browser: Browser, service: Service, digit: Path) -> None:
    """“Where D looks” was restored as “Do not preprocess”, so D judged the same file in another way."""
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files(digit)
        expect_opinion(page.locator("#verdict"), score_of(service.client, digit.read_bytes()))
        expect(page.get_by_role("checkbox", name="Where D looks")).to_be_checked()
        settle(visit)
        page = come_back(visit)
        expect(page.locator("#as-is")).not_to_be_checked()
        expect_opinion(page.locator("#verdict"), score_of(service.client, digit.read_bytes()))
        page.locator("#as-is").check()
        as_it_is = score_of(service.client, digit.read_bytes(), preprocess="none")
        expect_opinion(page.locator("#verdict"), as_it_is)
        settle(visit)
        page = come_back(visit)
        expect(page.locator("#as-is")).to_be_checked()
        expect_opinion(page.locator("#verdict"), as_it_is)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_no_control_is_restored_by_its_place(browser: Browser, service: Service, digit: Path) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=2, model="digits")
        settle(visit)
        for view in ("walk", "learn", "models", "judge", "draw"):
            page.locator(f"[data-view={view}]").click()
            settle(visit)
            if view == "judge":
                page.locator("#files").set_input_files(digit)
                page.get_by_role("checkbox", name="Where D looks").wait_for()
                settle(visit)
            assert page.evaluate(NAMELESS) == [], view
        names = page.evaluate("() => [...document.querySelectorAll('[name]')].map(({ name, value }) => [name, value])")
        assert len({tuple(name) for name in names}) == len(names), "no two controls share a name"
        assert page.evaluate(STATEFUL) == ["camera", "files", "as-is"], "the address keeps all else"
        assert visit.faults == []
