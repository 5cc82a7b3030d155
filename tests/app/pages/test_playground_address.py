"""A shared address in a real Chromium: it keeps the version, the seed and a pause, and "Back" undoes one step."""

import pytest
from playwright.sync_api import Browser, Page, expect

from harness.service import Service
from tests.app.playground import expect_in_address, frames, open_page, parameters, settle
from tests.browser import Visit, needs_chromium

pytestmark = needs_chromium


def reference(service: Service, name: str = "mnist-conv") -> str:
    models = service.client.get("/v1/models").json()["models"]
    return str(next(model["model"] for model in models if model["name"] == name))


def caption(page: Page, text: str) -> None:
    expect(page.locator("#inspector figcaption")).to_have_text(text)


def test_an_address_has_the_version_of_the_model_and_the_seed(browser: Browser, service: Service) -> None:
    version = reference(service, "digits")
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        expect_in_address(page, "model", reference(service))
        expect_in_address(page, "seed", 7)
        page.locator("#model").select_option("digits")
        expect_in_address(page, "model", version)
        settle(visit)
        open_page(visit, service.url, model=version, view="models")
        expect(page.locator("#model")).to_have_value("digits")
        expect(page.locator("#status")).to_have_text("")
        assert parameters(page.url)["model"] == version
        settle(visit)
        open_page(visit, service.url, model="digits@000000000000")
        expect(page.locator("#model")).to_have_value("digits")
        current = version.partition("@")[2]
        words = f"The version 000000000000 of “digits” is not loaded; {current} is shown instead."
        expect(page.locator("#status")).to_have_text(words)
        assert visit.faults == []


@pytest.mark.slow
def test_back_undoes_one_step_within_a_view(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, seed=5, model="digits")
        page.get_by_role("button", name="New seed").click()
        expect(page.locator("#seed")).not_to_have_value("5")
        drawn = page.locator("#seed").input_value()
        page.locator("#digit label").filter(has_text="3").click()
        page.locator("#grid [data-index='4']").click()
        caption(page, f"Image 4 of seed {drawn}")
        page.locator("#grid [data-index='6']").click()
        caption(page, f"Image 6 of seed {drawn}")
        page.locator("#model").select_option("mnist-conv")
        expect(page.locator("#digit")).to_be_hidden()
        settle(visit)
        page.go_back()
        expect(page.locator("#model")).to_have_value("digits")
        caption(page, f"Image 6 of seed {drawn}")
        page.go_back()
        caption(page, f"Image 4 of seed {drawn}")
        page.go_back()
        caption(page, f"Image 0 of seed {drawn}")
        expect(page.locator("#digit input:checked")).to_have_value("3")
        page.go_back()
        expect(page.locator("#digit input:checked")).to_have_value("")
        page.go_back()
        caption(page, "Image 0 of seed 5")
        expect(page.locator("#seed")).to_have_value("5")
        page.go_forward()
        caption(page, f"Image 0 of seed {drawn}")
        settle(visit)
        assert visit.faults == []


def test_a_paused_walk_stays_paused(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, calm=False) as visit:
        page = open_page(visit, service.url, view="walk", seeds="1,2,3")
        page.get_by_role("button", name="Pause").click()
        expect_in_address(page, "at")
        stopped = page.locator("#walk-scrubber").input_value()
        settle(visit)
        page.reload()
        settle(visit)
        expect(page.get_by_role("button", name="Play")).to_be_enabled()
        frames(page, 12)
        expect(page.locator("#walk-scrubber")).to_have_value(stopped)
        page.get_by_role("button", name="Play").click()
        expect_in_address(page, "at", None)
        settle(visit)
        page.reload()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        settle(visit)
        assert visit.faults == []


@pytest.mark.parametrize(
    "name",
    ["__proto__", "nonsense", *(pytest.param(name, marks=pytest.mark.slow) for name in ("constructor", "toString"))],
)
def test_names_that_are_no_views(browser: Browser, service: Service, name: str) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view=name)
        expect(page.locator("#draw")).to_be_visible()
        expect(page.locator("#grid [role=option]").first).to_be_visible()
        expect(page.locator("#status")).to_have_text(f"Ignored in the address: “view={name}”: there is no such view.")
        assert visit.faults == []


def test_odd_numbers_and_an_empty_version_in_an_address(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url, width=240) as visit:
        page = open_page(visit, service.url, view="walk", at=-1, model="mnist-conv@")
        words = "Ignored in the address: “at=-1”: it must be a whole number, 0 or more."
        expect(page.locator("#status")).to_have_text(words)
        expect_in_address(page, "model", reference(service))
        assert visit.overflow() == 0
        assert visit.faults == []


def test_an_empty_seed_is_told_and_replaced(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, seed="")
        expect(page.locator("#status")).to_have_text("Ignored in the address: “seed=”: it must be a whole number.")
        expect(page.locator("#seed")).to_have_value("7")
        expect_in_address(page, "seed", 7)
        caption(page, "Image 0 of seed 7")
        assert visit.faults == []


@pytest.mark.slow
def test_what_holds_for_a_model_that_is_gone_is_kept_in_the_address(browser: Browser, service: Service) -> None:
    """The model may be there again when the page is reloaded; until then, nothing of it counts for another model."""
    latent = "A" * 86  # sixteen zeros
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, model="gone", digit=3, seed=5, image=2, latent=latent)
        words = "What holds for that model only (digit, latent) stays in the address until you change something."
        expect(page.locator("#status")).to_have_text(
            f"There is no usable model “gone”; the default “mnist-conv” is shown instead. {words}"
        )
        expect(page.locator("#digit")).to_be_hidden()
        caption(page, "Image 2 of seed 5")
        settle(visit)
        pause(page)
        asked = {"model": "gone", "digit": "3", "seed": "5", "image": "2", "latent": latent}
        assert parameters(page.url) == asked
        length = page.evaluate("history.length")
        page.locator("#inspector [data-at='0']").focus()
        page.keyboard.press("End")
        caption(page, "Image 2 of seed 5, changed")
        expect_in_address(page, "model", reference(service))
        expect_in_address(page, "digit", None)
        assert page.evaluate("history.length") == length + 1
        page.go_back()
        caption(page, "Image 2 of seed 5")
        settle(visit)
        assert parameters(page.url) == asked
        page.go_forward()
        caption(page, "Image 2 of seed 5, changed")
        settle(visit)
        assert visit.faults == []


def pause(page: Page) -> None:
    """Wait for longer than the page does before it writes its address."""
    page.evaluate("() => new Promise(done => setTimeout(done, 300))")


@pytest.mark.slow
def test_a_changed_latent_comes_back_by_back(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, seed=5, image=4)
        caption(page, "Image 4 of seed 5")
        page.locator("#inspector [data-at='0']").focus()
        page.keyboard.press("End")
        caption(page, "Image 4 of seed 5, changed")
        expect_in_address(page, "latent")
        changed = parameters(page.url)["latent"]
        page.locator("#grid [tabindex='0']").focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        caption(page, "Image 6 of seed 5")
        pause(page)
        page.go_back()
        caption(page, "Image 4 of seed 5, changed")
        page.get_by_role("button", name="Reset").click()
        caption(page, "Image 4 of seed 5")
        pause(page)
        page.go_back()
        caption(page, "Image 4 of seed 5, changed")
        expect_in_address(page, "latent", changed)
        settle(visit)
        assert visit.faults == []


@pytest.mark.slow
def test_back_right_after_a_change_does_not_lose_it(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, seed=5, image=4)
        page.locator("#grid [data-index='5']").click()
        caption(page, "Image 5 of seed 5")
        settle(visit)
        page.evaluate(
            """() => {
                const buttons = [...document.querySelectorAll("#inspector button")];
                buttons.find((button) => button.textContent === "Randomise a little").click();
                history.back();
            }"""
        )
        caption(page, "Image 4 of seed 5")
        pause(page)
        expect_in_address(page, "latent", None)
        page.go_forward()
        caption(page, "Image 5 of seed 5, changed")
        expect_in_address(page, "latent")
        settle(visit)
        assert visit.faults == []


def test_a_click_on_the_open_view_is_no_step(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url)
        length = page.evaluate("history.length")
        for _ in range(2):
            page.locator("[data-view=draw]").click()
            settle(visit)
        assert page.evaluate("history.length") == length
        assert visit.faults == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"model": "nope", "seed": "abc"}, "“abc” is no seed"),
        ({"model": "nope", "truncation": 7}, "truncation"),
        ({"model": "nope", "view": "walk", "seeds": "1,2", "mode": "x"}, "Ignored in the address: “mode=x”"),
        ({"model": "mnist-conv@000000000000", "latent": "AAAA"}, "The latent in the address does not fit this model"),
        pytest.param(
            {"model": "mnist-conv@000000000000", "seed": "abc", "view": "draw"},
            "“abc” is no seed",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_another_error_does_not_hide_that_another_model_is_shown(
    browser: Browser, service: Service, given: dict[str, object], error: str
) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, **given)
        status = page.locator("#status")
        expect(status).to_contain_text(error)
        missing = given["model"] == "nope"
        words = (
            "There is no usable model “nope”" if missing else "The version 000000000000 of “mnist-conv” is not loaded"
        )
        expect(status).to_contain_text(words)
        page.locator("[data-view=models]").click()
        expect(status).to_have_text("")  # both have been told


@pytest.mark.slow
def test_what_is_ignored_in_an_address_is_told_beside_an_error(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, view="nonsense", seed="abc")
        expect(page.locator("#status.error")).to_contain_text("“abc” is no seed")
        expect(page.locator("#status.error")).to_contain_text("“view=nonsense”: there is no such view")


def test_what_is_ignored_in_an_address_is_told(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        seeds = ",".join(["1", "x", str(2**53), *map(str, range(2, 18)), "-4"])
        page = open_page(visit, service.url, view="walk", seeds=seeds, steps="many", mode="constructor")
        status = page.locator("#status")
        for text in (f"“x”, “{2**53}”, “-4”", "the seed 17: a walk goes through at most 16", "steps=many", "mode="):
            expect(status).to_contain_text(text)
        expect(page.locator("#walk-picked button")).to_have_count(16)
        expect(page.locator("#walk-mode")).to_have_value("")
        page = open_page(visit, service.url, view="walk", seeds="none")
        expect(status).to_have_text("")
        page = open_page(visit, service.url, view="learn", run="constructor", epoch="-1")
        expect(status).to_contain_text("“run=constructor”")
        expect(status).to_contain_text("“epoch=-1”")
        assert visit.faults == []


def test_a_number_in_an_address_that_is_too_large_is_called_so(browser: Browser, service: Service) -> None:
    with Visit(browser, service.url) as visit:
        page = open_page(visit, service.url, image=10**16)
        words = f"Ignored in the address: “image={10**16}”: it must be a whole number below 2⁵³."
        expect(page.locator("#status")).to_have_text(words)
        assert visit.faults == []
