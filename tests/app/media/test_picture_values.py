"""The pixels that D sees are those of the file, in every kind of PNG and JPEG. The reference is worked out by hand."""

import itertools
import random

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.media.uploads import read_upload
from models.images import ImageShape
from reliability.hostile.images import chunk
from tests.app.checks import png_bytes
from tests.app.media.raw_pngs import GREY, GREY_ALPHA, PALETTE, RGB, RGB_ALPHA, raw_png, shown

SHAPES = [ImageShape(), ImageShape(channels=3, height=28, width=28)]
KINDS = [
    *itertools.product([1, 2, 4, 8, 16], [GREY]),
    *itertools.product([8, 16], [RGB, GREY_ALPHA, RGB_ALPHA]),
    *itertools.product([1, 2, 4, 8], [PALETTE]),
]


def read(data: bytes, shape: ImageShape) -> NDArray[np.int64]:
    (made,) = read_upload(data, filename="x.png", shape=shape, preprocess="none", max_pixels=10**6)
    assert made.image is not None
    return made.image.astype(np.int64)


def samples_of(depth: int, colour: int, seed: int = 0) -> NDArray[np.uint16]:
    """Random samples, [28, 28, channels], of which some are the lowest and the highest."""
    rng = np.random.default_rng(seed)
    channels = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGB_ALPHA: 4}[colour]
    samples = rng.integers(0, 2**depth, (28, 28, channels)).astype(np.uint16)
    samples[0], samples[1] = 0, 2**depth - 1
    return samples


@pytest.mark.parametrize("shape", SHAPES, ids=["grey", "RGB"])
@pytest.mark.parametrize(("depth", "colour"), KINDS)
def test_every_kind_of_png(depth: int, colour: int, shape: ImageShape) -> None:
    samples = samples_of(depth, colour)
    palette = np.random.default_rng(1).integers(0, 256, (2**depth, 3)).astype(np.uint8) if colour == PALETTE else None
    data = raw_png(samples, depth=depth, colour=colour, palette=palette)
    wanted = shown(samples, depth=depth, colour=colour, palette=palette, channels=shape.channels)
    # Pillow cuts RGB and alpha of 16 bits to their upper 8 bits; grey of 16 bits is exact.
    tolerance = 0 if colour == GREY else 1 if depth == 8 or colour == PALETTE else 2
    assert np.abs(read(data, shape) - wanted).max() <= tolerance


@pytest.mark.parametrize("shape", SHAPES, ids=["grey", "RGB"])
@pytest.mark.parametrize(("depth", "colour"), [*itertools.product([1, 2, 4, 8, 16], [GREY]), (8, RGB), (16, RGB)])
@pytest.mark.parametrize("place", [0, 1, 5])
def test_a_transparent_colour(depth: int, colour: int, place: int, shape: ImageShape) -> None:
    """One colour of the picture is transparent: black, white or another."""
    samples = samples_of(depth, colour, seed=place)
    clear = samples[place, 3]
    data = raw_png(samples, depth=depth, colour=colour, transparency=clear.astype(">u2").tobytes())
    wanted = shown(samples, depth=depth, colour=colour, clear=clear, channels=shape.channels)
    assert np.abs(read(data, shape) - wanted).max() <= (0 if colour == GREY else 1)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_palette_with_alpha(depth: int) -> None:
    samples = samples_of(depth, PALETTE)
    rng = np.random.default_rng(2)
    palette = rng.integers(0, 256, (2**depth, 3)).astype(np.uint8)
    alpha = rng.integers(0, 256, 2**depth).astype(np.uint8)
    data = raw_png(samples, depth=depth, colour=PALETTE, palette=palette, transparency=alpha.tobytes())
    wanted = shown(samples, depth=depth, colour=PALETTE, palette=palette, alpha=alpha, channels=3)
    assert np.abs(read(data, SHAPES[1]) - wanted).max() <= 2


@pytest.mark.parametrize("value", [b"", b"\0", b"\0\0\0", bytes(6)])
def test_a_transparent_colour_of_the_wrong_size_is_ignored(value: bytes) -> None:
    """Browsers ignore it, too."""
    samples = samples_of(8, GREY)
    assert (read(raw_png(samples, depth=8, colour=GREY, transparency=value), SHAPES[0]) == samples[..., 0]).all()


@pytest.mark.parametrize("shape", SHAPES, ids=["grey", "RGB"])
def test_cmyk(shape: ImageShape) -> None:
    """A JPEG in the colours of printers: flat areas, so that compression changes little."""
    areas = np.repeat(np.repeat(np.random.default_rng(3).integers(0, 256, (4, 4, 4)), 7, axis=0), 7, axis=1)
    image = Image.fromarray(areas.astype(np.uint8), mode="CMYK")
    ink, black = areas[..., :3] / 255, areas[..., 3:] / 255
    rgb = (1 - ink) * (1 - black) * 255
    wanted = rgb if shape.channels == 3 else rgb @ [0.299, 0.587, 0.114]
    made = read(png_bytes(image, "JPEG", quality=100, subsampling=0), shape)
    inner = np.ix_(*[[row for row in range(28) if row % 7 in (2, 3, 4)]] * 2)
    assert np.abs(made[inner] - wanted[inner]).max() <= 8


@pytest.mark.parametrize("shape", SHAPES, ids=["grey", "RGB"])
def test_ycbcr(shape: ImageShape) -> None:
    levels = np.repeat(np.repeat(np.random.default_rng(4).integers(0, 256, (4, 4, 3)), 7, axis=0), 7, axis=1)
    wanted = levels if shape.channels == 3 else levels @ [0.299, 0.587, 0.114]
    image = Image.fromarray(levels.astype(np.uint8))
    made = read(png_bytes(image, "JPEG", quality=100, subsampling=0), shape)
    inner = np.ix_(*[[row for row in range(28) if row % 7 in (2, 3, 4)]] * 2)
    assert np.abs(made[inner] - wanted[inner]).max() <= 8


@pytest.mark.parametrize("shape", SHAPES, ids=["grey", "RGB"])
@pytest.mark.parametrize("form", ["GIF", "BMP", "WEBP"])
def test_other_formats(form: str, shape: ImageShape) -> None:
    levels = np.random.default_rng(5).integers(0, 256, (28, 28)).astype(np.uint8)
    options = {"lossless": True} if form == "WEBP" else {}
    made = read(png_bytes(Image.fromarray(levels), form, **options), shape)
    assert (made == (levels if shape.channels == 1 else levels[..., np.newaxis])).all()


def rle_bmp(levels: NDArray[np.uint8]) -> bytes:
    """A BMP with run-length encoding (RLE8) of grey levels."""
    rows = []
    for row in levels[::-1]:
        runs = [(len(list(run)), level) for level, run in itertools.groupby(row.tolist())]
        rows.append(b"".join(bytes([count, level]) for count, level in runs) + b"\0\0")
    body = b"".join(rows) + b"\0\1"
    palette = b"".join(bytes([level, level, level, 0]) for level in range(256))
    height, width = levels.shape
    info = b"".join(
        value.to_bytes(size, "little")
        for value, size in [(40, 4), (width, 4), (height, 4), (1, 2), (8, 2), (1, 4), (len(body), 4), (0, 16)]
    )
    start = 14 + len(info) + len(palette)
    head = b"BM" + (start + len(body)).to_bytes(4, "little") + bytes(4) + start.to_bytes(4, "little")
    return head + info + palette + body


def test_a_bmp_with_run_length_encoding() -> None:
    levels = np.random.default_rng(6).integers(0, 256, (28, 28)).astype(np.uint8)
    assert (read(rle_bmp(levels), SHAPES[0]) == levels).all()


def test_metadata_of_a_png_change_no_pixel() -> None:
    """Chunks that say something about colours are passed over, as before."""
    rng = random.Random(0)
    data = png_bytes(np.random.default_rng(7).integers(0, 256, (28, 28)).astype(np.uint8))
    extra = chunk(b"gAMA", rng.randbytes(4)) + chunk(b"sRGB", b"\0") + chunk(b"bKGD", b"\0\x80") + chunk(b"pHYs", b"?")
    assert (read(data[:33] + extra + data[33:], SHAPES[0]) == read(data, SHAPES[0])).all()
