"""The 2014 paper's Parzen-window log-likelihood, given only to compare with the paper, beside that of real images.

Each of G's samples is the centre of a Gaussian of width σ; the likelihood of a test image is the mean of their
densities. σ is chosen on validation images. The estimate has a high variance and favours smooth samples (Theis et al.,
"A note on the evaluation of generative models", 2016): k-means centres can score above real images.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.evaluation.pairwise_distances import squared_distances

SIGMAS = torch.logspace(-1, 0, 10, dtype=torch.float64).tolist()
"""The widths tried: ten from 0.1 to 1, evenly spaced in their logarithm, as in the paper's code."""

VALIDATION_IMAGES = 1000
_ROWS = 500  # test images per block: [500, 10000] float32 distances are 20 MB


@dataclass(frozen=True)
class ParzenEstimate:
    """The mean log-likelihood in nats, its standard error, and the width σ that was chosen."""

    mean: float
    standard_error: float
    sigma: float


def estimate(samples: torch.Tensor, validation: torch.Tensor, test: torch.Tensor) -> ParzenEstimate:
    """Estimate the mean log-likelihood of `test` under a Parzen window over `samples`.

    Args:
        samples: [N, C, H, W] uint8, the centres; the paper uses 10,000.
        validation: [V, C, H, W] uint8, on which σ is chosen; the paper uses 1,000 of train[50000:].
        test: [M, C, H, W] uint8; the paper uses the 10,000 test images.
    """
    centres = _pixels(samples)
    by_sigma = log_likelihoods(centres, _pixels(validation), SIGMAS).mean(dim=1)
    sigma = SIGMAS[int(by_sigma.argmax())]
    (likelihoods,) = log_likelihoods(centres, _pixels(test), [sigma])
    return ParzenEstimate(
        mean=float(likelihoods.mean()),
        standard_error=float(likelihoods.std(correction=0)) / math.sqrt(len(likelihoods)),
        sigma=sigma,
    )


def log_likelihoods(centres: torch.Tensor, points: torch.Tensor, sigmas: Sequence[float]) -> torch.Tensor:
    """Return log p(x) = log mean_i exp(−‖x − μ_i‖² / 2σ²) − d·log(σ√(2π)) of each point, for each width.

    Args:
        centres: [N, d] float32, the μ_i, pixels in [0, 1].
        points: [M, d] float32, the x.
        sigmas: the S widths σ of the Gaussians.

    Returns:
        [S, M] float64, in nats.
    """
    n, dimensions = centres.shape
    widths = torch.tensor(sigmas, dtype=torch.float64)[:, None]
    sums = [
        torch.stack([torch.logsumexp(squared * (-0.5 / sigma**2), dim=1).double() for sigma in sigmas])
        for squared in squared_distances(points, centres, rows=_ROWS)
    ]
    return torch.cat(sums, dim=1) - math.log(n) - dimensions * (widths * math.sqrt(2 * math.pi)).log()


def _pixels(images: torch.Tensor) -> torch.Tensor:
    """Convert [N, C, H, W] uint8 to [N, C·H·W] float32 in [0, 1], the paper's range."""
    return images.flatten(1).float() / 255
