"""Draws the strokes of a digit as MNIST has them: 2.6 of 20 pixels wide, smooth, in a box of 20 of the 28 pixels.

MNIST's digits were scaled from black and white scans, which gave them their greys (LeCun et al. 1998, section III.A).
Here the ink becomes a shape of six times MNIST's resolution. Its signed distance, the distance of each pixel to the
edge of the shape, makes strokes wider or narrower by any amount. The mean over the area is the image.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

BOX_SHARE = 20 / 28
"""The digit's longest side, as a share of the image's side."""

THINNEST, THICKEST, THICK = 2.6, 4.2, 3.6
"""Strokes thinner than the first become as wide as it; those wider than the second become as wide as the third. In
pixels of a digit that is 20 pixels long; half of MNIST's strokes are 2.3 to 3.1 wide."""

_FINE = 6
"""The shape has this many times the image's resolution."""


def stroke_width(shape: NDArray[np.uint8]) -> float:
    """Return the mean width of strokes in pixels: a bar's pixels are a quarter of its width away from its edge.

    Args:
        shape: [H, W] uint8, 0 or 1, with at least one 1.
    """
    distances = cv2.distanceTransform(shape, cv2.DIST_L2, 5)
    return 4 * float(distances[shape > 0].mean())


def draw_strokes(ink: NDArray[np.float32], *, side: int) -> NDArray[np.uint8]:
    """Draw the strokes of a digit as an MNIST-like image.

    Args:
        ink: [H, W] float32 in [0, 1], the strength of the ink; pixels of at least ½ are the digit.
        side: height and width of the result, in pixels.

    Returns:
        [side, side] uint8, ink 255 on 0; all 0 if there is no ink.
    """
    box = round(side * BOX_SHARE)
    trimmed = _trimmed(ink, ink > 0.5)
    if trimmed.size == 0:
        return np.zeros((side, side), dtype=np.uint8)
    fine = _smooth_strokes(trimmed, box)
    shape = _trimmed(fine, fine > 0.5)
    if shape.size == 0:
        return np.zeros((side, side), dtype=np.uint8)
    height, width = shape.shape
    scale = box / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    digit = np.asarray(cv2.resize(shape, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    return (centred(digit, side) * 255).round().astype(np.uint8)


def centred(digit: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return a digit on a black square, its centre of mass as near the middle as whole pixels and edges allow.

    Args:
        digit: [h, w] float32, at most `side` high and wide.
        side: height and width of the square.
    """
    height, width = digit.shape
    total = digit.sum()
    rows, columns = np.arange(height), np.arange(width)
    centre_row = float((digit.sum(axis=1) * rows).sum() / total) if total else height / 2
    centre_column = float((digit.sum(axis=0) * columns).sum() / total) if total else width / 2
    top = min(max(round(side / 2 - centre_row), 0), side - height)
    left = min(max(round(side / 2 - centre_column), 0), side - width)
    square = np.zeros((side, side), dtype=np.float32)
    square[top : top + height, left : left + width] = digit
    return square


def _smooth_strokes(ink: NDArray[np.float32], box: int) -> NDArray[np.float32]:
    """Return the digit at `_FINE` times the image's resolution, its strokes of MNIST's width: float32 in [0, 1]."""
    scale = box * _FINE / max(ink.shape)
    padded = np.pad(ink, math.ceil(3 / scale) + 2)
    fine = _scaled(padded, scale)
    shape = (fine > 0.5).astype(np.uint8)
    if not shape.any():
        return np.zeros((1, 1), dtype=np.float32)
    thin, thickest, thick = (limit * box / 20 for limit in (THINNEST, THICKEST, THICK))
    width = stroke_width(shape) / _FINE
    wanted = thin if width < thin else thick if width > thickest else width
    # The digit without the width of its strokes shrinks to the box without the width that they get.
    shrunk = (box - wanted) / max(box - width, 1)
    if abs(shrunk - 1) > 0.01:
        shape = (_scaled(fine, shrunk) > 0.5).astype(np.uint8)
    wider = (wanted - width * shrunk) / 2 * _FINE
    room = int(abs(wider)) + 2 * _FINE
    shape = np.pad(shape, room)
    inside = cv2.distanceTransform(shape, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - shape, cv2.DIST_L2, 5)
    to_edge = np.where(shape > 0, inside - 0.5, 0.5 - outside)
    return np.asarray(np.clip(to_edge + wider + 0.5, 0, 1), dtype=np.float32)


def _scaled(picture: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    height, width = picture.shape
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=way), dtype=np.float32)


def _trimmed(picture: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the smallest rectangle that holds all pixels of a mask; empty if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return picture[:0, :0]
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
