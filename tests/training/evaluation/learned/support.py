"""Tiny labelled data for the tests of learned features."""

from typing import Literal

import numpy as np
import torch

from models.images import ImageShape
from training.data.dataset import Dataset


def labelled_images(
    n: int, *, classes: int = 3, side: int = 16, channels: Literal[1, 3] = 1, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images [n, C, side, side] uint8, sorted by class, and labels [n]: a class has its own row of light."""
    rng = np.random.default_rng(seed)
    labels = np.sort(np.arange(n) % classes)
    images = rng.integers(0, 80, (n, channels, side, side))
    height = side // classes
    for image, label in zip(images, labels, strict=True):
        image[:, label * height : (label + 1) * height] += 150
    return torch.from_numpy(images.astype(np.uint8)), torch.from_numpy(labels)


def labelled_dataset(n: int = 60, **kinds: int) -> Dataset:
    """Return n training images and 30 held-out ones of `labelled_images`."""
    classes, side = kinds.get("classes", 3), kinds.get("side", 16)
    channels: Literal[1, 3] = 3 if kinds.get("channels") == 3 else 1
    images, labels = labelled_images(n, classes=classes, side=side, channels=channels)
    held_out, held_out_labels = labelled_images(30, classes=classes, side=side, channels=channels, seed=1)
    shape = ImageShape(channels=channels, height=side, width=side)
    names = tuple(f"class {number}" for number in range(classes))
    return Dataset("d", images, held_out, shape, labels, class_names=names, held_out_labels=held_out_labels)
