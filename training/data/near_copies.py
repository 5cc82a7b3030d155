"""Finds pairs of images that are nearly equal, such as one picture that was saved twice, in time that grows like N.

Each image gets a 64-bit hash of an 8 × 8 thumbnail: the signs of 64 random projections (Charikar 2002, "Similarity
estimation techniques from rounding algorithms"), each about its median, so that every bit divides the images in two.
Similar thumbnails agree in most bits. The images are sorted by their hash four times, each time with other 16 bits in
front, and each image is compared with the next ones: two that agree in any 16 bits are likely to be neighbours then.
Pairs whose thumbnails are alike are compared pixel by pixel.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

THUMBNAIL = 8
"""Height and width of a thumbnail, in pixels."""

WINDOW = 8
"""The number of next images, in each order, that an image is compared with."""

NEAR = 0.1
"""Two images are nearly equal if their root mean square difference is at most this share of the first one's standard
deviation, or `LEAST` grey levels. An image that was saved again as JPEG of quality 75 is within this limit."""

LEAST = 2.0

_SEED = 0
_ROWS = 10_000  # thumbnails that are compared at once
_VALUES = 10_000_000  # pixels of images that are held as float32 at once: 40 MB


class Pairs(NamedTuple):
    """Pairs of images that are equal or nearly equal: rows [P] and others [P] int64, rows < others, each pair once."""

    rows: NDArray[np.int64]
    others: NDArray[np.int64]


def find_near_copies(images: torch.Tensor, held_out: torch.Tensor) -> Pairs:
    """Find pairs of equal or nearly equal images.

    Not every pair of a picture that occurs more than `WINDOW` times is found, but every such image is in one.

    Args:
        images: [N, C, H, W] uint8.
        held_out: [M, C, H, W] uint8; its images have the row numbers N … N + M − 1.
    """
    thumbnails = np.concatenate([_thumbnails(images), _thumbnails(held_out)])
    hashes = _hashes(thumbnails)
    found: list[NDArray[np.int64]] = []
    for turn in range(4):
        order = np.argsort((hashes << np.uint64(16 * turn)) | (hashes >> np.uint64(64 - 16 * turn)), kind="stable")
        for distance in range(1, min(WINDOW, len(order) - 1) + 1):
            pairs = np.stack([order[:-distance], order[distance:]])
            alike = np.concatenate(
                [_are_near(thumbnails[a], thumbnails[b]) for a, b in _parts(pairs)] or [np.empty(0, dtype=bool)]
            )
            found.append(np.sort(pairs[:, alike], axis=0))
    candidates = np.unique(np.concatenate(found, axis=1), axis=1) if found else np.empty((2, 0), dtype=np.int64)
    near = [
        _are_near(_pixels(a, images, held_out), _pixels(b, images, held_out))
        for a, b in _parts(candidates, rows=_rows_at_once(images))
    ]
    rows, others = candidates[:, np.concatenate(near)] if near else candidates
    return Pairs(rows, others)


def _thumbnails(images: torch.Tensor) -> NDArray[np.float32]:
    """Return the means of 8 × 8 parts of each image and channel: [N, C·64] float32."""
    if not len(images):
        return np.empty((0, images.shape[1] * THUMBNAIL**2), dtype=np.float32)
    rows = _rows_at_once(images)
    parts = [
        functional.adaptive_avg_pool2d(images[first : first + rows].float(), THUMBNAIL).flatten(1)
        for first in range(0, len(images), rows)
    ]
    thumbnails: NDArray[np.float32] = torch.cat(parts).numpy()
    return thumbnails


def _rows_at_once(images: torch.Tensor) -> int:
    return max(1, _VALUES // images[0].numel())


def _hashes(thumbnails: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return a hash of each thumbnail: [N, d] float32 → [N] uint64."""
    directions = np.random.default_rng(_SEED).standard_normal((thumbnails.shape[1], 64), dtype=np.float32)
    projected = thumbnails @ directions
    bits = (projected > np.median(projected, axis=0)).astype(np.uint8)
    hashes: NDArray[np.uint64] = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    return hashes


def _parts(pairs: NDArray[np.int64], *, rows: int = _ROWS) -> list[NDArray[np.int64]]:
    return [pairs[:, first : first + rows] for first in range(0, pairs.shape[1], rows)]


def _pixels(rows: NDArray[np.int64], images: torch.Tensor, held_out: torch.Tensor) -> NDArray[np.float32]:
    """Return images by their rows in both sets together: [n, C·H·W] float32."""
    pixels = np.empty((len(rows), images[0].numel()), dtype=np.float32)
    is_trained_on = rows < len(images)
    pixels[is_trained_on] = images[torch.from_numpy(rows[is_trained_on])].flatten(1).numpy()
    pixels[~is_trained_on] = held_out[torch.from_numpy(rows[~is_trained_on] - len(images))].flatten(1).numpy()
    return pixels


def _are_near(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Whether each two rows are nearly equal, as `NEAR` says: [n, d] and [n, d] float32 in [0, 255] → [n] bool.

    The means of parts differ less than the pixels do, so thumbnails of nearly equal images are nearly always near.
    """
    differences = np.sqrt(np.square(some - others).mean(axis=1))
    near: NDArray[np.bool_] = differences <= np.maximum(LEAST, NEAR * some.std(axis=1))
    return near
