"""Features in which sets of pictures are compared: those of a digit classifier, or pixels for other pictures."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from models.images import to_float
from training.evaluation.classifier import load_classifier

PIXELS_SIDE = 16
_BLOCK = 500  # images per pass


@dataclass(frozen=True)
class Features:
    """The features of N pictures.

    Attributes:
        values: [N, F] float32.
        labels: [N] int64, the digit that the classifier reads, or 100·red + 10·green + blue of a stacked image;
            None if the pictures are not digits.
    """

    values: torch.Tensor
    labels: torch.Tensor | None


@torch.no_grad()
def extract(images: torch.Tensor, *, digits: int) -> Features:
    """Extract the features of [N, C, H, W] uint8.

    Args:
        images: pictures; digits are resized to the 28 × 28 that the classifier reads.
        digits: the number of channels of a picture that hold a digit: 1 for MNIST, 3 for stacked MNIST, 0 for other
            pictures, whose features are their pixels at 16 × 16.

    Raises:
        DataError: the classifier's file is missing or damaged.
    """
    if not digits:
        blocks = [functional.interpolate(block.float() / 255, size=PIXELS_SIDE, mode="area") for block in _cut(images)]
        return Features(torch.cat(blocks).flatten(1), None)
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
