"""A saliency overlay: the gradient of D's logit as a picture to lay over the image.

Colour-blind people can tell the two hues apart. The hues are about equally bright, and each has a contrast of more than
3 with black pixels and with white ones (WCAG 2.2, 1.4.11).
"""

import numpy as np
from numpy.typing import NDArray

RAISES = (230, 97, 0)
"""Orange (RGB), the hue of pixels that raise the logit if they become brighter."""

LOWERS = (60, 140, 255)
"""Blue (RGB), the hue of pixels that lower the logit if they become brighter."""


def overlay_of(gradient: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Make the overlay of a gradient: the hue shows its sign, and alpha is 255 · |gradient| / (largest |gradient|).

    Args:
        gradient: the gradient ∂logit/∂pixel, [H, W] float32. A NaN counts as 0, an infinity as larger than every finite
            number.

    Returns:
        [H, W, 4] uint8, RGBA; alpha 0 everywhere if the gradient is 0 everywhere.
    """
    # In float64, the smallest float32 is large enough to divide by.
    strengths = np.nan_to_num(np.abs(gradient.astype(np.float64)))
    alphas = np.rint(strengths / (strengths.max() or 1.0) * 255).astype(np.uint8)
    hues = np.where(gradient[..., None] > 0, np.array(RAISES, np.uint8), np.array(LOWERS, np.uint8))
    overlay = np.concatenate([hues, alphas[..., None]], axis=2)
    overlay[alphas == 0] = 0
    return overlay
