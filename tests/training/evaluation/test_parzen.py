"""The Parzen window, compared with brute force in float64."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training.support import tiny_images
from training.evaluation.parzen import SIGMAS, VALIDATION_IMAGES, estimate, log_likelihoods


def brute_force(centres: NDArray[np.float64], points: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return log p(x) from every Gaussian's density; the exponents are shifted by their maximum."""
    results = []
    for point in points:
        exponents = np.array([-((point - centre) ** 2).sum() / (2 * sigma**2) for centre in centres])
        top = exponents.max()
        mean = np.exp(exponents - top).mean()
        results.append(top + math.log(mean) - len(point) * math.log(sigma * math.sqrt(2 * math.pi)))
    return np.array(results)


def pixels(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return images.reshape(len(images), -1).astype(np.float64) / 255


def as_tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(images)[:, None]


def test_the_sigmas_of_the_papers_code():
    np.testing.assert_allclose(SIGMAS, np.logspace(-1, 0, 10), rtol=1e-12)
    assert VALIDATION_IMAGES == 1000


@pytest.mark.parametrize("sigma", [0.1, 0.2, 1.0])
@pytest.mark.parametrize("points", [1, 7, 503])  # one past a block of 500 as well
def test_log_likelihoods(sigma: float, points: int):
    centres = pixels(tiny_images(30, seed=1))
    tests = pixels(tiny_images(points, seed=2))
    seen = log_likelihoods(torch.from_numpy(centres).float(), torch.from_numpy(tests).float(), [sigma])
    assert seen.dtype == torch.float64
    assert seen.shape == (1, points)
    np.testing.assert_allclose(seen[0].numpy(), brute_force(centres, tests, sigma), rtol=2e-5, atol=2e-2)


def test_several_widths_at_once_are_each_as_if_alone():
    centres, tests = (torch.from_numpy(pixels(tiny_images(n, seed=n))).float() for n in (30, 503))
    together = log_likelihoods(centres, tests, SIGMAS)
    assert together.shape == (10, 503)
    for seen, sigma in zip(together, SIGMAS, strict=True):
        assert torch.equal(seen, log_likelihoods(centres, tests, [sigma])[0])


def test_one_standard_normal_in_one_dimension_is_its_density():
    seen = log_likelihoods(torch.zeros(1, 1), torch.tensor([[0.0], [1.0], [-2.0]]), [1.0])
    np.testing.assert_allclose(seen[0].numpy(), [-0.9189385, -1.4189385, -2.9189385], rtol=1e-6)


def test_an_image_at_a_centre_has_the_highest_density():
    centres = torch.from_numpy(pixels(tiny_images(30, seed=1))).float()
    at = log_likelihoods(centres, centres, [0.1])
    elsewhere = log_likelihoods(centres, centres + 0.05, [0.1])
    assert (at > elsewhere).all()


def test_estimate_takes_the_best_sigma_on_validation_and_reports_the_test():
    rng = np.random.default_rng(0)
    samples, validation, test = (rng.integers(0, 256, (n, 8, 8), dtype=np.uint8) for n in (40, 9, 21))
    means = {s: brute_force(pixels(samples), pixels(validation), s).mean() for s in np.logspace(-1, 0, 10)}
    sigma = max(means, key=lambda s: means[s])
    assert 0.1 < sigma < 1  # inside the grid: the choice is a real one
    wanted = brute_force(pixels(samples), pixels(test), sigma)
    seen = estimate(as_tensor(samples), as_tensor(validation), as_tensor(test))
    assert seen.sigma == pytest.approx(sigma)
    assert seen.mean == pytest.approx(wanted.mean(), rel=1e-4)
    assert seen.standard_error == pytest.approx(wanted.std() / math.sqrt(21), rel=1e-3)
