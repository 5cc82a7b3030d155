"""Images as an animation."""

import asyncio
import io
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

AnimationFormat: TypeAlias = Literal["gif", "webp"]

GIF_TICK_MS = 10  # the unit of a GIF's delays
GIF_COLOURS = 256

# Pillow's `optimize` searches each frame's palette anew: slower, and for 256 greys no smaller.
# WebP's method 0 is its quickest: on RGB noise, a client's worst, it takes a thirtieth of the default's time.
_OPTIONS: dict[AnimationFormat, dict[str, Any]] = {
    "gif": {"optimize": False},
    "webp": {"lossless": True, "method": 0},
}


def encode_animation(images: NDArray[np.uint8], form: AnimationFormat, *, scale: int = 1, duration_ms: int) -> bytes:
    """Images one after the other, again and again; the same bytes for the same pixels.

    Pillow joins equal neighbours into one frame that lasts as long as they do.

    Args:
        images: [n, H, W] or [n, H, W, 3] uint8, n ≥ 1.
        form: "webp" is lossless; "gif" is for grey, and brings the colours of an RGB image down to 256.
        scale: each pixel becomes scale × scale pixels.
        duration_ms: of one image; in a GIF to the nearest 10 ms. n · duration_ms may be 655,350 ms at most, since
            equal images are joined and a GIF's delays have 16 bits.
    """
    if form == "gif":
        duration_ms = (duration_ms + GIF_TICK_MS // 2) // GIF_TICK_MS * GIF_TICK_MS
    frames = _frames(images, form, scale)
    buffer = io.BytesIO()
    next(frames).save(
        buffer,
        format=form.upper(),
        save_all=True,
        append_images=frames,
        duration=duration_ms,
        loop=0,
        **_OPTIONS[form],
    )
    return buffer.getvalue()


async def encode_animation_aside(
    images: NDArray[np.uint8], form: AnimationFormat, *, scale: int, duration_ms: int
) -> bytes:
    """`encode_animation` in a thread: it would hold up the event loop."""
    return await asyncio.to_thread(encode_animation, images, form, scale=scale, duration_ms=duration_ms)


def _frames(images: NDArray[np.uint8], form: AnimationFormat, scale: int) -> Iterator[Image.Image]:
    for image in images:
        frame = Image.fromarray(image)
        if form == "gif" and frame.mode == "RGB":
            # Before it is enlarged, and with the octree: Pillow's median cut takes twenty times as long.
            frame = frame.quantize(GIF_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        yield frame.resize((frame.width * scale, frame.height * scale), Image.Resampling.NEAREST)
