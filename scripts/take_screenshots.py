"""`python scripts/take_screenshots.py http://127.0.0.1:8000`: take the README's screenshots from a running service."""

import sys
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

CHROMIUM = "/usr/bin/chromium"
IMAGES = Path(__file__).parent.parent / "docs" / "images"


def main() -> None:
    """Take all screenshots."""
    url = sys.argv[1].rstrip("/")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        wide, narrow = ViewportSize(width=1440, height=900), ViewportSize(width=360, height=740)
        light = browser.new_context(viewport=wide, color_scheme="light", reduced_motion="reduce").new_page()
        dark = browser.new_context(viewport=wide, color_scheme="dark", reduced_motion="reduce").new_page()
        small = browser.new_context(viewport=narrow, color_scheme="dark", device_scale_factor=2).new_page()

        open_view(light, f"{url}/?image=4")
        save(light, "playground-draw")
        open_view(light, f"{url}/?view=judge")
        draw_seven(light)
        light.locator(".opinion").wait_for()
        light.get_by_role("button", name="Find G’s nearest image").click()
        light.get_by_role("button", name="Edit its latent").wait_for()
        save(light, "playground-judge")
        open_view(dark, f"{url}/?view=learn&model=mnist-mlp&beside=mnist-writeup&epoch=50")
        save(dark, "playground-learn")
        open_view(light, f"{url}/?view=walk&seeds=9,14,7&at=11")
        save(light, "playground-walk")
        open_view(small, f"{url}/?image=4")
        save(small, "playground-narrow")
        browser.close()


def open_view(page: Page, url: str) -> None:
    """Open a URL, and wait until nothing is loading."""
    page.goto(url)
    page.wait_for_load_state("networkidle")


def draw_seven(page: Page) -> None:
    """Draw a seven with the mouse."""
    box = page.locator("#pad").bounding_box()
    if box is None:
        raise RuntimeError("the drawing pad is not on screen")
    corners = [(0.28, 0.3), (0.5, 0.29), (0.72, 0.28), (0.6, 0.5), (0.5, 0.68), (0.44, 0.84)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def save(page: Page, name: str) -> None:
    """Save a screenshot of the page in docs/images."""
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
