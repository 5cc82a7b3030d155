"""Packing: D judges several images at once, so that it can notice a G whose samples are all alike.

Source: Lin et al. 2018 ("PacGAN: the power of two samples in generative adversarial networks", arXiv 1712.04086).
"""

import torch
from torch import nn

from models.images import ImageShape


class PackedDiscriminator(nn.Module):
    """A D that judges packs of m images. In training [N, C, H, W] → logits [N/m], one for each pack of m rows.

    In evaluation mode each image is judged alone, as a pack of m copies of itself: [N, C, H, W] → logits [N].

    Args:
        body: the network that judges packs, [N, m·C, H, W] → logits [N].
        images_a_pack: m, the number of images in a pack, at least 2.
    """

    def __init__(self, body: nn.Module, images_a_pack: int) -> None:
        super().__init__()
        self.body = body
        self.images_a_pack = images_a_pack

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        m = self.images_a_pack
        packs = (
            images.reshape(-1, m * images.shape[1], *images.shape[2:]) if self.training else images.repeat(1, m, 1, 1)
        )
        logits: torch.Tensor = self.body(packs)
        return logits


def packed_shape(shape: ImageShape, images_a_pack: int) -> ImageShape:
    """Return the shape of a pack, whose channels are those of its images together. It is not validated."""
    return ImageShape.model_construct(channels=shape.channels * images_a_pack, height=shape.height, width=shape.width)
