"""Stacked MNIST: three digits in each image, and always the same draws."""

import numpy as np
import pytest
import torch

from training.data import stacked_mnist as module
from training.data.dataset import load_dataset
from training.data.mnist import read_mnist
from training.data.stacked_mnist import read_stacked_mnist
from training.evaluation.features import extract

FIRST_ROWS = {
    "train": [[8137, 844, 56263], [15466, 23186, 28293], [37033, 5485, 9973]],
    "held out": [[4209, 668, 1737], [790, 73, 57], [6795, 8065, 4558]],
}
"""The rows of the digits in the first three images of each set."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make fewer images, to save 300 MB; the first ones stay the same, because rows are drawn one after another."""
    monkeypatch.setattr(module, "TRAIN_IMAGES", 300)
    monkeypatch.setattr(module, "HELD_OUT_IMAGES", 40)


def test_the_sizes_of_the_papers():
    assert (module.TRAIN_IMAGES, module.HELD_OUT_IMAGES) == (128_000, 10_000)


@pytest.mark.usefixtures("few")
def test_the_draws_are_fixed():
    for images, digits, rows in zip(read_stacked_mnist(), read_mnist(), FIRST_ROWS.values(), strict=True):
        assert images.dtype == np.uint8
        for image, of_image in zip(images, rows, strict=False):
            for channel, row in enumerate(of_image):
                assert (image[:, :, channel] == digits[row]).all()
    again = read_stacked_mnist()
    assert all((a == b).all() for a, b in zip(read_stacked_mnist(), again, strict=True))


def test_more_images_begin_with_the_same_ones(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "HELD_OUT_IMAGES", 10)
    monkeypatch.setattr(module, "TRAIN_IMAGES", 50)
    few = read_stacked_mnist()[0]
    monkeypatch.setattr(module, "TRAIN_IMAGES", 2000)
    assert (read_stacked_mnist()[0][:50] == few).all()


@pytest.mark.usefixtures("few")
def test_as_a_data_set():
    data = load_dataset("stacked-mnist")
    assert (data.name, data.digits, data.labels, data.classes) == ("stacked-mnist", 3, None, 0)
    assert (data.shape.channels, data.shape.height, data.shape.width) == (3, 28, 28)
    assert data.images.shape == (300, 3, 28, 28)
    assert data.held_out.shape == (40, 3, 28, 28)
    assert data.images.dtype == torch.uint8
    resized = load_dataset("stacked-mnist", side=16)
    assert resized.images.shape == (300, 3, 16, 16)
    modes = extract(data.images, digits=data.digits).labels
    assert modes is not None
    assert len(set(modes.tolist())) > 240  # 300 draws from 1,000 modes hit 259 modes on average
