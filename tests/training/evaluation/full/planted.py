"""Sets of digits with a known fault, in place of G's samples."""

import numpy as np
import torch
from torch.nn import functional

from models.images import ImageShape, channels_first
from training.data.dataset import Dataset
from training.data.mnist import read_mnist, read_mnist_labels
from training.evaluation.full.accuracy_score import Labelled

TRAINED, HELD_OUT, SAMPLES = 2000, 600, 800


def digits() -> tuple[Dataset, Labelled]:
    """Return a small data set of digits, and other real digits: the samples of a perfect G."""
    order = np.random.default_rng(0).permutation(60_000)  # images of one writer follow each other
    images = channels_first(read_mnist()[0][order])
    labels = torch.from_numpy(read_mnist_labels()[0][order].astype("int64"))
    held_out, perfect = slice(TRAINED, TRAINED + HELD_OUT), slice(5000, 5000 + SAMPLES)
    data = Dataset(
        "digits",
        images[:TRAINED],
        images[held_out],
        ImageShape(height=28, width=28),
        labels[:TRAINED],
        digits=1,
        class_names=tuple("0123456789"),
        held_out_labels=labels[held_out],
    )
    return data, Labelled(images[perfect], labels[perfect])


def spoil(samples: Labelled, data: Dataset, fault: str) -> Labelled:
    """Return samples with a fault; `fault` is a name of the table in docs/quality.md, or "perfect"."""
    images, labels = samples.images, samples.labels
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=rng)

    def rounded(pixels: torch.Tensor) -> torch.Tensor:
        return pixels.round().clamp(0, 255).to(torch.uint8)

    if fault == "copier":
        copied = data.images[: len(images) // 10]
        copies = rounded(copied + 8 * noise[: len(copied)])
        return Labelled(torch.cat([copies, images[len(copies) :]]), labels)
    if fault == "one class":
        ones = images[labels == 1]
        return Labelled(ones[torch.arange(len(images)) % len(ones)], labels)
    if fault == "blurred":
        return Labelled(rounded(functional.avg_pool2d(images.float(), 3, stride=1, padding=1)), labels)
    if fault == "noisy":
        return Labelled(rounded(images + 32 * noise), labels)
    if fault == "shifted":
        return Labelled(images.roll(3, dims=3), labels)
    return samples
