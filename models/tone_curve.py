"""The tone curve of a G: a table that replaces each grey level of its images by another one.

Real images may have grey levels that a smooth G cannot draw: an empty pixel of MNIST is exactly 0, where G draws levels
from 0 to 9. `training export` finds the curve by histogram matching (Gonzalez and Woods, Digital Image Processing,
section 3.3), and the curve is then a part of the model: the model's images are those after the curve.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEVELS = 256
_BLOCK = 4096  # images that are counted together


class ToneCurve:
    """A non-decreasing table of grey levels: level l becomes `levels[l]`.

    Args:
        levels: 256 whole numbers 0 … 255, none of them below the one before.

    Attributes:
        levels: the table.

    Raises:
        ValueError: the levels are not such a table.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        table = np.asarray(levels)
        if table.shape != (LEVELS,) or table.min() < 0 or table.max() > LEVELS - 1 or np.any(np.diff(table) < 0):
            raise ValueError(f"a tone curve is {LEVELS} grey levels, 0 to {LEVELS - 1}, that never decrease")
        self.levels = tuple(int(level) for level in levels)
        self._table = table.astype(np.uint8).tobytes()
        self._inverse = _invert(table).tobytes()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Replace the grey level of each pixel, of an array of any shape."""
        return _replace(images, self._table)

    def inverse(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return levels that the curve turns into these, or into the nearest ones that it gives.

        If several levels become the same one, the middle one of them is returned.
        """
        return _replace(images, self._inverse)


def match_histograms(generated: NDArray[np.uint8], real: NDArray[np.uint8]) -> ToneCurve:
    """Return the curve that gives generated images the grey levels of real ones.

    Level l becomes the lowest level r such that the share of real pixels up to r is at least the share of generated
    pixels below l and half of those at l.

    Args:
        generated: images of G, uint8 of any shape; all channels are counted together.
        real: real images, uint8 of any shape.

    Raises:
        ValueError: one of the arrays has no pixels.
    """
    if not generated.size or not real.size:
        raise ValueError("histograms of no pixels cannot be matched")
    counts = _count_levels(generated)
    below = (np.cumsum(counts) - counts / 2) / counts.sum()
    up_to = np.cumsum(_count_levels(real)) / real.size
    levels = np.searchsorted(up_to, below).clip(max=LEVELS - 1)
    return ToneCurve(levels.tolist())


def _count_levels(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Count the pixels of each level, [256] int64. Of many images, `bincount` would need eight times their memory."""
    counts = np.zeros(LEVELS, dtype=np.int64)
    for first in range(0, len(images), _BLOCK):
        counts += np.bincount(images[first : first + _BLOCK].reshape(-1), minlength=LEVELS)
    return counts


def _invert(table: NDArray[np.int64]) -> NDArray[np.uint8]:
    given = np.unique(table)
    wanted = np.arange(LEVELS)
    nearest = given[np.abs(wanted[:, None] - given).argmin(axis=1)]
    first, last = np.searchsorted(table, nearest, side="left"), np.searchsorted(table, nearest, side="right") - 1
    middle: NDArray[np.uint8] = ((first + last) // 2).astype(np.uint8)
    return middle


def _replace(images: NDArray[np.uint8], table: bytes) -> NDArray[np.uint8]:
    replaced = bytearray(np.ascontiguousarray(images)).translate(table)  # in half the time of NumPy's `take`
    return np.frombuffer(replaced, dtype=np.uint8).reshape(images.shape)
