"""Reads the simplest PNGs, small and grey, without the steps that only other pictures need.

Pillow looks at a file for each format, and builds a reader of chunks for each PNG. For a digit of 28 × 28 pixels this
takes several times as long as its decoder does. Here the same decoder is called at once. Any doubt about a file gives
None, and the file then takes the ordinary way, which finds the error or reads the picture.
"""

import struct
import zlib

from PIL import Image

from models.png_framing import SIGNATURE

MAX_PIXELS = 128 * 128
"""Pictures with more pixels take the ordinary way, which spends its time on their pixels."""

_START = SIGNATURE + b"\0\0\0\x0dIHDR"
_KIND = bytes([8, 0, 0, 0, 0])
"""8 bits, grey, deflate, the usual filters, not interlaced."""
_END = b"\0\0\0\0IEND\xae\x42\x60\x82"
_IDAT = 33
"""Where the chunk behind IHDR begins."""


def plain_png_size(data: bytes, *, max_pixels: int) -> tuple[int, int] | None:
    """Return width and height of a plain PNG: 8-bit grey, not interlaced, of the chunks IHDR, IDAT and IEND alone.

    Args:
        data: the bytes of a file.
        max_pixels: the most pixels that are allowed; a picture with more, or more than `MAX_PIXELS`, is not plain.

    Returns:
        The size if each chunk and its checksum are right; the pixels are not decoded. None for every other file.
    """
    if not data.startswith(_START) or data[24:29] != _KIND or not data.endswith(_END):
        return None
    width, height, header_check = struct.unpack_from(">II5xI", data, 16)
    (length,) = struct.unpack_from(">I", data, _IDAT)
    end = len(data) - len(_END) - 4
    if data[_IDAT + 4 : _IDAT + 8] != b"IDAT" or _IDAT + 8 + length != end:
        return None
    if not 0 < width * height <= min(MAX_PIXELS, max_pixels) or length > 2 * MAX_PIXELS:
        return None
    right = zlib.crc32(data[12:29]) == header_check
    right = right and zlib.crc32(data[_IDAT + 4 : end]) == struct.unpack_from(">I", data, end)[0]
    return (width, height) if right else None


def read_plain_png(data: bytes, *, max_pixels: int) -> Image.Image | None:
    """Decode a plain PNG (`plain_png_size`), mode L; None for every other file, and for pixels that are damaged."""
    size = plain_png_size(data, max_pixels=max_pixels)
    if size is None:
        return None
    try:
        return Image.frombytes("L", size, data[_IDAT + 8 : -len(_END) - 4], "zip", "L", 0)
    except Exception:  # noqa: BLE001  (the ordinary way says what is wrong)
        return None
