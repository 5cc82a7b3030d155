"""The 2014 paper's networks for MNIST: G has rectifiers and a sigmoid output, D has maxout units and dropout.

Source: Goodfellow et al., "Generative adversarial nets", NIPS 2014, section 5, with the sizes and initial weights of
the authors' published settings for MNIST. Both networks use pixels in [0, 1]; D's first layer and G's last one
convert from and to this project's range [−1, 1].
"""

from itertools import pairwise
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.images import ImageShape
from models.networks.conditional import generator_head, with_logits
from models.networks.layers import Dropout, Float32, Maxout
from models.networks.widths import Width

_MARGINAL_MARGIN = 1e-7  # the authors' value; without it a pixel that is always black would get a bias of −∞


class Goodfellow2014(BaseModel):
    """Sizes of the paper's networks; the defaults are those for MNIST."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["goodfellow2014"] = "goodfellow2014"
    generator_widths: tuple[Width, ...] = Field(default=(1200, 1200), min_length=1, max_length=8)
    maxout_units: tuple[Width, ...] = Field(default=(240, 240), min_length=1, max_length=8)
    maxout_pieces: int = Field(default=5, ge=1, le=16)
    input_keep_probability: float = Field(default=0.8, gt=0, le=1)
    hidden_keep_probability: float = Field(default=0.5, gt=0, le=1)

    def generator(self, *, z_dim: int, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Build G: [N, z_dim] float32 → [N, C, H, W] in [−1, 1]."""
        layers = generator_head(classes)
        for fan_in, width in pairwise((z_dim, *self.generator_widths)):
            layers += [nn.Linear(fan_in, width), nn.ReLU()]
        layers += [nn.Linear(self.generator_widths[-1], image_shape.pixels), Float32(), nn.Sigmoid(), Affine(2, -1)]
        return nn.Sequential(*layers, nn.Unflatten(1, image_shape.chw))

    def discriminator(self, *, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """Build D: [N, C, H, W] float32 in [−1, 1] → logits [N]. Dropout is active in training mode only."""
        layers: list[nn.Module] = [nn.Flatten(), Affine(0.5, 0.5)]
        keep = self.input_keep_probability
        for fan_in, units in pairwise((image_shape.pixels, *self.maxout_units)):
            layers += [Dropout(keep), Maxout(fan_in, units, self.maxout_pieces)]
            keep = self.hidden_keep_probability
        return with_logits([*layers, Dropout(keep)], self.maxout_units[-1], classes=classes)

    @torch.no_grad()
    def initialise(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        rng: torch.Generator,
        pixel_means: torch.Tensor,
    ) -> None:
        """Draw initial weights from `rng`: U(±0.05) for G, U(±0.005) for D. Biases are 0 except those of G's output.

        The biases of G's output start as the logits of the data's mean pixels (`pixel_means`, [C, H, W] in [0, 1]), so
        that the first samples already have the brightness of the data.
        """
        for network, bound in ((generator, 0.05), (discriminator, 0.005)):
            linears = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
            for linear in linears:
                linear.weight.uniform_(-bound, bound, generator=rng)
                linear.bias.zero_()
            if network is generator:
                marginals = pixel_means.flatten().clamp(_MARGINAL_MARGIN, 1 - _MARGINAL_MARGIN)
                linears[-1].bias.copy_(torch.logit(marginals))


class Affine(nn.Module):
    """A layer that computes scale·x + shift, with constants that are not trained."""

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale = scale
        self.shift = shift

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.shift
