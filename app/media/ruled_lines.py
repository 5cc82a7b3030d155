"""Removes the printed lines of ruled and squared paper from a mask of ink.

A printed line is straight, thin and nearly level or upright, and it goes from one edge of the picture to the other.
Such lines are found by a Hough transform. They are removed as staff lines are from music: along a column that crosses a
line, a short run of ink is the line, and a longer run is a stroke that crosses it, which stays.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.media.ink import Mask

_THICKEST = 0.04
"""Thickness of the thickest line, as a share of the picture's shorter side."""

_STEEPEST = 0.12
"""The largest angle between a line and the edge of the picture, in radians (7°)."""

_ANGLE_STEP = np.pi / 1440
"""Over a width of 480 pixels, a line is met to half a pixel."""

_SHORTEST = 0.3
"""Length of the shortest line, as a share of the picture's width: a slanted one may leave it at the top."""

_WHOLE, _ALONE = 0.93, 0.55
"""The least shares of a line that have ink, and that have no more ink than the line: no stroke crosses there."""

_LEAST_RUN = 6
"""A line has at least so many pixels in a row, which grain has not."""

_MOST_LINES = 200
"""So many candidates are tried, the best ones first; several of them are one line."""

_BEYOND, _LEAST_LEFT = 0.08, 0.25
"""A line that is alone goes on beyond the digit by this share of the picture's width on both sides, and the digit has
this share of the line's ink. A 1 leaves nothing, and a 4's bar does not go on, in a picture that is cut to its ink."""


def without_ruled_lines(mask: Mask) -> Mask:
    """Return the ink without the lines that are printed on the paper.

    Args:
        mask: [H, W] bool, the pixels that are ink.
    """
    level = _without_level_lines(mask)
    return np.ascontiguousarray(_without_level_lines(np.ascontiguousarray(level.T)).T)


def _without_level_lines(mask: Mask) -> Mask:
    height, width = mask.shape
    runs = _lengths_of_runs(mask)
    thin = mask & (runs <= max(2, round(_THICKEST * min(height, width))))
    whole, left, thin_left = _grown(mask), mask.copy(), _grown(thin)
    columns, count = np.arange(width), 0
    for rows in _candidates(thin):
        inside = (rows >= 0) & (rows < height)
        at = rows[inside], columns[inside]
        alone = thin_left[at]
        if len(alone) < _SHORTEST * width or alone.mean() < _ALONE or (alone | whole[at]).mean() < _WHOLE:
            continue
        count += 1
        thickness = float(np.median(runs[at][thin[at]])) if thin[at].any() else 1.0
        for away in range(-round(thickness) - 1, round(thickness) + 2):
            near = np.clip(at[0] + away, 0, height - 1), at[1]
            left[near] &= runs[near] > 1.8 * thickness + 1
        thin_left = _grown(thin & left)
    return mask if count == 1 and not _has_digit(left, removed=mask & ~left) else left


def _lengths_of_runs(mask: Mask) -> NDArray[np.int32]:
    """Return, for each pixel of ink, how many pixels of ink follow each other in its column there: [H, W]."""
    rows = np.arange(len(mask), dtype=np.int32)[:, None]
    above = np.maximum.accumulate(np.where(mask, -1, rows), axis=0)
    below = np.minimum.accumulate(np.where(mask, len(mask), rows)[::-1], axis=0)[::-1]
    return np.where(mask, below - above - 1, 0).astype(np.int32)


def _grown(mask: Mask) -> Mask:
    """Return a mask with the pixels above and below its own."""
    return cv2.dilate(mask.astype(np.uint8), np.ones((3, 1), np.uint8)) > 0


def _candidates(thin: Mask) -> list[NDArray[np.intp]]:
    """Return nearly level lines on which many pixels are: for each, its row in each column."""
    width = thin.shape[1]
    along = cv2.morphologyEx(thin.astype(np.uint8), cv2.MORPH_OPEN, np.ones((1, _LEAST_RUN), np.uint8))
    upright = np.pi / 2
    found = cv2.HoughLines(
        along,
        1,
        _ANGLE_STEP,
        threshold=max(1, round(_SHORTEST * _ALONE * width)),
        min_theta=upright - _STEEPEST,
        max_theta=upright + _STEEPEST,
    )
    if found is None:
        return []
    columns = np.arange(width)
    lines = found.reshape(-1, found.shape[-1])[:_MOST_LINES]
    return [((rho - columns * np.cos(angle)) / np.sin(angle)).round().astype(np.intp) for rho, angle, *_ in lines]


def _has_digit(left: Mask, *, removed: Mask) -> bool:
    """Whether the largest part of what is left is large enough, and ends well before the left and right edges."""
    count, _, table, _ = cv2.connectedComponentsWithStats(left.astype(np.uint8), connectivity=8)
    if count == 1:
        return False
    largest = table[1 + int(np.argmax(table[1:, cv2.CC_STAT_AREA]))]
    start, width = int(largest[cv2.CC_STAT_LEFT]), left.shape[1]
    end = start + int(largest[cv2.CC_STAT_WIDTH])
    inside = start >= _BEYOND * width and end <= (1 - _BEYOND) * width
    return inside and int(largest[cv2.CC_STAT_AREA]) >= _LEAST_LEFT * int(np.count_nonzero(removed))
