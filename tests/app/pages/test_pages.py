"""Each page loads in a real Chromium, stays on its origin, works behind a path prefix, and is accessible."""

import httpx
import pytest
from playwright.sync_api import Browser, Response, Route, expect

from harness.service import Service
from tests.browser import Scheme, Visit, needs_chromium

VIEWS = {
    "draw": "#grid [role=option]",
    "walk": "#walk-picked button",
    "judge": "#verdict p",
    "learn": "#learning h3",
    "models": "#cards article",
}
"""Each view, and what is there once it has loaded."""

TWO_LOOKS: list[tuple[int, Scheme]] = [(360, "dark"), (1440, "light")]
"""Each width and each colour scheme once: what one of them breaks, it breaks beside either of the other."""

MAX_PAGE_BYTES = 300_000


@pytest.fixture(scope="module", params=[pytest.param("", marks=pytest.mark.slow), "/gan"])
def prefixed(request: pytest.FixtureRequest) -> tuple[Service, str]:
    service: Service = request.getfixturevalue("prefixed_service" if request.param else "service")
    return service, service.url + request.param


@needs_chromium
@pytest.mark.parametrize(
    "view", ["draw", *(pytest.param(view, marks=pytest.mark.slow) for view in VIEWS if view != "draw")]
)
def test_every_view_at_every_look(browser: Browser, service: Service, view: str) -> None:
    for width, scheme in TWO_LOOKS:
        with Visit(browser, service.url, width=width, scheme=scheme) as visit:
            open_view(visit, f"{service.url}/", view)
            assert visit.overflow() == 0, (width, scheme)
            assert visit.serious_findings() == [], (width, scheme)
            assert visit.faults == [], (width, scheme)


@needs_chromium
def test_views_behind_a_prefix(browser: Browser, prefixed: tuple[Service, str]) -> None:
    service, url = prefixed
    with Visit(browser, service.url) as visit:
        visit.page.goto(f"{url}/")
        for view, there in VIEWS.items():
            visit.page.locator(f"[data-view={view}]").click()
            visit.page.locator(there).first.wait_for()
            assert visit.page.url.startswith(f"{url}/?")
            assert visit.page.locator("#status").inner_text() == ""
        assert visit.faults == []


@pytest.mark.slow
@needs_chromium
def test_page_weight(browser: Browser, service: Service) -> None:
    """This counts everything that all views load together, except images and answers of the API."""
    responses: list[Response] = []

    def keep(response: Response) -> None:
        responses.append(response)

    with Visit(browser, service.url) as visit:
        visit.page.on("response", keep)
        visit.page.goto(f"{service.url}/")
        for view, there in VIEWS.items():
            visit.page.locator(f"[data-view={view}]").click()
            visit.page.locator(there).first.wait_for()
        visit.page.wait_for_load_state("networkidle")
        assets = {
            response.url: len(response.body())
            for response in responses
            if "/v1/" not in response.url and not response.url.startswith("blob:") and not response.url.endswith(".png")
        }
    assert len(assets) > 10, assets
    assert sum(assets.values()) <= MAX_PAGE_BYTES, assets


def test_policy_allows_nothing_from_elsewhere(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in policy
    assert rules["frame-ancestors"] == rules["base-uri"] == "'none'"


@needs_chromium
def test_swagger_ui(browser: Browser, prefixed: tuple[Service, str]) -> None:
    service, url = prefixed
    with Visit(browser, service.url) as visit:
        visit.page.goto(f"{url}/docs")
        visit.page.locator("#operations-samples-get_samples").click()
        visit.page.get_by_role("button", name="Execute").click()
        image = visit.page.locator(".live-responses-table img").first
        image.wait_for()
        assert image.evaluate("async image => { await image.decode(); return image.naturalWidth; }") > 0
        assert visit.faults == []


@needs_chromium
def test_redoc(browser: Browser, prefixed: tuple[Service, str]) -> None:
    service, url = prefixed
    with Visit(browser, service.url) as visit:
        visit.page.goto(f"{url}/redoc")
        visit.page.get_by_role("heading", name="Images of a seed").first.wait_for()
        assert visit.faults == []


def open_view(visit: Visit, url: str, view: str) -> None:
    """Open a view, and wait until it has loaded."""
    visit.page.goto(f"{url}?view={view}")
    visit.page.locator(VIEWS[view]).first.wait_for()
    visit.page.wait_for_load_state("networkidle")


@needs_chromium
@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("", "viewer/elements.js"),
        ("", "playground/views/draw.js"),
        pytest.param("", "playground/main.js", marks=pytest.mark.slow),
        ("", "viewer/viewer.css"),
        ("docs", "swagger-ui/swagger-ui-bundle.js"),
        ("redoc", "redoc.js"),
    ],
)
def test_a_part_of_a_page_that_does_not_load_is_told(browser: Browser, service: Service, path: str, part: str) -> None:
    def answer(route: Route) -> None:
        route.fulfill(status=429, json={"detail": "too many"})

    with Visit(browser, service.url) as visit:
        page = visit.page
        page.route(f"**/static/{part}", answer)
        page.goto(f"{service.url}/{path}")
        if part == "playground/views/draw.js":  # the page itself says this
            expect(page.locator("#status.error")).to_be_visible()
            return
        expect(page.get_by_role("alert")).to_contain_text("This page could not be loaded completely")
        expect(page.get_by_text("Loading …", exact=True)).to_be_hidden()
        page.unroute_all()
        page.get_by_role("button", name="Reload the page").click()
        expect(page.get_by_role("alert")).to_have_count(0)


@needs_chromium
def test_a_page_that_cannot_be_started_says_so(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = visit.page
        page.route("**/playground/sliders.js", lambda route: route.fulfill(body="?", content_type="text/javascript"))
        page.goto(service.url)
        expect(page.get_by_role("alert")).to_contain_text("This page could not be started: ")
        expect(page.get_by_role("button", name="Reload the page")).to_be_visible()
