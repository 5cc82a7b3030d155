"""A small convolutional pair similar to DCGAN (Radford et al., 2015), designed for a CPU.

G begins with fully connected layers, makes maps of a quarter of the image's side, and doubles the side twice with
transposed convolutions. D halves the side twice with strided convolutions and ends with fully connected layers. There
are few channels at full size, and the fully connected layers are wide, because a CPU is fast at those. Every square
size works: G draws the next multiple of 4 and crops it to the centre.
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.images import ImageShape
from models.networks.conditional import generator_head, with_logits
from models.networks.layers import Float32, GroupDeviation, Maxout, dropout
from models.networks.mlp import initialise_like_pytorch
from models.networks.widths import Width


class Conv(BaseModel):
    """Sizes of the convolutional networks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["conv"] = "conv"
    generator_widths: tuple[Width, ...] = Field(
        default=(), max_length=8, description="Widths of G's layers before its first map"
    )
    generator_channels: tuple[Width, Width] = Field(
        default=(128, 64), description="G's channels at a quarter and half of the side"
    )
    batch_normalisation: bool = Field(default=True, description="Whether G has it, after each layer except the last")
    discriminator_channels: tuple[Width, Width] = Field(
        default=(64, 128), description="D's channels at half and a quarter of the side"
    )
    maxout_units: tuple[Width, ...] = Field(
        default=(), max_length=8, description="Units of D's layers after its last map"
    )
    maxout_pieces: int = Field(default=2, ge=1, le=16)
    leaky_slope: float = Field(default=0.2, ge=0, lt=1)
    input_keep_probability: float = Field(
        default=1.0, gt=0, le=1, description="Keep probability of the dropout on D's input"
    )
    hidden_keep_probability: float = Field(
        default=1.0, gt=0, le=1, description="Keep probability of D's dropout after its last map"
    )
    group_deviation: bool = Field(default=False, description="D sees how images of a group differ (minibatch-std)")

    def generator(self, *, z_dim: int, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Build G: [N, z_dim] float32 → [N, C, H, W] in [−1, 1]."""
        quarter = -(-image_shape.height // 4)
        c1, c2 = self.generator_channels
        layers = generator_head(classes)
        for fan_in, width in pairwise((z_dim, *self.generator_widths)):
            layers += [nn.Linear(fan_in, width), *self._normalised(nn.BatchNorm1d(width)), nn.ReLU()]
        return nn.Sequential(
            *layers,
            nn.Linear((z_dim, *self.generator_widths)[-1], c1 * quarter * quarter),
            nn.Unflatten(1, (c1, quarter, quarter)),
            *self._normalised(nn.BatchNorm2d(c1)),
            nn.ReLU(),
            nn.ConvTranspose2d(c1, c2, kernel_size=4, stride=2, padding=1),
            *self._normalised(nn.BatchNorm2d(c2)),
            nn.ReLU(),
            nn.ConvTranspose2d(c2, image_shape.channels, kernel_size=4, stride=2, padding=1),
            CentreCrop(image_shape.height),
            Float32(),
            nn.Tanh(),
        )

    def discriminator(self, *, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Build D: [N, C, H, W] float32 in [−1, 1] → logits [N]. Dropout is active in training mode only."""
        quarter = image_shape.height // 2 // 2
        c1, c2 = self.discriminator_channels
        width = c2 * quarter * quarter
        layers: list[nn.Module] = [
            *dropout(self.input_keep_probability),
            nn.Conv2d(image_shape.channels, c1, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(self.leaky_slope),
            nn.Conv2d(c1, c2, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(self.leaky_slope),
            nn.Flatten(),
        ]
        for units in self.maxout_units:
            layers += [*dropout(self.hidden_keep_probability), Maxout(width, units, self.maxout_pieces)]
            width = units
        layers += dropout(self.hidden_keep_probability)
        if self.group_deviation:
            layers.append(GroupDeviation())
            width += 1
        return with_logits(layers, width, classes=classes)

    def initialise(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        rng: torch.Generator,
        pixel_means: torch.Tensor,
    ) -> None:
        """Draw initial weights from `rng`: PyTorch's defaults, or He et al.'s (2015) for a G without normalisation."""
        del pixel_means  # used by the 2014 paper's networks only
        initialise_like_pytorch(generator, rng)
        initialise_like_pytorch(discriminator, rng)
        if not self.batch_normalisation:
            _initialise_like_he(generator, rng)

    def _normalised(self, layer: nn.Module) -> list[nn.Module]:
        return [layer] if self.batch_normalisation else []


@torch.no_grad()
def _initialise_like_he(network: nn.Module, rng: torch.Generator) -> None:
    """Draw weights from N(0, 2/fan_in), which keeps the variance of rectifiers (arXiv 1502.01852). Set biases to 0."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            fan_in = layer.in_features
        elif isinstance(layer, nn.ConvTranspose2d):  # stride 2 and kernel 4: a pixel sums 2 × 2 weights of each map
            fan_in = layer.in_channels * 4
        else:
            continue
        layer.weight.normal_(0, (2 / fan_in) ** 0.5, generator=rng)
        if layer.bias is not None:
            layer.bias.zero_()


class CentreCrop(nn.Module):
    """A layer that crops images [N, C, H, W] to their centre, [N, C, side, side]."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        top = (x.shape[2] - self.side) // 2
        left = (x.shape[3] - self.side) // 2
        return x[:, :, top : top + self.side, left : left + self.side]
