"""Encodes pictures as PNG: unfiltered rows in one IDAT chunk (`models.png_framing`), deflated by ISA-L.

Where `isal` has no wheel, Pillow encodes the same pixels instead. The bytes differ, and it takes several times as long.
"""

import asyncio
import base64
import io
import math
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.png_framing import as_rows, frame

try:
    from isal import isal_zlib
except ImportError:  # no wheel for this machine
    isal_zlib = None  # type: ignore[assignment]

Encoder: TypeAlias = Literal["isal", "pillow"]

ENCODER: Encoder = "pillow" if isal_zlib is None else "isal"
"""The encoder of this process. It is part of every ETag, since encoders give different bytes."""

FIXED_CODES_BYTES = 4096
"""Scanlines of at most this many bytes are deflated with the fixed Huffman codes: this takes a fifth of the time for a
digit, and 2 % more bytes."""

COMPRESS_LEVEL = 1  # on a grid of digits ISA-L's 3 takes twice the time for 3 % more bytes; its 0 a fifth more bytes
INLINE_PIXELS = 256 * 256  # below this, handing the work to a thread costs more than the work


def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """Encode a picture, [H, W], [H, W, 3] or [H, W, 4] (RGBA) uint8, as PNG. Equal pixels give equal bytes."""
    return encode_rows(as_rows(picture), channels=math.prod(picture.shape[2:]))


def encode_rows(rows: NDArray[np.uint8], *, channels: int) -> bytes:
    """Encode scanlines as PNG, with the same result as `encode_png` of their picture.

    Args:
        rows: [height, 1 + width · channels] uint8; each row begins with a 0 (`models.grids.assemble_rows`).
        channels: number of channels: 1 (grey), 3 (RGB) or 4 (RGBA).
    """
    encode = _encode_with_pillow if isal_zlib is None else _encode_with_isal
    return encode(rows, channels)


async def encode_png_aside(picture: NDArray[np.uint8]) -> bytes:
    """Run `encode_png`, in a thread if the picture is large enough to block the event loop."""
    return encode_png(picture) if picture.size <= INLINE_PIXELS else await asyncio.to_thread(encode_png, picture)


def encode_base64_png(picture: NDArray[np.uint8]) -> str:
    """Encode a picture as PNG, and return it as base64 text."""
    return base64.b64encode(encode_png(picture)).decode("ascii")


def _encode_with_isal(scanlines: NDArray[np.uint8], channels: int) -> bytes:
    height, bytes_a_row = scanlines.shape
    width = (bytes_a_row - 1) // channels
    return frame(_deflate(scanlines), width=width, height=height, channels=channels, crc32=isal_zlib.crc32)


def _deflate(scanlines: NDArray[np.uint8]) -> bytes:
    if scanlines.nbytes > FIXED_CODES_BYTES:  # here dynamic codes save more than their table takes
        return isal_zlib.compress(scanlines.data, COMPRESS_LEVEL)
    # ISA-L offers the fixed codes at level 0 only.
    deflater = isal_zlib.compressobj(
        0, isal_zlib.DEFLATED, isal_zlib.MAX_WBITS, isal_zlib.DEF_MEM_LEVEL, isal_zlib.Z_FIXED
    )
    return deflater.compress(scanlines.data) + deflater.flush()


def _encode_with_pillow(scanlines: NDArray[np.uint8], channels: int) -> bytes:
    pixels = scanlines[:, 1:]
    picture = pixels if channels == 1 else pixels.reshape(len(pixels), -1, channels)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=COMPRESS_LEVEL)
    return buffer.getvalue()
