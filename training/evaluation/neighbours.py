"""Is G's image a training image? The nearest one in pixels, for samples and for real images that G never saw."""

from dataclasses import dataclass

import torch

from training.evaluation.pairwise_distances import squared_distances

_ROWS = 500  # [500, 60000] float32 distances are 120 MB


@dataclass(frozen=True)
class Nearest:
    """For each of N images: the distance to its nearest training image, and which one that is.

    Attributes:
        distances: [N] float32, root of the mean squared difference, in grey levels (0–255).
        rows: [N] int64.
    """

    distances: torch.Tensor
    rows: torch.Tensor


def find_nearest(images: torch.Tensor, training: torch.Tensor) -> Nearest:
    """The nearest of `training` to each of `images`, both [·, C, H, W] uint8.

    An image that is itself among the training images is its own nearest: leave it out of them first.
    """
    pictures, points = images.flatten(1).float(), training.flatten(1).float()
    blocks: tuple[torch.Tensor, ...] = torch.split(pictures, _ROWS)
    distances, rows = [], []
    for block, squared in zip(blocks, squared_distances(pictures, points, rows=_ROWS), strict=True):
        nearest = squared.argmin(dim=1)
        # Once more from the difference: of sums as large as those, float32 does not keep the last digits.
        distances.append((block - points[nearest]).square().mean(dim=1).sqrt())
        rows.append(nearest)
    return Nearest(torch.cat(distances), torch.cat(rows))
