"""The scorer: images in, D's logits out. A logit has the same bits whatever images are computed beside its own."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape, check_images, from_uint8
from models.inference.tiles import Tiled
from models.model_folder.loaded_model import LoadedModel


class Scorer:
    """D made ready for inference: evaluation mode (no dropout), in tiles, on one device.

    It keeps nothing between calls: several threads may call it at once, while PyTorch uses one thread for each of them.

    Args:
        discriminator: D, [N, C, H, W] float32 in [−1, 1] → logits [N]; copied, not changed.
        image_shape: shape of the images that D takes.
        device: where to run.

    Attributes:
        discriminator: D as it is run, on the device; `Explainer` differentiates it.
    """

    def __init__(
        self, discriminator: nn.Module, *, image_shape: ImageShape, device: torch.device | str = "cpu"
    ) -> None:
        self.image_shape = image_shape
        self.device = torch.device(device)
        self.discriminator = copy.deepcopy(discriminator).eval().requires_grad_(requires_grad=False).to(self.device)
        self._tiled = Tiled(self.discriminator, row_shape=image_shape.chw, device=self.device)

    @classmethod
    def of_model(cls, model: LoadedModel, *, device: torch.device | str = "cpu") -> "Scorer":
        """The D of a model folder made ready on a device."""
        return cls(model.discriminator, image_shape=model.metadata.image_shape, device=device)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images [n, H, W] (grey) or [n, H, W, 3] (RGB) uint8, n ≥ 1 → logits [n] float32; real is positive.

        Raises:
            ValueError: the images have another shape or dtype.
        """
        check_images(images, self.image_shape)
        logits: NDArray[np.float32] = self._tiled(from_uint8(images).to(self.device)).cpu().numpy()
        return logits
