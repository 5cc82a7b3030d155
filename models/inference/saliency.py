"""Saliency: the gradient of D's logit with respect to each pixel. It shows which pixels raise or lower the logit.

Source: Simonyan, Vedaldi and Zisserman 2013 ("Deep inside convolutional networks: visualising image classification
models and saliency maps", arXiv 1312.6034), section 3. The paper uses the largest magnitude over the channels. Here the
sign is kept and the channels are summed: the result is the slope of the logit as a pixel brightens in all channels.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape, check_images, from_uint8
from models.inference.tiles import Tiled


class Explainer:
    """Computes gradients of D in tiles, so that a gradient depends only on its own image.

    One thread at a time may call it. That thread may be in PyTorch's inference mode.

    Args:
        discriminator: D in evaluation mode, [N, C, H, W] float32 in [−1, 1] → logits [N]; shared, not changed.
        image_shape: shape of the images that D takes.
        device: the device of D.
    """

    def __init__(
        self, discriminator: nn.Module, *, image_shape: ImageShape, device: torch.device | str = "cpu"
    ) -> None:
        self.image_shape = image_shape
        self.device = torch.device(device)
        self._discriminator = discriminator
        # No other tile sizes: they would save at most half the time of a rare request, and take 0.1 s at each start.
        # `proved`: with 9 columns, some processors multiply the last rows of a tile in another order than the first.
        self._tiled = Tiled(self._gradients, row_shape=image_shape.chw, tried=(), proved=True, device=self.device)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Compute ∂logit/∂pixel, [n, H, W] float32, of images [n, H, W] (grey) or [n, H, W, 3] (RGB) uint8, n ≥ 1.

        Pixels are in [−1, 1] here. A value is positive where a brighter pixel raises the logit, and NaN or infinite
        where D's arithmetic gives that.

        Raises:
            ValueError: the images have another shape or dtype.
        """
        check_images(images, self.image_shape)
        gradients: NDArray[np.float32] = self._tiled(from_uint8(images).to(self.device)).cpu().numpy()
        return gradients

    def _gradients(self, images: torch.Tensor) -> torch.Tensor:
        """Compute gradients, [N, C, H, W] → [N, H, W]. A logit depends on one image, so their sum has all gradients."""
        with torch.inference_mode(mode=False):  # `Tiled` runs tiles in inference mode, which computes no gradients
            pixels = images.clone().requires_grad_()
            (gradients,) = torch.autograd.grad(self._discriminator(pixels).sum(), pixels)
        return gradients.sum(dim=1)
