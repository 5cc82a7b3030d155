"""The losses of the game, on D's logits.

With D(x) = σ(logit), log D(x) = −softplus(−logit) and log(1 − D(x)) = −softplus(logit), so that no logarithm of a
rounded probability is taken. Every loss takes `real_logits` and `fake_logits`, [N] float32 each, and returns a scalar.
A relativistic loss of G compares the two; G's other losses ignore `real_logits`. Equation numbers are those of
Goodfellow et al. 2014 (arXiv 1406.2661) unless another source is named.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch.nn.functional import relu, softplus

from models.model_folder.game_rules import LossName

Loss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return −V(G, D)/2, the mean of D's two cross-entropies: D's loss in the 2014 paper. log 2 at the optimum."""
    return (softplus(-real_logits).mean() + softplus(fake_logits).mean()) / 2


def non_saturating_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return −mean log D(G(z)), recommended in section 3: its gradient is strong while D wins. log 2 at the optimum."""
    del real_logits
    return softplus(-fake_logits).mean()


def minimax_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return mean log(1 − D(G(z))), the part of equation 1 that depends on G. −log 2 at the optimum."""
    del real_logits
    return -softplus(fake_logits).mean()


def hinge_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return (mean max(0, 1 − real) + mean max(0, 1 + fake))/2, half of Lim and Ye's loss (2017, arXiv 1705.02894)."""
    return (relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()) / 2


def least_squares_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return ½ mean (real − 1)² + ½ mean fake²: Mao et al. 2017 (arXiv 1611.04076), equation 9 (a = 0, b = 1)."""
    return ((real_logits - 1).square().mean() + fake_logits.square().mean()) / 2


def least_squares_generator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return ½ mean (fake − 1)²: Mao et al. 2017, equation 9 (c = 1)."""
    del real_logits
    return (fake_logits - 1).square().mean() / 2


def wasserstein_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return mean fake − mean real: the critic of Arjovsky et al. 2017 (arXiv 1701.07875). Use a `gradient_penalty`."""
    return fake_logits.mean() - real_logits.mean()


def raise_fakes_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return −mean fake: G's loss in the hinge and in the Wasserstein game."""
    del real_logits
    return -fake_logits.mean()


def relativistic_discriminator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return mean softplus(fake − real) over pairs: Jolicoeur-Martineau 2018 (arXiv 1807.00734). log 2 at the optimum.

    Each real image is paired with the fake of the same row.
    """
    return softplus(fake_logits - real_logits).mean()


def relativistic_generator_loss(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return mean softplus(real − fake) over pairs: D's loss with real and fake swapped. log 2 at the optimum."""
    return softplus(real_logits - fake_logits).mean()


class GameLosses(NamedTuple):
    """The two losses of a game: the one that D minimises, and the one that G minimises."""

    discriminator: Loss
    generator: Loss


LOSSES: dict[LossName, GameLosses] = {
    "non-saturating": GameLosses(discriminator_loss, non_saturating_loss),
    "minimax": GameLosses(discriminator_loss, minimax_loss),
    "hinge": GameLosses(hinge_discriminator_loss, raise_fakes_loss),
    "least-squares": GameLosses(least_squares_discriminator_loss, least_squares_generator_loss),
    "wasserstein": GameLosses(wasserstein_discriminator_loss, raise_fakes_loss),
    "relativistic": GameLosses(relativistic_discriminator_loss, relativistic_generator_loss),
}


def value(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Return V(G, D) = mean log D(x) + mean log(1 − D(G(z))), equation 1: −log 4 at the optimum (theorem 1)."""
    return -2 * discriminator_loss(real_logits, fake_logits)
