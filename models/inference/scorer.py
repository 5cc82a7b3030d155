"""The scorer turns images into D's logits. A logit has the same bits whatever images are computed with its own."""

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape, check_images, from_uint8
from models.inference.quick_layers import with_quick_layers
from models.inference.tiles import Tiled
from models.model_folder.loaded_model import LoadedModel
from models.networks.frozen import frozen_copy


class Scorer:
    """Runs D in evaluation mode (without dropout), in tiles, on one device.

    It keeps no state between calls, so several threads may call it at once; PyTorch uses one thread for each call.

    Args:
        discriminator: D, [N, C, H, W] float32 in [−1, 1] → logits [N]; copied, not changed.
        image_shape: shape of the images that D takes.
        device: the device to run on.
        shares_weights: whether the copy's weights share the memory of those of `discriminator`, which must then not
            change.

    Attributes:
        discriminator: the copy of D that is run, on the device; `Explainer` differentiates it.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        *,
        image_shape: ImageShape,
        device: torch.device | str = "cpu",
        shares_weights: bool = False,
    ) -> None:
        self.image_shape = image_shape
        self.device = torch.device(device)
        copied = frozen_copy(discriminator if shares_weights else copy.deepcopy(discriminator))
        self.discriminator = copied.to(self.device)
        network = with_quick_layers(self.discriminator)
        self._tiled = Tiled(network, row_shape=image_shape.chw, device=self.device)

    @classmethod
    def of_model(cls, model: LoadedModel, *, device: torch.device | str = "cpu") -> "Scorer":
        """Make a scorer for the D of a model folder."""
        return cls(model.discriminator, image_shape=model.metadata.image_shape, device=device, shares_weights=True)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute logits [n] float32 of images [n, H, W] (grey) or [n, H, W, 3] (RGB) uint8, n ≥ 1; real is positive.

        Raises:
            ValueError: the images have another shape or dtype.
        """
        check_images(images, self.image_shape)
        logits: NDArray[np.float32] = self._tiled(from_uint8(images).to(self.device)).cpu().numpy()
        return logits
