"""The documentation site, built and opened in a browser as files, without a server or a network."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from scripts.build_site import ROOT, build, documents, place_of
from tests.browser import needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; `build` fails on a warning, a dead link, or something that is loaded from elsewhere."""
    to = tmp_path_factory.mktemp("docs") / "site"
    build(to)
    return to


def test_every_document_is_a_page(site: Path) -> None:
    assert [page for page in documents() if not (site / place_of(page)).with_suffix(".html").is_file()] == []
    assert (site / "source" / "training" / "gan" / "losses.py.txt").read_text() == (
        ROOT / "training" / "gan" / "losses.py"
    ).read_text()


def test_it_is_read_and_searched_without_a_network(site: Path, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((site / "index.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_contain_text("Documentation")
    page.keyboard.press("/")
    page.keyboard.type("GAN_MAX_QUEUE_IMAGES")
    found = page.locator("a[href*='settings.html']").filter(has_text=re.compile("GAN_MAX_QUEUE_IMAGES|Limits"))
    expect(found.first).to_be_visible()
    found.first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Settings")
    context.close()
    assert {address.partition(":")[0] for address in asked} <= {"file", "data", "blob"}
    assert faults == []
