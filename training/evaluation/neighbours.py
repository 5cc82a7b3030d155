"""The nearest training image of an image, in pixels: a distance near 0 shows that G copies training images."""

from dataclasses import dataclass

import torch

from training.evaluation.pairwise_distances import squared_distances

_ROWS = 500  # [500, 60000] float32 distances are 120 MB


@dataclass(frozen=True)
class Nearest:
    """The nearest training image of each of N images, and the distance to it.

    Attributes:
        distances: [N] float32, root of the mean squared difference, in grey levels (0–255).
        rows: [N] int64, the index of the nearest training image.
    """

    distances: torch.Tensor
    rows: torch.Tensor


def find_nearest(images: torch.Tensor, training: torch.Tensor) -> Nearest:
    """Find the nearest of `training` to each of `images`, both [·, C, H, W] uint8.

    An image that is itself in `training` is its own nearest: leave it out of `training` first.
    """
    pictures, points = images.flatten(1).float(), training.flatten(1).float()
    blocks: tuple[torch.Tensor, ...] = torch.split(pictures, _ROWS)
    distances, rows = [], []
    for block, squared in zip(blocks, squared_distances(pictures, points, rows=_ROWS), strict=True):
        nearest = squared.argmin(dim=1)
        # Recompute it from the difference: in float32 the large sums that give `squared` lose the last digits.
        distances.append((block - points[nearest]).square().mean(dim=1).sqrt())
        rows.append(nearest)
    return Nearest(torch.cat(distances), torch.cat(rows))
