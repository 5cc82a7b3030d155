"""Clipped density and coverage, compared with loops over all pairs and with sampled distributions."""

import numpy as np
import pytest
import torch

from training.evaluation.full.clipped import clipped_density_coverage, expected_coverage


def points(n: int, *, seed: int, shift: float = 0.0, spread: float = 1.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(shift, spread, (n, 6)).astype(np.float32))


def by_loops(real: torch.Tensor, fake: torch.Tensor, k: int) -> tuple[float, float]:
    """Return clipped density, and clipped coverage before its calibration, by the definitions and in float64."""
    r, f = real.double().numpy(), fake.double().numpy()
    among = np.sqrt(((r[:, None] - r[None]) ** 2).sum(axis=2))
    to_fake = np.sqrt(((r[:, None] - f[None]) ** 2).sum(axis=2))
    radii = np.sort(among, axis=1)[:, k]  # the nearest is the point itself
    clipped = np.minimum(radii, np.median(radii))

    def density(counts: np.ndarray) -> float:
        return float(np.minimum(counts / k, 1).mean())

    around_fake = (to_fake <= clipped[:, None] + 1e-9).sum(axis=0)
    around_real = (among <= clipped[:, None] + 1e-9).sum(axis=0) - 1
    coverage = np.minimum((to_fake < radii[:, None]).sum(axis=1) / k, 1).mean()
    return min(1.0, density(around_fake) / density(around_real)), float(coverage)


@pytest.mark.parametrize(("n", "m", "k"), [(150, 150, 5), (1203, 400, 3), (90, 200, 5)])
def test_both_figures_by_loops(n: int, m: int, k: int):
    real, fake = points(n, seed=1), points(m, seed=2, shift=0.5, spread=0.8)
    found = clipped_density_coverage(real, fake, k=k)
    density, coverage = by_loops(real, fake, k)
    assert found["clipped_density"] == pytest.approx(density, abs=2e-3)
    expected = expected_coverage(n, m, k).numpy()
    assert found["clipped_coverage"] == pytest.approx((expected < coverage).sum() / (m + 1), abs=0.02)


def test_the_expected_coverage_is_that_of_samples():
    """Points on a line: the mass of a ball up to its k-th neighbour is beta-distributed whatever the dimension."""
    rng = np.random.default_rng(0)
    n, m, k = 30, 20, 3
    seen = []
    for _ in range(2000):
        real, fake = rng.random(n), rng.random(m)
        distances = np.abs(real[0] - real[1:])
        radius = np.sort(distances)[k - 1]
        seen.append(min(int((np.abs(fake - real[0]) < radius).sum()), k) / k)
    expected = expected_coverage(n, m, k)
    assert float(expected[m]) == pytest.approx(np.mean(seen), abs=4 * np.std(seen) / 2000**0.5)
    assert expected[:k].tolist() == [0.0] * k
    assert bool((expected.diff() >= 0).all())


def test_samples_of_the_real_distribution_have_figures_near_1():
    found = clipped_density_coverage(points(1000, seed=1), points(1000, seed=2))
    assert found["clipped_density"] == pytest.approx(1, abs=0.08)
    assert found["clipped_coverage"] == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("bad", [0.25, 0.5, 0.75])
def test_both_fall_in_proportion_to_bad_samples(bad: float):
    real, fake = points(1000, seed=1), points(1000, seed=2)
    fake[: int(bad * 1000)] += 50
    found = clipped_density_coverage(real, fake)
    assert found["clipped_density"] == pytest.approx(1 - bad, abs=0.08)
    assert found["clipped_coverage"] == pytest.approx(1 - bad, abs=0.08)


def test_an_outlier_among_real_images_does_not_make_bad_samples_good():
    """Samples far from all real images lie in the large ball of one outlier: Naeem's density counts them."""
    real, fake = points(400, seed=1), points(400, seed=2) + 20
    real[0] = 60
    found = clipped_density_coverage(real, fake)
    assert found["clipped_density"] == 0
    assert found["clipped_coverage"] < 0.02


def test_a_collapsed_set_has_low_coverage():
    found = clipped_density_coverage(points(500, seed=1), points(1, seed=3).repeat(500, 1))
    assert found["clipped_coverage"] < 0.1


def test_tiny_sets():
    found = clipped_density_coverage(points(2, seed=1), points(5, seed=2))
    assert set(found) == {"clipped_density", "clipped_coverage"}
    assert all(0 <= figure <= 1 for figure in found.values())
