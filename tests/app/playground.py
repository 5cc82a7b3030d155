"""What tests of the playground share: to open it, to look at what it shows, and to run what it offers to copy."""

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
    """Open the playground at a place, and wait until nothing is asked for any more."""
    visit.page.goto(f"{url}/?{urlencode(parameters)}")
    settle(visit)
    return visit.page


def settle(visit: Visit) -> None:
    """Wait until a page has asked for nothing in a few frames."""
    calm = 0

    def is_calm() -> bool:
        nonlocal calm
        calm = 0 if visit.pending else calm + 1
        return calm > 4

    until(visit.page, is_calm, f"all is answered but {[request.url for request in visit.pending]}")


def hold(page: Page, pattern: str) -> list[Route]:
    """Hold requests back, in a list that grows, until the test lets them go."""
    held: list[Route] = []

    def keep(route: Route) -> None:
        held.append(route)

    page.route(pattern, keep)
    return held


def until(page: Page, holds: Callable[[], bool], what: str) -> None:
    """Look once a frame of the page whether something holds, until it does."""
    deadline = monotonic() + PATIENCE_S
    while not holds():
        assert monotonic() < deadline, f"never: {what}"
        frames(page, 1)


def columns_of(grid: Locator) -> int:
    """Tiles in a row of a grid on screen."""
    return int(
        grid.evaluate(
            "({ children: [first, ...others] }) => 1 + others.filter(tile => tile.offsetTop === first.offsetTop).length"
        )
    )


def frames(page: Page, n: int) -> None:
    """Let the page paint so many frames."""
    page.evaluate(
        "async n => { while (n-- > 0) await new Promise(done => requestAnimationFrame(done)); }",
        n,
    )


def parameters(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


def expect_in_address(page: Page, name: str, value: object = "") -> None:
    """Wait until the address holds a parameter, of any value if none is given; None: until it does not."""
    there = re.compile(rf"[?&]{re.escape(urlencode({name: value}))}(&|$)" if value else rf"[?&]{name}=")
    if value is None:
        expect(page).not_to_have_url(there)
    else:
        expect(page).to_have_url(there)


def latent_of(text: str) -> NDArray[np.float32]:
    """The latent that an address holds: base64url of float32, little-endian."""
    return np.frombuffer(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), dtype="<f4")


def told(value: float, digits: int = 3) -> str:
    """A number as the pages tell it: so many significant digits, a true minus sign."""
    rounded = Decimal(f"{value:.{digits - 1}e}")
    text = f"{rounded:,f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")


def canvas_pixels(canvas: Locator) -> NDArray[np.uint8]:
    """[H, W, 3] of a canvas: what it holds, at its own size."""
    return _decode(canvas.evaluate("canvas => canvas.toDataURL()"))


def image_pixels(image: Locator) -> NDArray[np.uint8]:
    """[H, W, 3] of an <img>: what the browser shows."""
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
    """[H, W, 3] of a grey or an RGB image."""
    return picture if picture.ndim == 3 else np.stack([picture] * 3, axis=2)


def tile_pixels(tile: Locator, side: int) -> NDArray[np.uint8]:
    """[side, side, 3]: the part of its background that a tile shows, at its own size."""
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
    """The place of that image among others which a tile on screen looks most like."""
    side = images.shape[1]
    with Image.open(io.BytesIO(tile.screenshot())) as screen:
        seen = np.asarray(screen.convert("RGB").resize((side, side), Image.Resampling.BOX)).astype(float)
    off = [float(np.abs(seen - rgb(image)).mean()) for image in images]
    return off.index(min(off))


def sample(client: httpx.Client, **query: object) -> NDArray[np.uint8]:
    """The one image that the API gives for a query."""
    return pixels(ok(client.get("/v1/samples", params={"n": 1, "padding": 0, **query})).content)  # type: ignore[dict-item]


def latent_and_image(client: httpx.Client, **query: object) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The latent and the image that the API gives for a query."""
    answer = ok(client.get("/v1/samples", params={"n": 1, "format": "json", **query})).json()  # type: ignore[dict-item]
    return np.array(answer["samples"][0]["latent"], dtype=np.float32), json_images(answer)[0]


def image_of(client: httpx.Client, latent: NDArray[np.float32], model: str = "mnist-conv") -> NDArray[np.uint8]:
    """The image that the API gives for a latent."""
    return pixels(png_of(client, latent, model))


def png_of(client: httpx.Client, latent: NDArray[np.float32], model: str = "mnist-conv") -> bytes:
    """The same as a file."""
    body = {"model": model, "latents": [latent.tolist()], "format": "png", "padding": 0}
    return ok(client.post("/v1/samples", json=body)).content


def score_of(client: httpx.Client, png: bytes, **query: str) -> dict[str, float]:
    """What the page tells of D's opinion of a file, by the API: logit, D(x), and the two percentiles."""
    answer = ok(client.post("/v1/score", params=query, files=[("files", ("it.png", png, "image/png"))])).json()
    result = answer["results"][0]
    return {
        "logit": result["logit"],
        "D(x)": result["probability"],
        "among real": result["percentile"]["real"],
        "among G’s": result["percentile"]["generated"],
    }


def expect_opinion(panel: Locator, score: dict[str, float]) -> None:
    """Wait until D's opinion on the page has these figures, the mark of its histogram among them."""
    terms = panel.locator(".figures dt")
    expect(terms).to_have_text(list(score))
    values = [told(value) + (" %" if name.startswith("among") else "") for name, value in score.items()]
    expect(panel.locator(".figures dd b")).to_have_text(values)
    expect(panel.locator(".histogram .mark-text")).to_contain_text(f"this one: {told(score['logit'])}")


def mark_by_ticks(histogram: Locator) -> float:
    """The logit at which a histogram has its mark, by the figures under its axis."""
    ticks = histogram.locator("text.tick[text-anchor=middle]").evaluate_all(
        "ticks => ticks.map(tick => [Number(tick.getAttribute('x')), Number(tick.textContent.replace('−', '-'))])"
    )
    (left, low), (right, high) = ticks[0], ticks[-1]
    x = float(histogram.locator("line.mark").get_attribute("x1") or "nan")
    return float(low + (x - left) / (right - left) * (high - low))


def run(client: httpx.Client, command: str) -> bytes:
    """What a curl line of the page writes: its words as a shell takes them, its call by another client."""
    words = shlex.split(command)
    assert words[:2] == ["curl", "-o"]
    url = words[-1]
    options = dict(zip(words[3:-1:2], words[4:-1:2], strict=True))
    if not options:
        return ok(client.get(url)).content
    name, value = options["-H"].split(": ")
    return ok(client.post(url, content=options["-d"], headers={name: value})).content


def download(page: Page, link: Locator) -> bytes:
    """What a click on a link saves."""
    with page.expect_download() as info:
        link.click()
    return info.value.path().read_bytes()


def ok(response: httpx.Response) -> httpx.Response:
    """A response that is no error."""
    assert response.status_code == 200, response.text[:500]
    return response


def asks(path: str, **wanted: object) -> Callable[[Request], bool]:
    """Whether a request is to a path, with these parameters among its own."""

    def matches(request: Request) -> bool:
        if urlsplit(request.url).path != path:
            return False
        given = parse_qs(urlsplit(request.url).query)
        return all(given.get(name) == [str(value)] for name, value in wanted.items())

    return matches


def _decode(data_url: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(data_url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB")).copy()
