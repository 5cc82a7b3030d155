"""G of one architecture and D of another: a fast G may have a teacher that sees more than it does itself."""

from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.conv import Conv
from models.images import ImageShape
from models.mlp import MLP

_Half: TypeAlias = Annotated[MLP | Conv, Field(discriminator="name")]


class Pair(BaseModel):
    """Whose G, and whose D; the other half of each is not built."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["pair"] = "pair"
    generator_of: _Half
    discriminator_of: _Half

    @property
    def group_deviation(self) -> bool:
        """Whether D sees how images of a group differ."""
        return self.discriminator_of.group_deviation

    def generator(self, *, z_dim: int, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """G: [N, z_dim] float32 → [N, C, H, W] in [−1, 1]."""
        return self.generator_of.generator(z_dim=z_dim, image_shape=image_shape, classes=classes)

    def discriminator(self, *, image_shape: ImageShape, classes: int = 0) -> nn.Module:
        """D: [N, C, H, W] float32 in [−1, 1] → logits [N]."""
        return self.discriminator_of.discriminator(image_shape=image_shape, classes=classes)

    def initialise(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        rng: torch.Generator,
        pixel_means: torch.Tensor,
    ) -> None:
        """Initial weights, drawn from `rng`, as each half's own architecture draws them."""
        nothing = nn.Sequential()
        self.generator_of.initialise(generator, nothing, rng=rng, pixel_means=pixel_means)
        self.discriminator_of.initialise(nothing, discriminator, rng=rng, pixel_means=pixel_means)
