"""The accuracy score and the two-sample test, on images of which it is known what can be learned."""

import numpy as np
import pytest
import torch

from tests.training.evaluation.full.test_small_cnn import halves
from training.evaluation.full.accuracy_score import Labelled, accuracy_score, misread
from training.evaluation.full.two_sample_test import ImageSet, two_sample_test


def test_labels_that_are_right_teach_and_wrong_ones_do_not():
    test = Labelled(*halves(200, seed=1))
    images, labels = halves(300, seed=0)
    right = accuracy_score(Labelled(images, labels), test, classes=2, steps=25)
    wrong = accuracy_score(Labelled(images, 1 - labels), test, classes=2, steps=25)
    assert right.accuracy > 0.95
    assert wrong.accuracy < 0.05


def test_misread_samples_come_in_the_order_of_certainty():
    images, labels = halves(300, seed=0)
    network = accuracy_score(Labelled(images, labels), Labelled(images, labels), classes=2, steps=25).network
    asked = labels.clone()
    asked[[5, 8]] = 1 - asked[[5, 8]]
    rows = misread(network, Labelled(images, asked))
    assert {5, 8} <= set(rows.tolist())
    assert len(rows) < 20
    assert misread(network, Labelled(images[:0], asked[:0])).tolist() == []


def test_unknown_classes_are_left_out():
    images, _ = halves(4, seed=0)
    known = Labelled(images, torch.tensor([0, -1, 1, -1])).known()
    assert known.labels.tolist() == [0, 1]
    assert torch.equal(known.images, images[[0, 2]])


def noise(n: int, *, seed: int, brightest: int = 256) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, brightest, (n, 1, 16, 16), dtype=np.uint8))


@pytest.mark.parametrize(("brightest", "low", "high"), [(256, 0.4, 0.6), (200, 0.95, 1.0)])
def test_two_samples(brightest: int, low: float, high: float):
    real = ImageSet(noise(200, seed=0), noise(200, seed=1))
    other = ImageSet(noise(200, seed=2, brightest=brightest), noise(150, seed=3, brightest=brightest))
    result = two_sample_test(real, other, steps=25)
    assert low <= result.accuracy <= high
    assert low <= result.auroc <= high
    assert result.probabilities.shape == (150,)


def test_images_are_not_remembered_but_tested_anew():
    """Both sets are noise. The network learns its training images by heart, which does not help with others."""
    real, other = noise(40, seed=0), noise(40, seed=1)
    result = two_sample_test(ImageSet(real, noise(300, seed=2)), ImageSet(other, noise(300, seed=3)), steps=60)
    assert result.accuracy == pytest.approx(0.5, abs=0.1)
