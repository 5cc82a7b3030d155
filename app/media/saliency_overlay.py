"""Overlays: a gradient as a picture to lay over the image that it belongs to.

The two hues differ for colour-blind eyes too, are about equally bright, and have a contrast of more than 3 both with
black and with white pixels (WCAG 2.2, 1.4.11).
"""

import numpy as np
from numpy.typing import NDArray

RAISES = (230, 97, 0)
"""Orange: a brighter pixel raises the logit."""

LOWERS = (60, 140, 255)
"""Blue: a brighter pixel lowers it."""


def overlay_of(gradient: NDArray[np.float32]) -> NDArray[np.uint8]:
    """∂logit/∂pixel [H, W] float32 → RGBA [H, W, 4] uint8: the hue its sign, alpha 255·|gradient|/(largest |gradient|).

    A gradient of zeros gives alpha 0 everywhere. A NaN counts as 0, an infinity as larger than all that is finite.
    """
    strengths = np.nan_to_num(np.abs(gradient.astype(np.float64)))  # float64: no float32 is too small to be divided by
    alphas = np.rint(strengths / (strengths.max() or 1.0) * 255).astype(np.uint8)
    hues = np.where(gradient[..., None] > 0, np.array(RAISES, np.uint8), np.array(LOWERS, np.uint8))
    overlay = np.concatenate([hues, alphas[..., None]], axis=2)
    overlay[alphas == 0] = 0
    return overlay
