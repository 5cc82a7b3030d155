"""A small convolutional pair in the manner of DCGAN (Radford et al., 2015).

G starts from a quarter of the image's side and doubles it twice by transposed convolutions with batch normalisation;
D halves it twice by strided convolutions. Every square size works: G makes the next multiple of 4 and cuts its middle.
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.images import ImageShape
from models.mlp import initialise_like_pytorch
from models.widths import Width


class Conv(BaseModel):
    """Sizes of the convolutional networks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["conv"] = "conv"
    generator_channels: tuple[Width, Width] = (128, 64)
    discriminator_channels: tuple[Width, Width] = (64, 128)
    leaky_slope: float = Field(default=0.2, ge=0, lt=1)

    def generator(self, *, z_dim: int, image_shape: ImageShape) -> nn.Module:
        """G: [N, z_dim] float32 → [N, C, H, W] in [−1, 1]."""
        quarter = -(-image_shape.height // 4)
        c1, c2 = self.generator_channels
        return nn.Sequential(
            nn.Unflatten(1, (z_dim, 1, 1)),
            nn.ConvTranspose2d(z_dim, c1, kernel_size=quarter, bias=False),  # from one pixel: a linear layer
            nn.BatchNorm2d(c1),
            nn.ReLU(),
            nn.ConvTranspose2d(c1, c2, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(c2),
            nn.ReLU(),
            nn.ConvTranspose2d(c2, image_shape.channels, kernel_size=4, stride=2, padding=1),
            CentreCrop(image_shape.height),
            nn.Tanh(),
        )

    def discriminator(self, *, image_shape: ImageShape) -> nn.Module:
        """D: [N, C, H, W] float32 in [−1, 1] → logits [N]."""
        quarter = image_shape.height // 2 // 2
        c1, c2 = self.discriminator_channels
        return nn.Sequential(
            nn.Conv2d(image_shape.channels, c1, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(self.leaky_slope),
            nn.Conv2d(c1, c2, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(self.leaky_slope),
            nn.Flatten(),
            nn.Linear(c2 * quarter * quarter, 1),
            nn.Flatten(0),
        )

    def initialise(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        rng: torch.Generator,
        pixel_means: torch.Tensor,
    ) -> None:
        """Initial weights, drawn from `rng`: PyTorch's defaults."""
        del pixel_means  # the paper's networks want them
        initialise_like_pytorch(generator, rng)
        initialise_like_pytorch(discriminator, rng)


class CentreCrop(nn.Module):
    """[N, C, H, W] → the middle [N, C, side, side] of it."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        top = (x.shape[2] - self.side) // 2
        left = (x.shape[3] - self.side) // 2
        return x[:, :, top : top + self.side, left : left + self.side]
