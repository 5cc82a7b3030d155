"""Removes boxes and circles that are drawn around a digit from a mask of ink, such as the boxes of a form."""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.media.ink import Mask

_LARGEST_PARTS = 48
"""Only this many parts of the ink are tried as a frame, or as its content: grain may have thousands."""

_LEAST_CONTENT = 0.3
"""The least length of what stands in a frame, as a share of the frame's shorter side: a dot in a 0 is shorter."""

_FULLEST = 0.4
"""The largest share of its bounding box that a frame fills: a sheet of paper around a digit's hole fills more."""

_DIRECTIONS = 36
_CLOSED = 0.85
"""The share of all directions around its content in which a frame has ink: a circle may be open a little."""


def without_frames(mask: Mask) -> Mask:
    """Return the ink without the parts that stand around other parts.

    Args:
        mask: [H, W] bool, the pixels that are ink.
    """
    _, labels, table, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    largest = 1 + np.argsort(-table[1:, cv2.CC_STAT_AREA])[:_LARGEST_PARTS]
    left, top, width, height = (table[:, column] for column in range(4))
    frames = []
    for part in largest:
        inside = (
            (left[largest] > left[part])
            & (top[largest] > top[part])
            & (left[largest] + width[largest] < left[part] + width[part])
            & (top[largest] + height[largest] < top[part] + height[part])
            & (np.maximum(width, height)[largest] >= _LEAST_CONTENT * min(width[part], height[part]))
        )
        contents = largest[inside]
        if not len(contents) or table[part, cv2.CC_STAT_AREA] > _FULLEST * width[part] * height[part]:
            continue
        box = labels[top[part] : top[part] + height[part], left[part] : left[part] + width[part]]
        rows, columns = np.nonzero(box == part)
        offsets = centres[contents] - (left[part], top[part])
        if any(_is_around(rows - down, columns - across) for across, down in offsets):
            frames.append(part)
    return np.asarray(mask & ~np.isin(labels, frames), dtype=np.bool_)


def _is_around(down: NDArray[np.float64], across: NDArray[np.float64]) -> bool:
    """Whether pixels, given by their distances from a point, lie in nearly all directions of it."""
    directions = ((np.arctan2(down, across) / (2 * np.pi) + 0.5) * _DIRECTIONS).astype(int) % _DIRECTIONS
    return len(np.unique(directions)) >= _CLOSED * _DIRECTIONS
