"""`python -m benchmarks.playground`: the page in a real Chromium: first grid, redraws while it is used, and weight.

first grid    from the navigation to the frame after the first images are decoded, with an empty cache, on a warm server
redraws       frames a second that show another picture of the dragged image, while the mouse moves a bar
weight        bytes that the page loads for all of its views, without images and answers of the API

The page is measured from outside: scripts that the benchmark adds to the page watch what is on screen.
"""

import argparse
import statistics
import time

from playwright.sync_api import Browser, Page, sync_playwright

from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.service_specs import ours
from models import bundled_models_dir

VIEWS = ("draw", "walk", "judge", "learn", "models")

# The time is taken in the second frame after the images can be painted: the first one paints them.
_FIRST_GRID = """
window.firstGrid = new Promise((resolve) => {
  const look = async () => {
    const tile = document.querySelector("#grid [role=option]");
    if (!tile) return requestAnimationFrame(look);
    const image = new Image();
    image.src = tile.style.backgroundImage.slice(5, -2);
    await image.decode();
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())));
  };
  look();
});
"""

_COUNT_REDRAWS = """() => {
  const canvas = document.querySelector("#inspector canvas");
  const context = canvas.getContext("2d");
  let before = "";
  window.redraws = 0;
  window.frames = 0;
  const look = () => {
    const now = context.getImageData(0, 0, canvas.width, canvas.height).data.join();
    window.redraws += now !== before;
    window.frames += 1;
    before = now;
    requestAnimationFrame(look);
  };
  look();
}"""


def main() -> None:
    """Measure and print the table."""
    options = _parser().parse_args()
    rows = []
    with started(ours(bundled_models_dir(), "mnist-conv")) as service, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        url = f"http://127.0.0.1:{service.port}/"
        for model in options.models:
            first = [_first_grid_ms(browser, f"{url}?model={model}") for _ in range(options.rounds + 1)][1:]
            redraws, frames = _redraws(browser, f"{url}?model={model}&image=0", seconds=options.seconds)
            rows.append(
                [model, f"{statistics.median(first):.0f}", f"{max(first):.0f}", f"{redraws:.0f}", f"{frames:.0f}"]
            )
        weight = _weight(browser, url)
        version = browser.version
        browser.close()
    print(f"{describe_machine()}; Chromium {version}, {options.rounds} loads, {options.seconds} s of dragging\n")
    print(table(["model", "first grid, ms", "slowest", "redraws/s", "frames/s"], rows))
    print(f"\nAll that the page loads for all its views, without images: {weight:,} bytes")


def _first_grid_ms(browser: Browser, url: str) -> float:
    page = _new_page(browser)
    page.add_init_script(_FIRST_GRID)
    page.goto(url)
    milliseconds = float(page.evaluate("window.firstGrid"))
    page.context.close()
    return milliseconds


def _redraws(browser: Browser, url: str, *, seconds: float) -> tuple[float, float]:
    """Redraws and frames a second."""
    page = _new_page(browser)
    page.goto(url)
    bar = page.locator("#inspector [role=slider]").nth(3)
    bar.wait_for()
    page.wait_for_load_state("networkidle")
    box = bar.bounding_box()
    if box is None:
        raise RuntimeError("the bars of the latent are not on screen")
    x, top, height = box["x"] + box["width"] / 2, box["y"] + 1, box["height"] - 2
    page.mouse.move(x, top)
    page.mouse.down()
    page.evaluate(_COUNT_REDRAWS)
    began = time.perf_counter()
    moves = 0
    while time.perf_counter() - began < seconds:
        moves += 1
        page.mouse.move(x, top + height * abs(moves % 60 - 30) / 30)
    passed = time.perf_counter() - began
    redraws, frames = page.evaluate("[window.redraws, window.frames]")
    page.mouse.up()
    page.context.close()
    return redraws / passed, frames / passed


def _weight(browser: Browser, url: str) -> int:
    page = _new_page(browser)
    sizes: dict[str, int] = {}
    for view in VIEWS:
        page.goto(f"{url}?view={view}")
        page.wait_for_load_state("networkidle")
        entries = page.evaluate(
            "performance.getEntries().filter((entry) => 'decodedBodySize' in entry)"
            ".map(({ name, decodedBodySize }) => [name, decodedBodySize])"
        )
        sizes |= {name.partition("?")[0]: size for name, size in entries}
    page.context.close()
    return sum(size for name, size in sizes.items() if "/v1/" not in name and not name.endswith((".png", ".svg")))


def _new_page(browser: Browser) -> Page:
    """Open a page in a new context, whose cache is empty."""
    return browser.new_context(viewport={"width": 1440, "height": 900}).new_page()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.playground", description="Measure the speed of the page."
    )
    parser.add_argument("--models", nargs="+", default=["mnist-conv", "mnist-mlp"], help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=10, help="loads of the page (default: 10)")
    parser.add_argument("--seconds", type=float, default=5, help="seconds of dragging a bar (default: 5)")
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="the browser (default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
