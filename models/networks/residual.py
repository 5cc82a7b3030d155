"""Residual networks for photographs, in the manner of R3GAN (Huang et al. 2024, arXiv 2501.05441).

There is no normalisation. G begins with a linear layer that makes maps of 4 to 8 pixels a side, and doubles the side
until it is the image's; D does the reverse. At each side there are residual blocks, so the depth follows the side: 2
doublings at 16 pixels, 5 at 128. Sides change by bilinear interpolation, which makes no checkerboard. The number of
channels doubles with each halving of the side, up to a limit, so each side costs about the same.

A block is x + f(x), where f has three convolutions of kernels 1, 3 and 1. The last one starts at zero, so that every
block starts as the identity, and the others are scaled by the number of blocks: Zhang et al. 2019 ("Fixup
initialization", arXiv 1901.09321).
"""

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.images import ImageShape
from models.networks.conditional import generator_head, with_logits
from models.networks.conv import CentreCrop
from models.networks.layers import Float32
from models.networks.widths import Width

SMALLEST_SIDE = 4
"""G's first maps have this side or more, and less than twice as much before rounding up."""


class Residual(BaseModel):
    """Sizes of the residual networks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["residual"] = "residual"
    generator_channels: Width = Field(
        default=16, description="G's channels at the image's side; they double with each halving of the side"
    )
    generator_channels_max: Width = Field(default=256, description="The most channels that G has at any side")
    discriminator_channels: Width = Field(
        default=16, description="D's channels at the image's side; they double with each halving of the side"
    )
    discriminator_channels_max: Width = Field(default=256, description="The most channels that D has at any side")
    blocks: int = Field(default=1, ge=1, le=16, description="Residual blocks at each side below the image's")
    full_side_blocks: int = Field(
        default=0, ge=0, le=16, description="Residual blocks at the image's side, where a block takes most time"
    )
    group_width: Width = Field(
        default=16, description="Channels of a group in a block's 3 × 3 convolution, if they divide the channels"
    )
    leaky_slope: float = Field(default=0.2, ge=0, lt=1)

    def generator(self, *, z_dim: int, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Build G: [N, z_dim] float32 → [N, C, H, W] in [−1, 1]."""
        first, *others = _widths(self.generator_channels, self.generator_channels_max, image_shape.height)
        side = first_side(image_shape.height)
        layers = [
            *generator_head(classes),
            nn.Linear(z_dim, first * side * side),
            nn.Unflatten(1, (first, side, side)),
            ChannelsLast(),
            *self._blocks(first, self.blocks),
        ]
        width = first
        for number, narrower in enumerate(others, start=1):
            # The 1 × 1 convolution and the interpolation commute; this order has fewer products.
            blocks = self.blocks if number < len(others) else self.full_side_blocks
            layers += [nn.Conv2d(width, narrower, 1), Doubled(), *self._blocks(narrower, blocks)]
            width = narrower
        return nn.Sequential(
            *layers,
            nn.LeakyReLU(self.leaky_slope),
            nn.Conv2d(width, image_shape.channels, 3, padding=1),
            CentreCrop(image_shape.height),
            Float32(),
            nn.Tanh(),
        )

    def discriminator(self, *, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Build D: [N, C, H, W] float32 in [−1, 1] → logits [N]."""
        widths = _widths(self.discriminator_channels, self.discriminator_channels_max, image_shape.height)[::-1]
        layers: list[nn.Module] = [
            ChannelsLast(),
            nn.Conv2d(image_shape.channels, widths[0], 3, padding=1),
            nn.LeakyReLU(self.leaky_slope),
            *self._blocks(widths[0], self.full_side_blocks),
        ]
        width = widths[0]
        for wider in widths[1:]:
            layers += [Halved(), nn.Conv2d(width, wider, 1), *self._blocks(wider, self.blocks)]
            width = wider
        layers += [nn.LeakyReLU(self.leaky_slope), nn.Flatten()]
        return with_logits(layers, width * first_side(image_shape.height) ** 2, classes=classes)

    @torch.no_grad()
    def initialise(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        rng: torch.Generator,
        pixel_means: torch.Tensor,
    ) -> None:
        """Draw initial weights from `rng`: N(0, gain²/fan_in), and zero for biases and for the last layer of a block.

        The gain of a block's other layers is that of leaky rectifiers (He et al. 2015, arXiv 1502.01852), times
        L^(−1/4) in a network of L blocks: fix-up's L^(−1/(2m − 2)) for m = 3 layers a block. The other layers
        have the gain 1.
        """
        del pixel_means  # used by the 2014 paper's networks only
        rectified = (2 / (1 + self.leaky_slope**2)) ** 0.5
        for network in (generator, discriminator):
            blocks = [layer for layer in network.modules() if isinstance(layer, ResidualBlock)]
            gains: dict[nn.Module, float] = {}
            for block in blocks:
                gains |= dict.fromkeys(block.convolutions[:-1], rectified * len(blocks) ** -0.25)
                gains[block.convolutions[-1]] = 0.0
            for layer in network.modules():
                if isinstance(layer, nn.Linear | nn.Conv2d):
                    deviation = gains.get(layer, 1.0) * layer.weight[0].numel() ** -0.5
                    layer.weight.normal_(0, deviation, generator=rng)
                    if layer.bias is not None:
                        layer.bias.zero_()

    def _blocks(self, width: int, number: int) -> list[nn.Module]:
        return [ResidualBlock(width, self.group_width, self.leaky_slope) for _ in range(number)]


class ResidualBlock(nn.Module):
    """x + f(x), where f has convolutions of kernels 1, 3 and 1 with leaky rectifiers between: [N, C, H, W], as x.

    Args:
        width: C, the number of channels.
        group_width: channels of a group in the 3 × 3 convolution, which has one group if they do not divide C.
        leaky_slope: slope of the rectifiers for negative values.
    """

    def __init__(self, width: int, group_width: int, leaky_slope: float) -> None:
        super().__init__()
        groups = width // group_width if width % group_width == 0 else 1
        self.branch = nn.Sequential(
            nn.Conv2d(width, width, 1),
            nn.LeakyReLU(leaky_slope),
            nn.Conv2d(width, width, 3, padding=1, groups=groups),
            nn.LeakyReLU(leaky_slope),
            nn.Conv2d(width, width, 1, bias=False),
        )

    @property
    def convolutions(self) -> list[nn.Conv2d]:
        """The three convolutions, in their order."""
        return [layer for layer in self.branch if isinstance(layer, nn.Conv2d)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        branch: torch.Tensor = self.branch(x)
        return x + branch


class ChannelsLast(nn.Module):
    """A layer that keeps a pixel's channels together in memory, [N, C, H, W]; convolutions then take less time.

    On an AMD EPYC with AVX2 a step of training takes three quarters of the time. The layers after it keep this order.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.contiguous(memory_format=torch.channels_last)


class Doubled(nn.Module):
    """A layer that doubles the side of maps by bilinear interpolation: [N, C, H, W] → [N, C, 2H, 2W]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class Halved(nn.Module):
    """A layer that halves the side of maps, rounded up, by the means of 2 × 2 pixels: [N, C, H, W] → [N, C, ⌈H/2⌉, …].

    For even sides this is bilinear interpolation at the middle of four pixels. A last odd row or column is taken alone.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.avg_pool2d(x, 2, ceil_mode=True)


def doublings(side: int) -> int:
    """Return how often G doubles the side of its first maps for images of a side: ⌊log₂(side/4)⌋."""
    return (side // SMALLEST_SIDE).bit_length() - 1


def first_side(side: int) -> int:
    """Return the side of G's first maps, and of D's last ones, for images of a side: 4 to 8."""
    return -(-side // (1 << doublings(side)))


def _widths(channels: int, most: int, side: int) -> list[int]:
    """Return the channels at each side, from the smallest maps to the image's side."""
    return [min(most, channels << halvings) for halvings in range(doublings(side), -1, -1)]
