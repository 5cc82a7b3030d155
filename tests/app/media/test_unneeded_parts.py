"""A picture that can be read is read whatever its metadata are: damaged, too large, or in the wrong place."""

import io
import random
import struct
import zlib
from collections.abc import Callable, Container, Iterable
from functools import cache

import numpy as np
import pytest
from _pytest.mark import ParameterSet
from numpy.typing import NDArray
from PIL import Image

from app.media import uploads
from app.media.uploads import check_sizes, read_upload
from app.problems import Problem
from models.images import ImageShape
from reliability.hostile.images import chunk
from tests.app.checks import close, png_bytes

SHAPE = ImageShape()
MB = 2**20
SIDES = (28, 2100)
"""A small picture, and one that is shrunk before it is worked on."""


def page(side: int) -> Image.Image:
    """A stroke on paper, not symmetrical."""
    levels = np.full((side, side), 255, dtype=np.uint8)
    levels[side // 7 : side // 2, side // 4 : side // 3] = 0
    levels[side // 2 : side // 2 + side // 9, side // 4 : side * 3 // 4] = 0
    return Image.fromarray(levels)


@cache
def plain_page(side: int, form: str = "PNG") -> bytes:
    return png_bytes(page(side), form)


def read(data: bytes) -> NDArray[np.uint8]:
    assert check_sizes([io.BytesIO(data)], ["x"], preprocess="auto", shape=SHAPE, max_pixels=10**7)
    (made,) = read_upload(data, filename="x", shape=SHAPE, preprocess="auto", max_pixels=10**7)
    return np.zeros(SHAPE.array, np.uint8) if made.image is None else made.image


@cache
def read_plain(side: int, form: str = "PNG") -> NDArray[np.uint8]:
    return read(plain_page(side, form))


def kinds(names: Iterable[str], *, also_large: Container[str]) -> list[ParameterSet]:
    """Return each kind with both sides. The large picture takes long, so `make test` has it with `also_large` only."""
    return [
        pytest.param(name, side, marks=() if side == SIDES[0] or name in also_large else pytest.mark.slow)
        for name in names
        for side in SIDES
    ]


def jpeg_segment(marker: int, value: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(value)) + value


def orientation(value: int) -> bytes:
    """EXIF data without their head "Exif\\0\\0"."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes().removeprefix(b"Exif\0\0")


BROKEN_EXIF: dict[str, bytes] = {
    "empty": b"",
    "no TIFF": b"hello",
    "half a head": b"MM\0*",
    "offset outside": b"II*\0\xff\xff\xff\x7f",
    "endless chain": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "entries missing": b"MM\0*\0\0\0\x08\xff\xff" + bytes(5),
    "a wrong type": b"MM\0*\0\0\0\x08\0\1\x01\x12\0\x02\0\0\0\x04\0\0\0\0\0\0\0\0",
    "orientation 65,535": b"MM\0*\0\0\0\x08\0\1\x01\x12\0\x03\0\0\0\x01\xff\xff\0\0\0\0\0\0",
    "two orientations": b"MM\0*\0\0\0\x08\0\1\x01\x12\0\x03\0\0\0\x02\0\x06\0\x03\0\0\0\0",
    "random": random.Random(0).randbytes(60),
    "random after a head": b"II*\0" + random.Random(1).randbytes(60),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(("kind", "side"), kinds(BROKEN_EXIF, also_large={"endless chain", "random after a head"}))
def test_broken_exif(kind: str, form: str, side: int) -> None:
    plain, exif = plain_page(side, form), BROKEN_EXIF[kind]
    if form == "PNG":
        data = plain[:33] + chunk(b"eXIf", exif) + plain[33:]
    elif form == "JPEG":
        data = plain[:2] + jpeg_segment(0xE1, b"Exif\0\0" + exif) + plain[2:]
    else:
        data = webp_with_exif(plain, side, exif)
    assert (read(data) == read_plain(side, form)).all()


def webp_with_exif(plain: bytes, side: int, exif: bytes) -> bytes:
    """A WebP in the extended format with EXIF data."""
    canvas = (side - 1).to_bytes(3, "little") * 2
    padded = exif + bytes(len(exif) % 2)
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + canvas + plain[12:]
    body += b"EXIF" + struct.pack("<I", len(exif)) + padded
    return b"RIFF" + struct.pack("<I", len(body)) + body


UNNEEDED: dict[str, bytes] = {
    "zTXt of 2 MB": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2 * MB))),
    "zTXt of 70 MB": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(70 * MB))),
    "eXIf in a zTXt of 2 MB": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(2 * MB))),
    "iTXt of 2 MB": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2 * MB))),
    "80 texts of a MB": chunk(b"tEXt", b"Comment\0" + b"x" * (MB // 8)) * 80,
    "iCCP of 2 MB": chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2 * MB))),
    "iCCP packed in a new way": chunk(b"iCCP", b"profile\0\1" + bytes(9)),
    "iCCP empty": chunk(b"iCCP", b""),
    "a text with a wrong checksum": chunk(b"tEXt", b"Comment\0x")[:-4] + bytes(4),
    "eXIf with a wrong checksum": chunk(b"eXIf", orientation(6))[:-4] + bytes(4),
    "pHYs cut": chunk(b"pHYs", b"1"),
    "gAMA cut": chunk(b"gAMA", b"1"),
    "cHRM cut": chunk(b"cHRM", b"1"),
    "sRGB empty": chunk(b"sRGB", b""),
    "acTL cut": chunk(b"acTL", b"1"),
    "fcTL cut": chunk(b"fcTL", b"1"),
    "a private chunk": chunk(b"vpAg", bytes(9)),
}


@pytest.mark.parametrize("place", ["before", "behind"])
@pytest.mark.parametrize(("kind", "side"), kinds(UNNEEDED, also_large={"zTXt of 70 MB", "eXIf with a wrong checksum"}))
def test_chunks_that_no_pixel_needs(kind: str, place: str, side: int) -> None:
    plain, unneeded = plain_page(side), UNNEEDED[kind]
    cut = 33 if place == "before" else -12
    assert (read(plain[:cut] + unneeded + plain[cut:]) == read_plain(side)).all()


def as_exif(value: int) -> bytes:
    return chunk(b"eXIf", orientation(value))


def as_text(value: int) -> bytes:
    exif = b"Exif\0\0" + orientation(value)
    return chunk(b"tEXt", b"Raw profile type exif\0\nexif\n%8d\n" % len(exif) + exif.hex().encode() + b"\n")


def as_packed_text(value: int) -> bytes:
    text = as_text(value)[8:-4].partition(b"\0")[2]
    return chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


def as_xmp(value: int) -> bytes:
    return chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="%d"/>' % value)


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_of_a_png_is_still_followed(value: int) -> None:
    upright = page(120)
    upright = upright.transpose(TURNS[value]) if value in TURNS else upright
    plain = png_bytes(page(120))
    assert (read(plain[:33] + as_exif(value) + plain[33:]) == read(png_bytes(upright))).all()


@pytest.mark.parametrize(
    ("made", "cut"), [(as_exif, -12), *((made, cut) for made in (as_text, as_packed_text, as_xmp) for cut in (33, -12))]
)
def test_an_orientation_that_browsers_do_not_follow_is_ignored(made: Callable[[int], bytes], cut: int) -> None:
    plain = plain_page(120)
    assert (read(plain[:cut] + made(6) + plain[cut:]) == read_plain(120)).all()


@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
def test_an_orientation_in_xmp_data_is_ignored(form: str) -> None:
    """The page shows what a browser shows, and so the boxes of the digits are in it."""
    photo, xmp = page(120).convert("RGB"), b'<x tiff:Orientation="6"/>'
    assert Image.open(io.BytesIO(png_bytes(photo, form, xmp=xmp))).getexif()[0x0112] == 6  # Pillow follows it
    assert close(read(png_bytes(photo, form, xmp=xmp)), read(png_bytes(photo, form)), 0)


def test_many_chunks_are_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_READS", 100)
    plain = plain_page(28)
    assert read(plain[:33] + chunk(b"teXt", b"") * 90 + plain[33:]).shape == (28, 28)
    with pytest.raises(Problem, match="is made of more than 100 pieces"):
        read(plain[:33] + chunk(b"teXt", b"") * 100 + plain[33:])


@pytest.mark.parametrize("side", [28, 120])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_without_its_end_marker(mode: str, options: dict[str, object], side: int) -> None:
    data = png_bytes(page(side).convert(mode), "JPEG", **options)
    for missing in (1, 2):
        assert close(read(data[:-missing]), read(data), 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_that_is_cut_off_is_refused_with_the_reason(mode: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).convert(mode)
    data = png_bytes(noise, "JPEG")
    for left in (len(data) - 20, len(data) * 3 // 4):
        with pytest.raises(Problem, match="is a JPEG that is cut off") as raised:
            read(data[:left])
        assert raised.value.status_code == 415
