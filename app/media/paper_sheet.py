"""Looks for the paper in a picture of more than paper: a sheet on a table, a scan that was turned, black bars.

Such a picture's largest sharp shape is the sheet and not the digit. A sheet is a filled rectangle, and no digit is one.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.media.ink import Mask, Pixels

_SMALLEST = 0.05
"""The least area of a sheet, as a share of the picture's area."""

_RECTANGULAR = 0.88
"""The least share of the smallest rectangle around it that a sheet fills."""

_NARROWEST = 0.3
"""The least width of a sheet, as a share of its length: a bar of ink, such as a thick 1, is narrower."""

_EDGE = 0.04
"""The edge of a sheet that is left out, as a share of its length."""


def sheet_alone(grey: Pixels, mask: Mask) -> Pixels | None:
    """Return the picture with nothing but a sheet of paper in it, if the shape that was found is a sheet; else None.

    Args:
        grey: [H, W] float32 in [0, 1], the brightness.
        mask: [H, W] bool, the shape.

    Returns:
        [H, W] float32; outside the sheet, each pixel has the brightness of the nearest paper.
    """
    sheet = _sheet(mask)
    if sheet is None or not sheet.any():
        return None
    _, labels = cv2.distanceTransformWithLabels(1 - sheet, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    paper = np.zeros(int(labels.max()) + 1, dtype=np.float32)
    inside = sheet > 0
    paper[labels[inside]] = cv2.GaussianBlur(grey, (0, 0), 3)[inside]
    return np.where(inside, grey, paper[labels]).astype(np.float32)


def _sheet(mask: Mask) -> NDArray[np.uint8] | None:
    """Return the inner part of a sheet as 1 on 0, [H, W] uint8; None if the shape is no filled rectangle."""
    shape = mask.astype(np.uint8)
    outlines, _ = cv2.findContours(shape, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    area = cv2.contourArea(outline)
    _, (width, height), _ = cv2.minAreaRect(outline)
    long, short = max(width, height), min(width, height)
    if area < _SMALLEST * mask.size or area < _RECTANGULAR * width * height or short < _NARROWEST * long:
        return None
    whole = np.zeros_like(shape)
    cv2.drawContours(whole, [outline], -1, 1, -1)
    side = max(5, int(_EDGE * long)) | 1
    inner = cv2.erode(np.pad(whole, 1), np.ones((side, side), np.uint8))
    return np.asarray(inner[1:-1, 1:-1], dtype=np.uint8)
