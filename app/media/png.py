"""Pictures as PNG (W3C, third edition): unfiltered rows in one IDAT chunk, deflated by ISA-L.

Where `isal` has no wheel, Pillow writes them: the same pixels in other bytes, several times as slowly.
"""

import asyncio
import base64
import io
import math
import struct
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.grids import as_rows

try:
    from isal import isal_zlib
except ImportError:  # no wheel for this machine
    isal_zlib = None  # type: ignore[assignment]

Encoder: TypeAlias = Literal["isal", "pillow"]

ENCODER: Encoder = "pillow" if isal_zlib is None else "isal"
"""The encoder of this process. It is part of every ETag, since encoders give different bytes."""

FIXED_CODES_BYTES = 4096
"""Up to so many bytes of scanlines take deflate's fixed Huffman codes: a digit takes a fifth of the time, and 2 % more
bytes."""

COMPRESS_LEVEL = 1  # on a grid of digits ISA-L's 3 takes twice the time for 3 % more bytes; its 0 a fifth more bytes
INLINE_PIXELS = 256 * 256  # below this, handing the work to a thread costs more than the work

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # by samples a pixel: grey, RGB, RGBA
_CHECKSUM_OF_IDAT = 0x35AF061E  # CRC-32 of its name, with which that of the chunk goes on
_IEND = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """A picture [H, W], [H, W, 3] or [H, W, 4] (RGBA) uint8 as PNG. Equal pixels give equal bytes."""
    return encode_rows(as_rows(picture), channels=math.prod(picture.shape[2:]))


def encode_rows(rows: NDArray[np.uint8], *, channels: int) -> bytes:
    """The same of rows that each stand behind a 0 (`models.grids.assemble_rows`), of 1, 3 or 4 channels."""
    encode = _encode_with_pillow if isal_zlib is None else _encode_with_isal
    return encode(rows, channels)


async def encode_png_aside(picture: NDArray[np.uint8]) -> bytes:
    """Run `encode_png`, in a thread if the picture is large enough to block the event loop."""
    return encode_png(picture) if picture.size <= INLINE_PIXELS else await asyncio.to_thread(encode_png, picture)


def encode_base64_png(picture: NDArray[np.uint8]) -> str:
    """A picture as the base64 text of its PNG."""
    return base64.b64encode(encode_png(picture)).decode("ascii")


def _encode_with_isal(scanlines: NDArray[np.uint8], channels: int) -> bytes:
    """Of rows that each begin with their filter: 0, none."""
    height, bytes_a_row = scanlines.shape
    data = _deflate(scanlines)
    checksum = isal_zlib.crc32(data, _CHECKSUM_OF_IDAT)
    head = _head((bytes_a_row - 1) // channels, height, _COLOUR_TYPES[channels])
    return b"".join((head, len(data).to_bytes(4), b"IDAT", data, checksum.to_bytes(4), _IEND))


def _deflate(scanlines: NDArray[np.uint8]) -> bytes:
    if scanlines.nbytes > FIXED_CODES_BYTES:  # for so many bytes, codes of their own are worth the table
        return isal_zlib.compress(scanlines.data, COMPRESS_LEVEL)
    # ISA-L offers the fixed codes at level 0 only.
    deflater = isal_zlib.compressobj(
        0, isal_zlib.DEFLATED, isal_zlib.MAX_WBITS, isal_zlib.DEF_MEM_LEVEL, isal_zlib.Z_FIXED
    )
    return deflater.compress(scanlines.data) + deflater.flush()


@lru_cache(maxsize=64)
def _head(width: int, height: int, colour: int) -> bytes:
    """The signature and the IHDR chunk: 8 bits a sample, not interlaced."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return _SIGNATURE + struct.pack(">I", len(body) - 4) + body + isal_zlib.crc32(body).to_bytes(4)


def _encode_with_pillow(scanlines: NDArray[np.uint8], channels: int) -> bytes:
    pixels = scanlines[:, 1:]
    picture = pixels if channels == 1 else pixels.reshape(len(pixels), -1, channels)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=COMPRESS_LEVEL)
    return buffer.getvalue()
