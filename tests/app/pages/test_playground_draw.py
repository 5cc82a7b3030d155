"""The view "Draw" in a real Chromium: the grid, the inspector, the downloads and the address."""

import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, Route, expect

from harness.service import Service
from harness.tiny_models import make_tiny_model_folder
from models.images import ImageShape
from models.model_folder.game_rules import GameRules
from tests.app.checks import json_images, pixels
from tests.app.playground import (
    asks,
    canvas_pixels,
    columns_of,
    download,
    expect_in_address,
    expect_opinion,
    frames,
    hold,
    image_of,
    latent_and_image,
    latent_of,
    most_like,
    open_page,
    parameters,
    png_of,
    rgb,
    run,
    sample,
    score_of,
    settle,
    tile_pixels,
    until,
)
from tests.browser import Visit, needs_chromium
from tests.services import running

pytestmark = needs_chromium

PAGE = 64


def tile(page: Page, index: int) -> Locator:
    return page.locator(f"#grid [data-index='{index}']")


def bar(page: Page, index: int) -> Locator:
    return page.locator(f"#inspector [data-at='{index}']")


def expect_canvas(page: Page, image: NDArray[np.uint8]) -> None:
    canvas = page.locator("#inspector canvas")
    until(page, lambda: np.array_equal(canvas_pixels(canvas), rgb(image)), "the inspector's picture is that of the API")


def expect_tile(page: Page, index: int, image: NDArray[np.uint8]) -> None:
    expect(page.locator("#grid")).not_to_have_attribute("aria-busy", "true")
    assert np.array_equal(tile_pixels(tile(page, index), len(image)), rgb(image))


def expect_bars(page: Page, latent: NDArray[np.float32]) -> None:
    """Check that the bars have the values of the latent, and the heights of their values."""
    bars = page.locator("#inspector [role=slider]")
    expect(bars).to_have_count(len(latent))
    told = bars.evaluate_all("bars => bars.map(bar => bar.getAttribute('aria-valuenow'))")
    np.testing.assert_allclose([float(value) for value in told], latent, atol=0.0051)
    for index in (0, 1, len(latent) - 1):
        rod, room = bar(page, index).locator("i").bounding_box(), bar(page, index).bounding_box()
        assert rod is not None
        assert room is not None
        middle, limit = room["y"] + room["height"] / 2, float(bar(page, index).get_attribute("aria-valuemax") or 0)
        far = rod["y"] if latent[index] > 0 else rod["y"] + rod["height"]
        share = np.clip(latent[index] / limit, -1, 1)
        assert (middle - far) / (room["height"] / 2) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(("model", "side"), [pytest.param("mnist-conv", 28, marks=pytest.mark.slow), ("rgb", 32)])
def test_tiles_are_the_images_of_the_seed_without_end(
    browser: Browser, service: Service, model: str, side: int
) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, model=model)
        expect(page.locator("#grid [role=option]").nth(PAGE - 1)).to_be_visible()
        count = page.locator("#grid [role=option]").count()
        assert count % PAGE == 0
        url = f"/v1/samples?model={model}&seed=7&n={count + PAGE}&format=json"
        images = json_images(service.client.get(url).json())
        for index in (0, 7, 30, 63):
            assert np.array_equal(tile_pixels(tile(page, index), side), rgb(images[index]))
        assert most_like(tile(page, 30), images[:PAGE]) == 30
        page.mouse.move(300, 600)
        page.mouse.wheel(0, 5000)
        expect(tile(page, count + PAGE - 1)).to_be_attached()
        assert np.array_equal(tile_pixels(tile(page, count + 5), side), rgb(images[count + 5]))
        assert most_like(tile(page, count + 5), images[count:]) == 5
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280, 1440])
def test_tiles_stand_as_near_below_as_beside_each_other(browser: Browser, service: Service, width: int) -> None:
    with Visit(browser, service.url, width=width) as visit:
        visit.page.set_viewport_size({"width": width, "height": 600})  # so low that only one page is loaded
        page = open_page(visit, service.url, seed=7)
        assert page.locator("#grid [role=option]").count() == PAGE
        boxes = [tile(page, index).bounding_box() for index in (0, 1, columns_of(page.locator("#grid")))]
        first, beside, below = [box for box in boxes if box is not None]
        assert below["y"] - first["y"] == pytest.approx(beside["x"] - first["x"], abs=1)


@pytest.mark.slow
def test_another_seed_typed_or_drawn(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        page.locator("#seed").fill("11")
        page.locator("#seed").press("Enter")
        expect_in_address(page, "seed", 11)
        expect(page.locator("#inspector figcaption")).to_have_text("Image 0 of seed 11")
        expect_canvas(page, sample(service.client, seed=11))
        expect_tile(page, 2, sample(service.client, seed=11, first=2))

        page.get_by_role("button", name="New seed").click()
        expect(page.locator("#seed")).not_to_have_value("11")
        drawn = page.locator("#seed").input_value()
        expect_in_address(page, "seed", drawn)
        expect_canvas(page, sample(service.client, seed=drawn))
        expect_tile(page, 2, sample(service.client, seed=drawn, first=2))
        settle(visit)
        assert visit.faults == []


@pytest.mark.parametrize(
    ("width", "seed"),
    [
        (360, "-1"),
        (1440, "1_000"),
        pytest.param(1440, "+5", marks=pytest.mark.slow),
        pytest.param(1440, "-0", marks=pytest.mark.slow),
        (1440, str(2**53)),
    ],
)
def test_a_seed_that_is_none_is_told_in_words_until_it_is_mended(
    browser: Browser, service: Service, width: int, seed: str
) -> None:
    words = f"“{seed}” is no seed: a seed is a whole number below 2⁵³, in digits only"
    with Visit(browser, service.url, width=width) as visit:
        page = open_page(visit, service.url)
        status = page.locator("#status.error")
        page.locator("#seed").fill(seed)
        for _ in range(2):  # entering the same seed again does not help
            page.locator("#seed").press("Enter")
            settle(visit)
            expect(status).to_contain_text(words)
        page.locator("[data-view=models]").click()
        expect(page.locator("#status")).to_have_text("")
        page.locator("[data-view=draw]").click()
        expect(status).to_contain_text(words)
        page.locator("#seed").fill(" 012 ")
        page.locator("#seed").press("Enter")
        expect(page.locator("#status")).to_have_text("")
        expect_tile(page, 1, sample(service.client, seed=12, first=1))
        settle(visit)
        assert visit.faults == []


def test_a_digit_of_a_conditional_model_and_of_none_other(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        expect(page.locator("#digit")).to_be_hidden()
        page.locator("#model").select_option("digits")
        expect(page.locator("#digit")).to_be_visible()
        expect(page.locator("#digit label")).to_have_text(["any", *map(str, range(10))])
        page.locator("#digit label").filter(has_text="3").click()
        expect_in_address(page, "digit", 3)
        latent, image = latent_and_image(service.client, model="digits", seed=7, digit=3)
        expect_canvas(page, image)
        expect_bars(page, latent)
        expect(page.locator("#inspector .bar-of-z.ballot")).to_have_text(list(map(str, range(10))))
        assert int(np.argmax(latent[-10:])) == 3
        expect_tile(page, 5, sample(service.client, model="digits", seed=7, first=5, digit=3))

        page.locator("#model").select_option("three")
        expect(page.locator("#digit label")).to_have_text(["any", "0", "1", "2"])
        page.locator("#model").select_option("mnist-conv")
        expect(page.locator("#digit")).to_be_hidden()
        expect_canvas(page, sample(service.client, seed=7))
        expect(page.locator("#status")).to_have_text("")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_less_variety(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        expect(page.locator("#truncation-value")).to_have_text("full")
        page.locator("#truncation").focus()
        with page.expect_request(asks("/v1/samples", seed=7, n=PAGE, truncation="0.9")):
            page.keyboard.press("ArrowLeft")
            page.keyboard.press("ArrowLeft")
        expect(page.locator("#truncation-value")).to_have_text("ψ = 0.9")
        expect_in_address(page, "truncation", "0.9")
        latent, image = latent_and_image(service.client, seed=7, truncation=0.9)
        expect_canvas(page, image)
        expect_bars(page, latent)
        with page.expect_request(
            lambda request: asks("/v1/samples", n=PAGE)(request) and "truncation" not in request.url
        ):
            page.keyboard.press("End")
        expect_in_address(page, "truncation", None)
        settle(visit)
        assert visit.faults == []


@pytest.mark.parametrize("model", [pytest.param("rgb", marks=pytest.mark.slow), "digits"])
def test_a_tile_opens_its_latent_and_a_dragged_bar_draws_another(
    browser: Browser, service: Service, model: str
) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, model=model)
        tile(page, 21).click()
        expect(tile(page, 21)).to_have_attribute("aria-selected", "true")
        expect(page.locator("#grid [aria-selected=true]")).to_have_count(1)
        expect(page.locator("#inspector figcaption")).to_have_text("Image 21 of seed 7")
        latent, image = latent_and_image(service.client, model=model, seed=7, first=21)
        expect_canvas(page, image)
        expect_bars(page, latent)
        opinion = page.locator("#inspector .opinion")
        expect_opinion(
            opinion, score_of(service.client, png_of(service.client, latent, model), model=model, preprocess="none")
        )

        box = bar(page, 4).bounding_box()
        assert box is not None
        x = box["x"] + box["width"] / 2
        page.mouse.move(x, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(x, box["y"] + box["height"] * 0.2, steps=4)
        page.mouse.up()
        limit = float(bar(page, 4).get_attribute("aria-valuemax") or 0)
        changed = latent.copy()
        changed[4] = float(bar(page, 4).get_attribute("aria-valuenow") or 0)
        assert changed[4] == pytest.approx(0.6 * limit, abs=0.1)
        redrawn = image_of(service.client, changed, model)
        assert not np.array_equal(redrawn, image)
        expect_canvas(page, redrawn)
        expect_bars(page, changed)
        expect(page.locator("#inspector figcaption")).to_have_text("Image 21 of seed 7, changed")
        expect_opinion(
            opinion, score_of(service.client, png_of(service.client, changed, model), model=model, preprocess="none")
        )

        page.get_by_role("button", name="Reset").click()
        expect_canvas(page, image)
        expect_bars(page, latent)
        expect(page.get_by_role("button", name="Reset")).to_be_disabled()
        expect_in_address(page, "latent", None)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_by_keyboard_alone(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        columns = columns_of(page.locator("#grid"))
        tile(page, 0).focus()
        for key, index in [("ArrowRight", 1), ("ArrowDown", 1 + columns), ("ArrowLeft", columns), ("ArrowUp", 0)]:
            page.keyboard.press(key)
            expect(tile(page, index)).to_be_focused()
            expect(page.locator("#inspector figcaption")).to_have_text(f"Image {index} of seed 7")
        page.keyboard.press("ArrowUp")  # there is nothing above the first row
        expect(tile(page, 0)).to_be_focused()

        latent, _ = latent_and_image(service.client, seed=7)
        bar(page, 0).focus()
        page.keyboard.press("ArrowRight")
        expect(bar(page, 1)).to_be_focused()
        page.keyboard.press("ArrowUp")
        page.keyboard.press("PageDown")
        wanted = latent.copy()
        wanted[1] = round(round(float(latent[1]) + 0.1, 2) - 0.5, 2)
        expect(page.locator("#inspector output")).to_have_text(f"z 1 = {wanted[1]:.2f}".replace("-", "−"))
        expect_canvas(page, image_of(service.client, wanted))
        page.keyboard.press("End")
        wanted[1] = 3
        expect_canvas(page, image_of(service.client, wanted))
        page.keyboard.press("Home")
        wanted[1] = -3
        expect_canvas(page, image_of(service.client, wanted))
        expect_bars(page, wanted)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_shaken_a_latent_is_near_what_it_was(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=3)
        latent, _ = latent_and_image(service.client, seed=7, first=3)
        page.get_by_role("button", name="Randomise a little").click()
        expect(page.locator("#inspector figcaption")).to_contain_text("changed")
        expect_in_address(page, "latent")
        shaken = latent_of(parameters(page.url)["latent"])
        assert 0.05 < np.sqrt(np.square(shaken - latent).mean()) < 0.6
        expect_canvas(page, image_of(service.client, shaken))
        page.get_by_role("button", name="Randomise a little").click()
        expect(page).not_to_have_url(page.url)
        twice = latent_of(parameters(page.url)["latent"])
        assert not np.array_equal(twice, shaken)
        expect_canvas(page, image_of(service.client, twice))
        settle(visit)
        assert visit.faults == []


def test_what_can_be_taken_away_is_what_is_shown(browser: Browser, service: Service) -> None:
    client = service.client
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=5, seed=9, truncation=0.7)
        asked = {"seed": 9, "truncation": 0.7}
        count = page.locator("#grid [role=option]").count()
        columns = columns_of(page.locator("#grid"))
        grid = pixels(client.get("/v1/samples", params={**asked, "n": count, "columns": columns, "scale": 2}).content)
        take = page.locator("#draw .take")
        expect(take.locator(".hint")).to_have_text(f"{count} images:")
        assert np.array_equal(pixels(download(page, take.get_by_role("link", name="PNG"))), grid)
        assert np.array_equal(pixels(run(client, take.locator("input.code").input_value())), grid)
        listed = json.loads(download(page, take.get_by_role("link", name="JSON")))
        latent, image = latent_and_image(client, **asked, first=5)
        assert len(listed["samples"]) == count
        assert listed["samples"][5]["latent"] == latent.tolist()
        with np.load(io.BytesIO(download(page, take.get_by_role("link", name="npz")))) as archive:
            assert sorted(archive.files) == ["images", "latents"]
            assert len(archive["images"]) == count
            assert np.array_equal(archive["images"][5], image)

        inspector = page.locator("#inspector")
        assert np.array_equal(pixels(download(page, inspector.get_by_role("link", name="PNG"))), image)
        large = image.repeat(8, axis=0).repeat(8, axis=1)
        by_curl = pixels(run(client, inspector.locator("input.code").input_value()))
        assert np.array_equal(by_curl, large)
        page.get_by_role("button", name="Randomise a little").click()
        expect_in_address(page, "latent")
        shaken = latent_of(parameters(page.url)["latent"])
        image = image_of(client, shaken)
        expect_canvas(page, image)
        assert np.array_equal(pixels(download(page, inspector.get_by_role("link", name="PNG"))), image)
        body = download(page, inspector.get_by_role("link", name="JSON"))
        assert np.array_equal(np.array(json.loads(body)["latents"][0], dtype=np.float32), shaken)
        posted = client.post("/v1/samples", content=body, headers={"Content-Type": "application/json"})
        assert posted.status_code == 200
        by_curl = pixels(run(client, inspector.locator("input.code").input_value()))
        assert np.array_equal(by_curl, image.repeat(8, axis=0).repeat(8, axis=1))
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_after_a_resize_the_grid_on_screen_is_taken_away(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, seed=9)
        grid, take = page.locator("#grid"), page.locator("#take")
        before = columns_of(grid)
        for width, is_as_before in ((700, False), (1440, True)):
            page.set_viewport_size({"width": width, "height": 900})
            frames(page, 2)
            assert (columns_of(grid) == before) is is_as_before
            expect(take.locator("input.code")).to_have_value(re.compile(f"&columns={columns_of(grid)}&"))
            expect(take.get_by_role("link", name="PNG")).to_have_attribute(
                "href", re.compile(f"&columns={columns_of(grid)}&")
            )
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_the_address_is_all_that_it_takes(browser: Browser, service: Service) -> None:
    client = service.client
    with Visit(browser, service.url) as visit, Visit(browser, service.url) as other:
        page = open_page(visit, service.url, model="digits", seed=21)
        page.locator("#digit label").filter(has_text="4").click()
        page.locator("#truncation").focus()
        page.keyboard.press("ArrowLeft")
        expect_in_address(page, "truncation", "0.95")
        tile(page, 13).click()
        expect(page.locator("#inspector figcaption")).to_have_text("Image 13 of seed 21")
        bar(page, 2).focus()
        page.keyboard.press("PageUp")
        expect_in_address(page, "latent")
        latent, original = latent_and_image(client, model="digits", seed=21, first=13, digit=4, truncation=0.95)
        changed = latent_of(parameters(page.url)["latent"])
        assert np.flatnonzero(changed != latent).tolist() == [2]
        assert parameters(page.url).items() >= {"seed": "21", "digit": "4", "image": "13"}.items()
        assert parameters(page.url)["model"].startswith("digits@")
        settle(visit)
        page.reload()
        other.page.goto(page.url)
        for visitor in (visit, other):
            settle(visitor)
            again = visitor.page
            expect(again.locator("#model")).to_have_value("digits")
            expect(again.locator("#seed")).to_have_value("21")
            expect(again.locator("#digit input:checked")).to_have_value("4")
            expect(again.locator("#truncation-value")).to_have_text("ψ = 0.95")
            expect(tile(again, 13)).to_have_attribute("aria-selected", "true")
            expect_canvas(again, image_of(client, changed, "digits"))
            expect_bars(again, changed)
            again.get_by_role("button", name="Reset").click()
            expect_canvas(again, original)
            settle(visitor)
        assert visit.faults == other.faults == []


@pytest.mark.slow
def test_a_latent_that_is_none_is_left_out_and_that_is_told(browser: Browser, service: Service) -> None:
    numbers = np.zeros(16, dtype="<f4")
    numbers[3] = np.nan
    with Visit(browser, service.url) as visit:
        for latent in ("AAAA", "!!!", base64.urlsafe_b64encode(numbers.tobytes()).decode()):
            page = open_page(visit, service.url, latent=latent, image=2)
            words = "The latent in the address does not fit this model, so it is ignored."
            expect(page.locator("#status.error")).to_have_text(words)
            expect_canvas(page, sample(service.client, seed=7, first=2))
            expect(page.locator("#inspector figcaption")).to_have_text("Image 2 of seed 7")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_back_and_forth_between_views(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, seed=5)
        tile(page, 6).click()
        expect_in_address(page, "image", 6)
        page.locator("[data-view=walk]").click()
        expect(page.locator("#walk")).to_be_visible()
        expect(page.locator("#draw")).to_be_hidden()
        settle(visit)
        page.locator("[data-view=models]").click()
        expect(page.locator("#models")).to_be_visible()
        settle(visit)
        for _ in range(2):
            page.go_back()
        expect(page.locator("#draw")).to_be_visible()
        assert parameters(page.url).items() >= {"seed": "5", "image": "6"}.items()
        expect_canvas(page, sample(service.client, seed=5, first=6))
        expect(page.locator("[data-view=draw]")).to_have_attribute("aria-current", "page")
        page.go_forward()
        expect(page.locator("#walk")).to_be_visible()
        page.locator("[data-view=draw]").click()  # not with "back": the view has the state it was left in
        expect(page.locator("#draw")).to_be_visible()
        expect(page.locator("#inspector figcaption")).to_have_text("Image 6 of seed 5")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_switching_models_keeps_what_both_have(browser: Browser, service: Service) -> None:
    """A changed latent belongs to one model; the seed and the index of the image hold for every model."""
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, seed=5, image=9)
        page.get_by_role("button", name="Randomise a little").click()
        expect_in_address(page, "latent")
        page.locator("#model").select_option("rgb")
        expect_canvas(page, sample(service.client, model="rgb", seed=5, first=9))
        expect(page.locator("#status")).to_have_text("")
        expect_in_address(page, "latent", None)
        expect_in_address(page, "model", "rgb")
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_on_a_small_screen_the_inspector_is_a_sheet(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=360) as visit:
        page = open_page(visit, service.url)
        sheet = page.locator("#inspector")
        expect(sheet).to_be_hidden()
        tile(page, 3).tap()
        expect(sheet).to_be_visible()
        expect(page.locator("#inspector figcaption")).to_have_text("Image 3 of seed 7")
        expect_canvas(page, sample(service.client, seed=7, first=3))
        box = sheet.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] == pytest.approx(900, abs=1)
        assert box["width"] == pytest.approx(360, abs=1)
        assert visit.overflow() == 0
        sheet.get_by_role("button", name="Close").tap()
        expect(sheet).to_be_hidden()
        expect_in_address(page, "image", None)
        expect(page.locator("#grid [aria-selected=true]")).to_have_count(0)
        settle(visit)
        assert visit.faults == []


def test_the_reading_and_the_limits_are_those_of_the_latent_on_screen(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=360) as visit:
        page = open_page(visit, service.url, image=3, model="conv")
        reading, slider = page.locator("#inspector output"), page.locator("#inspector input[type=range]")
        bar(page, 2).tap()

        def expect_reading(**query: object) -> None:
            latent, _ = latent_and_image(service.client, seed=7, **query)
            expect(reading).to_have_text(f"z 2 = {latent[2]:.2f}".replace("-", "−"))
            assert float(slider.input_value()) == pytest.approx(latent[2], abs=0.0051)

        expect_reading(model="conv", first=3)
        slider.fill("2.5")
        expect(reading).to_have_text("z 2 = 2.50")
        page.get_by_role("button", name="Reset").click()
        expect_reading(model="conv", first=3)
        page.locator("#model").select_option("rgb")  # as many numbers, but another prior
        expect_in_address(page, "model", "rgb")
        settle(visit)
        expect_reading(model="rgb", first=3)
        expect(slider).to_have_attribute("max", str(3**0.5))
        expect(bar(page, 0)).to_have_attribute("aria-valuemax", "1.73")
        expect(bar(page, 0)).to_have_attribute("aria-valuemin", "-1.73")
        page.evaluate("Math.random = () => 0.999999")  # the noise is then 5 standard deviations
        page.get_by_role("button", name="Randomise a little").click()
        expect_in_address(page, "latent")
        shaken = latent_of(parameters(page.url)["latent"])
        assert shaken.max() == pytest.approx(1.73)
        expect(reading).to_have_text(f"z 2 = {shaken[2]:.2f}".replace("-", "−"))
        settle(visit)
        assert visit.faults == []


def test_a_changed_image_that_was_shown_by_default_stays_that_image(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        caption = page.locator("#inspector figcaption")
        expect(caption).to_have_text("Image 0 of seed 7")
        page.get_by_role("button", name="Randomise a little").click()
        expect(caption).to_have_text("Image 0 of seed 7, changed")
        expect_in_address(page, "latent")
        expect_in_address(page, "image", "0")
        settle(visit)
        page.reload()
        expect(caption).to_have_text("Image 0 of seed 7, changed")
        page.get_by_role("button", name="Reset").click()
        expect(caption).to_have_text("Image 0 of seed 7")
        expect_canvas(page, sample(service.client, seed=7))
        settle(visit)
        assert visit.faults == []


def test_a_little_randomness_keeps_the_class(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=3, model="digits")
        latent, _ = latent_and_image(service.client, model="digits", seed=7, first=3)
        page.get_by_role("button", name="Randomise a little").click()
        expect_in_address(page, "latent")
        shaken = latent_of(parameters(page.url)["latent"])
        assert np.array_equal(shaken[-10:], latent[-10:])
        assert (shaken[:-10] != latent[:-10]).any()


def test_a_little_randomness_keeps_the_cluster(browser: Browser, tmp_path: Path) -> None:
    rules = GameRules(loss="non-saturating", clusters=4)
    make_tiny_model_folder(tmp_path / "models" / "mine", z_dim=8, rules=rules, judge=False)
    with running(tmp_path, models_dir=tmp_path / "models") as service, Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=3)
        expect(page.locator("#inspector")).to_contain_text("The numbered bars choose the cluster of training images")
        expect(bar(page, 4)).to_have_attribute("aria-label", "z 4, the vote for cluster 0")
        latent, _ = latent_and_image(service.client, seed=7, first=3)
        page.get_by_role("button", name="Randomise a little").click()
        expect_in_address(page, "latent")
        shaken = latent_of(parameters(page.url)["latent"])
        assert np.array_equal(shaken[-4:], latent[-4:])
        assert (shaken[:-4] != latent[:-4]).any()
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_an_error_goes_when_the_next_drag_works(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=3)
        problem = {"status": 500, "content_type": "application/problem+json", "body": '{"detail": "not this time"}'}
        page.route("**/v1/samples", lambda route: route.fulfill(**problem), times=1)
        bar(page, 2).focus()
        page.keyboard.press("ArrowUp")
        expect(page.locator("#status.error")).to_have_text("That did not work: not this time")
        page.keyboard.press("ArrowUp")
        expect(page.locator("#status")).to_have_text("")
        settle(visit)


@pytest.mark.parametrize(
    ("given", "told"),
    [("0.07", "ψ = 0.07"), pytest.param("0.333", "ψ = 0.333", marks=pytest.mark.slow), ("1.0", "full")],
)
def test_the_variety_of_an_address_is_told_as_it_is(browser: Browser, service: Service, given: str, told: str) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, truncation=given)
        expect(page.locator("#truncation-value")).to_have_text(told)
        expect(page.locator("#truncation")).to_have_attribute("aria-valuetext", told)
        page.locator("#truncation").fill("0.5")
        expect(page.locator("#truncation-value")).to_have_text("ψ = 0.5")
        assert visit.faults == []


def test_digits_of_a_model_whose_images_cannot_be_drawn(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, model="three", digit=7)
        expect(page.locator("#status.error")).to_contain_text("has the classes 0 to 2")
        expect(page.locator("#digit label")).to_have_text(["any", "0", "1", "2"])
        page = open_page(visit, service.url, digit=3)
        expect(page.locator("#status.error")).to_contain_text("is not conditional")
        expect(page.locator("#digit label")).to_have_text(["any"])
        page.locator("#digit label").click()
        expect(page.locator("#digit")).to_be_hidden()
        expect_in_address(page, "digit", None)
        expect(page.locator("#status")).to_have_text("")


def test_digits_of_a_model_of_many_classes_keep_the_focus(browser: Browser, service: Service) -> None:
    def widen(route: Route) -> None:
        answer = route.fetch()
        details = answer.json()
        details["metadata"]["classes"] = 12
        route.fulfill(response=answer, json=details)

    with Visit(browser, service.url) as visit:
        visit.page.route("**/v1/models/digits@*", widen)
        page = open_page(visit, service.url, model="digits", digit=3)
        expect(page.locator("#digit label")).to_have_text(["any", *map(str, range(10))])
        page.locator("#digit input:checked").focus()
        for digit in (4, 5):
            page.keyboard.press("ArrowRight")
            expect_in_address(page, "digit", digit)
            settle(visit)
            expect(page.locator(f"#digit input[value='{digit}']")).to_be_focused()


@pytest.mark.slow
def test_images_of_two_seeds_never_stand_in_one_grid(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        visit.page.set_viewport_size({"width": 1440, "height": 600})  # so low that only one page is loaded
        page = open_page(visit, service.url, seed=9)
        tiles, grid = page.locator("#grid [role=option]"), page.locator("#grid")
        expect(tiles).to_have_count(PAGE)
        command = page.locator("#take input.code").input_value()
        page.route("**/v1/samples?*", lambda route: route.abort())
        page.locator("#seed").fill("10")
        page.locator("#seed").press("Enter")
        expect(page.locator("#status.error")).to_contain_text("the service does not answer")
        page.unroute_all()
        page.locator("#grid-end").scroll_into_view_if_needed()
        page.mouse.move(300, 300)
        page.mouse.wheel(0, 5000)
        tile(page, 60).click(force=True)
        frames(page, 10)
        settle(visit)
        expect(tiles).to_have_count(PAGE)  # those of seed 9, and no more
        expect(grid).to_have_attribute("aria-disabled", "true")
        expect(page.locator("#grid [aria-selected=true]")).to_have_attribute("data-index", "0")
        assert "image" not in parameters(page.url)
        expect(page.locator("#take input.code")).to_be_hidden()  # it would not get the images of the seed in the field
        expect(page.locator("#take .downloads")).to_be_hidden()
        page.locator("#seed").press("Enter")
        expect(grid).not_to_have_attribute("aria-disabled", "true")
        for index in (0, 5):
            expect_tile(page, index, sample(service.client, seed=10, first=index))
        expect(page.locator("#take input.code")).to_have_value(command.replace("seed=9&", "seed=10&"))
        expect(page.locator("#take input.code")).to_be_visible()
        expect(page.locator("#take .downloads")).to_be_visible()


@pytest.mark.slow
def test_nothing_of_an_earlier_seed_is_taken_while_another_is_late(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, seed=9)
        command = page.locator("#take input.code")
        expect(command).to_be_visible()
        held = hold(page, "**/v1/samples?*n=64*")
        page.locator("#seed").fill("10")
        page.locator("#seed").press("Enter")
        until(page, lambda: len(held) == 1, "the other images are asked for")
        expect(command).to_be_hidden()
        page.go_back()
        until(page, lambda: len(held) == 2, "those before are asked for again")
        held[0].continue_()  # it comes too late
        frames(page, 10)
        expect(command).to_be_hidden()
        page.unroute_all()
        expect(command).to_be_visible()
        expect(command).to_have_value(re.compile("seed=9&"))
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_a_latent_that_is_not_drawn_is_saved_as_it_is_shown(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=3)
        page.context.set_offline(True)
        bar(page, 2).focus()
        page.keyboard.press("PageUp")
        expect(page.locator("#status.error")).to_contain_text("the service does not answer")
        expect_in_address(page, "latent")
        body = json.loads(download(page, page.locator("#inspector").get_by_role("link", name="JSON")))
        shown = latent_of(parameters(page.url)["latent"])
        assert np.array_equal(np.array(body["latents"][0], dtype=np.float32), shown)


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True])
def test_a_bar_changes_no_image_but_its_own(browser: Browser, service: Service, fails: bool) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=3)
        held = hold(page, "**/v1/samples?*first=8&n=1&*")
        tile(page, 8).click()
        until(page, lambda: len(held) == 1, "image 8 is asked for")
        if fails:
            held[0].abort()
            expect(page.locator("#status.error")).to_contain_text("the service does not answer")
        expect(page.locator("#inspector figcaption")).to_have_text("Image 3 of seed 7")
        box = bar(page, 2).bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 3)
        bar(page, 2).focus()
        page.keyboard.press("ArrowUp")
        expect_in_address(page, "image", 8)
        expect(page.locator("#inspector figcaption")).to_have_text("Image 3 of seed 7")
        page.unroute_all()  # lets the held request continue
        if fails:
            tile(page, 8).click()
        expect(page.locator("#inspector figcaption")).to_have_text("Image 8 of seed 7")
        settle(visit)
        assert "latent" not in parameters(page.url)
        bar(page, 2).focus()
        page.keyboard.press("ArrowUp")
        expect(page.locator("#inspector figcaption")).to_have_text("Image 8 of seed 7, changed")
        expect_in_address(page, "latent")


@pytest.mark.parametrize("digit", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_less_variety_of_a_digit_draws_that_digit(browser: Browser, service: Service, digit: int) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, model="digits", digit=digit, truncation=0.3)
        votes = page.locator("#inspector .ballot").evaluate_all(
            "all => all.map(bar => +bar.getAttribute('aria-valuenow'))"
        )
        assert int(np.argmax(votes)) == digit
        full, _ = latent_and_image(service.client, model="digits", digit=digit, seed=7)
        np.testing.assert_allclose(votes, full[-10:], atol=0.0051)


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True])
def test_no_earlier_picture_is_beside_a_changed_latent(browser: Browser, service: Service, fails: bool) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=5)
        inspector = page.locator("#inspector")
        canvas, png = inspector.locator("canvas"), inspector.get_by_role("link", name="Save PNG")
        first = sample(service.client, seed=7, first=5)
        expect_canvas(page, first)
        expect(inspector.locator(".opinion")).to_be_visible()
        held: list[Route] = []
        page.route(
            "**/v1/samples", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
        )
        page.get_by_role("button", name="Randomise a little").click()
        until(page, lambda: len(held) == 1, "the changed image is asked for")
        expect(png).not_to_have_attribute("href", re.compile("."))
        caption = inspector.locator("figcaption")
        expect(caption).to_have_text("Image 5 of seed 7, changed: it is being drawn …")
        assert not canvas_pixels(canvas).any()
        expect(inspector.locator(".opinion")).to_have_count(0)
        expect(inspector).to_contain_text("Waiting for D’s opinion …")
        if fails:
            held[0].fulfill(status=500, json={"detail": "no luck"})
            expect(page.locator("#status.error")).to_have_text("That did not work: no luck")
            expect(caption).to_have_text("Image 5 of seed 7, changed: it could not be drawn")
            expect(inspector).to_contain_text("D could not judge this image.")
            assert not canvas_pixels(canvas).any()
        else:
            held[0].continue_()
        page.unroute_all()
        page.get_by_role("button", name="Reset").click()
        expect_canvas(page, first)
        expect(caption).to_have_text("Image 5 of seed 7")
        expect(page.locator("#status")).to_have_text("")
        assert np.array_equal(pixels(download(page, png)), first)
        expect_opinion(inspector, score_of(service.client, download(page, png), preprocess="none"))


@pytest.mark.slow
def test_no_opinion_of_an_earlier_picture_is_beside_a_changed_latent(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=5)
        inspector = page.locator("#inspector")
        expect(inspector.locator(".opinion")).to_be_visible()
        held = hold(page, "**/v1/score?*")
        page.get_by_role("button", name="Randomise a little").click()
        expect(inspector).to_contain_text("Waiting for D’s opinion …")
        expect(inspector.locator(".opinion")).to_have_count(0)
        held[0].fulfill(status=500, json={"detail": "no luck"})
        expect(inspector).to_contain_text("D could not judge this image.")
        expect(inspector.get_by_role("link", name="Save PNG")).to_have_attribute("href", re.compile("^blob:"))


@pytest.mark.slow
def test_the_picture_of_another_image_is_not_drawn_over_a_newer_one(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=5)
        held: list[Route] = []
        page.route(
            "**/v1/samples", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
        )
        page.get_by_role("button", name="Randomise a little").click()
        until(page, lambda: len(held) == 1, "the changed image is asked for")
        tile(page, 6).click()
        expect(page.locator("#inspector figcaption")).to_contain_text("Image 6 of seed 7")
        held[0].fulfill(status=500, json={"detail": "no luck"})
        until(page, lambda: len(held) == 2, "the other image is asked for")
        held[1].continue_()
        expect_canvas(page, sample(service.client, seed=7, first=6))
        expect(page.locator("#status")).to_have_text("")


@pytest.mark.slow
@pytest.mark.parametrize("path", ["samples", "score"])
def test_another_image_does_not_wait_for_the_one_before(browser: Browser, service: Service, path: str) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=5)
        held = hold(page, f"**/v1/{path}" if path == "samples" else f"**/v1/{path}?*")
        page.get_by_role("button", name="Randomise a little").click()
        until(page, lambda: len(held) == 1, "the changed image is asked for")
        tile(page, 6).click()
        until(page, lambda: len(held) == 2, "the other image is asked for at once")
        held[1].continue_()
        expect_canvas(page, sample(service.client, seed=7, first=6))
        expect(page.locator("#inspector .opinion")).to_be_visible()
        until(page, lambda: not visit.pending, "the first call has been given up")
        assert visit.faults == []


@pytest.mark.slow
def test_a_long_grid_of_large_images_is_saved_at_the_largest_scale_that_the_api_allows(
    browser: Browser, tmp_path: Path
) -> None:
    make_tiny_model_folder(tmp_path / "models" / "large", image_shape=ImageShape(height=64, width=64))
    n = 58 * PAGE  # at scale 2, 64 million pixels hold 3,673 images of 66 × 66 pixels
    with running(tmp_path, models_dir=tmp_path / "models") as service, Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        png = page.locator("#take").get_by_role("link", name="PNG")
        assert parameters(png.get_attribute("href") or "")["scale"] == "2"
        held = hold(page, f"**/v1/samples?*first={n}&*")
        page.locator("#grid").evaluate("grid => Object.assign(grid.style, { height: 0, overflow: 'hidden' })")
        until(page, lambda: len(held) == 1, "the grid has grown so far, as its end is always near")
        url = png.get_attribute("href") or ""
        assert parameters(url)["n"] == str(n)
        assert service.client.head(url).status_code == 200
        assert service.client.head(url.replace("scale=1", "scale=2")).status_code == 422
