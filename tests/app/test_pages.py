"""The pages in a real Chromium: they load, they stay on their origin, they work behind a prefix."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.app.service import Service

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install it, or name it in CHROMIUM")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


class Visit:
    """A page, and what it complained of or asked for elsewhere."""

    def __init__(self, browser: Browser, origin: str, *, width: int = 1280, scheme: str = "light") -> None:
        self.faults: list[str] = []
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        self.page: Page = context.new_page()
        self.page.on("console", lambda m: self.faults.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))
        self.page.on("request", lambda request: self._check_origin(request.url, origin))

    def wait_for_grid(self, *, after: str | None = None) -> str:
        """Wait until a grid is decoded, one with another address than `after`; returns its address."""
        # Not wait_for_function: it needs eval, which the page's policy forbids.
        address = self.page.evaluate(
            """async (after) => {
                const grid = document.getElementById("grid");
                while (!(grid.naturalWidth > 0 && grid.src !== after))
                    await new Promise((resolve) => setTimeout(resolve, 20));
                return grid.src;
            }""",
            after,
        )
        return str(address)

    def _check_origin(self, url: str, origin: str) -> None:
        if not url.startswith((origin, "blob:", "data:")):
            self.faults.append(f"left the origin: {url}")


@pytest.fixture(scope="module", params=["", "/gan"])
def prefixed(request: pytest.FixtureRequest) -> tuple[Service, str]:
    service: Service = request.getfixturevalue("prefixed_service" if request.param else "service")
    return service, service.url + request.param


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (360, "light"), (1440, "light"), (1440, "dark")])
def test_front_page(browser: Browser, prefixed: tuple[Service, str], width: int, scheme: str) -> None:
    service, url = prefixed
    visit = Visit(browser, service.url, width=width, scheme=scheme)
    visit.page.goto(f"{url}/")
    visit.wait_for_grid()
    assert visit.page.evaluate("document.getElementById('grid').naturalWidth") == (8 * 30 + 2) * 3
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width
    assert "mnist-conv@" in visit.page.locator("#status").inner_text()
    assert visit.faults == []
    visit.page.context.close()


def test_another_seed_another_picture(browser: Browser, prefixed: tuple[Service, str]) -> None:
    service, url = prefixed
    visit = Visit(browser, service.url)
    visit.page.goto(f"{url}/?seed=41&model=rgb")
    before = visit.wait_for_grid()
    assert visit.page.locator("#seed").input_value() == "41"
    assert visit.page.locator("#model").input_value() == "rgb"
    visit.page.locator("#seed").fill("42")
    visit.page.locator("#seed").press("Enter")
    visit.wait_for_grid(after=before)
    assert "seed=42" in visit.page.url
    assert "seed 42" in visit.page.locator("#status").inner_text()
    command = visit.page.locator("#curl").input_value()
    address = command.split("'")[1]
    assert "seed=42" in address
    assert service.client.get(address).status_code == 200
    assert visit.faults == []
    visit.page.context.close()


def test_draw_others_draws_a_seed(browser: Browser, prefixed: tuple[Service, str]) -> None:
    service, url = prefixed
    visit = Visit(browser, service.url)
    visit.page.goto(f"{url}/")
    before = visit.wait_for_grid()
    visit.page.get_by_role("button", name="Draw others").click()
    visit.wait_for_grid(after=before)
    assert visit.page.locator("#seed").input_value() != "7"
    visit.page.context.close()


def test_a_bad_seed_is_told_in_words(browser: Browser, prefixed: tuple[Service, str]) -> None:
    service, url = prefixed
    visit = Visit(browser, service.url)
    visit.page.goto(f"{url}/")
    visit.wait_for_grid()
    visit.page.locator("#seed").fill("99999999999999999999")
    visit.page.get_by_role("button", name="Draw", exact=True).click()
    visit.page.locator("#status.error").wait_for()
    assert "seed" in visit.page.locator("#status").inner_text()
    visit.page.context.close()


def test_swagger_ui(browser: Browser, prefixed: tuple[Service, str]) -> None:
    service, url = prefixed
    visit = Visit(browser, service.url)
    visit.page.goto(f"{url}/docs")
    visit.page.locator("#operations-samples-get_samples_v1_samples_get").click()
    visit.page.get_by_role("button", name="Execute").click()
    image = visit.page.locator(".live-responses-table img").first
    image.wait_for()
    assert image.evaluate("async image => { await image.decode(); return image.naturalWidth; }") > 0
    assert visit.faults == []
    visit.page.context.close()


def test_redoc(browser: Browser, prefixed: tuple[Service, str]) -> None:
    service, url = prefixed
    visit = Visit(browser, service.url)
    visit.page.goto(f"{url}/redoc")
    visit.page.get_by_role("heading", name="Images of a seed").first.wait_for()
    assert visit.faults == []
    visit.page.context.close()
