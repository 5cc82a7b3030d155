"""Makes PNGs of every depth and colour type from their samples, and says what a viewer shows, without Pillow."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from reliability.hostile.images import chunk

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""The colour types of the PNG standard."""


def raw_png(
    samples: NDArray[np.uint16],
    *,
    depth: int,
    colour: int,
    palette: NDArray[np.uint8] | None = None,
    transparency: bytes | None = None,
) -> bytes:
    """A PNG of samples, [H, W, channels], each with `depth` bits."""
    height, width, _ = samples.shape
    rows = []
    for row in samples.reshape(height, -1):
        bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
        rows.append(b"\0" + np.packbits(bits.astype(np.uint8)).tobytes())
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
            b"" if palette is None else chunk(b"PLTE", palette.tobytes()),
            b"" if transparency is None else chunk(b"tRNS", transparency),
            chunk(b"IDAT", zlib.compress(b"".join(rows))),
            chunk(b"IEND", b""),
        ]
    )


def shown(
    samples: NDArray[np.uint16],
    *,
    depth: int,
    colour: int,
    channels: int,
    palette: NDArray[np.uint8] | None = None,
    clear: NDArray[np.uint16] | None = None,
    alpha: NDArray[np.uint8] | None = None,
) -> NDArray[np.int64]:
    """What D sees of the samples: [H, W] or [H, W, 3] in 0…255, laid on black if the ink is light, else on white.

    Args:
        clear: the transparent colour, in the samples' own units.
        alpha: the opacity of each colour of the palette.
    """
    opacity = np.ones(samples.shape[:2])
    if palette is not None:
        levels = palette[samples[..., 0]].astype(float)
        opacity = opacity if alpha is None else alpha[samples[..., 0]] / 255
    else:
        scaled = samples * (255 / (2**depth - 1))
        if colour in (GREY_ALPHA, RGB_ALPHA):
            opacity = scaled[..., -1] / 255
            scaled = scaled[..., :-1]
        if clear is not None:
            opacity = 1.0 - (samples == clear).all(axis=2)
        levels = np.broadcast_to(scaled, (*samples.shape[:2], 3)) if scaled.shape[2] == 1 else scaled
    mean = (levels.mean(axis=2) * opacity).sum() / max(opacity.sum(), 1e-9)
    paper = 0 if mean >= 128 else 255
    levels = levels * opacity[..., None] + paper * (1 - opacity[..., None])
    if channels == 1:
        levels = levels @ [0.299, 0.587, 0.114]
    return levels.round().astype(np.int64)
