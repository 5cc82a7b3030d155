"""Reduces a PNG to the chunks on which its pixels and its orientation depend, and corrects its transparent colour.

Pillow refuses a whole picture for a text or a colour profile of more than 1 MB, and for any damaged chunk. Browsers
ignore such chunks, and so do we: a chunk that no pixel needs does not decide whether a picture is read. Pillow also
compares the transparent colour of the file with pixels that it has scaled to 8 bits, so the colour is scaled as well.
"""

import io
import struct
import zlib

from PIL import Image

from models.png_framing import SIGNATURE

_PIXELS = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}

_GREY, _RGB, _PALETTE = 0, 2, 3
"""Colour types of a PNG."""


def needed_chunks(data: bytes, *, max_chunks: int) -> bytes:
    """Return a PNG without the chunks that neither its pixels nor its orientation need; other data as they are.

    The orientation is in a chunk eXIf before the pixels. Browsers follow no other: not one behind the pixels, and none
    in a text (XMP data, or EXIF data as ImageMagick once wrote them).

    Where the PNG is cut off or its chunks cannot be told apart, the rest follows as it is: the decoder judges it.

    Raises:
        ValueError: there are more than `max_chunks` chunks.
    """
    if not data.startswith(SIGNATURE) or data[12:16] != b"IHDR" or len(data) < 26:
        return data
    depth, colour = data[24], data[25]
    kept: list[bytes] = []
    exif, before_pixels = b"", True
    start = len(SIGNATURE)
    for _ in range(max_chunks):
        kind, end = data[start + 4 : start + 8], start + 12 + int.from_bytes(data[start : start + 4], "big")
        if not (kind.isalpha() and kind.isascii()) or end > len(data):
            break
        if kind in _PIXELS:
            kept.append(data[start:end])
            before_pixels = before_pixels and kind != b"IDAT"
        elif kind == b"tRNS":
            kept.append(_transparency(data[start + 8 : end - 4], depth=depth, colour=colour))
        elif kind == b"eXIf" and before_pixels:
            exif = data[start:end]
        start = end
        if kind == b"IEND":
            start = len(data)  # what follows is no part of the PNG
            break
    else:
        raise ValueError(f"more than {max_chunks:,} chunks")
    if exif and not _is_readable(exif):
        exif = b""
    return b"".join([SIGNATURE, *kept[:1], exif, *kept[1:], data[start:]])


def _transparency(value: bytes, *, depth: int, colour: int) -> bytes:
    """Return the chunk tRNS in the units of Pillow's pixels, or nothing if it does not fit the kind of picture."""
    if colour == _PALETTE:
        return _chunk(b"tRNS", value) if len(value) <= 256 else b""
    if len(value) != {_GREY: 2, _RGB: 6}.get(colour):
        return b""
    levels = [level & (2**depth - 1) for level in struct.unpack(f">{len(value) // 2}H", value)]
    if colour == _GREY and depth in {2, 4}:
        levels = [level * 255 // (2**depth - 1) for level in levels]
    elif colour == _RGB and depth == 16:  # Pillow keeps the upper 8 bits of each colour
        levels = [level >> 8 for level in levels]
    return _chunk(b"tRNS", struct.pack(f">{len(levels)}H", *levels))


def _is_readable(chunk: bytes) -> bool:
    """Whether Pillow reads a picture of one pixel that holds this chunk."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, _GREY, 0, 0, 0))
    pixel = _chunk(b"IDAT", zlib.compress(bytes(2)))
    picture = b"".join([SIGNATURE, header, chunk, pixel, _chunk(b"IEND", b"")])
    try:
        Image.open(io.BytesIO(picture), formats=["PNG"])
    except Exception:  # noqa: BLE001  (a damaged chunk can make the reader raise anything)
        return False
    return True


def _chunk(kind: bytes, value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + kind + value + struct.pack(">I", zlib.crc32(kind + value))
