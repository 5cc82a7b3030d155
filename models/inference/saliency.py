"""Saliency: the gradient of D's logit by each pixel. It shows which pixels raise or lower the logit.

Source: Simonyan, Vedaldi and Zisserman 2013 ("Deep inside convolutional networks: visualising image classification
models and saliency maps", arXiv 1312.6034), section 3. The paper keeps magnitudes, the largest over the channels. Here
the sign is kept and channels are summed: the slope of the logit as a pixel becomes brighter in all channels alike.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.images import ImageShape, check_images, from_uint8
from models.inference.tiles import Tiled


class Explainer:
    """D made ready to be differentiated by its input, in tiles: a gradient depends on its own image alone.

    One thread at a time may call it. The thread may be in PyTorch's inference mode.

    Args:
        discriminator: D in evaluation mode, [N, C, H, W] float32 in [−1, 1] → logits [N]; shared, not changed.
        image_shape: shape of the images that D takes.
        device: where D is.
    """

    def __init__(
        self, discriminator: nn.Module, *, image_shape: ImageShape, device: torch.device | str = "cpu"
    ) -> None:
        self.image_shape = image_shape
        self.device = torch.device(device)
        self._discriminator = discriminator
        # Other tile sizes would save at most half of a rare request's time, and trying them takes 0.1 s at each start.
        # The proof: with 9 columns, some processors multiply the last rows of a tile in another order than the first.
        self._tiled = Tiled(self._gradients, row_shape=image_shape.chw, tried=(), proved=True, device=self.device)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images [n, H, W] (grey) or [n, H, W, 3] (RGB) uint8, n ≥ 1 → ∂logit/∂pixel [n, H, W] float32.

        By pixels in [−1, 1]: positive where a brighter pixel raises the logit. Not finite where D's arithmetic is not.

        Raises:
            ValueError: the images have another shape or dtype.
        """
        check_images(images, self.image_shape)
        gradients: NDArray[np.float32] = self._tiled(from_uint8(images).to(self.device)).cpu().numpy()
        return gradients

    def _gradients(self, images: torch.Tensor) -> torch.Tensor:
        """[N, C, H, W] → [N, H, W]. Each logit depends on its own image alone, so their sum has all the gradients."""
        with torch.inference_mode(mode=False):  # `Tiled` runs tiles in inference mode, which has no gradients
            pixels = images.clone().requires_grad_()
            (gradients,) = torch.autograd.grad(self._discriminator(pixels).sum(), pixels)
        return gradients.sum(dim=1)
