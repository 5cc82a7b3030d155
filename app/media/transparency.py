"""Lays a picture with transparent parts on a background against which its ink shows.

A drawing program saves ink alone, so its transparent part is the paper. A photo that was cut out, or a window with
round corners, has its own paper, and its transparent part is nothing. `on_paper` tells the two apart.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

VISIBLE_ALPHA = 128
"""Pixels with at least this alpha are visible."""

INK_SPREAD = 64
"""If the brightness of the visible pixels spreads less (5 % to 95 %), they are ink, or paper with little ink."""

PAPER_SPREAD = 32
"""If a picture is mostly visible, and the brightness spreads this much (0.1 % to 99.9 %), there is ink on paper."""


def on_paper(image: Image.Image) -> NDArray[np.uint8]:
    """Return the pixels of a picture: [H, W] uint8 if it is grey, otherwise [H, W, 3]. Soft edges stay soft.

    If the visible pixels have nearly one brightness, they are ink, and alpha is its strength: the ink is black on
    white. If at least half of the picture is visible otherwise, the paper is visible, and the rest gets its median
    colour. Otherwise the rest gets white under dark ink, and black under light ink.

    Args:
        image: a picture of 8 bits in any mode.
    """
    if image.has_transparency_data:
        image = _filled(image)
    if image.mode not in {"L", "RGB"}:
        image = image.convert("L" if image.mode == "1" else "RGB")
    return np.asarray(image)


def on_white_or_black(image: Image.Image) -> Image.Image:
    """Lay a transparent picture on white if its ink is dark on average, otherwise on black. Return any other as it is.

    Args:
        image: a picture of 8 bits in any mode.
    """
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    pixels = np.asarray(rgba, dtype=np.float32)
    weight = pixels[..., 3].sum()
    mean = (pixels[..., :3].mean(axis=2) * pixels[..., 3]).sum() / weight if weight else 0.0
    background = Image.new("RGBA", rgba.size, "black" if mean >= 128 else "white")
    return Image.alpha_composite(background, rgba).convert("RGB")


def _filled(image: Image.Image) -> Image.Image:
    """Do what `on_paper` says. The result has mode L or RGB."""
    rgba = image.convert("RGBA")
    colours, alpha = rgba.convert("RGB"), rgba.getchannel("A")
    if image.mode in {"1", "L", "LA"}:
        colours = colours.getchannel(0)
    if alpha.getextrema()[0] == 255:
        return colours
    visible = alpha.point([255 * (level >= VISIBLE_ALPHA) for level in range(256)])
    counts = np.array(colours.convert("L").histogram(visible))
    mostly_visible = 2 * counts.sum() >= image.width * image.height
    if _spread(counts, 0.05) < INK_SPREAD and not (mostly_visible and _spread(counts, 0.001) >= PAPER_SPREAD):
        return ImageChops.invert(alpha)
    if not mostly_visible:
        return on_white_or_black(image).convert(colours.mode)
    median = [_quantile(np.array(channel.histogram(visible)), 0.5) for channel in colours.split()]
    return Image.composite(colours, Image.merge(colours.mode, [Image.new("L", image.size, m) for m in median]), alpha)


def _spread(counts: NDArray[np.int64], tail: float) -> int:
    """Return the difference between two levels of brightness, which leave out the share `tail` at each end."""
    return _quantile(counts, 1 - tail) - _quantile(counts, tail)


def _quantile(counts: NDArray[np.int64], share: float) -> int:
    """Return the level, 0 to 255, below or at which this share of the pixels lies; 0 if there are none.

    Args:
        counts: [256], the number of pixels with each level.
        share: the share of the pixels, between 0 and 1.
    """
    return int(np.searchsorted(counts.cumsum(), share * counts.sum()))
