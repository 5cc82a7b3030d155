"""With keys, a real Chromium asks for a password, and the pages say how to send a key."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from harness.service import Service, running
from tests.app.playground import open_page, settle
from tests.browser import Visit, needs_chromium

pytestmark = needs_chromium

KEY = "schlüssel-1"


@pytest.fixture(scope="module")
def locked(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("locked"), models_dir=models_dir, api_keys=KEY) as started:
        yield started


def test_a_browser_asks_for_a_password(browser: Browser, locked: Service) -> None:
    """Playwright answers Chromium's question for a password. Chromium asks only if it finds the challenge of Basic."""
    context = browser.new_context(http_credentials={"username": "anyone", "password": KEY})
    page = context.new_page()
    answer = page.goto(f"{locked.url}/")
    assert answer is not None
    assert answer.status == 200
    page.locator("#grid [role=option]").first.wait_for()
    page.locator("details.take").evaluate("details => details.open = true")
    command = page.locator("details.take input.code").first
    expect(command).to_have_value(re.compile(r'^curl -f -o digits.png -H "Authorization: Bearer \$GAN_KEY" \'http'))
    context.close()


def test_keys_that_are_switched_on_under_an_open_page_are_in_its_commands(
    browser: Browser, service: Service, locked: Service
) -> None:
    """The page came from a service without keys; its calls are then answered by one that has them."""

    def locked_now(route: Route) -> None:
        url = route.request.url.replace(service.url, locked.url)
        route.fulfill(
            response=route.fetch(url=url, headers={"Authorization": f"Bearer {KEY}".encode().decode("latin-1")})
        )

    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        command = page.locator("#take input.code")
        expect(command).to_have_value(re.compile("^curl -f -o digits.png 'http"))
        page.route("**/v1/samples?*", locked_now)
        page.get_by_role("button", name="New seed").click()
        settle(visit)
        expect(command).to_have_value(
            re.compile(r"^curl -f -o digits.png -H \"Authorization: Bearer \$GAN_KEY\" 'http")
        )
        assert visit.faults == []


def test_a_wrong_password_opens_nothing(browser: Browser, locked: Service) -> None:
    context = browser.new_context(http_credentials={"username": "anyone", "password": "wrong"})
    answer = context.new_page().goto(f"{locked.url}/")
    assert answer is not None
    assert answer.status == 401
    context.close()


def test_the_documentation_has_a_form_for_a_key(browser: Browser, locked: Service) -> None:
    context = browser.new_context(http_credentials={"username": "anyone", "password": KEY})
    page = context.new_page()
    page.goto(f"{locked.url}/docs")
    page.get_by_role("button", name="Authorize").click()
    form = page.locator(".auth-container", has_text="http, Bearer")
    form.get_by_role("textbox").fill("another")
    form.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").first.click()
    block = page.locator("#operations-models-list_models")
    block.locator(".opblock-summary-control").click()
    with page.expect_request(lambda request: request.url.endswith("/v1/models")) as caught:
        block.get_by_role("button", name="Execute").click()
    assert caught.value.headers["authorization"] == "Bearer another"
    context.close()
