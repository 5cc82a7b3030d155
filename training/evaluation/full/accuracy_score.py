"""The classification accuracy score: how well generated images teach a classifier to read real ones.

Source: Ravuri and Vinyals 2019 (arXiv 1905.10887). They train a ResNet-50 on ImageNet; a small network replaces it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from training.evaluation.full.small_cnn import SmallCNN, probabilities, train_small_cnn

SEED = 0


@dataclass(frozen=True)
class Labelled:
    """Images and their classes.

    Attributes:
        images: [N, C, H, W] uint8.
        labels: [N] int64, the class of each image.
    """

    images: torch.Tensor
    labels: torch.Tensor

    def first(self, n: int) -> "Labelled":
        """Return the first n images."""
        return Labelled(self.images[:n], self.labels[:n])

    def take(self, rows: torch.Tensor) -> "Labelled":
        """Return the images of these rows [n] int64, in their order."""
        return Labelled(self.images[rows], self.labels[rows])

    def known(self) -> "Labelled":
        """Return the images whose label is not −1, the label of a class that is not in the training images."""
        return self.take((self.labels >= 0).nonzero()[:, 0])


@dataclass(frozen=True)
class AccuracyScore:
    """The result of a training: the accuracy (0–1) on the test images, and the network."""

    accuracy: float
    network: SmallCNN


def accuracy_score(
    training: Labelled,
    test: Labelled,
    *,
    classes: int,
    steps: int | None = None,
    say: Callable[[float], None] = lambda _done: None,
) -> AccuracyScore:
    """Train a classifier on `training`, and return the share of `test` that it reads correctly.

    For the score of a G, `training` are generated images with the classes that G was asked for; for the figure beside
    it, they are as many real images. `test` are held-out real images in both cases.

    Args:
        training: the images to train on.
        test: the images to read.
        classes: the number of classes.
        steps: the number of training steps; None: as many as `training_steps` says.
        say: is told the share of the work that is done, from 0 to 1.
    """
    network = train_small_cnn(training.images, training.labels, classes=classes, seed=SEED, steps=steps, say=say)
    read = probabilities(network, test.images).argmax(dim=1)
    return AccuracyScore(float((read == test.labels).double().mean()), network)


def misread(network: SmallCNN, drawn: Labelled) -> torch.Tensor:
    """Return the rows of the images that the network reads as another class, the surest mistakes first: [n] int64."""
    read = probabilities(network, drawn.images)
    wrong = read.argmax(dim=1) != drawn.labels
    surest = read.amax(dim=1).argsort(descending=True, stable=True)
    return surest[wrong[surest]]
