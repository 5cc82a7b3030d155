"""Quantising at export: G gets weights and activations of 8 bits (`models.networks.quantised`)."""

import torch
from torch import nn

from models.latents import Prior, draw_latents
from models.networks.quantised import quantise

SEED, LATENTS = 1, 4096
"""The seed and the number of the latents with which the range of G's activations is measured."""


def in_whole_numbers(generator: nn.Module, *, z_dim: int, prior: Prior) -> nn.Module:
    """Return a quantised copy of a G whose latents have this width and prior."""
    latents = draw_latents(SEED, 0, LATENTS, z_dim=z_dim, prior=prior)
    return quantise(generator, torch.from_numpy(latents))
