"""D's input is made from files of every mode and format."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.media.uploads import Prepared, Preprocess, read_upload
from app.problems import Problem
from models.images import ImageShape
from tests.app.checks import close, png_bytes

GREY = ImageShape()
RGB = ImageShape(channels=3, height=32, width=32)


def prepare(data: bytes, preprocess: Preprocess = "auto", shape: ImageShape = GREY, **options: Any) -> Prepared:
    options = {"max_pixels": 1_000_000} | options
    (prepared,) = read_upload(data, filename="x.png", shape=shape, preprocess=preprocess, **options)
    return prepared


def read(data: bytes, preprocess: Preprocess = "auto", shape: ImageShape = GREY) -> NDArray[np.uint8]:
    """What D sees; black if nothing was found."""
    image = prepare(data, preprocess, shape).image
    return np.zeros(shape.array, np.uint8) if image is None else image


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "YCbCr"])
def test_every_mode_shows_the_same_digit(seven: Image.Image, mode: str) -> None:
    deep = Image.fromarray(np.asarray(seven).astype(np.uint16) * 257)
    image = deep if mode == "I;16" else seven.convert(mode)
    data = png_bytes(image, "JPEG" if mode in ("CMYK", "YCbCr") else "PNG")
    assert close(read(data), read(png_bytes(seven)), 4)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_every_format_shows_the_same_digit(seven: Image.Image, form: str) -> None:
    assert close(read(png_bytes(seven, form)), read(png_bytes(seven)), 4)


def test_first_frame_of_an_animation(seven: Image.Image) -> None:
    blank = Image.new("L", seven.size, 255)
    data = png_bytes(seven, "GIF", save_all=True, append_images=[blank] * 3)
    assert close(read(data), read(png_bytes(seven)), 4)


def test_none_takes_the_pixels_as_they_are(digits: NDArray[np.uint8]) -> None:
    assert (read(png_bytes(digits[0]), "none") == digits[0]).all()
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    assert (read(png_bytes(noise), "none") == noise).all()


def test_none_for_rgb() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert (read(png_bytes(noise), "none", RGB) == noise).all()
    assert read(png_bytes(noise[..., 0]), "none", RGB).shape == (32, 32, 3)


def test_auto_for_rgb_cuts_the_middle() -> None:
    wide = np.zeros((64, 200, 3), dtype=np.uint8)
    wide[:, 68:132] = (10, 200, 30)
    assert (read(png_bytes(wide), "auto", RGB)[:, 3:-3] == (10, 200, 30)).all()  # the cut's edges are blended


@pytest.mark.parametrize("size", [(27, 28), (28, 29), (280, 280)])
def test_none_wants_its_own_size(size: tuple[int, int]) -> None:
    with pytest.raises(Problem, match="preprocess=none takes 28 × 28") as raised:
        read(png_bytes(np.zeros(size, dtype=np.uint8)), "none")
    assert raised.value.status_code == 422


def header_bomb(side: int) -> bytes:
    """A PNG of a few bytes that claims `side` × `side` pixels."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0")),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [1001, 20_000, 2**31 - 1])
def test_too_many_pixels_are_refused_before_decoding(side: int) -> None:
    with pytest.raises(Problem) as raised:
        read(header_bomb(side))
    assert raised.value.status_code in (413, 415)
    assert raised.value.status_code == 413 or side > 100_000


def test_limit_of_pixels_is_allowed() -> None:
    assert read(png_bytes(np.zeros((1000, 1000), dtype=np.uint8))).shape == (28, 28)


@pytest.mark.parametrize(
    "data", [b"", b"x", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"<svg/>", b"%PDF-1.4", b"PK\x03\x04", b"\xff\xd8\xff"]
)
def test_not_an_image(data: bytes) -> None:
    with pytest.raises(Problem, match="PNG, JPEG, WEBP, GIF, BMP") as raised:
        read(data)
    assert raised.value.status_code == 415


@pytest.mark.parametrize(
    "form", ["PNG", "JPEG", *(pytest.param(form, marks=pytest.mark.slow) for form in ("WEBP", "GIF", "BMP"))]
)
def test_truncated_and_flipped_files_never_crash(seven: Image.Image, form: str) -> None:
    rng = np.random.default_rng(0)
    data = png_bytes(seven, form)
    damaged = [data[: int(cut)] for cut in rng.integers(0, len(data), 25)]
    for _ in range(25):
        flipped = bytearray(data)
        flipped[rng.integers(len(data))] ^= 1 << rng.integers(8)
        damaged.append(bytes(flipped))
    for upload in damaged:
        try:
            assert read(upload).shape == (28, 28)
        except Problem as problem:
            assert problem.status_code in (413, 415)  # noqa: PT017  (either is right)


def test_tiff_is_not_read(seven: Image.Image) -> None:
    buffer = io.BytesIO()
    seven.save(buffer, format="TIFF")
    with pytest.raises(Problem):
        read(buffer.getvalue())
