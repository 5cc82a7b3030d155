"""The parts of a PNG file (W3C, third edition) apart from compression: scanlines, header and checksums.

The caller compresses ("deflates") the scanlines. `app` and `training` use different libraries for that, so their files
differ in bytes but not in pixels. A file has 8 bits a sample, no interlacing, and one IDAT chunk with all pixels.
"""

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
"""The first bytes of every PNG file."""

_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # PNG's colour types of grey, RGB and RGBA, by the number of channels
_CRC_OF_IDAT = 0x35AF061E  # CRC-32 of the bytes "IDAT"; the chunk's checksum continues from it
_IEND = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"


def as_rows(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the scanlines of a picture: the bytes of each row after a 0, which is the filter type "none".

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
    """Return a PNG file that contains compressed scanlines.

    Args:
        deflated: the scanlines as a zlib stream.
        width: width of the picture in pixels.
        height: height of the picture in pixels.
        channels: 1 (grey), 3 (RGB) or 4 (RGBA).
        crc32: a function like `zlib.crc32`; other libraries have faster ones.
    """
    checksum = crc32(deflated, _CRC_OF_IDAT)
    head = _head(width, height, channels)
    return b"".join((head, len(deflated).to_bytes(4), b"IDAT", deflated, checksum.to_bytes(4), _IEND))


@lru_cache(maxsize=64)
def _head(width: int, height: int, channels: int) -> bytes:
    """Return the signature and the IHDR chunk."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return SIGNATURE + struct.pack(">I", len(body) - 4) + body + zlib.crc32(body).to_bytes(4)
