"""The view "Walk" in a real Chromium: the images of the walk, playing it, and the downloads."""

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect

from harness.service import Service
from tests.app.checks import animation_frames, json_images, pixels
from tests.app.playground import (
    canvas_pixels,
    download,
    expect_in_address,
    frames,
    hold,
    image_pixels,
    ok,
    open_page,
    parameters,
    rgb,
    run,
    sample,
    settle,
    until,
)
from tests.browser import Visit, needs_chromium

pytestmark = needs_chromium


def path(service: Service, **query: object) -> NDArray[np.uint8]:
    """Return the images of a walk from the API."""
    answer = ok(service.client.get("/v1/interpolations", params={"format": "json", **query}))  # type: ignore[dict-item]
    return json_images(answer.json())


def picked(page: Page) -> Locator:
    return page.locator("#walk-picked button")


def pickable(page: Page, seed: int) -> Locator:
    return page.locator(f"#walk-picker [data-seed='{seed}']")


def scrubber(page: Page) -> Locator:
    return page.locator("#walk-scrubber")


def at(page: Page) -> int:
    return int(scrubber(page).input_value())


def expect_walk(page: Page, images: NDArray[np.uint8]) -> None:
    """Wait until the walk has the number of these images, and shows the one at its position."""
    canvas = page.locator("#walk-canvas")

    def shown() -> bool:
        return scrubber(page).get_attribute("max") == str(len(images) - 1) and np.array_equal(
            canvas_pixels(canvas), rgb(images[at(page)])
        )

    until(page, shown, f"the walk has {len(images)} images, and the one shown is the API's")


def test_what_is_on_the_way(browser: Browser, service: Service) -> None:
    model = "rgb"
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", model=model, seeds="1,2,3")
        expect_walk(page, path(service, model=model, seeds="1,2,3"))
        expect(picked(page)).to_have_count(3)
        expect(page.locator("#walk-picker button")).to_have_count(16)
        assert np.array_equal(
            image_pixels(pickable(page, 9).locator("img")), rgb(sample(service.client, model=model, seed=9))
        )

        pickable(page, 9).click()
        expect(pickable(page, 9)).to_have_attribute("aria-pressed", "true")
        expect_in_address(page, "seeds", "1,2,3,9")
        expect_walk(page, path(service, model=model, seeds="1,2,3,9"))
        picked(page).nth(0).click()
        expect(pickable(page, 1)).to_have_attribute("aria-pressed", "false")
        pickable(page, 1).click()  # it is now the last one
        expect_in_address(page, "seeds", "2,3,9,1")
        images = path(service, model=model, seeds="2,3,9,1")
        expect_walk(page, images)
        for place, seed in enumerate([2, 3, 9, 1]):
            expect(picked(page).nth(place)).to_have_attribute("aria-label", f"Remove seed {seed} from the walk")
            assert np.array_equal(image_pixels(picked(page).nth(place).locator("img")), rgb(images[16 * place]))

        for _ in range(3):
            picked(page).nth(0).click()
        expect(page.locator("#walk-picked")).to_contain_text("Pick at least two images below.")
        expect(page.get_by_role("button", name="Play")).to_be_disabled()
        expect(scrubber(page)).to_be_disabled()
        expect(page.locator("#walk-downloads")).to_be_hidden()
        pickable(page, 4).click()
        expect_walk(page, path(service, model=model, seeds="1,4"))
        expect(page.get_by_role("button", name="Play")).to_be_enabled()
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_more_images_to_pick_and_no_more_than_sixteen_on_the_way(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds=",".join(map(str, range(16))), steps=4)
        page.locator("#walk-more").dblclick()
        expect(page.locator("#walk-picker button")).to_have_count(32)
        seeds = page.locator("#walk-picker button").evaluate_all(
            "all => all.map(button => Number(button.dataset.seed))"
        )
        assert seeds == list(range(32))
        assert np.array_equal(image_pixels(pickable(page, 27).locator("img")), rgb(sample(service.client, seed=27)))
        pickable(page, 20).click()
        expect(page.locator("#status")).to_contain_text("at most 16 images")
        expect(picked(page)).to_have_count(16)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_it_plays_stops_and_goes_where_one_points(browser: Browser, service: Service) -> None:
    images = path(service, seeds="1,2,3")
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="1,2,3")
        expect_walk(page, images)
        assert at(page) == 0  # this visitor prefers reduced motion
        page.get_by_role("button", name="Play").click()
        until(page, lambda: at(page) > 2, "it goes on")
        page.get_by_role("button", name="Pause").click()
        stopped = at(page)
        frames(page, 12)
        assert at(page) == stopped
        expect_walk(page, images)

        scrubber(page).focus()
        page.keyboard.press("End")
        assert at(page) == len(images) - 1
        expect_walk(page, images)
        expect_in_address(page, "at", len(images) - 1)
        page.keyboard.press("ArrowLeft")
        expect(scrubber(page)).to_have_attribute("aria-valuetext", f"image {len(images) - 1} of {len(images)}")
        expect_walk(page, images)
        page.get_by_role("button", name="Play").click()
        until(page, lambda: 0 < at(page) < 10, "it begins anew at the end")
        box = page.locator("#walk-strip").bounding_box()
        assert box is not None
        page.locator("#walk-strip").click(position={"x": box["width"] * 0.5, "y": box["height"] / 2})
        expect(page.get_by_role("button", name="Play")).to_be_visible()  # a click on the strip stops it
        assert at(page) == pytest.approx(len(images) / 2, abs=1)
        expect_walk(page, images)
        box = scrubber(page).bounding_box()
        assert box is not None
        scrubber(page).click(position={"x": box["width"] * 0.25, "y": box["height"] / 2})
        assert at(page) == pytest.approx(len(images) / 4, abs=1)
        expect_walk(page, images)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_it_begins_by_itself_for_those_who_do_not_mind_motion(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, calm=False) as visit:
        page = open_page(visit, service.url, view="walk")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        until(page, lambda: at(page) > 1, "it goes on")
        page.locator("[data-view=models]").click()
        expect(page.locator("#models")).to_be_visible()
        left = at(page)
        frames(page, 12)
        assert at(page) == left
        settle(visit)
        assert visit.faults == []


def test_the_strip_is_the_walk_from_end_to_end(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="5,6", steps=4)
        images = path(service, seeds="5,6", steps=4)
        expect_walk(page, images)
        strip = canvas_pixels(page.locator("#walk-strip"))
        assert np.array_equal(strip, rgb(np.concatenate(list(images), axis=1)))
        assert visit.faults == []


def test_a_click_on_the_strip_goes_to_the_image_that_is_there(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="5,6,8")
        images = path(service, seeds="5,6,8")
        expect_walk(page, images)
        strip = canvas_pixels(page.locator("#walk-strip"))
        side = strip.shape[0]
        box = page.locator("#walk-strip").bounding_box()
        assert box is not None
        for place in range(12):
            page.mouse.click(box["x"] + (place + 0.5) * box["width"] / 12, box["y"] + box["height"] / 2)
            shown = canvas_pixels(page.locator("#walk-canvas"))
            assert np.array_equal(shown, strip[:, place * side : (place + 1) * side]), place
        assert at(page) == len(images) - 1
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize("again", ["Show more images", None])
def test_an_error_goes_once_more_images_are_there(browser: Browser, service: Service, again: str | None) -> None:
    """Without `again`, those that the view begins with cannot be had."""
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk" if again else "models")
        page.route("**/v1/interpolations?*format=json*", lambda route: route.abort())
        if again:
            page.get_by_role("button", name=again).click()
        else:
            page.locator("[data-view=walk]").click()
        expect(page.locator("#status")).to_have_text("That did not work: the service does not answer; is it running?")
        page.unroute("**/v1/interpolations?*format=json*")
        page.get_by_role("button", name="Show more images").click()
        expect(page.locator("#walk-picker button")).to_have_count(32 if again else 16)
        expect(page.locator("#status")).to_have_text("")
        expect(page.locator("#walk-play")).to_be_enabled()
        settle(visit)


def test_an_address_may_have_all_that_the_api_takes(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        for steps, loop, is_loop in [(1, "1", True), (5, "TRUE", True), (100, "False", False), (256, "0", False)]:
            page = open_page(visit, service.url, view="walk", seeds="1,2,3", steps=steps, loop=loop)
            expect_walk(page, path(service, seeds="1,2,3", steps=steps, loop=is_loop))
            expect(page.locator("#walk-steps-value")).to_have_text(str(steps))
            expect(page.locator("#walk-loop")).to_be_checked(checked=is_loop)
            expect(page.locator("#status")).to_have_text("")
            settle(visit)
        for steps, loop in [(0, "yes"), (257, "2")]:
            page = open_page(visit, service.url, view="walk", seeds="1,2,3", steps=steps, loop=loop)
            ignored = f"“steps={steps}”: it must be 1 to 256; “loop={loop}”: it must be true or false."
            expect(page.locator("#status")).to_have_text(f"Ignored in the address: {ignored}")
            expect_walk(page, path(service, seeds="1,2,3"))
            expect(page.locator("#walk-steps-value")).to_have_text("16")
            settle(visit)
        page = open_page(visit, service.url, view="walk", seeds="1,2,3", at=33)
        ignored = "Ignored in the address: “at=33”: the last image of this walk is 32."
        expect(page.locator("#status")).to_have_text(ignored)
        expect_in_address(page, "at", 32)
        settle(visit)
        assert visit.faults == []


def test_a_paused_walk_keeps_its_place_when_the_steps_change(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, calm=False) as visit:
        page = open_page(visit, service.url, view="walk", seeds="1,2,3", at=32)
        expect_walk(page, path(service, seeds="1,2,3"))
        for key, steps in [("ArrowRight", 20), ("Home", 4), ("ArrowRight", 8)]:
            page.locator("#walk-steps").press(key)
            images = path(service, seeds="1,2,3", steps=steps)
            expect_walk(page, images)
            assert at(page) == len(images) - 1
            expect_in_address(page, "at", len(images) - 1)
        page.locator("#walk-loop").check()
        expect_walk(page, path(service, seeds="1,2,3", steps=8, loop=True))
        expect_in_address(page, "at", 16)
        settle(visit)
        page.reload()
        expect_walk(page, path(service, seeds="1,2,3", steps=8, loop=True))
        expect(page.get_by_role("button", name="Play")).to_be_enabled()
        assert at(page) == 16
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_steps_way_and_return(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="1,2")
        expect_walk(page, path(service, seeds="1,2"))
        page.locator("#walk-steps").focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#walk-steps-value")).to_have_text("20")
        expect_walk(page, path(service, seeds="1,2", steps=20))
        expect_in_address(page, "steps", 20)
        page.locator("#walk-loop").check()
        expect_walk(page, path(service, seeds="1,2", steps=20, loop=True))
        scrubber(page).fill("10")
        straight, round_ = (path(service, seeds="1,2", steps=20, loop=True, mode=mode) for mode in ("linear", "slerp"))
        assert not np.array_equal(straight[10], round_[10])
        page.locator("#walk-mode").select_option("linear")
        expect_walk(page, straight)
        page.locator("#walk-mode").select_option("slerp")
        expect_walk(page, round_)
        scrubber(page).fill("10")
        expect_in_address(page, "at", 10)
        for name, value in {"seeds": "1,2", "steps": 20, "mode": "slerp", "loop": "true"}.items():
            expect_in_address(page, name, value)
        settle(visit)
        page.reload()
        settle(visit)
        assert at(page) == 10
        expect_walk(page, round_)
        expect(page.locator("#walk-steps-value")).to_have_text("20")
        expect(page.locator("#walk-mode")).to_have_value("slerp")
        expect(page.locator("#walk-loop")).to_be_checked()
        page.locator("#walk-loop").uncheck()
        expect_walk(page, path(service, seeds="1,2", steps=20, mode="slerp"))
        page.locator("#model").select_option("three")
        expect_walk(page, path(service, model="three", seeds="1,2", steps=20, mode="slerp"))
        assert np.array_equal(
            image_pixels(pickable(page, 3).locator("img")), rgb(sample(service.client, model="three", seed=3))
        )
        settle(visit)
        assert visit.faults == []


def test_what_can_be_taken_away(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="4,8,15", steps=8, loop="true")
        images = path(service, seeds="4,8,15", steps=8, loop=True)
        assert len(images) == 24
        expect_walk(page, images)
        large = images.repeat(8, axis=1).repeat(8, axis=2)
        moving = page.locator("#walk-downloads")
        gif = download(page, moving.get_by_role("link", name="GIF"))
        assert np.array_equal(animation_frames(gif, "gif")[..., 0], large)
        assert run(service.client, page.locator("#walk-curl input").input_value()) == gif
        webp = download(page, moving.get_by_role("link", name="WebP"))
        assert np.array_equal(animation_frames(webp, "webp")[..., 0], large)
        strip = pixels(download(page, moving.get_by_role("link", name="PNG strip")))
        assert strip.shape[1] >= 24 * 56
        listed = json.loads(download(page, moving.get_by_role("link", name="JSON")))
        assert np.array_equal(json_images(listed), images)
        settle(visit)
        assert visit.faults == []


def test_a_long_walk_is_saved_at_the_largest_scale_that_the_api_allows(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds=",".join(map(str, range(16))), steps=256)
        links = page.locator("#walk-downloads").get_by_role("link")
        for form in ("GIF", "WebP", "PNG strip", "JSON"):
            ok(service.client.head(links.and_(page.get_by_text(form)).get_attribute("href") or ""))
        gif = links.and_(page.get_by_text("GIF")).get_attribute("href") or ""
        scale = int(parameters(gif)["scale"])
        refused = service.client.head(gif.replace(f"scale={scale}", f"scale={scale + 1}"))
        assert refused.status_code == 422
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_nothing_on_the_way(browser: Browser, service: Service) -> None:
    """Before a walk has been drawn, "Play" is disabled, and a click on the strip does no harm."""
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="none")
        expect(page.locator("#walk-picked")).to_have_text("Pick at least two images below.")
        expect(page.get_by_role("button", name="Play")).to_be_disabled()
        page.locator("#walk-strip").click()
        expect(page.locator("#status")).to_have_text("")
        for seed in (3, 1):
            pickable(page, seed).click()
        expect_walk(page, path(service, seeds="3,1"))
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_two_clicks_open_one_view(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        page.locator("[data-view=walk]").dblclick()
        expect_walk(page, path(service, seeds="9,14,7"))
        settle(visit)
        expect(page.locator("#walk-picker button")).to_have_count(16)
        expect(page.locator("#walk-curl input")).to_have_count(1)
        page.get_by_role("button", name="Play").click()
        until(page, lambda: at(page) > 1, "one click plays, and no second one of its own stops it")
        assert visit.faults == []


@pytest.mark.slow
def test_before_the_first_walk_is_drawn_there_is_nothing_to_play(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = visit.page
        held = hold(page, "**/v1/interpolations?*format=png")
        page.goto(f"{service.url}/?view=walk&seeds=1,2,3")
        until(page, lambda: len(held) > 0, "the walk is asked for")
        expect(page.get_by_role("button", name="Play")).to_be_disabled()
        held[0].continue_()
        expect(page.get_by_role("button", name="Play")).to_be_enabled()
        expect_walk(page, path(service, seeds="1,2,3"))
        assert visit.faults == []


@pytest.mark.slow
def test_no_walk_of_other_images_stays_and_neither_does_the_focus_go(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="1,2,3")
        canvas, picked = page.locator("#walk-canvas"), page.locator("#walk-picked button")
        until(page, lambda: bool(canvas_pixels(canvas).any()), "the walk is there")
        picked.nth(1).focus()
        for left in (2, 1):
            page.keyboard.press("Enter")
            expect(picked).to_have_count(left)
            expect(picked.last).to_be_focused()
        until(page, lambda: not canvas_pixels(canvas).any(), "the walk has gone")
        assert not canvas_pixels(page.locator("#walk-strip")).any()
        page.keyboard.press("Enter")
        expect(picked).to_have_count(0)
        expect(page.locator("#walk-picker button").first).to_be_focused()


@pytest.mark.slow
@pytest.mark.parametrize("fails", [True, False])
def test_no_earlier_walk_stays_while_another_is_late_or_fails(browser: Browser, service: Service, fails: bool) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="1,2,3")
        canvas, downloads = page.locator("#walk-canvas"), page.locator("#walk-downloads")
        until(page, lambda: bool(canvas_pixels(canvas).any()), "the walk is there")
        expect(downloads).to_be_visible()
        held = hold(page, "**/v1/interpolations?*format=png*")
        page.locator("#walk-picked button").first.click()
        until(page, lambda: len(held) == 1, "the other walk is asked for")
        expect(downloads).to_be_hidden()
        assert not canvas_pixels(canvas).any()
        if fails:
            held[0].fulfill(status=500, json={"detail": "no luck"})
            expect(page.locator("#status.error")).to_contain_text("no luck")
            assert not canvas_pixels(canvas).any()
        else:
            held[0].continue_()
            until(page, lambda: bool(canvas_pixels(canvas).any()), "the other walk is there")
            expect(downloads).to_be_visible()


@pytest.mark.slow
def test_a_walk_of_another_model_does_not_wait_for_the_one_before(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="1,2,3")
        held = hold(page, "**/v1/interpolations?*format=png*")
        page.locator("#walk-picked button").first.click()
        until(page, lambda: len(held) == 1, "the walk is asked for")
        page.locator("#model").select_option("rgb")
        until(page, lambda: len(held) == 2, "the walk of the other model is asked for at once")
        held[1].continue_()
        expect_walk(page, path(service, model="rgb", seeds="2,3"))
        until(page, lambda: not visit.pending, "the first call has been given up")
        assert visit.faults == []


@pytest.mark.slow
def test_one_of_two_equal_seeds_is_removed(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="walk", seeds="9,9,7")
        picked(page).nth(1).click()
        expect(picked(page)).to_have_count(2)
        expect_in_address(page, "seeds", "9,7")
        expect(pickable(page, 9)).to_have_attribute("aria-pressed", "true")
        expect_walk(page, path(service, seeds="9,7"))
        assert visit.faults == []
