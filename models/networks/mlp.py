"""The write-up's pair of multilayer perceptrons, with its initial weights, which are PyTorch's defaults.

The write-up is the classroom article on GANs that this project began from; the recipe `writeup` has its settings.

G: z → 256 → 512 → 1024 → image, with batch normalisation and leaky ReLU between the layers, and tanh at the end.
D: image → 512 → 256 → 1 logit, with leaky ReLU between the layers.
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.images import ImageShape
from models.networks.conditional import generator_head, with_logits
from models.networks.layers import Float32, GroupDeviation, dropout
from models.networks.widths import Width


class MLP(BaseModel):
    """Sizes of the networks of the write-up, the article that this project began from; the defaults are its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["mlp"] = "mlp"
    generator_widths: tuple[Width, ...] = Field(default=(256, 512, 1024), min_length=1, max_length=8)
    discriminator_widths: tuple[Width, ...] = Field(default=(512, 256), min_length=1, max_length=8)
    leaky_slope: float = Field(default=0.2, ge=0, lt=1)
    input_keep_probability: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Keep probability of the dropout on D's input; the write-up has 1, no dropout",
    )
    hidden_keep_probability: float = Field(
        default=1.0, gt=0, le=1, description="Keep probability of D's other dropout; the write-up has 1, no dropout"
    )
    group_deviation: bool = Field(default=False, description="D sees how images of a group differ (minibatch-std)")

    def generator(self, *, z_dim: int, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Build G: [N, z_dim] float32 → [N, C, H, W] in [−1, 1]."""
        layers = generator_head(classes)
        for fan_in, width in pairwise((z_dim, *self.generator_widths)):
            layers += [nn.Linear(fan_in, width), nn.BatchNorm1d(width), nn.LeakyReLU(self.leaky_slope)]
        layers += [nn.Linear(self.generator_widths[-1], image_shape.pixels), Float32(), nn.Tanh()]
        return nn.Sequential(*layers, nn.Unflatten(1, image_shape.chw))

    def discriminator(self, *, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Build D: [N, C, H, W] float32 in [−1, 1] → logits [N]."""
        layers: list[nn.Module] = [nn.Flatten()]
        keep = self.input_keep_probability
        for fan_in, width in pairwise((image_shape.pixels, *self.discriminator_widths)):
            layers += [*dropout(keep), nn.Linear(fan_in, width), nn.LeakyReLU(self.leaky_slope)]
            keep = self.hidden_keep_probability
        layers += dropout(keep)
        width = self.discriminator_widths[-1]
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
        """Draw the initial weights from `rng`: PyTorch's defaults, which the write-up uses."""
        del pixel_means  # used by the 2014 paper's networks only
        initialise_like_pytorch(generator, rng)
        initialise_like_pytorch(discriminator, rng)


@torch.no_grad()
def initialise_like_pytorch(network: nn.Module, rng: torch.Generator) -> None:
    """Draw each weight and bias of linear and convolution layers from U(±1/√fan_in), as `reset_parameters` does.

    Normalisation layers keep their initial ones and zeros.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            # For a transposed convolution PyTorch's fan-in is output channels × kernel size, as here.
            fan_in = layer.weight[0].numel()
            bound = fan_in**-0.5
            layer.weight.uniform_(-bound, bound, generator=rng)
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=rng)
