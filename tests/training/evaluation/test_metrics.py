"""Metrics of two sets, compared with closed forms and with brute force in float64."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.evaluation.metrics import (
    divergence_from_uniform,
    frechet_distance,
    kernel_distance,
    modes,
    nearest_distances,
    neighbourhood_radii,
    precision_recall_density_coverage,
    shares,
)

Array = NDArray[np.float64]


def normal(n: int, width: int, *, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(n, width))


def tensor(points: Array) -> torch.Tensor:
    return torch.from_numpy(points).float()


def with_moments(n: int, means: Array, deviations: Array, *, seed: int) -> Array:
    """Return n points with exactly this sample mean and diagonal sample covariance (divided by n − 1)."""
    points = normal(n, len(means), seed=seed)
    points -= points.mean(axis=0)
    orthonormal, _ = np.linalg.qr(points)  # columns of mean 0, and orthogonal
    whole: Array = orthonormal * math.sqrt(n - 1) * deviations + means
    return whole


def rotation(width: int) -> Array:
    q: Array = np.linalg.qr(normal(width, width, seed=77))[0]
    return q


MEANS = np.array([0.0, 1.0, -2.0, 0.5]), np.array([0.5, 1.0, -1.0, 0.0])
DEVIATIONS = np.array([1.0, 0.5, 2.0, 0.1]), np.array([0.3, 1.5, 2.0, 1.0])
BETWEEN = float(((MEANS[0] - MEANS[1]) ** 2).sum() + ((DEVIATIONS[0] - DEVIATIONS[1]) ** 2).sum())
"""The Fréchet distance if the covariances commute: (Σ^½ − Σ'^½)² has the trace Σ (σ − σ')²."""


def test_frechet_distance_of_sets_with_exactly_these_moments():
    real, fake = (with_moments(50, MEANS[k], DEVIATIONS[k], seed=k) for k in (0, 1))
    np.testing.assert_allclose(np.cov(fake.T), np.diag(DEVIATIONS[1] ** 2), atol=1e-12)
    assert frechet_distance(tensor(real), tensor(fake)) == pytest.approx(BETWEEN, rel=1e-5)
    assert frechet_distance(tensor(fake), tensor(real)) == pytest.approx(BETWEEN, rel=1e-5)


def test_frechet_distance_does_not_see_a_rotation_of_both():
    real, fake = (with_moments(50, MEANS[k], DEVIATIONS[k], seed=k) @ rotation(4) for k in (0, 1))
    assert np.abs(np.cov(fake.T) - np.diag(np.diag(np.cov(fake.T)))).max() > 0.1
    assert frechet_distance(tensor(real), tensor(fake)) == pytest.approx(BETWEEN, rel=1e-5)


def test_frechet_distance_of_covariances_that_do_not_commute():
    """tr (ΣΣ')^½ is the sum of the square roots of ΣΣ's eigenvalues."""
    real = with_moments(60, MEANS[0], DEVIATIONS[0], seed=0)
    fake = with_moments(60, MEANS[1], DEVIATIONS[1], seed=1) @ rotation(4)
    a, b = np.cov(real.T), np.cov(fake.T)
    assert np.abs(a @ b - b @ a).max() > 0.1
    roots = np.sqrt(np.linalg.eigvals(a @ b).real).sum()
    wanted = ((real.mean(axis=0) - fake.mean(axis=0)) ** 2).sum() + np.trace(a) + np.trace(b) - 2 * roots
    assert frechet_distance(tensor(real), tensor(fake)) == pytest.approx(float(wanted), rel=1e-5)


def test_frechet_distance_of_many_draws_is_that_of_their_gaussians():
    real, fake = (normal(100_000, 4, seed=k) * DEVIATIONS[k] + MEANS[k] for k in (0, 1))
    assert frechet_distance(tensor(real), tensor(fake)) == pytest.approx(BETWEEN, rel=0.02)


def test_frechet_distance_of_equal_sets_is_0():
    points = tensor(normal(200, 6, seed=0) + 5)
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(points, points.flip(0)) == pytest.approx(0, abs=1e-8)


def test_frechet_distance_of_fewer_points_than_features_and_of_dead_features():
    """The covariances have no inverse, as with a classifier's rectified features."""
    real, fake = (with_moments(50, MEANS[k], DEVIATIONS[k], seed=k) for k in (0, 1))
    real, fake = (np.concatenate([points, np.zeros((50, 60))], axis=1) for points in (real, fake))
    assert frechet_distance(tensor(real), tensor(fake)) == pytest.approx(BETWEEN, rel=1e-4)


def test_frechet_distance_of_large_means_keeps_its_digits():
    """In float32 a variance this small would be lost beside the squares of the means."""
    real, fake = (with_moments(50, MEANS[k] * 0 + 1000, DEVIATIONS[k], seed=k) for k in (0, 1))
    wanted = ((DEVIATIONS[0] - DEVIATIONS[1]) ** 2).sum()
    assert frechet_distance(tensor(real), tensor(fake)) == pytest.approx(wanted, rel=1e-3)


def squared_mmd(real: Array, fake: Array) -> float:
    """Return the unbiased estimate with the kernel (x·y/F + 1)³, by a loop over all pairs of different points."""

    def mean_kernel(a: Array, b: Array, *, same: bool) -> float:
        total = [
            (float(x @ y) / len(x) + 1) ** 3 for i, x in enumerate(a) for j, y in enumerate(b) if not (same and i == j)
        ]
        return sum(total) / len(total)

    within = mean_kernel(real, real, same=True) + mean_kernel(fake, fake, same=True)
    return within - 2 * mean_kernel(real, fake, same=False)


def test_kernel_distance_of_small_sets_is_the_unbiased_estimate_on_all_of_them():
    real, fake = normal(40, 6, seed=0), normal(40, 6, seed=1) * 1.5 + 0.3
    mean, deviation = kernel_distance(tensor(real), tensor(fake))
    assert mean == pytest.approx(squared_mmd(real, fake), rel=1e-5)
    assert deviation == pytest.approx(0, abs=1e-9)  # each subset is the whole set


@pytest.mark.slow
def test_kernel_distance_of_equal_distributions_is_near_0_and_of_shifted_ones_is_positive():
    real, fake = normal(3000, 8, seed=0), normal(3000, 8, seed=1)
    near, deviation = kernel_distance(tensor(real), tensor(fake))
    assert deviation > 0
    assert abs(near) < 3 * deviation
    far, deviation = kernel_distance(tensor(real), tensor(fake + 0.5))
    assert far > 10 * deviation
    assert far > 20 * abs(near)
    farther, _ = kernel_distance(tensor(real), tensor(fake + 1))
    assert farther > 2 * far


def test_kernel_distance_is_repeatable_and_leaves_global_randomness_alone():
    real, fake = tensor(normal(1500, 4, seed=0)), tensor(normal(1200, 4, seed=1))
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one = kernel_distance(real, fake, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(12)
    assert kernel_distance(real, fake, seed=3) == one
    assert kernel_distance(real, fake, seed=4) != one


def brute_force(real: Array, fake: Array, k: int) -> dict[str, float]:
    """Return the four figures from their definitions, point by point."""

    def radius(points: Array, i: int) -> float:
        others = sorted(math.dist(points[i], points[j]) for j in range(len(points)) if j != i)
        return others[k - 1]

    real_radii = [radius(real, i) for i in range(len(real))]
    fake_radii = [radius(fake, j) for j in range(len(fake))]
    n, m = range(len(real)), range(len(fake))
    near = [[math.dist(real[i], fake[j]) for j in m] for i in n]
    return {
        "precision": sum(any(near[i][j] <= real_radii[i] for i in n) for j in m) / len(fake),
        "recall": sum(any(near[i][j] <= fake_radii[j] for j in m) for i in n) / len(real),
        "density": sum(near[i][j] <= real_radii[i] for i in n for j in m) / (k * len(fake)),
        "coverage": sum(any(near[i][j] <= real_radii[i] for j in m) for i in n) / len(real),
    }


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m"), [(30, 30), (17, 60), (60, 17)])
@pytest.mark.parametrize("width", [2, 20])
def test_precision_recall_density_and_coverage(k: int, n: int, m: int, width: int):
    real, fake = normal(n, width, seed=0), normal(m, width, seed=1)
    real[: n // 2] += 30  # a place that the samples never reach
    fake[: m // 2] -= 30  # and one where no picture is
    real, fake = (points.astype(np.float32).astype(np.float64) for points in (real, fake))
    wanted = brute_force(real, fake, k)
    assert all(0 < wanted[name] < 1 for name in ("precision", "recall", "coverage"))  # the figures are neither 0 nor 1
    seen = precision_recall_density_coverage(tensor(real), tensor(fake), k=k)
    assert seen == pytest.approx(wanted, rel=1e-6)


def test_the_neighbourhoods_reach_to_the_fifth_neighbour_unless_told():
    real, fake = tensor(normal(40, 3, seed=0)), tensor(normal(50, 3, seed=1) + 0.7)
    assert precision_recall_density_coverage(real, fake) == precision_recall_density_coverage(real, fake, k=5)
    assert precision_recall_density_coverage(real, fake) != precision_recall_density_coverage(real, fake, k=4)


@pytest.mark.parametrize("m", [4, 40])  # where there are fewer samples, fewer neighbours count
def test_known_distances_of_real_points_are_used_again(m: int):
    real, fake = tensor(normal(30, 3, seed=0)), tensor(normal(m, 3, seed=1))
    known = nearest_distances(real, 5)
    assert known.shape == (30, 5)
    assert torch.equal(known, known.sort(dim=1).values)
    assert precision_recall_density_coverage(real, fake, real_nearest=known) == precision_recall_density_coverage(
        real, fake
    )


@pytest.mark.parametrize(("n", "m", "k"), [(2, 2, 1), (2, 9, 1), (9, 2, 1), (4, 9, 3), (9, 5, 4), (6, 6, 5)])
def test_tiny_sets_have_as_many_neighbours_as_there_are(n: int, m: int, k: int):
    real, fake = normal(n, 2, seed=3), normal(m, 2, seed=4)
    seen = precision_recall_density_coverage(tensor(real), tensor(fake), k=5)
    assert seen == pytest.approx(brute_force(real, fake, k), rel=1e-6)


def test_more_points_than_a_block_of_distances():
    real, fake = normal(2100, 2, seed=0), normal(1300, 2, seed=1) + 0.5
    near = np.linalg.norm(real[:, None] - fake[None], axis=2)
    radii = [np.sort(np.linalg.norm(points[:, None] - points[None], axis=2), axis=1)[:, 5] for points in (real, fake)]
    seen = precision_recall_density_coverage(tensor(real), tensor(fake), k=5)
    inside = near <= radii[0][:, None]
    # In float32 one or two pairs at the very edge may fall on its other side.
    assert seen["precision"] == pytest.approx(inside.any(axis=0).mean(), abs=2 / 1300)
    assert seen["recall"] == pytest.approx((near <= radii[1]).any(axis=1).mean(), abs=2 / 2100)
    assert seen["density"] == pytest.approx(inside.sum() / (5 * 1300), rel=1e-3)
    assert seen["coverage"] == pytest.approx(inside.any(axis=1).mean(), abs=2 / 2100)


def test_radii_are_distances_to_the_kth_nearest_other_point():
    line = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert neighbourhood_radii(line, 1).tolist() == pytest.approx([1, 1, 2, 4])
    assert neighbourhood_radii(line, 2).tolist() == pytest.approx([3, 2, 3, 6])
    assert neighbourhood_radii(line, 3).tolist() == pytest.approx([7, 6, 4, 7])


def test_equal_sets_are_within_each_other():
    points = tensor(normal(300, 4, seed=0))
    seen = precision_recall_density_coverage(points, points)
    assert (seen["precision"], seen["recall"], seen["coverage"]) == (1, 1, 1)
    # A neighbourhood has its centre, the four nearest and, at its edge, the fifth, which only the paper's text counts.
    assert 1 <= seen["density"] <= 6 / 5 + 1e-6


def test_one_mode_of_ten_gives_high_precision_and_low_recall_and_coverage():
    centres = normal(10, 6, seed=5) * 20
    real = np.concatenate([centre + normal(60, 6, seed=6 + k) for k, centre in enumerate(centres)])
    fake = centres[3] + normal(600, 6, seed=99) * 0.8
    seen = precision_recall_density_coverage(tensor(real), tensor(fake))
    assert seen["precision"] > 0.9
    assert seen["density"] > 0.9
    assert seen["recall"] < 0.11
    assert seen["coverage"] < 0.11


def test_samples_far_from_every_picture_have_none_of_it():
    seen = precision_recall_density_coverage(tensor(normal(50, 3, seed=0)), tensor(normal(50, 3, seed=1) + 100))
    assert seen == {"precision": 0, "recall": 0, "density": 0, "coverage": 0}


def test_one_sample_again_and_again_is_recalled_by_no_picture():
    """The neighbourhoods of equal samples are points, and stay points when distances are rounded."""
    real = tensor(normal(100, 128, seed=0) + 3)
    fake = real.mean(dim=0, keepdim=True).repeat(80, 1)
    seen = precision_recall_density_coverage(real, fake)
    assert seen["recall"] == 0


def test_shares_of_classes():
    labels = torch.tensor([0, 2, 2, 3, 2, 0, 3, 2])
    assert shares(labels, classes=5) == [2 / 8, 0, 4 / 8, 2 / 8, 0]
    assert sum(shares(torch.arange(7) % 3, classes=10)) == pytest.approx(1, rel=1e-12)


def test_modes_are_the_classes_that_are_seen():
    assert modes(torch.tensor([5, 5, 5])) == 1
    assert modes(torch.tensor([999, 0, 17, 0, 999])) == 3
    assert modes(torch.arange(1000).repeat(2)) == 1000


def test_divergence_from_uniform():
    assert divergence_from_uniform(torch.arange(1000).repeat(3), classes=1000) == pytest.approx(0, abs=1e-9)
    assert divergence_from_uniform(torch.full((50,), 7), classes=10) == pytest.approx(math.log(10), rel=1e-12)
    assert divergence_from_uniform(torch.tensor([1] * 9), classes=1000) == pytest.approx(math.log(1000), rel=1e-12)
    # Two of four classes, three to one: ¾ log(¾/¼) + ¼ log(¼/¼).
    wanted = 0.75 * math.log(3)
    assert divergence_from_uniform(torch.tensor([0, 0, 2, 0]), classes=4) == pytest.approx(wanted, rel=1e-12)


def test_distances_ask_no_other_process(monkeypatch: pytest.MonkeyPatch):
    """If several processes train together, only the first measures; it would hang if it waited for the others."""
    real, fake = torch.rand(2, 30, 4, generator=torch.Generator().manual_seed(0))
    alone = frechet_distance(real, fake), kernel_distance(real, fake)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    assert (frechet_distance(real, fake), kernel_distance(real, fake)) == alone
