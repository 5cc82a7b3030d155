"""A plain PNG that is decoded at once gives the pixels, sizes and errors that Pillow's reader gives it."""

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.media import uploads
from app.media.plain_png import MAX_PIXELS, plain_png_size, read_plain_png
from app.media.uploads import Preprocess, check_sizes, read_upload
from app.problems import Problem
from models.images import ImageShape
from reliability.hostile.images import chunk
from tests.app.checks import png_bytes
from tests.app.media.raw_pngs import GREY, GREY_ALPHA, PALETTE, RGB, raw_png

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = chunk(b"IEND", b"")
MOST = 1_000_000


def header(width: int = 28, height: int = 28, kind: tuple[int, ...] = (8, 0, 0, 0, 0)) -> bytes:
    return chunk(b"IHDR", struct.pack(">II5B", width, height, *kind))


def made(*chunks: bytes) -> bytes:
    return b"".join([SIGNATURE, *chunks, END])


def rows(digit: NDArray[np.uint8], kind: int = 0) -> bytes:
    """Scanlines of a picture whose bytes are taken as they are, filtered or not: another picture for each filter."""
    return b"".join(bytes([kind]) + row.tobytes() for row in digit)


def outcome(data: bytes, preprocess: Preprocess, *, max_pixels: int, shape: ImageShape) -> list[object]:
    """All that a client can tell: the pixels, the box and the reason, or the status and the words of the refusal."""
    found: list[object] = []
    try:
        found.append(
            check_sizes([io.BytesIO(data)], ["x.png"], preprocess=preprocess, shape=shape, max_pixels=max_pixels)
        )
    except Problem as problem:
        found.append((str(problem), vars(problem)))
    try:
        (one,) = read_upload(data, filename="x.png", shape=shape, preprocess=preprocess, max_pixels=max_pixels)
        found.append((one.box, one.reason, None if one.image is None else (one.image.shape, one.image.tobytes())))
    except Problem as problem:
        found.append((str(problem), vars(problem)))
    return found


def is_the_same(
    data: bytes, monkeypatch: pytest.MonkeyPatch, *, max_pixels: int = MOST, shape: ImageShape | None = None
) -> bool:
    shape = shape or ImageShape()
    quick = [outcome(data, way, max_pixels=max_pixels, shape=shape) for way in ("auto", "none")]
    with monkeypatch.context() as patch:
        patch.setattr(uploads, "plain_png_size", lambda *_, **__: None)
        patch.setattr(uploads, "read_plain_png", lambda *_, **__: None)
        ordinary = [outcome(data, way, max_pixels=max_pixels, shape=shape) for way in ("auto", "none")]
    return quick == ordinary


def kinds(digit: NDArray[np.uint8]) -> dict[str, bytes]:
    """PNGs that are not plain, by what is the matter with them."""
    raw = rows(digit)
    packed = zlib.compress(raw)
    pixels = chunk(b"IDAT", packed)
    deep = digit[..., None].astype(np.uint16) * np.uint16(257)
    few = {depth: (digit[..., None] >> (8 - depth)).astype(np.uint16) for depth in (1, 2, 4)}
    colours = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 9)], axis=1).astype(np.uint8)
    turned = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    adam = Image.fromarray(digit).resize((1, 1))
    return {
        **{f"{depth} bits": raw_png(samples, depth=depth, colour=GREY) for depth, samples in few.items()},
        "16 bits": raw_png(deep, depth=16, colour=GREY),
        "palette": raw_png(digit[..., None].astype(np.uint16), depth=8, colour=PALETTE, palette=colours),
        "RGB": raw_png(np.repeat(digit[..., None], 3, 2).astype(np.uint16), depth=8, colour=RGB),
        "grey and alpha": raw_png(np.repeat(digit[..., None], 2, 2).astype(np.uint16), depth=8, colour=GREY_ALPHA),
        "tRNS": made(header(), chunk(b"tRNS", b"\0\0"), pixels),
        "gAMA": made(header(), chunk(b"gAMA", struct.pack(">I", 45_455)), pixels),
        "eXIf": made(header(), chunk(b"eXIf", turned), pixels),
        "text": made(header(), pixels, chunk(b"tEXt", b"a\0b")),
        "interlaced": made(header(1, 1, (8, 0, 0, 0, 1)), chunk(b"IDAT", zlib.compress(b"\0" + adam.tobytes()))),
        "interlaced, as if it were not": made(header(kind=(8, 0, 0, 0, 1)), pixels),
        "another compression": made(header(kind=(8, 0, 1, 0, 0)), pixels),
        "another way of filtering": made(header(kind=(8, 0, 0, 1, 0)), pixels),
        "two IDATs": made(header(), chunk(b"IDAT", packed[:50]), chunk(b"IDAT", packed[50:])),
        "no IDAT": made(header()),
        "no IEND": made(header(), pixels)[:-12],
        "bytes behind IEND": made(header(), pixels) + b"and more",
        "wrong CRC of IHDR": made(header()[:-1] + b"!", pixels),
        "wrong CRC of IDAT": made(header(), pixels[:-1] + b"!"),
        "wrong CRC of IEND": made(header(), pixels)[:-1] + b"!",
        "no width": made(header(0, 28), pixels),
        "vast": made(header(2**31 - 1, 2**31 - 1), pixels),
        "signature only": SIGNATURE,
        "header and end": SIGNATURE + header()[:17] + END,
    }


def nearly_plain(digit: NDArray[np.uint8]) -> dict[str, bytes]:
    """PNGs whose chunks are plain; the pixels of some are damaged."""
    raw = rows(digit)
    packed = zlib.compress(raw)

    def of(compressed: bytes) -> bytes:
        return made(header(), chunk(b"IDAT", compressed))

    return {
        **{f"filter {kind}": of(zlib.compress(rows(digit, kind))) for kind in range(7)},
        "Pillow's": png_bytes(Image.fromarray(digit)),
        "stored": of(zlib.compress(raw, 0)),
        "a row too few": of(zlib.compress(raw[:-29])),
        "a byte too few": of(zlib.compress(raw[:-1])),
        "a row too many": of(zlib.compress(raw + bytes(29))),
        "wrong checksum of the pixels": of(packed[:-1] + bytes([packed[-1] ^ 1])),
        "no checksum of the pixels": of(packed[:-4]),
        "cut-off pixels": of(packed[:-20]),
        "bytes behind the pixels": of(packed + b"more"),
        "not deflated": of(raw),
        "no pixels": of(b""),
        "black": of(zlib.compress(bytes(28 * 29))),
        "white": of(zlib.compress((b"\0" + b"\xff" * 28) * 28)),
    }


def test_pngs_of_many_kinds_are_not_plain_and_have_equal_outcomes(
    digits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, data in kinds(digits[0]).items():
        assert plain_png_size(data, max_pixels=MOST) is None, name
        assert is_the_same(data, monkeypatch), name


def test_plain_pngs_have_equal_outcomes(digits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in nearly_plain(digits[0]).items():
        assert plain_png_size(data, max_pixels=MOST) == (28, 28), name
        assert is_the_same(data, monkeypatch), name
        assert is_the_same(data, monkeypatch, shape=ImageShape(channels=3, height=28, width=28)), name


def test_digits_take_the_quick_way(digits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    for digit in digits[:20]:
        for picture in (digit, 255 - digit, np.roll(digit, 3, axis=0), digit // 2):
            data = png_bytes(Image.fromarray(picture))
            image = read_plain_png(data, max_pixels=MOST)
            assert image is not None
            assert (np.asarray(image) == picture).all()
            assert is_the_same(data, monkeypatch)


def test_each_end_and_each_changed_byte_have_equal_outcomes(
    digits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = png_bytes(Image.fromarray(digits[1]))
    for place in range(len(data)):
        assert is_the_same(data[:place], monkeypatch), place
        changed = bytearray(data)
        changed[place] ^= 0x11
        assert is_the_same(bytes(changed), monkeypatch), place


def test_changed_pixels_with_the_right_checksum_have_equal_outcomes(
    digits: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = bytearray(zlib.compress(rows(digits[1])))
    for place in range(len(packed)):
        changed = bytearray(packed)
        changed[place] ^= 0x11
        assert is_the_same(made(header(), chunk(b"IDAT", bytes(changed))), monkeypatch), place


@pytest.mark.parametrize("side", [1, 27, 29, 127, 128, 129])
def test_other_sizes_have_equal_outcomes(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.random.default_rng(side).integers(0, 256, (side, side), dtype=np.uint8)
    data = png_bytes(Image.fromarray(picture))
    assert (read_plain_png(data, max_pixels=MOST) is not None) == (side * side <= MAX_PIXELS)
    for most in (side * side - 1, side * side):
        assert (plain_png_size(data, max_pixels=most) is not None) == (side * side <= min(most, MAX_PIXELS))
        assert is_the_same(data, monkeypatch, max_pixels=most)
