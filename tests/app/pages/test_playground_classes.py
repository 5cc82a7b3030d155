"""The playground with models of other pictures than digits: classes by name, other words, larger tiles, no pad."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from harness.service import Service
from tests.app.named_classes import PETS
from tests.app.playground import expect_in_address, open_page, parameters, settle
from tests.browser import Visit, needs_chromium

pytestmark = needs_chromium


@pytest.fixture
def visit(browser: Browser, named: Service) -> Iterator[Visit]:
    with Visit(browser, named.url) as opened:
        yield opened
    assert [fault for fault in opened.faults if "422" not in fault] == []  # one test asks for a class that is not there


def choose(page: Page, label: str) -> None:
    """Choose a class by its number, or "" for any class."""
    page.locator(f"#digit input[value='{label}']").check()


def grid_query(page: Page) -> dict[str, str]:
    """Return the parameters of the offered command's URL."""
    return parameters(page.locator("#take a.button").first.get_attribute("href") or "")


def test_classes_are_buttons_with_their_names(visit: Visit, named: Service) -> None:
    page = open_page(visit, named.url, model="pets")
    choices = page.locator("#digit .choices label")
    expect(choices).to_have_text(["any", *PETS])
    expect(page.locator("#class-list")).to_be_hidden()
    expect(page.locator("#class-legend")).to_have_text("Class")
    for label, name in enumerate(PETS):
        choose(page, str(label))
        settle(visit)
        expect_in_address(page, "class", name)
        assert grid_query(page)["class"] == name
    choose(page, "")
    settle(visit)
    expect_in_address(page, "class", None)
    assert "class" not in grid_query(page)


@pytest.mark.parametrize("asked", [{"class": "dog, black"}, {"class": "1"}, {"digit": "1"}])
def test_an_address_chooses_a_class(visit: Visit, named: Service, asked: dict[str, str]) -> None:
    page = open_page(visit, named.url, model="pets", **asked)
    expect(page.locator("#digit input:checked")).to_have_value("1")
    expect(page.locator("#grid [role=option]").first).to_be_visible()


def test_a_class_that_the_model_does_not_have_is_told(visit: Visit, named: Service) -> None:
    page = open_page(visit, named.url, model="pets", **{"class": "bird"})
    expect(page.locator("#status")).to_contain_text("has the classes cat, dog, black, 10, Käfer & Co?")
    choose(page, "")
    settle(visit)
    expect_in_address(page, "class", None)
    expect(page.locator("#grid [role=option]").first).to_be_visible()


def test_many_classes_are_a_list(visit: Visit, named: Service) -> None:
    page = open_page(visit, named.url, model="breeds")
    chooser = page.locator("#class-list")
    expect(chooser.locator("option")).to_have_count(201)
    expect(page.locator("#digit .choices")).to_be_hidden()
    chooser.select_option("breed 123")
    settle(visit)
    expect_in_address(page, "class", "breed 123")
    assert grid_query(page)["class"] == "breed 123"
    page.reload()
    settle(visit)
    expect(chooser).to_have_value("123")
    chooser.select_option("any")
    settle(visit)
    expect_in_address(page, "class", None)


def test_the_words_follow_the_model(visit: Visit, named: Service) -> None:
    page = open_page(visit, named.url, model="pets", **{"class": "cat"})
    expect(page.locator("#draw-title")).to_have_text("Nobody took or drew these pictures")
    assert "digit" not in page.locator("main").inner_text().lower()
    page.locator("#model").select_option("mnist")
    settle(visit)
    expect(page.locator("#draw-title")).to_have_text("Nobody wrote these digits")
    expect_in_address(page, "class", None)
    expect(page.locator("#digit .choices label")).to_have_text(["any", *"0123456789"])
    choose(page, "3")
    settle(visit)
    expect_in_address(page, "digit", 3)


@pytest.mark.parametrize("view", ["walk", "judge", "learn"])
def test_no_view_speaks_of_digits(visit: Visit, named: Service, view: str) -> None:
    page = open_page(visit, named.url, model="pets", view=view)
    assert "digit" not in page.locator("main").inner_text().lower()


def test_larger_images_have_larger_tiles(visit: Visit, named: Service) -> None:
    page = open_page(visit, named.url, model="pets")
    large = page.locator("#grid [role=option]").first.bounding_box()
    page.locator("#model").select_option("mnist")
    settle(visit)
    small = page.locator("#grid [role=option]").first.bounding_box()
    assert large is not None
    assert small is not None
    assert large["width"] >= 128
    assert small["width"] < 90


def test_the_bars_name_the_classes(visit: Visit, named: Service) -> None:
    page = open_page(visit, named.url, model="pets", image=0)
    votes = page.locator("#inspector .ballot")
    expect(votes.nth(1)).to_have_attribute("aria-label", "z 13, the vote for class dog, black (1)")
    expect(page.locator("#inspector > .hint").first).to_contain_text("The numbered bars choose the class")


def test_the_judge_takes_pictures_and_has_no_pad(visit: Visit, named: Service) -> None:
    page = open_page(visit, named.url, model="pets", view="judge")
    for part in ("#pad", "#pad-undo", "#pad-clear"):
        expect(page.locator(part)).to_be_hidden()
    expect(page.locator(".for-pictures")).to_be_visible()
    expect(page.locator("#verdict")).to_contain_text("As soon as you choose a picture")
    samples = httpx.get(f"{named.url}/v1/samples?model=pets&seed=1&n=1").content
    page.locator("#files").set_input_files({"name": "pet.png", "mimeType": "image/png", "buffer": samples})
    settle(visit)
    expect(page.locator("#verdict")).to_contain_text("D")
    expect(page.locator(".for-pictures")).to_be_hidden()
    expect(page.locator("#photo")).to_be_visible()
    expect(page.locator("#pad-again")).to_be_hidden()


def test_a_drawing_is_not_judged_by_a_model_of_pictures(visit: Visit, named: Service) -> None:
    page = open_page(visit, named.url, model="mnist", view="judge")
    pad = page.locator("#pad")
    box = pad.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 100, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 200, steps=8)
    page.mouse.up()
    settle(visit)
    judged = page.locator("#verdict").inner_text()
    assert "Nothing to judge" not in judged
    page.locator("#model").select_option("pets")
    settle(visit)
    expect(page.locator("#verdict")).to_contain_text("Nothing to judge yet")
    page.locator("#model").select_option("mnist")
    settle(visit)
    expect(pad).to_be_visible()
    expect(page.locator("#verdict")).to_contain_text("logit")
    assert page.locator("#verdict").inner_text() == judged
