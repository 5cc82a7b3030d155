"""The playground says when the service is busy, away or without a usable model, and continues when it can."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from harness.service import Service
from harness.tiny_models import make_tiny_model_folder
from tests.app.checks import png_bytes
from tests.app.playground import (
    canvas_pixels,
    expect_in_address,
    hold,
    open_page,
    rgb,
    sample,
    settle,
    until,
)
from tests.browser import Visit, needs_chromium
from tests.services import running

pytestmark = needs_chromium

BUSY = "The service is busy. Trying again …"
LATE = "The service has not answered yet. Still waiting …"
OVERLOADED = {
    "type": "urn:gan:problem:overloaded",
    "title": "Too Many Requests",
    "status": 429,
    "detail": "16,384 images wait already",
}
GONE = "That did not work: the service does not answer; is it running?"


def refuse(page: Page, pattern: str, times: int) -> Callable[[], int]:
    """Answer the first calls with 429. Return a function that gives the number of calls so far."""
    calls = 0

    def answer(route: Route) -> None:
        nonlocal calls
        calls += 1
        if calls > times:
            route.continue_()
            return
        headers = {"Content-Type": "application/problem+json", "Retry-After": "1"}
        route.fulfill(status=429, headers=headers, body=json.dumps(OVERLOADED))

    page.route(pattern, answer)
    return lambda: calls


def expect_image(page: Page, service: Service, **query: object) -> None:
    wanted = rgb(sample(service.client, **query))
    canvas = page.locator("#inspector canvas")
    until(page, lambda: np.array_equal(canvas_pixels(canvas), wanted), f"the image of {query}")


def test_a_busy_service_is_asked_again(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = visit.page
        calls = refuse(page, "**/v1/samples?*n=64*", 1)
        page.goto(service.url)
        expect(page.locator("#status")).to_have_text(BUSY)
        expect(page.locator("#grid [role=option]").nth(63)).to_be_attached()
        expect(page.locator("#status")).to_have_text("")
        expect_image(page, service, seed=7)
        settle(visit)
        assert calls() >= 2
        assert len(visit.faults) == 1
        assert "429" in visit.faults[0]


@pytest.mark.slow
def test_an_answer_that_is_late_is_told_until_it_comes(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = visit.page
        page.clock.install()
        held = hold(page, "**/v1/samples?*n=64*")
        page.goto(service.url)
        until(page, lambda: len(held) == 1, "the first images are asked for")
        page.clock.fast_forward(10_000)
        expect(page.locator("#status")).to_have_text("")
        page.clock.fast_forward(10_000)
        expect(page.locator("#status")).to_have_text(LATE)
        held[0].continue_()
        expect(page.locator("#status")).to_have_text("")
        expect_image(page, service, seed=7)
        page.unroute_all()
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_while_images_are_drawn(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = visit.page
        held = hold(page, "**/v1/samples?*n=64*")
        page.goto(service.url)
        until(page, lambda: len(held) == 1, "the first images are asked for")
        grid = page.locator("#grid")
        expect(grid).to_have_attribute("aria-busy", "true")
        expect(page.locator("#grid-end")).to_have_text("Drawing …")
        held[0].continue_()
        expect(page.locator("#grid [role=option]").nth(63)).to_be_visible()
        expect(grid).not_to_have_attribute("aria-busy", "true")
        until(page, lambda: len(held) == 2, "more is asked for")
        expect(page.locator("#grid-end")).to_have_text("Drawing more …")
        page.unroute_all()  # lets the held requests continue
        expect(page.locator("#grid-end")).to_have_text("")
        held = hold(page, "**/v1/samples?*n=64*")
        page.get_by_role("button", name="New seed").click()
        expect(grid).to_have_attribute("aria-busy", "true")
        expect(page.locator("#grid [role=option]").nth(63)).to_be_visible()  # the old images stay meanwhile
        until(page, lambda: len(held) == 1, "the others are asked for")
        page.unroute_all()
        expect(grid).not_to_have_attribute("aria-busy", "true")
        expect_image(page, service, seed=page.locator("#seed").input_value())
        settle(visit)
        assert visit.faults == []


def test_a_service_that_is_gone_and_comes_back(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        page.context.set_offline(True)
        page.locator("#seed").fill("31")
        page.locator("#seed").press("Enter")
        expect(page.locator("#status.error")).to_have_text(GONE)
        page.context.set_offline(False)
        page.locator("#seed").press("Enter")
        expect_image(page, service, seed=31)
        expect(page.locator("#status")).to_have_text("")
        tile = page.locator("#grid [data-index='0']")
        expect(tile).to_have_attribute("aria-selected", "true")
        settle(visit)
        assert visit.faults
        assert all("failed" in fault or "ERR_INTERNET_DISCONNECTED" in fault for fault in visit.faults), visit.faults


@pytest.mark.slow
def test_a_file_that_is_gone_is_not_taken_for_a_service_that_is(
    browser: Browser, service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "seven.png"
    stroke = np.zeros((28, 28), dtype=np.uint8)
    stroke[5:23, 12:15] = 255
    file.write_bytes(png_bytes(stroke))
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="judge")
        page.locator("#files").set_input_files(file)
        expect(page.locator("#verdict .opinion")).to_be_visible()
        settle(visit)
        file.unlink()
        page.get_by_label("the images already have the model’s size").check()  # D judges the file again
        words = "“seven.png” cannot be read: it is a folder, or the file has been moved, changed or deleted"
        expect(page.locator("#status.error")).to_have_text(f"That did not work: {words}")


@pytest.mark.slow
def test_a_service_that_is_not_there_from_the_start(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = visit.page
        page.route("**/v1/models", lambda route: route.abort())
        page.goto(service.url)
        expect(page.locator("#status.error")).to_have_text(GONE)
        page.locator("[data-view=walk]").click()
        expect(page.locator("#status.error")).to_have_text(GONE)
        page.unroute_all()
        page.locator("[data-view=draw]").click()
        expect(page.locator("#status")).to_have_text("")
        expect_image(page, service, seed=7)
        expect(page.locator("#model option[value=rgb]")).to_have_count(1)
        settle(visit)


@pytest.mark.slow
def test_more_images_that_cannot_be_had(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = visit.page
        page.route("**/v1/samples?*first=64&*", lambda route: route.abort())
        page.goto(service.url)
        end = page.locator("#grid-end")
        expect(end).to_contain_text("More images could not be drawn: the service does not answer")
        page.unroute_all()
        end.get_by_role("button", name="Try again").click()
        expect(page.locator("#grid [role=option]").nth(127)).to_be_attached()
        expect(end).to_have_text("")
        settle(visit)


@pytest.mark.slow
def test_no_model_can_be_used(browser: Browser, tmp_path: Path) -> None:
    broken = make_tiny_model_folder(tmp_path / "models" / "mnist-conv") / "model.safetensors"
    broken.write_bytes(broken.read_bytes()[:-100])
    with running(tmp_path, models_dir=tmp_path / "models") as service, Visit(browser, service.url) as visit:
        page = visit.page
        page.goto(service.url)
        words = "no model can be used"
        expect(page.locator("#status.error")).to_contain_text(words)
        for view in ("walk", "judge", "learn", "draw"):
            page.locator(f"[data-view={view}]").click()
            expect(page.locator(f"[data-view={view}]")).to_have_attribute("aria-current", "page")
            expect(page.locator("#status.error")).to_contain_text(words)
            expect(page.locator("main section:visible")).to_have_count(0)
        page.locator("[data-view=models]").click()  # this view shows the reason
        expect(page.locator("#cards article")).to_have_count(1)
        reason = service.client.get("/v1/models").json()["models"][0]["error"]
        expect(page.locator("#cards article")).to_contain_text(reason)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_without_a_models_folder_the_reason_is_told(browser: Browser, tmp_path: Path) -> None:
    with running(tmp_path, models_dir=tmp_path / "nowhere") as service, Visit(browser, service.url) as visit:
        reason = service.client.get("/readyz").json()["models_folder"]
        assert reason.startswith("GAN_MODELS_DIR")
        page = visit.page
        for view in ("draw", "models"):  # the view “Models” would be empty
            page.goto(f"{service.url}/?view={view}")
            expect(page.locator("#status.error")).to_have_text(f"That did not work: no model can be used; {reason}")
            expect(page.locator("main section:visible")).to_have_count(0)


ADMIN = {"Authorization": "Bearer the-admin"}


def reload_models(service: Service) -> None:
    assert service.client.post("/admin/reload", headers=ADMIN).status_code == 200


@pytest.mark.slow
def test_a_model_that_is_added_later_is_used(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    with (
        running(tmp_path, models_dir=folder, admin_key="the-admin") as service,
        Visit(browser, service.url) as visit,
    ):
        page = visit.page
        page.goto(service.url)
        status = page.locator("#status")
        words = "no model can be used; GAN_MODELS_DIR holds no model folder"
        expect(page.locator("#status.error")).to_contain_text(words)
        make_tiny_model_folder(folder / "first")
        reload_models(service)
        page.locator("[data-view=draw]").click()
        expect_image(page, service, seed=7)
        expect(status).to_have_text("")
        make_tiny_model_folder(folder / "second")
        reload_models(service)
        page.locator("[data-view=models]").click()
        expect(page.locator("#cards article h3")).to_have_text(["first", "second"])
        expect(page.locator("#model option")).to_have_text(["first", "second"])
        expect(page.locator("#model")).to_have_value("first")


@pytest.mark.slow
@pytest.mark.parametrize(
    "view", ["draw", pytest.param("judge", marks=pytest.mark.slow), pytest.param("walk", marks=pytest.mark.slow)]
)
def test_a_model_that_is_replaced_or_removed_is_told(browser: Browser, tmp_path: Path, view: str) -> None:
    folder = tmp_path / "models"
    for name in ("kept", "other"):
        make_tiny_model_folder(folder / name)
    with (
        running(tmp_path, models_dir=folder, default_model="kept", admin_key="the-admin") as service,
        Visit(browser, service.url) as visit,
    ):

        def act() -> None:
            if view == "draw":
                page.get_by_role("button", name="New seed").click()
            elif view == "judge":
                page.get_by_role("button", name="Let G draw one").click()
            else:
                page.get_by_role("button", name="Show more images").click()

        page = open_page(visit, service.url, view=view, model="other")
        old = service.client.get("/v1/models/other").json()["model"].partition("@")[2]
        expect_in_address(page, "model", f"other@{old}")
        shutil.rmtree(folder / "other")
        make_tiny_model_folder(folder / "other", seed=5)
        reload_models(service)
        act()
        status = page.locator("#status")
        expect(status).to_have_text(re.compile(f"^The version {old} of “other” is not loaded; [0-9a-f]{{12}} is shown"))
        expect(page.locator("#model")).to_have_value("other")
        settle(visit)
        act()
        settle(visit)
        expect(page.locator("#status.error")).to_have_count(0)
        shutil.rmtree(folder / "other")
        reload_models(service)
        act()
        words = re.compile("^There is no usable model “other@.*”; the default “kept” is shown instead.$")
        expect(status).to_have_text(words)
        expect(page.locator("#model")).to_have_value("kept")
        expect(page.locator("#model option")).to_have_text(["kept"])
        settle(visit)
        shutil.rmtree(folder / "kept")
        reload_models(service)
        act()
        expect(page.locator("#status.error")).to_contain_text("no model can be used")
        expect(page.locator("main section:visible")).to_have_count(0)


@pytest.mark.slow
def test_a_service_that_is_not_ready_is_not_taken_for_a_busy_one(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = visit.page
        headers = {"Retry-After": "1"}
        page.route(
            "**/v1/samples?*n=64*", lambda route: route.fulfill(status=503, headers=headers, json={"detail": "no"})
        )
        page.goto(service.url)
        expect(page.locator("#status")).to_have_text("The service is not ready. Trying again …")
        page.unroute_all()
        expect_image(page, service, seed=7)
        expect(page.locator("#status")).to_have_text("")


@pytest.mark.slow
@pytest.mark.parametrize("is_there", [True, False])
def test_a_view_that_cannot_be_loaded_is_told(browser: Browser, service: Service, is_there: bool) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        page.route("**/views/walk.js*" if is_there else "**", lambda route: route.abort())
        page.locator("[data-view=walk]").click()
        words = "the view “Walk” could not be loaded; choose it again, or reload the page"
        expect(page.locator("#status.error")).to_have_text(f"That did not work: {words}" if is_there else GONE)
        page.unroute_all()
        page.locator("[data-view=walk]").click()
        expect(page.locator("#walk-picked button")).to_have_count(3)
        expect(page.locator("#status")).to_have_text("")


OTHERS = "That did not work: something between this page and the service answered, with text/html. It may be"
CUT_OFF = "That did not work: the answer was cut off or changed on its way; try again"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("view", "calls"),
    [
        ("draw", "**/v1/models"),
        pytest.param("draw", "**/v1/samples?*format=png*", marks=pytest.mark.slow),
        pytest.param("draw", "**/v1/samples?*format=json*", marks=pytest.mark.slow),
        pytest.param("walk", "**/v1/interpolations?*format=png*", marks=pytest.mark.slow),
        pytest.param("learn", "**/history", marks=pytest.mark.slow),
    ],
)
def test_an_answer_that_is_not_the_services_or_is_cut_off_is_told(
    browser: Browser, service: Service, view: str, calls: str
) -> None:
    """A login page of a network answers 200 with HTML; a connection that ends leaves a part of an answer."""
    with Visit(browser, service.url) as visit:
        page = visit.page
        page.route(calls, lambda route: route.fulfill(content_type="text/html", body="<html>Log in</html>"))
        page.goto(f"{service.url}/?view={view}")
        expect(page.locator("#status.error")).to_contain_text(OTHERS)

        def cut(route: Route) -> None:
            answer = route.fetch()
            route.fulfill(response=answer, body=answer.body()[: len(answer.body()) // 2])

        page.unroute(calls)
        page.route(calls, cut)
        page.goto(f"{service.url}/?view={view}&seed=8&seeds=3,4")
        expect(page.locator("#status.error")).to_have_text(CUT_OFF)
        page.unroute(calls)
        page.locator(f"[data-view={view}]").click()
        expect(page.locator("#loading")).to_be_hidden()
        expect(page.locator("#status")).to_have_text("")
        settle(visit)
