"""An exponential moving average (EMA) of G's weights; this average draws the samples and is exported."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)

RAMP_UP = 0.05
"""The half-life is at most this share of the images seen, so that the average soon forgets the first weights."""


class EMA(Generic[Network]):
    """The average of a network's weights and buffers over training.

    Args:
        network: the network whose weights are averaged; a copy of it becomes the first average.
        halflife_images: number of images after which a weight's contribution has halved; 0 follows the network exactly.

    Source: Karras et al. 2020 ("Analyzing and improving the image quality of StyleGAN"), with the half-life counted in
    images and ramped up.
    """

    def __init__(self, network: Network, *, halflife_images: float) -> None:
        self.network: Network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self.halflife_images = halflife_images

    @torch.no_grad()
    def update(self, network: nn.Module, *, batch_images: int, images_seen: int) -> None:
        """Move the average towards `network`, which has just been trained on `batch_images` more images."""
        halflife = min(self.halflife_images, images_seen * RAMP_UP)
        weight = 1 - 0.5 ** (batch_images / halflife) if halflife > 0 else 1.0
        averages, values = self._floats(self.network), self._floats(network)
        torch._foreach_lerp_(averages, values, weight)  # one call for all tensors

    @staticmethod
    def _floats(network: nn.Module) -> list[torch.Tensor]:
        """Return weights and running statistics; batch normalisation's counter is an integer and is not averaged."""
        return [t for t in (*network.parameters(), *network.buffers()) if t.is_floating_point()]
