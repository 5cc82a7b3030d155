"""The scorer: pictures in, D's logits out, every logit the same whoever shares its batch."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape, from_uint8
from models.tiles import Tiled


class Scorer:
    """D made ready for inference: evaluation mode (no dropout), in tiles, on one device.

    One thread at a time may call it.

    Args:
        discriminator: D, [N, C, H, W] float32 in [−1, 1] → logits [N]; copied, not changed.
        image_shape: shape of the images that D takes.
        device: where to run.
    """

    def __init__(
        self, discriminator: nn.Module, *, image_shape: ImageShape, device: torch.device | str = "cpu"
    ) -> None:
        self.image_shape = image_shape
        self.device = torch.device(device)
        network = copy.deepcopy(discriminator).eval().requires_grad_(requires_grad=False).to(self.device)
        self._tiled = Tiled(network, row_shape=image_shape.chw, device=self.device)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images [n, H, W] (grey) or [n, H, W, 3] (RGB) uint8, n ≥ 1 → logits [n] float32; real is positive.

        Raises:
            ValueError: the images have another shape or dtype.
        """
        if images.dtype != np.uint8 or images.shape[1:] != self.image_shape.array or images.shape[0] < 1:
            wanted = ", ".join(map(str, self.image_shape.array))
            raise ValueError(f"images must be [n, {wanted}] uint8, n ≥ 1, not {list(images.shape)} {images.dtype}")
        logits: NDArray[np.float32] = self._tiled(from_uint8(images).to(self.device)).cpu().numpy()
        return logits
