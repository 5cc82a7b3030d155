"""Encodes images as an animated GIF or WebP."""

import asyncio
import io
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

AnimationFormat: TypeAlias = Literal["gif", "webp"]

GIF_TICK_MS = 10
"""The unit of a GIF's delays, in milliseconds."""

GIF_COLOURS = 256
"""The most colours of a GIF."""

# Pillow's `optimize` would search each frame's palette anew, which is slower and for 256 greys no smaller.
# WebP's method 0 is its fastest: on RGB noise, the worst that a client can ask for, it takes a thirtieth of the time
# of the default method.
_OPTIONS: dict[AnimationFormat, dict[str, Any]] = {
    "gif": {"optimize": False},
    "webp": {"lossless": True, "method": 0},
}


def encode_animation(images: NDArray[np.uint8], form: AnimationFormat, *, scale: int = 1, duration_ms: int) -> bytes:
    """Encode an animation that shows the images in order and repeats for ever. Equal pixels give equal bytes.

    Pillow joins equal neighbours into one frame, which lasts as long as all of them together.

    Args:
        images: [n, H, W] or [n, H, W, 3] uint8, n ≥ 1.
        form: the file format. "webp" is lossless; "gif" is for grey images, and reduces an RGB image to 256 colours.
        scale: the factor by which images are enlarged: each pixel becomes scale × scale pixels.
        duration_ms: the milliseconds for which each image shows; in a GIF, rounded to the nearest 10 ms. n ·
            duration_ms may be at most 655,350 ms, since equal images are joined and a GIF's delays have 16 bits.

    Returns:
        The file.
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
    """Run `encode_animation` in a thread, since it would block the event loop."""
    return await asyncio.to_thread(encode_animation, images, form, scale=scale, duration_ms=duration_ms)


def _frames(images: NDArray[np.uint8], form: AnimationFormat, scale: int) -> Iterator[Image.Image]:
    for image in images:
        frame = Image.fromarray(image)
        if form == "gif" and frame.mode == "RGB":
            # The image is enlarged later. The octree takes a twentieth of the time of Pillow's default, median cut.
            frame = frame.quantize(GIF_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        yield frame.resize((frame.width * scale, frame.height * scale), Image.Resampling.NEAREST)
