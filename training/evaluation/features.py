"""Features in which sets of pictures are compared: a digit classifier's, wavelet energies, or a network's.

Figures in different features cannot be compared. So each set of features has a name, which stands beside its figures,
and figures of its own (`Extractor.figures`), from which `name_of` gives the name of the features of stored figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch.nn import functional

from models.images import to_float
from training.evaluation.classifier import load_classifier
from training.evaluation.wavelets import NAME, wavelet_features

DIGIT_FEATURES = "digit classifier's features"
CLASSIFIER_ACCURACY = "own_classifier_accuracy"
"""The figure of features of a data set's own classifier: its accuracy (0–1) on held-out images."""

SELF_SUPERVISED_ACCURACY = "self_supervised_accuracy"
"""The figure of self-supervised features: the accuracy (0–1) of their network's task on held-out images."""

DINOV2_FEATURES = "dinov2_features"
"""The figure of DINOv2's features: their number."""

_BLOCK = 500  # images per pass


@dataclass(frozen=True)
class Features:
    """The features of N pictures.

    Attributes:
        values: [N, F] float32, F features of each picture.
        labels: [N] int64, the digit that the classifier recognises, or 100·red + 10·green + blue of a stacked image;
            None if the pictures are not digits.
    """

    values: torch.Tensor
    labels: torch.Tensor | None


class Extractor(Protocol):
    """Computes features of one kind.

    Attributes:
        figures: the figures that belong to the features themselves, by name; {} for those that need none. They are kept
            with the figures that depend on the features.
    """

    @property
    def figures(self) -> Mapping[str, float]: ...

    def extract(self, images: torch.Tensor) -> Features:
        """Extract the features of pictures [N, C, H, W] uint8."""
        ...


@dataclass(frozen=True)
class BuiltIn:
    """The features that need no training: the digit classifier's for digits, wavelet energies for other pictures.

    Attributes:
        digits: the number of channels of a picture that hold a digit; see `extract`.
    """

    digits: int
    figures: Mapping[str, float] = field(default_factory=dict)

    def extract(self, images: torch.Tensor) -> Features:
        """Extract the features of pictures [N, C, H, W] uint8; see the function `extract`."""
        return extract(images, digits=self.digits)


def name_of(figures: Mapping[str, float], *, digits: int = 0) -> str:
    """Return the name of the features in which figures were computed; it stands beside each figure.

    Args:
        figures: the figures of an evaluation, or those of an `Extractor`.
        digits: the number of channels of a picture that hold a digit; 0 for other pictures.
    """
    if CLASSIFIER_ACCURACY in figures:
        return f"own classifier, accuracy {figures[CLASSIFIER_ACCURACY]:.3f}"
    if SELF_SUPERVISED_ACCURACY in figures:
        return f"self-supervised, accuracy {figures[SELF_SUPERVISED_ACCURACY]:.3f}"
    if DINOV2_FEATURES in figures:
        return f"DINOv2, {figures[DINOV2_FEATURES]:.0f} features"
    return DIGIT_FEATURES if digits else NAME


def explain(figures: Mapping[str, float]) -> str:
    """Return a sentence about the network in whose features figures were computed; "" for the built-in features."""
    if CLASSIFIER_ACCURACY in figures:
        return (
            "The features are those of a small classifier that was trained on the classes of the training images. It "
            f"names the class of {figures[CLASSIFIER_ACCURACY]:.1%} of the held-out images correctly. Do not compare "
            "these figures with figures in other features."
        )
    if SELF_SUPERVISED_ACCURACY in figures:
        return (
            "The features are those of a small network that was trained on the training images without labels. It "
            f"does its task for {figures[SELF_SUPERVISED_ACCURACY]:.1%} of the held-out images correctly. Do not "
            "compare these figures with figures in other features."
        )
    if DINOV2_FEATURES in figures:
        return (
            "The features are those of a DINOv2, so the Fréchet distance is FD-DINOv2 (arXiv 2306.04675). Do not "
            "compare these figures with figures in other features."
        )
    return ""


@torch.no_grad()
def extract(images: torch.Tensor, *, digits: int) -> Features:
    """Extract the features of pictures [N, C, H, W] uint8.

    Args:
        images: the pictures; digits are resized to the 28 × 28 pixels that the classifier takes.
        digits: the number of channels of a picture that hold a digit: 1 for MNIST, 3 for stacked MNIST, 0 for other
            pictures (`training.evaluation.wavelets`).

    Raises:
        DataError: the classifier's file is missing or damaged.
    """
    if not digits:
        return Features(torch.cat([wavelet_features(block.float() / 255) for block in cut(images)]), None)
    classifier = load_classifier()
    values, labels = [], []
    for block in cut(images):
        planes = to_float(block.flatten(0, 1)[:, None])
        if planes.shape[-1] != 28:
            planes = functional.interpolate(planes, size=28, mode="bilinear", antialias=True)
        features = classifier.features(planes)
        read = classifier.head(features).argmax(dim=1).reshape(-1, digits)
        values.append(features.reshape(len(block), -1))
        labels.append((read * 10 ** torch.arange(digits - 1, -1, -1)).sum(dim=1))
    return Features(torch.cat(values), torch.cat(labels))


def cut(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Cut pictures [N, C, H, W] into the blocks that a network takes at once."""
    blocks: tuple[torch.Tensor, ...] = torch.split(images, _BLOCK)
    return blocks
