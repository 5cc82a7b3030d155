"""The warning about few images, on both sides of its limit."""

import pytest

from training.evaluation.few_images import FEW_IMAGES, warn_of_few_images


@pytest.mark.parametrize("n", [2, 20, FEW_IMAGES - 1])
def test_few(n: int):
    assert warn_of_few_images(n, which="held-out") == (
        f"there are only {n} held-out images to compare with: precision, recall, density, coverage and the distances "
        "are unreliable with fewer than 1,000, and can look perfect by chance"
    )


@pytest.mark.parametrize("n", [FEW_IMAGES, 10_000])
def test_enough(n: int):
    assert warn_of_few_images(n, which="held-out") is None
