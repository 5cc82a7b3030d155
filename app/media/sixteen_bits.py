"""Converts grey of 16 bits to 8 bits. Pillow's own conversion cuts it off at 255."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHITE = 65_535


def to_eight_bits(image: Image.Image, *, stretch: bool) -> Image.Image:
    """Convert grey of 16 bits to mode L, or to LA if one shade is transparent. Return any other image as it is.

    Args:
        image: a decoded image.
        stretch: whether the image's own darkest and brightest levels become 0 and 255, since files of 16 bits often use
            a part of their range. A level is never stretched to more than one of 8 bits, so that the noise of an empty
            page stays faint. Without it, 65,535 becomes 255.
    """
    if not image.mode.startswith("I"):
        return image
    levels = np.clip(np.asarray(image), 0, WHITE).astype(np.uint16)
    shade = image.info.get("transparency")
    visible = None if shade is None else levels != shade
    low, high = _range(levels, visible) if stretch else (0, WHITE)
    scaled = levels.astype(np.float32)
    scaled -= low
    scaled *= 255 / max(high - low, 255)
    grey = Image.fromarray(np.rint(np.clip(scaled, 0, 255, out=scaled), out=scaled).astype(np.uint8))
    if visible is not None:
        grey.putalpha(Image.fromarray(visible.astype(np.uint8) * 255))
    return grey


def _range(levels: NDArray[np.uint16], visible: NDArray[np.bool_] | None) -> tuple[int, int]:
    """Return the lowest and the highest level that two neighbouring visible pixels reach; single dead pixels do not
    count."""
    low = levels if visible is None else np.where(visible, levels, np.uint16(WHITE))
    high = levels if visible is None else np.where(visible, levels, np.uint16(0))
    lowest = min(int(np.maximum(*pair).min(initial=WHITE)) for pair in _neighbours(low))
    highest = max(int(np.minimum(*pair).max(initial=0)) for pair in _neighbours(high))
    return lowest, highest


def _neighbours(levels: NDArray[np.uint16]) -> list[tuple[NDArray[np.uint16], NDArray[np.uint16]]]:
    """Return the pairs of neighbouring pixels, one pair of arrays for each direction."""
    return [
        (levels[1:], levels[:-1]),
        (levels[:, 1:], levels[:, :-1]),
        (levels[1:, 1:], levels[:-1, :-1]),
        (levels[1:, :-1], levels[:-1, 1:]),
    ]
