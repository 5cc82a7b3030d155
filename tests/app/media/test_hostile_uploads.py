"""Hostile uploads: small pictures by hypothesis, a short corpus, and the limits that are checked before any work."""

import asyncio
import io
import random
import re
import socket
import time
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from starlette.types import Message, Receive, Scope, Send

from app.inference.decode_slots import Decoders, TooManyPixelsError
from app.media import uploads
from app.media.uploads import check_sizes, read_upload
from app.middleware.body_limit import LimitBodies
from app.problems import Problem
from app.telemetry.metrics import Metrics
from harness.service import Service
from models.images import ImageShape
from reliability.hostile.images import KINDS, corpus, many_pieces, thousand_frames
from tests.app.checks import assert_problem, png_bytes

GREY, RGB = ImageShape(), ImageShape(channels=3, height=32, width=32)
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16")
quick = settings(max_examples=60, deadline=None, database=None, derandomize=True)

grey_pixels = arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40)))


def read(data: bytes, shape: ImageShape = GREY, preprocess: Any = "auto", max_pixels: int = 1_000_000) -> Any:
    """What D sees; black if nothing was found."""
    (made,) = read_upload(data, filename="x.png", shape=shape, preprocess=preprocess, max_pixels=max_pixels)
    assert made.found or made.reason
    return np.zeros(shape.array, np.uint8) if made.image is None else made.image


def in_mode(pixels: NDArray[np.uint8], mode: str) -> bytes:
    """A file of these pixels: PNG, or JPEG for CMYK, which PNG does not have."""
    if mode == "I;16":
        return png_bytes(Image.fromarray(pixels.astype(np.uint16) * 257))
    image = Image.fromarray(pixels)
    if mode == "PA":
        return png_bytes(image.convert("P"), transparency=bytes(range(256)))
    return png_bytes(image.convert(mode), "JPEG" if mode == "CMYK" else "PNG")


@quick
@given(pixels=grey_pixels, mode=st.sampled_from(MODES))
def test_any_picture_has_the_right_shape(pixels: NDArray[np.uint8], mode: str) -> None:
    data = in_mode(pixels, mode)
    for shape in (GREY, RGB):
        made = read(data, shape)
        assert made.shape == shape.array
        assert made.dtype == np.uint8


@quick
@given(pixels=arrays(np.uint8, (28, 28)), mode=st.sampled_from([mode for mode in MODES if mode != "CMYK"]))
def test_as_it_is_is_as_it_is(pixels: NDArray[np.uint8], mode: str) -> None:
    once = read(in_mode(pixels, mode), preprocess="none")
    assert (read(png_bytes(once), preprocess="none") == once).all()
    if mode in {"L", "RGB", "I;16"}:
        assert (once == pixels).all()


@quick
@given(pixels=grey_pixels)
def test_a_digit_is_light_on_black(pixels: NDArray[np.uint8]) -> None:
    """If there is any ink, it fits into a box of 20 pixels and has its full strength."""
    made = read(png_bytes(pixels))
    if made.any():
        rows, columns = np.flatnonzero(made.any(axis=1)), np.flatnonzero(made.any(axis=0))
        assert max(np.ptp(rows), np.ptp(columns)) + 1 <= 20
        assert made.max() == 255


points = st.lists(st.tuples(st.integers(12, 108), st.integers(12, 108)), min_size=3, max_size=6, unique=True)


def drawn(line: list[tuple[int, int]], width: int) -> Image.Image:
    """A stroke on a page of 120 × 120 pixels, black on white."""
    page = Image.new("L", (120, 120), 255)
    ImageDraw.Draw(page).line(line, fill=0, width=width, joint="curve")
    return page


@quick
@given(line=points, width=st.integers(3, 12))
def test_polarity_does_not_matter(line: list[tuple[int, int]], width: int) -> None:
    page = np.asarray(drawn(line, width))
    assert np.abs(read(png_bytes(page)).astype(int) - read(png_bytes(255 - page))).mean() <= 4


@quick
@given(line=points, width=st.integers(3, 12))
def test_a_digit_that_is_made_stays_one(line: list[tuple[int, int]], width: int) -> None:
    """A digit that is made a second time has the same ink, moved by one pixel at most."""
    once = read(png_bytes(drawn(line, width)))
    twice = read(png_bytes(once))
    shifts = [np.roll(once, (row, column), (0, 1)) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    assert any(np.abs(shifted.astype(int) - twice).mean() <= 4 for shifted in shifts)


@quick
@given(
    data=st.binary(max_size=300), head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff"])
)
def test_any_bytes_are_refused_in_order(data: bytes, head: bytes) -> None:
    try:
        assert read(head + data).shape == (28, 28)
    except Problem as problem:
        assert problem.status_code in {413, 415}  # noqa: PT017  (either is right)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_each_kind_of_hostile_image_has_an_answer() -> None:
    seen = set()
    for image in corpus(seed=7, count=49):
        try:
            read(image.data, max_pixels=40_000_000)
            status = 200
        except Problem as problem:
            status = problem.status_code
        assert status in image.statuses, image.kind
        seen.add(image.kind)
    assert seen == set(KINDS)


def test_a_corpus_is_its_seeds() -> None:
    assert list(corpus(seed=1, count=20)) == list(corpus(seed=1, count=20))
    assert list(corpus(seed=1, count=20)) != list(corpus(seed=2, count=20))


def test_sizes_are_looked_at_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    files = [io.BytesIO(png_bytes(np.zeros((100, 100), dtype=np.uint8))) for _ in range(5)]
    names = [f"{k}.png" for k in range(5)]
    monkeypatch.setattr(Image.Image, "load", never)

    def check(n: int, limit: int, preprocess: Any = "auto") -> int:
        return check_sizes(files[:n], names[:n], preprocess=preprocess, shape=GREY, max_pixels=limit)

    assert check(5, 12_500) == 50_000  # four times the limit
    assert all(file.tell() == 0 for file in files)
    for n, limit, preprocess, status, text in [
        (5, 12_499, "auto", 413, "the images have 50,000 pixels together, and at most 49,996 are allowed"),
        (1, 9999, "auto", 413, "'0.png' has 100 × 100 pixels"),
        (1, 12_500, "none", 422, "preprocess=none takes 28 × 28"),
    ]:
        with pytest.raises(Problem, match=text) as raised:
            check(n, limit, preprocess)
        assert raised.value.status_code == status


def test_thousands_of_frames_cost_one() -> None:
    for seed in range(6):
        data = thousand_frames(random.Random(seed))
        began = time.process_time()
        try:
            read(data, max_pixels=40_000_000)
        except Problem as problem:
            assert problem.status_code == 415  # noqa: PT017  (the GIF's frames are empty)
        assert time.process_time() - began < 2


def test_millions_of_pieces_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_READS", 1000)
    for seed in range(6):
        with pytest.raises(Problem) as raised:
            read(many_pieces(random.Random(seed)))
        assert raised.value.status_code == 415
    assert read(png_bytes(np.zeros((300, 300), dtype=np.uint8))).shape == (28, 28)


def test_decoders_take_turns_and_no_more_than_may_wait() -> None:
    async def run() -> list[str]:
        told: list[str] = []
        decoders, go_on = Decoders(max_pixels=100), asyncio.Event()

        async def one(name: str, pixels: int) -> None:
            try:
                async with decoders.turn(pixels):
                    told.append(name)
                    await go_on.wait()
            except TooManyPixelsError:
                told.append(f"{name} refused")

        tasks = [asyncio.create_task(one(*job)) for job in [("a", 50), ("b", 30), ("c", 20), ("d", 1)]]
        await asyncio.sleep(0)
        told.append("go on")
        go_on.set()
        await asyncio.gather(*tasks)
        await one("large, alone", 1000)
        return told

    assert asyncio.run(run()) == ["a", "b", "d refused", "go on", "c", "large, alone"]


def test_bodies_do_not_pile_up() -> None:
    """Eight bodies of the largest size may be held. More are refused until those have been answered."""

    async def run() -> list[int]:
        told: list[int] = []
        arrived, answer = asyncio.Event(), asyncio.Event()

        async def service(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            arrived.set()
            await answer.wait()

        metrics = Metrics()
        limited = LimitBodies(service, max_bytes=10, metrics=metrics)

        async def ask(size: int) -> None:
            async def receive() -> Message:
                return {"type": "http.request", "body": bytes(size)}

            async def send(_: Message) -> None:
                raise AssertionError

            try:
                await limited({"type": "http", "headers": []}, receive, send)
                told.append(200)
            except Problem as problem:
                told.append(problem.status_code)

        tasks = [asyncio.create_task(ask(10)) for _ in range(8)]
        await arrived.wait()
        await ask(1)
        await ask(11)
        answer.set()
        await asyncio.gather(*tasks)
        await ask(10)
        assert metrics.registry.get_sample_value("gan_requests_shed_total", {"cause": "bodies"}) == 1
        return told

    assert asyncio.run(run()) == [429, 413, *[200] * 9]


def test_too_many_pixels_together_are_refused(client: httpx.Client) -> None:
    """The files have a few kilobytes each, and the limit is that of the default settings."""
    bomb = png_bytes(Image.new("1", (6300, 6300)))
    problem = assert_problem(client.post("/v1/score", files=[("files", bomb)] * 5), 413, parameter="files")
    assert "pixels together" in problem["detail"]


@pytest.mark.parametrize("place", ["query", "form"])
def test_an_empty_preprocess_is_no_default(client: httpx.Client, place: str) -> None:
    """The empty value is not in the enum of the OpenAPI document. Schemathesis found this."""
    where: dict[str, Any] = {"params" if place == "query" else "data": {"preprocess": ""}}
    answer = client.post("/v1/score", files={"files": png_bytes(np.zeros((9, 9), dtype=np.uint8))}, **where)
    assert_problem(answer, 422, parameter="preprocess", text="must be auto or none, not ''")


def test_a_body_that_nobody_reads_is_no_head(service: Service) -> None:
    """The answer comes before the end of the body. The rest of the body must not be read as the next request."""
    url = httpx.URL(service.url)
    field = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n' + b"x" * 3_000_000 + b"\r\n--x--\r\n"
    head = (
        f"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        f"Content-Length: {len(field)}\r\n\r\n"
    )
    with socket.create_connection((url.host, url.port or 80), timeout=120) as connection:
        connection.sendall(head.encode() + field)
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"422", b"200"]
