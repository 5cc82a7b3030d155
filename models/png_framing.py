"""PNG (W3C, third edition) around pixels that somebody else deflates: scanlines, header and checksums.

The files have 8 bits a sample, are not interlaced, and hold all pixels in one IDAT chunk. `app` and `training` deflate
the scanlines with different libraries, so their files differ in bytes but not in pixels.
"""

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""The first bytes of every PNG file."""

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # by channels: grey, RGB, RGBA
_CRC_OF_IDAT = 0x35AF061E  # CRC-32 of the bytes "IDAT"; the chunk's checksum continues from it
_IEND = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"


def as_rows(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The scanlines of a picture, for the deflater: each row's bytes after a 0, the filter type "none".

    Args:
        picture: [height, width] or [height, width, channels] uint8.

    Returns:
        [height, 1 + width · channels] uint8.
    """
    pixels = picture.reshape(len(picture), -1)
    rows = np.zeros((len(pixels), 1 + pixels.shape[1]), dtype=np.uint8)
    rows[:, 1:] = pixels
    return rows


def frame(
    deflated: bytes, *, width: int, height: int, channels: int, crc32: Callable[[bytes, int], int] = zlib.crc32
) -> bytes:
    """A PNG file around deflated scanlines.

    Args:
        deflated: the scanlines as a zlib stream.
        width: of the picture in pixels.
        height: of the picture in pixels.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        crc32: as `zlib.crc32`; another library's may be faster.
    """
    checksum = crc32(deflated, _CRC_OF_IDAT)
    head = _head(width, height, channels)
    return b"".join((head, len(deflated).to_bytes(4), b"IDAT", deflated, checksum.to_bytes(4), _IEND))


@lru_cache(maxsize=64)
def _head(width: int, height: int, channels: int) -> bytes:
    """The signature and the IHDR chunk."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return SIGNATURE + struct.pack(">I", len(body) - 4) + body + zlib.crc32(body).to_bytes(4)
