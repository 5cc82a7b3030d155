"""Reads the simplest PNGs, small and grey, without the steps that only other pictures need.

Pillow looks at a file for each format, and builds a reader of chunks for each PNG. For a digit of 28 × 28 pixels this
takes several times as long as its decoder does. Here the same decoder is called at once. The functions return None for
every other file, and for a file that is damaged: `app.media.uploads` then reads it by Pillow, and says what is wrong.
"""

import struct

from PIL import Image

from models.png_framing import frame

MAX_PIXELS = 128 * 128
"""A picture with more pixels is not plain: decoding takes most of its time, so there is nothing to save."""

_DEFLATED = slice(41, -16)
"""Where a plain PNG has its compressed scanlines: between IHDR with IDAT's head, and IDAT's checksum with IEND."""

_FRAME_BYTES = 57
"""The bytes of a plain PNG besides its scanlines: the signature and three chunks."""


def plain_png_size(data: bytes, *, max_pixels: int) -> tuple[int, int] | None:
    """Return width and height of a plain PNG: 8-bit grey, not interlaced, of the chunks IHDR, IDAT and IEND alone.

    Args:
        data: the bytes of a file.
        max_pixels: the most pixels that are allowed; a picture with more, or more than `MAX_PIXELS`, is not plain.

    Returns:
        The size if each chunk and its checksum are right; the pixels are not decoded. None for every other file.
    """
    if not _FRAME_BYTES <= len(data) <= _FRAME_BYTES + 2 * MAX_PIXELS:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    if not 0 < width * height <= min(MAX_PIXELS, max_pixels):
        return None
    return (width, height) if data == frame(data[_DEFLATED], width=width, height=height, channels=1) else None


def read_plain_png(data: bytes, *, max_pixels: int) -> Image.Image | None:
    """Decode a plain PNG (`plain_png_size`), mode L; None for every other file, and for pixels that are damaged."""
    size = plain_png_size(data, max_pixels=max_pixels)
    if size is None:
        return None
    try:
        return Image.frombytes("L", size, data[_DEFLATED], "zip", "L", 0)
    except Exception:  # noqa: BLE001  (the caller then reads the file by Pillow, which says what is wrong)
        return None
