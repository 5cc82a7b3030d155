"""Swagger UI and Redoc work in a real Chromium, with the bundled models behind a path prefix."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Response

from harness.service import Service
from tests.app.checks import png_bytes
from tests.app.conftest import PREFIX
from tests.browser import Scheme, Visit, needs_chromium
from training.data.mnist import read_mnist

pytestmark = needs_chromium

DECODED = "async image => { await image.decode(); return image.naturalWidth; }"


@pytest.mark.slow
def test_execute_without_typing(browser: Browser, bundled: Service) -> None:
    with Visit(browser, bundled.url) as visit:
        open_docs(visit, bundled)
        found = [block.get_attribute("id") or "" for block in visit.page.locator(".opblock-get").all()]
        assert len(found) >= 10
        for ident in found:
            block = opened(visit, ident)
            response = execute(visit, block)
            assert response.status == 200, response.url
            if "image" in response.headers["content-type"]:
                assert block.locator(".live-responses-table img").evaluate(DECODED) > 0
            block.locator(".opblock-summary-control").click()  # an open operation is drawn again with every change
        assert visit.faults == []


@pytest.mark.slow
def test_images_are_shown_inline(browser: Browser, bundled: Service) -> None:
    with Visit(browser, bundled.url) as visit:
        open_docs(visit, bundled)
        block = opened(visit, "operations-samples-get_interpolation")
        for form in ("png", "gif", "webp"):
            block.locator("[data-param-name=format] select").last.select_option(form)
            response = execute(visit, block)
            assert response.headers["content-type"] == f"image/{form}"
            assert block.locator(".live-responses-table img").evaluate(DECODED) > 0
            block.get_by_role("button", name="Clear").click()
        assert visit.faults == []


@pytest.mark.slow
def test_menus_of_examples(browser: Browser, bundled: Service) -> None:
    """Examples that are not filled in can be chosen from a list; an ETag that matches no response changes nothing."""
    with Visit(browser, bundled.url) as visit:
        open_docs(visit, bundled)
        block = opened(visit, "operations-samples-get_samples")
        for name in ("model", "digit", "if-none-match"):
            row = block.locator(f"[data-param-name={name}]")
            assert row.locator("input").input_value() == ""
            row.locator("select").select_option(index=1)
        response = execute(visit, block)
        assert response.status == 200
        assert "digit=3" in response.url
        assert "model=mnist-conv" in response.url
        assert response.request.all_headers()["if-none-match"].startswith('"')
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ident", "fields"),
    [
        ("operations-score-post_score", ("model", "preprocess", "explain")),
        ("operations-projections-post_projection", ("model", "preprocess")),
    ],
)
def test_upload(browser: Browser, bundled: Service, tmp_path: Path, ident: str, fields: tuple[str, ...]) -> None:
    picture = tmp_path / "seven.png"
    picture.write_bytes(png_bytes(read_mnist()[1][0]))
    with Visit(browser, bundled.url) as visit:
        open_docs(visit, bundled)
        block = opened(visit, ident)
        for name in fields:
            assert block.locator(f"[data-param-name={name}]").is_visible()
        block.locator("input[type=file]").set_input_files(picture)
        response = execute(visit, block)
        assert response.status == 200
        assert "preprocess=auto" in response.url
        assert block.locator(".live-responses-table").get_by_text("mnist-conv@").first.is_visible()
        assert visit.faults == []


def test_pictures_of_descriptions_name_no_model(bundled: Service) -> None:
    """A service may have any models, and draws these pictures with its default one."""
    document = bundled.client.get(f"{PREFIX}/openapi.json").json()
    texts = [call.get("description", "") for path in document["paths"].values() for call in path.values()]
    pictures = [url for text in texts for url in re.findall(r"!\[[^]]*\]\(([^)]*)\)", text)]
    assert len(pictures) > 1
    assert [url for url in pictures if "models/" in url or "model=" in url] == []


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs", "redoc"])
def test_pictures_of_descriptions(browser: Browser, bundled: Service, page: str) -> None:
    with Visit(browser, bundled.url) as visit:
        visit.page.goto(f"{bundled.url}{PREFIX}/{page}")
        if page == "docs":
            for name in ("get_samples", "get_interpolation"):
                opened(visit, f"operations-samples-{name}")
        pictures = visit.page.locator("img[src^='v1/']")
        pictures.nth(1).wait_for()
        for picture in pictures.all():
            assert picture.evaluate(DECODED) > 0
            assert picture.evaluate("image => image.src").startswith(f"{bundled.url}{PREFIX}/v1/")
            assert picture.get_attribute("alt")
        assert visit.faults == []


@pytest.mark.parametrize("page", ["docs", pytest.param("redoc", marks=pytest.mark.slow)])
def test_dark_mode_and_the_way_home(browser: Browser, service: Service, page: str) -> None:
    there = {"docs": ".opblock", "redoc": "[data-section-id]"}[page]
    looks: list[tuple[Scheme, bool]] = [("dark", False), ("light", True)]
    for scheme, bright in looks:
        with Visit(browser, service.url, scheme=scheme) as visit:
            visit.page.goto(f"{service.url}/{page}")
            visit.page.locator(there).first.wait_for()
            with Image.open(io.BytesIO(visit.page.screenshot())) as screen:
                grey = np.asarray(screen.convert("L"))
            assert (np.median(grey) > 128) == bright, scheme
            visit.page.get_by_role("link", name="GAN playground").click()
            visit.page.locator("#grid [role=option]").first.wait_for()
            assert visit.page.url.startswith(f"{service.url}/")
            assert visit.faults == []


def open_docs(visit: Visit, service: Service) -> None:
    visit.page.goto(f"{service.url}{PREFIX}/docs")
    visit.page.locator(".opblock").first.wait_for()


def opened(visit: Visit, ident: str) -> Locator:
    """Open an operation."""
    block = visit.page.locator(f"#{ident}")
    block.locator(".opblock-summary-control").click()
    block.locator("button.execute").wait_for()
    return block


def execute(visit: Visit, block: Locator) -> Response:
    """Press "Execute", and wait until the answer is shown."""
    with visit.page.expect_response(lambda response: response.request.resource_type == "fetch") as caught:
        block.locator("button.execute").click()
    block.locator(".live-responses-table .response", has_text=re.compile(r"\d{3}")).first.wait_for()
    return caught.value
