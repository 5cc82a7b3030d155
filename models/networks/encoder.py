"""The encoder: it estimates the latent of an image in one forward pass.

It takes no part in the training of G and D. It is fitted to a finished G (`training.export.encoder`), and a projection
starts from its estimate.
Source: Zhu et al. 2016 ("Generative visual manipulation on the natural image manifold", arXiv 1609.03552), section 4.1.
"""

from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.images import ImageShape
from models.networks.widths import Width

FIRST_LAYER_WEIGHTS = 256 * 28 * 28
"""The most weights in the first layer of `Encoder.for_images`, unless it would be narrower than 32 units."""


class Encoder(BaseModel):
    """Sizes of the encoder, a multilayer perceptron."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[Width, ...] = Field(default=(256, 256), min_length=1, max_length=8)
    leaky_slope: float = Field(default=0.2, ge=0, lt=1)

    @classmethod
    def for_images(cls, shape: ImageShape) -> "Encoder":
        """Choose the sizes for images of a shape: 256 units for MNIST, fewer for larger images, at least 32."""
        return cls(widths=(min(256, max(32, FIRST_LAYER_WEIGHTS // shape.pixels)), 256))

    def network(self, *, z_dim: int, image_shape: ImageShape) -> nn.Module:
        """Build the encoder: [N, C, H, W] float32 in [−1, 1] → [N, z_dim] float32."""
        layers: list[nn.Module] = [nn.Flatten()]
        for fan_in, width in pairwise((image_shape.pixels, *self.widths)):
            layers += [nn.Linear(fan_in, width), nn.LeakyReLU(self.leaky_slope)]
        return nn.Sequential(*layers, nn.Linear(self.widths[-1], z_dim))
