"""Features in which sets of pictures are compared: a digit classifier's, or wavelet energies for other pictures."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from models.images import to_float
from training.evaluation.classifier import load_classifier
from training.evaluation.wavelets import NAME, wavelet_features

DIGIT_FEATURES = "digit classifier's features"
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


def features_name(*, digits: int) -> str:
    """Return the name of the features that `extract` computes; it stands beside each figure that depends on them."""
    return DIGIT_FEATURES if digits else NAME


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
        return Features(torch.cat([wavelet_features(block.float() / 255) for block in _cut(images)]), None)
    classifier = load_classifier()
    values, labels = [], []
    for block in _cut(images):
        planes = to_float(block.flatten(0, 1)[:, None])
        if planes.shape[-1] != 28:
            planes = functional.interpolate(planes, size=28, mode="bilinear", antialias=True)
        features = classifier.features(planes)
        read = classifier.head(features).argmax(dim=1).reshape(-1, digits)
        values.append(features.reshape(len(block), -1))
        labels.append((read * 10 ** torch.arange(digits - 1, -1, -1)).sum(dim=1))
    return Features(torch.cat(values), torch.cat(labels))


def _cut(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    blocks: tuple[torch.Tensor, ...] = torch.split(images, _BLOCK)
    return blocks
