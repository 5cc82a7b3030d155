"""The tests for copies, on digits: each finds a planted copier, and is not moved by real, blurred or noisy images."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from models.images import channels_first
from training.data.mnist import read_mnist
from training.evaluation.full.copies import SEED, Copies, find_copies, fisher_p

TRAINED, SAMPLES = 3000, 600


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return images that G was trained on, held-out images, and other real images in place of samples."""
    images = channels_first(read_mnist()[0][np.random.default_rng(0).permutation(60_000)])
    return images[:TRAINED], images[TRAINED : TRAINED + 1000], images[5000 : 5000 + SAMPLES].clone()


def checked(trained: torch.Tensor) -> torch.Tensor:
    """Return the rows of the training images that are not control, in order."""
    order = torch.randperm(len(trained), generator=torch.Generator().manual_seed(SEED))
    return order[len(trained) // 10 :].sort().values


def noisy(images: torch.Tensor, *, deviation: float) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=rng) * deviation
    return (images + noise).round().clamp(0, 255).to(torch.uint8)


def blurred(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(images.float(), 3, stride=1, padding=1).to(torch.uint8)


TESTS = ("copy", "copy_likelihood")


def seen(copies: Copies, test: str) -> tuple[float, float]:
    return copies.figures[f"{test}_share"], copies.figures[f"{test}_p"]


@pytest.mark.parametrize("deviation", [0.0, 8.0, 16.0, 32.0, 48.0])
@pytest.mark.parametrize("test", TESTS)
def test_a_copier_of_a_tenth_is_found(digits: tuple[torch.Tensor, ...], test: str, deviation: float):
    trained, held_out, samples = digits
    planted = samples.clone()
    copied = checked(trained)[:60]
    planted[:60] = noisy(trained[copied], deviation=deviation)
    copies = find_copies(planted, trained, held_out)
    share, p = seen(copies, test)
    assert 0.06 < share < 0.12
    assert p < 1e-3
    assert copies.nearest.rows[:60].tolist() == copied.tolist()


@pytest.mark.parametrize("deviation", [0.0, 8.0])
def test_copies_with_small_noise_have_the_smallest_ratios(digits: tuple[torch.Tensor, ...], deviation: float):
    """With more noise a thin digit that has near neighbours is no longer among them: noise 16 already moves one."""
    trained, held_out, samples = digits
    planted = samples.clone()
    planted[:60] = noisy(trained[checked(trained)[:60]], deviation=deviation)
    copies = find_copies(planted, trained, held_out)
    assert set(copies.ratios.argsort()[:60].tolist()) == set(range(60))


def test_only_the_likelihood_ratio_finds_copies_with_much_noise(digits: tuple[torch.Tensor, ...]):
    trained, held_out, samples = digits
    planted = samples.clone()
    planted[:60] = noisy(trained[checked(trained)[:60]], deviation=64)
    copies = find_copies(planted, trained, held_out)
    assert seen(copies, "copy")[1] > 0.1
    assert seen(copies, "copy_likelihood")[1] < 1e-3


@pytest.mark.parametrize("change", ["none", "blurred", "noisy"])
@pytest.mark.parametrize("test", TESTS)
def test_images_that_are_no_copies_are_not_taken_for_copies(digits: tuple[torch.Tensor, ...], test: str, change: str):
    trained, held_out, samples = digits
    changed = {"none": samples, "blurred": blurred(samples), "noisy": noisy(samples, deviation=32)}[change]
    share, p = seen(find_copies(changed, trained, held_out), test)
    assert share < 0.04
    assert p > 0.01


def test_the_likelihood_ratio_is_that_of_gaussians(digits: tuple[torch.Tensor, ...]):
    """The samples above the threshold are those with the largest ratios of the two densities, in float64."""
    trained, held_out, samples = (images[:200] for images in digits)
    planted = samples.clone()
    rows = checked(trained)
    planted[:20] = noisy(trained[rows[:20]], deviation=8)
    copies = find_copies(planted, trained, held_out)

    def log_density(image: torch.Tensor, centres: torch.Tensor) -> float:
        squared = (centres.double() - image.double()).square().flatten(1).sum(dim=1)
        return float(torch.logsumexp(-squared / (2 * 8.0**2), dim=0)) - math.log(len(centres))

    def ratio(image: torch.Tensor) -> float:
        return log_density(image, trained[rows]) - log_density(image, held_out)

    control = torch.randperm(200, generator=torch.Generator().manual_seed(SEED))[:20]
    limits, others = (np.array([ratio(image) for image in trained[control[half::2]]]) for half in (0, 1))
    threshold = np.quantile(limits, 0.99)
    share = np.mean([ratio(image) > threshold for image in planted])
    assert copies.figures["copy_likelihood_share"] == pytest.approx(share)
    assert copies.figures["copy_likelihood_share_real"] == pytest.approx((others > threshold).mean())
    assert share > 0.05


def test_held_out_images_are_no_copies(digits: tuple[torch.Tensor, ...]):
    trained, held_out, _ = digits
    copies = find_copies(held_out[:300], trained, held_out)
    assert copies.figures["copy_share"] == 0  # their distance to themselves counts as one grey level
    assert copies.figures["copy_likelihood_share"] == 0
    assert copies.figures["copy_auroc"] < 0.01


def test_the_figures_are_those_of_the_ratios(digits: tuple[torch.Tensor, ...]):
    trained, held_out, samples = (images[:200] for images in digits)
    copies = find_copies(samples, trained, held_out)

    def nearest(image: torch.Tensor, others: torch.Tensor) -> float:
        return float((others.double() - image.double()).square().flatten(1).mean(dim=1).sqrt().min())

    def ratio(image: torch.Tensor) -> float:
        return nearest(image, trained[checked(trained)]) / nearest(image, held_out)

    assert copies.ratios.tolist() == pytest.approx([ratio(image) for image in samples], rel=1e-4)
    control = torch.randperm(200, generator=torch.Generator().manual_seed(SEED))[:20]
    limits, others = ([ratio(image) for image in trained[control[half::2]]] for half in (0, 1))
    threshold = np.quantile(limits, 0.01)
    assert copies.figures["copy_share"] == pytest.approx((copies.ratios.numpy() < threshold).mean())
    assert copies.figures["copy_share_real"] == pytest.approx(np.mean(np.array(others) < threshold))
    above = np.mean([[limit > other for limit in limits] for other in others])
    assert copies.figures["copy_auroc_real"] == pytest.approx(above)


@pytest.mark.parametrize(("hits", "n", "others", "other_n"), [(3, 10, 1, 12), (0, 5, 2, 5), (5, 5, 0, 5), (2, 9, 9, 9)])
def test_fishers_exact_test_in_fractions(hits: int, n: int, others: int, other_n: int):
    together, all_hits = n + other_n, hits + others
    ways = (math.comb(all_hits, x) * math.comb(together - all_hits, n - x) for x in range(hits, min(n, all_hits) + 1))
    assert fisher_p(hits, n, others, other_n) == pytest.approx(float(Fraction(sum(ways), math.comb(together, n))))


def test_few_images():
    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (25, 1, 16, 16), dtype=np.uint8))
    copies = find_copies(images[:5], images[5:23], images[23:])
    assert all(np.isfinite(list(copies.figures.values())))
