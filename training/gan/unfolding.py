"""Unfolding of batch normalisation: a G whose normalisation was merged into its layers gets normalisation layers again.

Quantising folds each batch normalisation into the layer before it (`models.networks.folding`). To train such a G
further, its normalisation layers get the mean and the deviation of what they see as statistics, and also as their shift
and scale. So they change nothing at first.
"""

import torch
from torch import nn

from models.latents import Prior, draw_latents

SEED, LATENTS = 1, 4096
"""The seed and the number of the latents with which the statistics are measured."""


@torch.no_grad()
def unfold_batchnorm(folded: nn.Module, generator: nn.Module, *, z_dim: int, prior: Prior) -> None:
    """Set G's weights so that it computes what a folded float32 G computes, up to float32 rounding.

    Args:
        folded: the G without normalisation layers, `nn.Sequential`.
        generator: the G with the same other layers, changed in place.
        z_dim: the number of coordinates of a latent.
        prior: the distribution of a latent's coordinates.
    """
    x = torch.from_numpy(draw_latents(SEED, 0, LATENTS, z_dim=z_dim, prior=prior))
    others = iter(folded.children())
    for layer in generator.children():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            _pass_through(layer, x)
            continue
        other = next(others)
        layer.load_state_dict(other.state_dict())
        x = other(x)


def _pass_through(layer: nn.BatchNorm1d | nn.BatchNorm2d, x: torch.Tensor) -> None:
    """Set a normalisation layer so that it returns `x`, [N, C] or [N, C, H, W], as it is."""
    values = x.transpose(0, 1).flatten(1).cpu().double()  # mps has no float64
    mean, variance = values.mean(dim=1), values.var(dim=1)
    for name, tensor in {
        "running_mean": mean,
        "running_var": variance,
        "weight": (variance + layer.eps).sqrt(),
        "bias": mean,
    }.items():
        getattr(layer, name).copy_(tensor)
