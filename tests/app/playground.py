"""Helpers for tests of the playground: they open it, read what it shows, and run the commands that it offers."""

import base64
import io
import re
import shlex
from collections.abc import Callable
from decimal import Decimal
from time import monotonic
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.app.checks import json_images, pixels
from tests.browser import PATIENCE_S, Visit


def open_page(visit: Visit, url: str, **parameters: object) -> Page:
    """Open the playground with these parameters, and wait until all its requests are answered."""
    visit.page.goto(f"{url}/?{urlencode(parameters)}")
    settle(visit)
    return visit.page


def settle(visit: Visit) -> None:
    """Wait until a page has had no pending request for a few frames."""
    calm = 0

    def is_calm() -> bool:
        nonlocal calm
        calm = 0 if visit.pending else calm + 1
        return calm > 4

    until(visit.page, is_calm, f"all requests are answered; pending: {[request.url for request in visit.pending]}")


def hold(page: Page, pattern: str) -> list[Route]:
    """Hold back requests that match a pattern. They are added to the list returned, and the test lets them continue."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(pattern, keep)
    return held


def until(page: Page, holds: Callable[[], bool], what: str) -> None:
    """Check a condition once a frame of the page until it holds. Fail after `PATIENCE_S` seconds."""
    deadline = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < deadline, f"never: {what}"
        frames(page, 1)


def columns_of(grid: Locator) -> int:
    """Return the number of tiles in a row of a grid on screen."""
    return int(
        grid.evaluate(
            "({ children: [first, ...others] }) => 1 + others.filter(tile => tile.offsetTop === first.offsetTop).length"
        )
    )


def frames(page: Page, n: int) -> None:
    """Let the page paint n frames."""
    page.evaluate(
        "async n => { while (n-- > 0) await new Promise(done => requestAnimationFrame(done)); }",
        n,
    )


def parameters(url: str) -> dict[str, str]:
    """Return the parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


def expect_in_address(page: Page, name: str, value: object = "") -> None:
    """Wait until the address has a parameter with this value, or any value by default. None: until it has none.

    A model may have its version behind it.
    """
    version = "(%40[0-9a-f]{12})?" if name == "model" else ""
    there = re.compile(rf"[?&]{re.escape(urlencode({name: value}))}{version}(&|$)" if value else rf"[?&]{name}=")
    if value is None:
        expect(page).not_to_have_url(there)
    else:
        expect(page).to_have_url(there)


def latent_of(text: str) -> NDArray[np.float32]:
    """Decode a latent from an address: base64url of float32, little-endian."""
    return np.frombuffer(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), dtype="<f4")


def told(value: float, digits: int = 3) -> str:
    """Format a number as the pages do: `digits` significant digits and a true minus sign."""
    rounded = Decimal(f"{value:.{digits - 1}e}")
    text = f"{rounded:,f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def canvas_pixels(canvas: Locator) -> NDArray[np.uint8]:
    """Return the pixels of a canvas at its own size, [H, W, 3]."""
    return _decode(canvas.evaluate("canvas => canvas.toDataURL()"))


def image_pixels(image: Locator) -> NDArray[np.uint8]:
    """Return the pixels of an <img> at its own size, as the browser decodes them, [H, W, 3]."""
    data = image.evaluate(
        """async image => {
            await image.decode();
            const [width, height] = [image.naturalWidth, image.naturalHeight];
            const canvas = Object.assign(document.createElement("canvas"), { width, height });
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL();
        }"""
    )
    return _decode(data)


def rgb(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a grey or an RGB image as [H, W, 3]."""
    return picture if picture.ndim == 3 else np.stack([picture] * 3, axis=2)


def tile_pixels(tile: Locator, side: int) -> NDArray[np.uint8]:
    """Return the part of its background image that a tile shows, at its own size, [side, side, 3]."""
    data = tile.evaluate(
        """async (tile, side) => {
            const { backgroundImage, backgroundPositionX, backgroundPositionY } = getComputedStyle(tile);
            const sheet = Object.assign(new Image(), { src: backgroundImage.slice(5, -2) });
            await sheet.decode();
            const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
            const [x, y] = [[sheet.width, backgroundPositionX], [sheet.height, backgroundPositionY]].map(
              ([size, position]) => ((size - side) * parseFloat(position)) / 100,
            );
            canvas.getContext("2d").drawImage(sheet, -Math.round(x), -Math.round(y));
            return canvas.toDataURL();
        }""",
        side,
    )
    return _decode(data)


def most_like(tile: Locator, images: NDArray[np.uint8]) -> int:
    """Return the index of the image that a tile on screen resembles most."""
    side = images.shape[1]
    with Image.open(io.BytesIO(tile.screenshot())) as screen:
        seen = np.asarray(screen.convert("RGB").resize((side, side), Image.Resampling.BOX)).astype(float)
    off = [float(np.abs(seen - rgb(image)).mean()) for image in images]
    return off.index(min(off))


def sample(client: httpx.Client, **query: object) -> NDArray[np.uint8]:
    """Return the one image that the API gives for a query."""
    return pixels(ok(client.get("/v1/samples", params={"n": 1, "padding": 0, **query})).content)  # type: ignore[dict-item]


def latent_and_image(client: httpx.Client, **query: object) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the latent and the image that the API gives for a query."""
    answer = ok(client.get("/v1/samples", params={"n": 1, "format": "json", **query})).json()  # type: ignore[dict-item]
    return np.array(answer["samples"][0]["latent"], dtype=np.float32), json_images(answer)[0]


def image_of(client: httpx.Client, latent: NDArray[np.float32], model: str = "mnist-conv") -> NDArray[np.uint8]:
    """Return the image that the API gives for a latent."""
    return pixels(png_of(client, latent, model))


def png_of(client: httpx.Client, latent: NDArray[np.float32], model: str = "mnist-conv") -> bytes:
    """Return the image that the API gives for a latent, as a PNG file."""
    body = {"model": model, "latents": [latent.tolist()], "format": "png", "padding": 0}
    return ok(client.post("/v1/samples", json=body)).content


def score_of(client: httpx.Client, png: bytes, **query: str) -> dict[str, float]:
    """Return the figures that the page must show for a file, from the API: logit, D(x) and the percentiles."""
    answer = ok(client.post("/v1/score", params=query, files=[("files", ("it.png", png, "image/png"))])).json()
    result = answer["results"][0]
    percentile = result["percentile"]
    varied = {} if percentile["varied"] is None else {"percentile, varied": percentile["varied"]}
    return {
        "logit": result["logit"],
        "D(x)": result["probability"],
        "percentile, real": percentile["real"],
        **varied,
        "percentile, G’s": percentile["generated"],
    }


def expect_opinion(panel: Locator, score: dict[str, float]) -> None:
    """Wait until D's opinion on the page shows these figures, also at the mark of its histogram."""
    terms = panel.locator(".figures dt")
    expect(terms).to_have_text(list(score))
    values = [told(value) + (" %" if name.startswith("percentile") else "") for name, value in score.items()]
    expect(panel.locator(".figures dd b")).to_have_text(values)
    expect(panel.locator(".histogram .mark-text")).to_contain_text(f"this image: {told(score['logit'])}")


def mark_by_ticks(histogram: Locator) -> float:
    """Return the logit at a histogram's mark, read from the numbers under its axis."""
    ticks = histogram.locator("text.tick[text-anchor=middle]").evaluate_all(
        "ticks => ticks.map(tick => [Number(tick.getAttribute('x')), Number(tick.textContent.replace('−', '-'))])"
    )
    (left, low), (right, high) = ticks[0], ticks[-1]
    x = float(histogram.locator("line.mark").get_attribute("x1") or "nan")
    return float(low + (x - left) / (right - left) * (high - low))


def run(client: httpx.Client, command: str) -> bytes:
    """Return what a curl command of the page would write. It is split as in a shell, and `client` makes the call."""
    words = shlex.split(command)
    assert words[:3] == ["curl", "-f", "-o"]
    url = words[-1]
    options = dict(zip(words[4:-1:2], words[5:-1:2], strict=True))
    if not options:
        return ok(client.get(url)).content
    name, value = options["-H"].split(": ")
    return ok(client.post(url, content=options["-d"], headers={name: value})).content


def download(page: Page, link: Locator) -> bytes:
    """Click a link, and return the file that it saves."""
    with page.expect_download() as info:
        link.click()
    return info.value.path().read_bytes()


def ok(response: httpx.Response) -> httpx.Response:
    """Return a response after checking that its status is 200."""
    assert response.status_code == 200, response.text[:500]
    return response


def asks(path: str, **wanted: object) -> Callable[[Request], bool]:
    """Return a function that tells whether a request goes to a path and has these parameters."""

    def matches(request: Request) -> bool:
        if urlsplit(request.url).path != path:
            return False
        given = parse_qs(urlsplit(request.url).query)
        return all(given.get(name) == [str(value)] for name, value in wanted.items())

    return matches


def _decode(data_url: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB")).copy()
