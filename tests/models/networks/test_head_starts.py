"""Head starts: the classes of a conditional G are as frequent as they should be, also very rare ones."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models.latents import Prior, draw_latents
from models.networks.conditional import labels_of
from models.networks.head_starts import head_starts_for

SHARES = np.array([0.0987, 0.1124, 0.0993, 0.1022, 0.0974, 0.0904, 0.0986, 0.1044, 0.0975, 0.0991])  # about MNIST's
RARE = [np.array([1 - 1 / n, 1 / n]) for n in (300, 600, 1500, 60_000)] + [
    np.array([1089, 100, 10, 1]) / 1200,
    np.array([50_000] + [1] * 49) / 50_049,
]


@pytest.mark.parametrize("prior", ["normal", "uniform"])
@pytest.mark.parametrize(
    "shares",
    [SHARES, np.array([0.7, 0.2, 0.1]), np.full(4, 0.25), *RARE],
    ids=lambda shares: f"{len(shares)} classes, the rarest {min(shares):.1g}",
)
def test_head_starts_make_the_classes_as_frequent_as_they_should_be(shares: NDArray[np.float64], prior: Prior):
    starts = head_starts_for(shares, prior=prior)
    assert starts.dtype == np.float32
    assert starts.mean() == pytest.approx(0, abs=1e-6)
    n = 100_000
    latents = torch.from_numpy(draw_latents(0, 0, n, z_dim=len(shares) + 1, prior=prior))
    named = labels_of(latents, head_starts=torch.from_numpy(starts))
    counts = np.bincount(named.numpy(), minlength=len(shares))
    deviations = (counts - n * shares) / np.sqrt(n * shares * (1 - shares))
    assert np.abs(deviations).max() < 4.5  # standard deviations


def test_even_shares_need_no_head_start():
    np.testing.assert_allclose(head_starts_for(np.full(5, 0.2), prior="normal"), 0, atol=1e-6)


def test_two_classes_with_a_head_start_in_closed_form():
    """For normal ballots, b₁ + h₁ > b₂ + h₂ has the probability Φ((h₁ − h₂)/√2)."""
    starts = head_starts_for(np.array([0.8, 0.2]), prior="normal")
    assert (1 + math.erf((starts[0] - starts[1]) / 2)) / 2 == pytest.approx(0.8, abs=1e-5)


@pytest.mark.parametrize("shares", [[0.5, 0.6], [1.0, 0.0], [1.2, -0.2]])
def test_shares_that_are_none(shares: list[float]):
    with pytest.raises(ValueError, match=r"^the classes' shares must be above 0 and sum to 1, not \["):
        head_starts_for(np.array(shares), prior="normal")


def test_hundreds_of_classes():
    shares = np.random.default_rng(0).dirichlet(np.full(300, 0.5)) + 1e-6
    starts = head_starts_for(shares / shares.sum(), prior="uniform")
    assert np.isfinite(starts).all()
