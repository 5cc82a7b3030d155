"""The losses of the game, on D's logits.

With D(x) = σ(logit), log D(x) = −softplus(−logit) and log(1 − D(x)) = −softplus(logit): no logarithm of a rounded
probability is ever taken. References are to Goodfellow et al. 2014 (arXiv 1406.2661).
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch.nn.functional import softplus

GeneratorLoss: TypeAlias = Literal["non-saturating", "minimax"]


def discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """What D minimises: −V(G, D)/2, the mean of its two cross-entropies. log 2 ≈ 0.693 at the optimum.

    Args:
        real_logits: [N] D's logits of real images.
        fake_logits: [M] D's logits of G's images.
    """
    return (softplus(-real_logits).mean() + softplus(fake_logits).mean()) / 2


def non_saturating_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """−mean log D(G(z)), section 3's advice for early training: strong gradients while D wins. log 2 at the optimum."""
    return softplus(-fake_logits).mean()


def minimax_loss(fake_logits: torch.Tensor) -> torch.Tensor:
    """mean log(1 − D(G(z))), G's half of equation 1 to the letter. −log 2 at the optimum."""
    return -softplus(fake_logits).mean()


GENERATOR_LOSSES: dict[GeneratorLoss, Callable[[torch.Tensor], torch.Tensor]] = {
    "non-saturating": non_saturating_loss,
    "minimax": minimax_loss,
}


def value(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """V(G, D) = mean log D(x) + mean log(1 − D(G(z))), equation 1. −log 4 ≈ −1.386 at the optimum (theorem 1)."""
    return -2 * discriminator_loss(real_logits, fake_logits)
