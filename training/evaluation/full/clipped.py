"""Clipped density and clipped coverage: density and coverage that outliers cannot spoil, on a scale from 0 to 1.

Density and coverage (`training.evaluation.metrics`) count samples in the balls around real images, which reach to the
k-th nearest real image. An outlier among the real images has a large ball, and a dense place counts many times. Here

- clipped density shrinks each ball to the median radius, counts at most k balls for a sample, and divides the mean by
  the same figure of the real images themselves;
- clipped coverage counts at most k samples in a ball (of its full radius), and turns the mean into the share of good
  samples among m that would give it, by the expected value for samples of the real distribution.

Both then fall in proportion to the share of bad samples.

Source: Salvy, Talbot and Thirion 2025 (arXiv 2507.01761) and the authors' implementation, github.com/nicolassalvy/
ClippedDensityCoverage, commit 5e477ae: balls are closed for density and open for coverage, as there.
"""

import math

import torch

NEAREST = 5
"""k, as in the paper's experiments."""

_ROWS = 1000  # per block: [1000, 10000] float32 are 40 MB


def clipped_density_coverage(real: torch.Tensor, fake: torch.Tensor, *, k: int = NEAREST) -> dict[str, float]:
    """Return `clipped_density` and `clipped_coverage` of two sets.

    Args:
        real: features of real images, [N, F] float32.
        fake: features of samples, [M, F] float32.
        k: the number of neighbours; it is lowered if a set has no more than k images.
    """
    k = max(1, min(k, len(real) - 1, len(fake)))
    distances, rows = _real_neighbours(real, k)
    radii = distances[:, -1]
    clipped = radii.clamp(max=radii.quantile(0.5))
    around_fake = torch.zeros(len(fake))  # the number of balls around each sample
    inside = 0  # samples in balls, at most k in each
    for start in range(0, len(real), _ROWS):
        block = slice(start, start + _ROWS)
        to_fake = torch.cdist(real[block], fake)
        around_fake += (to_fake <= clipped[block, None]).sum(dim=0)
        inside += int((to_fake < radii[block, None]).sum(dim=1).clamp(max=k).sum())
    around_real = torch.bincount(rows[distances <= clipped[:, None]], minlength=len(real))
    density = _mean_share(around_fake, k) / _mean_share(around_real, k)
    coverage = _share_of_good_samples(inside / k / len(real), real=len(real), fake=len(fake), k=k)
    return {"clipped_density": min(density, 1.0), "clipped_coverage": coverage}


def _real_neighbours(real: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the distances and rows of the k nearest other real images, the nearest first: both [N, k]."""
    distances, rows = [], []
    for start in range(0, len(real), _ROWS):
        block = torch.cdist(real[start : start + _ROWS], real)
        block[:, start:].fill_diagonal_(math.inf)
        nearest = block.topk(k, dim=1, largest=False)
        distances.append(nearest.values)
        rows.append(nearest.indices)
    return torch.cat(distances), torch.cat(rows)


def _mean_share(balls: torch.Tensor, k: int) -> float:
    return float((balls.double() / k).clamp(max=1).mean())


def expected_coverage(real: int, fake: int, k: int) -> torch.Tensor:
    """Return the expected clipped coverage, before the calibration, of 0 … `fake` samples of the real distribution.

    The probability mass of the ball around a real image, up to its k-th nearest of the N − 1 others, has the
    distribution Beta(k, N − k). So the number j of m samples in it is beta-binomial, and the expected value is
    E[min(j, k)]/k = 1 − Σ_{j<k} (1 − j/k)·P(j). It counts as 0 for m < k, as in the authors' implementation.

    Args:
        real: N, the number of real images.
        fake: the largest m.
        k: the number of neighbours, k < N.

    Returns:
        [fake + 1] float64, rising.
    """
    m = torch.arange(fake + 1, dtype=torch.float64)
    expected = torch.ones_like(m)
    log_beta = math.lgamma(k) + math.lgamma(real - k) - math.lgamma(real)
    for j in range(k):
        of_m = m.clamp(min=j)
        log_choices = torch.lgamma(of_m + 1) - math.lgamma(j + 1) - torch.lgamma(of_m - j + 1)
        log_masses = math.lgamma(k + j) + torch.lgamma(real - k + of_m - j) - torch.lgamma(real + of_m)
        expected -= (1 - j / k) * (log_choices + log_masses - log_beta).exp()
    expected[:k] = 0
    return expected


def _share_of_good_samples(coverage: float, *, real: int, fake: int, k: int) -> float:
    """Return the share of `fake` samples that, drawn from the real distribution, would give this coverage."""
    below = torch.searchsorted(expected_coverage(real, fake, k), torch.tensor(coverage, dtype=torch.float64))
    return int(below) / (fake + 1)
