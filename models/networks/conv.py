"""A small convolutional pair in the manner of DCGAN (Radford et al., 2015), made for a processor without a GPU.

G begins with fully connected layers, starts from a quarter of the image's side and doubles it twice by transposed
convolutions; D halves it twice by strided ones and ends with fully connected layers. Few channels at full size and
wide layers at none: that is where a CPU is quick. Every square size works: G makes the next multiple of 4 and cuts
its middle.
"""

from itertools import pairwise
from typing import ClassVar, Literal

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

    quantisable: ClassVar[bool] = False

    name: Literal["conv"] = "conv"
    generator_widths: tuple[Width, ...] = Field(default=(), max_length=8, description="Of layers before the first map")
    generator_channels: tuple[Width, Width] = Field(default=(128, 64), description="At a quarter and half of the side")
    batch_normalisation: bool = Field(default=True, description="In G, after each layer but the last")
    discriminator_channels: tuple[Width, Width] = Field(default=(64, 128), description="At half and a quarter of it")
    maxout_units: tuple[Width, ...] = Field(default=(), max_length=8, description="Of D's layers after the last map")
    maxout_pieces: int = Field(default=2, ge=1, le=16)
    leaky_slope: float = Field(default=0.2, ge=0, lt=1)
    input_keep_probability: float = Field(default=1.0, gt=0, le=1, description="Of D's dropout")
    hidden_keep_probability: float = Field(default=1.0, gt=0, le=1, description="Of D's dropout, after the last map")
    group_deviation: bool = Field(default=False, description="D sees how images of a group differ (minibatch-std)")

    def generator(self, *, z_dim: int, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """G: [N, z_dim] float32 → [N, C, H, W] in [−1, 1]."""
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
        """D: [N, C, H, W] float32 in [−1, 1] → logits [N]. Dropout acts in training mode only."""
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
        """Initial weights, drawn from `rng`: PyTorch's defaults; He et al.'s (2015) for a G that is not normalised."""
        del pixel_means  # the paper's networks want them
        initialise_like_pytorch(generator, rng)
        initialise_like_pytorch(discriminator, rng)
        if not self.batch_normalisation:
            _initialise_like_he(generator, rng)

    def _normalised(self, layer: nn.Module) -> list[nn.Module]:
        return [layer] if self.batch_normalisation else []


@torch.no_grad()
def _initialise_like_he(network: nn.Module, rng: torch.Generator) -> None:
    """N(0, 2/fan_in) for each weight, 0 for each bias: what keeps a rectifier's variance (arXiv 1502.01852)."""
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
    """[N, C, H, W] → the middle [N, C, side, side] of it."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        top = (x.shape[2] - self.side) // 2
        left = (x.shape[3] - self.side) // 2
        return x[:, :, top : top + self.side, left : left + self.side]
