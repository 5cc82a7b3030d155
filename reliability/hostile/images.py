"""Hostile images: valid ones of every mode, damaged ones and bombs. They are made from a seed, in memory.

for image in corpus(seed=2014, count=5000):
    image.kind, image.data, image.statuses
"""

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
FINE, TOO_LARGE, NO_IMAGE = 200, 413, 415
EITHER = frozenset({FINE, NO_IMAGE})
ANY = frozenset({FINE, TOO_LARGE, NO_IMAGE})
MAX_PIXELS = 40_000_000
"""The default of GAN_MAX_FILE_PIXELS."""


class Hostile(NamedTuple):
    """An upload, and the statuses that are right answers to it."""

    kind: str
    data: bytes
    statuses: frozenset[int]


def corpus(*, seed: int, count: int) -> Iterator[Hostile]:
    """Yield `count` uploads: about the same number of each kind, and every fiftieth from `LARGE`."""
    rng = random.Random(seed)  # noqa: S311  (not a secret)
    makers = list(KINDS.items())
    large = list(LARGE.items())
    for number in range(count):
        kind, (make, statuses) = large[number // 50 % len(large)] if number % 50 == 49 else makers[number % len(makers)]
        yield Hostile(kind, make(rng), statuses)


def drawing(rng: random.Random, mode: str = "L") -> Image.Image:
    """Draw a few strokes on paper, 1 to 200 pixels a side, in one of Pillow's modes."""
    size = (rng.randint(1, 200), rng.randint(1, 200))
    paper = rng.choice([0, 255])
    image = Image.new("L", size, paper)
    points = [(rng.randrange(size[0]), rng.randrange(size[1])) for _ in range(4)]
    ImageDraw.Draw(image).line(points, fill=255 - paper, width=rng.randint(1, 12))
    if mode == "I;16":
        return Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    if mode in {"LA", "RGBA"}:
        image = Image.merge("LA", (image, image.point(lambda level: level ^ rng.randrange(256))))
    return image.convert(mode)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    """Return the image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def plain(rng: random.Random, form: str | None = None) -> bytes:
    """Return a whole image of any format."""
    form = form or rng.choice(FORMATS)
    mode = rng.choice(["RGB", "L", "CMYK"] if form == "JPEG" else ["RGB", "L"])
    return saved(drawing(rng, mode), form)


def truncated(rng: random.Random) -> bytes:
    """Return a whole image that is cut at a random place."""
    data = plain(rng)
    return data[: rng.randrange(len(data))]


def flipped(rng: random.Random) -> bytes:
    """Return a whole image with 1 to 20 bits flipped, half of the time in its head."""
    data = bytearray(plain(rng))
    end = rng.choice([len(data), min(len(data), 64)])
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(data)


def spliced(rng: random.Random) -> bytes:
    """Return the first part of one image, followed by the last part of another."""
    one, other = plain(rng), plain(rng)
    return one[: rng.randrange(len(one))] + other[rng.randrange(len(other)) :]


def lying_length(rng: random.Random) -> bytes:
    """Return an image in which a field of four or two bytes holds an extreme number."""
    data = bytearray(plain(rng))
    number = rng.choice([0, 1, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
    field = struct.pack(rng.choice("<>") + ("I" if number > 0xFFFF else rng.choice("HI")), number)
    place = rng.randrange(max(1, min(len(data), 80) - len(field)))
    data[place : place + len(field)] = field
    return bytes(data)


def polyglot(rng: random.Random) -> bytes:
    """Return an image with the beginning of another format in front of it or behind it."""
    other = rng.choice([b"PK\x03\x04" + bytes(40), b"%PDF-1.7\n", b"<script>alert(1)</script>", b"MZ" + bytes(200)])
    return rng.choice([plain(rng) + other, other + plain(rng)])


def no_image(rng: random.Random) -> bytes:
    """Return noise, a text, or a format that the service does not take."""
    tiff = saved(drawing(rng), "TIFF")
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    return rng.choice([b"", rng.randbytes(rng.randint(1, 3000)), tiff, svg, eps, b"P5 9 9 255 " + bytes(81)])


def rotated(rng: random.Random) -> bytes:
    """Return an image with an EXIF orientation, valid or not."""
    exif = Image.Exif()
    exif[0x0112] = rng.choice([*range(9), 65_535])
    return saved(drawing(rng, "RGB"), rng.choice(["JPEG", "WEBP", "PNG"]), exif=exif)


def bad_exif(rng: random.Random) -> bytes:
    """Return an image whose EXIF data are random bytes."""
    exif = b"Exif\0\0" + rng.choice([b"MM\0*", b"II*\0", b""]) + rng.randbytes(rng.randint(0, 60))
    return saved(drawing(rng, "RGB"), rng.choice(["JPEG", "WEBP", "PNG"]), exif=exif)


def no_end_marker(rng: random.Random) -> bytes:
    """Return a whole JPEG without its end marker, or without the marker's last byte."""
    return saved(drawing(rng, "RGB"), "JPEG", progressive=rng.random() < 0.5)[: -rng.randint(1, 2)]


def other_format(rng: random.Random) -> bytes:
    """Return a picture in a format that the service names and refuses, whole or cut."""
    form = rng.choice(["AVIF", "TIFF", "JPEG2000", "ICO", "PPM", "PDF", "EPS"])
    data = saved(drawing(rng, "RGB").resize((64, 64)), form)
    return data[: rng.choice([len(data), rng.randint(16, len(data))])]


def sixteen_bits(rng: random.Random) -> bytes:
    """Return a PNG with 16 bits a pixel, sometimes with a transparent shade."""
    data = saved(drawing(rng, "I;16"), "PNG")
    if rng.random() < 0.5:
        return data
    return data[:33] + chunk(b"tRNS", struct.pack(">H", rng.choice([0, 65_535]))) + data[33:]


def cmyk(rng: random.Random) -> bytes:
    """Return a JPEG in the colours of printers, CMYK."""
    return saved(drawing(rng, "CMYK"), "JPEG", quality=rng.randint(1, 100), progressive=rng.random() < 0.5)


def palette(rng: random.Random) -> bytes:
    """Return an image with a palette and alpha, as PNG or GIF."""
    image = drawing(rng, "RGB").quantize(rng.randint(2, 255))
    transparency: object = rng.randrange(256)
    form = rng.choice(["PNG", "GIF"])
    if form == "PNG" and rng.random() < 0.5:
        transparency = rng.randbytes(rng.randint(1, 256))
    return saved(image, form, transparency=transparency)


def alpha(rng: random.Random) -> bytes:
    """Return a PNG with alpha, grey or in colours, or with a single transparent colour."""
    mode = rng.choice(["LA", "RGBA", "RGB", "L", "1"])
    if mode in {"LA", "RGBA"}:
        return saved(drawing(rng, mode), "PNG")
    return saved(drawing(rng, mode), "PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)


def animated(rng: random.Random) -> bytes:
    """Return an animation of a few frames."""
    frames = [drawing(rng, "RGB").resize((40, 40)) for _ in range(rng.randint(2, 12))]
    form = rng.choice(["GIF", "WEBP", "PNG"])
    return saved(frames[0], form, save_all=True, append_images=frames[1:], duration=rng.choice([0, 20]))


def broken_animation(rng: random.Random) -> bytes:
    """Return an animation of a few frames with some bytes changed."""
    data = bytearray(animated(rng))
    for _ in range(rng.randint(1, 10)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb(rng: random.Random) -> bytes:
    """Return a few bytes that claim up to 2³¹ pixels a side."""
    side = rng.choice([6325, 20_000, 100_000, 2**31 - 1])
    head = struct.pack(">IIBBBBB", side, side, rng.choice([1, 8, 16]), 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def bmp_bomb(rng: random.Random) -> bytes:
    """Return a few bytes that claim up to 2³¹ pixels a side; a BMP may also have a negative height."""
    width, height = rng.choice([(20_000, 20_000), (2**31 - 1, 1), (60_000, -60_000), (1, -(2**31))])
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def gif_bomb(rng: random.Random) -> bytes:
    """Return a GIF of 65,535 pixels a side, or with a frame of that size on a small screen."""
    screen, frame = rng.choice([(65_535, 65_535), (65_535, 1), (10, 65_535)])
    head = b"GIF89a" + struct.pack("<HHBBB", screen, screen, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, frame, frame, 0) + b"\x02\x02\x44\x01\0;"


def jpeg_bomb(rng: random.Random) -> bytes:
    """Return a JPEG whose frame claims 65,500 pixels a side."""
    data = bytearray(saved(drawing(rng), "JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", 65_500, rng.choice([65_500, 1000]))
    return bytes(data)


def webp_bomb(rng: random.Random) -> bytes:
    """Return a WebP whose canvas claims 16,384 pixels a side, or 2²⁴."""
    side = rng.choice([16_383, 2**24 - 1])
    canvas = (side).to_bytes(3, "little") * 2
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes([rng.choice([0, 2, 0x10]), 0, 0, 0]) + canvas
    inner = saved(drawing(rng, "RGB"), "WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body) + len(inner)) + body + inner


def text_bomb(rng: random.Random) -> bytes:
    """Return a small PNG with megabytes of text, or of a colour profile, in a few kilobytes."""
    data = saved(drawing(rng), "PNG")
    packed = zlib.compress(bytes(rng.choice([2, 70]) * 2**20), 9)
    extra = rng.choice([chunk(b"zTXt", b"a\0\0" + packed), chunk(b"iCCP", b"a\0\0" + packed)])
    return data[:33] + extra * rng.choice([1, 3]) + data[33:]


def many_pieces(rng: random.Random) -> bytes:
    """Return an image with half a million empty pieces: chunks of a PNG, comments of a GIF or a JPEG."""
    form = rng.choice(["PNG", "GIF", "JPEG"])
    data = saved(drawing(rng), form)
    place, piece = {"PNG": (33, chunk(b"teXt", b"")), "GIF": (-1, b""), "JPEG": (2, b"\xff\xfe\0\2")}[form]
    if form == "GIF":
        place, piece = data.index(b",", 13 + 3 * 2 ** ((data[10] & 7) + 1)), b"!\xfe\0"
    return data[:place] + piece * 500_000 + data[place:]


def thousand_frames(rng: random.Random) -> bytes:
    """Return a GIF, WebP or APNG with thousands of small frames."""
    form = rng.choice(["GIF", "WEBP", "PNG"])
    if form == "GIF":
        frame = b"," + struct.pack("<HHHHB", 0, 0, 2000, 2000, 0) + b"\x02\x02\x44\x01\0"
        return b"GIF89a" + struct.pack("<HHBBB", 2000, 2000, 0x80, 0, 0) + bytes(6) + frame * 20_000 + b";"
    shades = [Image.new("L", (16, 16), level % 256) for level in range(2000)]
    return saved(shades[0], form, save_all=True, append_images=shades[1:])


def large_image(rng: random.Random) -> bytes:
    """Return a whole image of a few bytes, with nearly as many pixels as are taken."""
    side = 6300
    mode = rng.choice(["L", "RGBA", "P", "1"])
    image = Image.new(mode, (side, side), (255, 255, 255, 9) if mode == "RGBA" else 1)
    image.paste((0, 0, 0, 255) if mode == "RGBA" else 0, (1000, 2000, 3000, 5000))
    return saved(image, "PNG")


def beyond(_rng: random.Random) -> bytes:
    """Return a whole image with a few more pixels than are taken."""
    return saved(Image.new("1", (MAX_PIXELS // 1000 + 1, 1000)), "PNG")


Maker = Callable[[random.Random], bytes]

KINDS: dict[str, tuple[Maker, frozenset[int]]] = {
    "whole": (plain, frozenset({FINE})),
    "truncated": (truncated, EITHER),
    "bits flipped": (flipped, ANY),
    "two spliced": (spliced, ANY),
    "lying lengths": (lying_length, ANY),
    "polyglots": (polyglot, EITHER),
    "no images": (no_image, frozenset({NO_IMAGE})),
    "EXIF rotation": (rotated, frozenset({FINE})),
    "broken EXIF": (bad_exif, frozenset({FINE})),
    "no end marker": (no_end_marker, frozenset({FINE})),
    "other formats": (other_format, frozenset({NO_IMAGE})),
    "16 bits": (sixteen_bits, frozenset({FINE})),
    "CMYK": (cmyk, frozenset({FINE})),
    "palette with alpha": (palette, frozenset({FINE})),
    "alpha": (alpha, frozenset({FINE})),
    "animated": (animated, frozenset({FINE})),
    "animated, broken": (broken_animation, ANY),
    "bomb by a PNG's header": (png_bomb, frozenset({TOO_LARGE, NO_IMAGE})),
    "bomb by a BMP's header": (bmp_bomb, frozenset({TOO_LARGE, NO_IMAGE})),
    "bomb by a GIF's header": (gif_bomb, ANY),
    "bomb by a JPEG's header": (jpeg_bomb, frozenset({TOO_LARGE, NO_IMAGE})),
    "bomb by a WebP's header": (webp_bomb, frozenset({TOO_LARGE, NO_IMAGE})),
}
LARGE: dict[str, tuple[Maker, frozenset[int]]] = {
    "bomb of text": (text_bomb, frozenset({FINE})),
    "half a million pieces": (many_pieces, frozenset({NO_IMAGE})),
    "bomb of frames": (thousand_frames, EITHER),
    "39.7 million pixels": (large_image, frozenset({FINE})),
    "40.04 million pixels": (beyond, frozenset({TOO_LARGE})),
}
"""Uploads that take long to make and to read: `corpus` takes every fiftieth upload from here."""
