"""The Fréchet distance of each class, compared with the formula on diagonal covariances."""

import pytest
import torch

from training.evaluation.full.class_distances import class_distances, name_distances


def test_each_class_has_its_own_distance():
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(600) % 3
    real = torch.randn(600, 2, generator=rng)
    fake = real.clone()
    fake[labels == 1] += torch.tensor([3.0, 4.0])  # the means are 5 apart, the covariances are equal
    found = class_distances(real, labels, fake, labels, classes=3)
    assert found == pytest.approx({0: 0, 1: 25, 2: 0}, abs=1e-3)


def test_a_class_that_is_not_drawn_has_no_distance():
    features, labels = torch.randn(8, 2), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    found = class_distances(features, labels, features[:7], labels[:7], classes=4)
    assert set(found) == {0, 1}


def test_a_class_of_the_test_set_alone_counts_for_none():
    features = torch.randn(6, 2)
    found = class_distances(features, torch.tensor([-1, -1, 0, 0, 0, 0]), features, torch.zeros(6).long(), classes=1)
    assert set(found) == {0}


def test_names():
    assert name_distances({0: 1.0, 2: 5.0}, suffix="_real") == {
        "class_frechet_0_real": 1.0,
        "class_frechet_2_real": 5.0,
        "class_frechet_mean_real": 3.0,
        "class_frechet_worst_real": 5.0,
    }
    assert name_distances({}, suffix="") == {}
