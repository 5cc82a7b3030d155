"""The nearest training image of an image, in pixels: a distance near 0 shows that G copies training images."""

from dataclasses import dataclass

import torch

from training.evaluation.pairwise_distances import squared_distances

_ROWS = 500  # [500, 60000] float32 distances are 120 MB
_BLOCK_VALUES = 2**26  # 256 MB of float32, which are 85,598 images of 28 × 28


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of each of N images, and the distance to it.

    Attributes:
        distances: [N] float32, root of the mean squared difference, in grey levels (0–255).
        rows: [N] int64, the index of the nearest training image.
    """

    distances: torch.Tensor
    rows: torch.Tensor


def find_nearest(images: torch.Tensor, training: torch.Tensor, *, kept: torch.Tensor | None = None) -> Nearest:
    """Find the nearest of `training` to each of `images`, both [·, C, H, W] uint8, at least one each.

    The training images are compared a block at a time, so that a million of them need not fit into memory.

    Args:
        images: the images.
        training: the training images. An image that is itself among them is its own nearest.
        kept: the rows of the training images to compare with, [M] int64, and `rows` of the result counts in them; None:
            all.
    """
    pictures = images.flatten(1).float()
    found = torch.full((len(pictures),), torch.inf)
    distances, rows = torch.zeros(len(pictures)), torch.zeros(len(pictures), dtype=torch.int64)
    size = max(1, _BLOCK_VALUES // pictures.shape[1])
    for first in range(0, len(training) if kept is None else len(kept), size):
        block = training[first : first + size] if kept is None else training[kept[first : first + size]]
        points = block.flatten(1).float()
        at = 0
        for squared in squared_distances(pictures, points, rows=_ROWS):
            part = slice(at, at + len(squared))
            smallest, nearest = squared.min(dim=1)
            nearer = smallest < found[part]
            # Recompute it from the difference: in float32 the large sums that give `squared` lose the last digits.
            exact = (pictures[part] - points[nearest]).square().mean(dim=1).sqrt()
            distances[part] = torch.where(nearer, exact, distances[part])
            rows[part] = torch.where(nearer, first + nearest, rows[part])
            found[part] = torch.where(nearer, smallest, found[part])
            at += len(squared)
    return Nearest(distances, rows)
