"""Finds ink on paper: in a photo with shadows as well as in a drawing on a screen.

The picture becomes grey along the colour axis of most contrast. Then the light of the paper is evened out: the paper is
what a morphological closing (for dark ink) or opening (for light ink) leaves, and ink is what differs from it. No
window of these fits all pictures, because it has to be wider than a stroke and narrower than a shadow. So several are
tried, for dark and for light ink, and `app.media.digit_parts` chooses the one that gives the sharpest digit.
"""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]

cv2.setNumThreads(1)  # each upload is prepared by one thread; more would take the cores of the networks

_LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
_ENOUGH_LUMINANCE = 0.6
"""If luminance has this share of the contrast of the best axis, luminance is taken."""

_AXIS_SIDE = 160
"""Longest side of the small picture in which the colour axis is found."""

_EVEN = 9.0
"""A window of this many times the picture's side stands for paper of one brightness."""

_WINDOWS = ((1 / 24, False), (1 / 12, False), (1 / 6, False), (1 / 2.5, False), (1 / 2.5, True), (_EVEN, True))
"""Windows as shares of the picture's longest side, and whether ink may cover most of the picture (a tight crop)."""

_DARKEST_PAPER = 0.05
_FAINTEST = 0.04
"""Ink that differs from the paper by less than this share of its brightness is none."""


class Ink(NamedTuple):
    """One reading of a picture.

    Attributes:
        strength: [H, W] float32 in [0, 1], how much each pixel differs from the paper.
        mask: [H, W] bool, the pixels that are ink.
        dark: whether the ink is darker than the paper.
        window: the side of the window, in pixels; a stroke must be narrower.
        share: the window as a share of the longest side.
    """

    strength: Pixels
    mask: Mask
    dark: bool
    window: float
    share: float


def to_grey(picture: NDArray[np.uint8]) -> Pixels:
    """Return the brightness along the colour axis of most contrast: [H, W] float32 in [0, 1].

    Red ink on green paper may have the luminance of the paper, so luminance is taken only where it shows the contrast.

    Args:
        picture: [H, W] or [H, W, 3] uint8.
    """
    pixels = picture.astype(np.float32) / np.float32(255)
    if pixels.ndim == 2:
        return pixels
    axis = _colour_axis(pixels)
    low, high = float(np.minimum(axis, 0).sum()), float(np.maximum(axis, 0).sum())
    return np.asarray(np.clip((pixels @ axis - low) / (high - low), 0, 1), dtype=np.float32)


def read_ink(grey: Pixels) -> Iterator[Ink]:
    """Read the ink of a picture in several ways, and yield those readings that have any.

    Args:
        grey: [H, W] float32 in [0, 1].
    """
    for dark in (True, False):
        for share, crowded in _WINDOWS:
            window = max(5.0, share * max(grey.shape))
            strength = _flatten(grey, dark=dark, window=window, even=share == _EVEN)
            mask = _threshold(strength, crowded=crowded)
            if mask.any():
                yield Ink(strength, mask, dark, window, share)


def edge_sharpness(grey: Pixels, *, dark: bool) -> Pixels:
    """Return how steep the brightness is near each pixel, relative to the brightness there: [H, W] float32.

    Strokes have steep edges, shadows and folds flat ones.
    """
    brightness = grey if dark else 1 - grey
    logarithm = np.log(cv2.GaussianBlur(brightness, (0, 0), 1.0) + 0.05).astype(np.float32)
    across = cv2.Sobel(logarithm, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(logarithm, cv2.CV_32F, 0, 1, scale=1 / 8)
    steepness = cv2.magnitude(across, down)
    return np.asarray(cv2.dilate(steepness, np.ones((3, 3), np.uint8)), dtype=np.float32)


def _colour_axis(pixels: Pixels) -> Pixels:
    """Return the axis [3] along which colours differ most from the colours around them, or luminance if it does."""
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (min(width, _AXIS_SIDE), min(height, _AXIS_SIDE)), interpolation=cv2.INTER_AREA)
    window = max(3, int(min(small.shape[:2]) / 4) | 1)
    medians = [cv2.medianBlur((small[..., i] * 255).astype(np.uint8), min(window, 31)) for i in range(3)]
    paper = cv2.blur(np.stack(medians, axis=-1), (window, window)).astype(np.float32) / np.float32(255)
    differences = (small - paper).reshape(-1, 3)
    lengths = (differences**2).sum(axis=1)
    differences = differences[lengths >= np.quantile(lengths, 0.9)]
    contrasts, axes = np.linalg.eigh(differences.T @ differences)
    luminance = _LUMINANCE / np.linalg.norm(_LUMINANCE)
    if ((differences @ luminance) ** 2).sum() > _ENOUGH_LUMINANCE * contrasts[-1] or contrasts[-1] <= 0:
        return _LUMINANCE
    axis = axes[:, -1]
    return np.asarray(axis if axis.sum() >= 0 else -axis, dtype=np.float32)


def _flatten(grey: Pixels, *, dark: bool, window: float, even: bool) -> Pixels:
    """Return by how much each pixel is darker (or lighter) than the paper around it, as a share of full brightness."""
    brightness = grey if dark else 1 - grey
    paper: Pixels | np.float32
    if even:
        paper = np.float32(np.quantile(cv2.GaussianBlur(brightness, (0, 0), 1.5), 0.97))
    else:
        paper = _paper(brightness, window)
    difference = 1 - brightness / np.maximum(paper, _DARKEST_PAPER) if dark else paper - brightness
    return np.asarray(np.clip(difference, 0, 1), dtype=np.float32)


def _paper(brightness: Pixels, window: float) -> Pixels:
    """Return the brightness of the paper at each pixel: a closing, blurred, in a quarter of the resolution."""
    height, width = brightness.shape
    small = brightness
    if max(height, width) > 200:
        size = (max(1, width // 4), max(1, height // 4))
        small = np.asarray(cv2.resize(brightness, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    side = max(3, int(window * small.shape[1] / width) | 1)
    small = cv2.GaussianBlur(small, (0, 0), 1).astype(np.float32)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel)
    blurred = cv2.blur(closed, (side // 2 | 1, side // 2 | 1), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _threshold(strength: Pixels, *, crowded: bool) -> Mask:
    """Return the pixels that are ink: strong ones by Otsu's threshold above the noise, and weak ones joined to them."""
    if crowded:  # the median may be ink itself
        noise = 1.4826 * float(np.median(np.abs(strength - cv2.GaussianBlur(strength, (0, 0), 2))))
        floor = float(np.quantile(strength, 0.2)) + max(5 * noise, _FAINTEST)
    else:
        median = float(np.median(strength))
        floor = median + max(3 * 1.4826 * float(np.median(np.abs(strength - median))), _FAINTEST)
    above = strength[strength > floor]
    if above.size < 8:
        return np.zeros(strength.shape, dtype=np.bool_)
    threshold = max(0.9 * _otsu(above), floor)
    strong = strength > threshold
    weak = (strength > max(0.6 * threshold, floor)).astype(np.uint8)
    count, labels = cv2.connectedComponents(weak, connectivity=8)
    kept = np.zeros(count, dtype=np.bool_)
    kept[np.unique(labels[strong])] = True
    kept[0] = False
    return np.asarray(kept[labels], dtype=np.bool_)


def _otsu(values: Pixels) -> float:
    """Return the threshold in [0, 1] that separates the values best into two classes (Otsu 1979)."""
    levels = (values * 255).astype(np.uint8).reshape(-1, 1)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return (threshold + 0.5) / 255
