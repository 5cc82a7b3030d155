"""The classifier in whose features sets of pictures are compared, and the one of digits that is shipped.

Inception's features are made for photographs and say little about digits, so a network that recognises digits replaces
it. It is trained by `python -m training classifier` on MNIST's training images and shipped as `classifier.safetensors`.
"""

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn
from torch.nn import functional

from models.files import write_atomically
from models.images import to_float
from training.errors import DataError
from training.gan.ema import EMA

WEIGHTS_FILE = Path(__file__).with_name("classifier.safetensors")
FEATURES = 128

_MOST_PLACES = 20
"""The most places along a side, after convolutions of stride 2, that the layers after them take."""

_BATCH = 128
_BLOCK = 1000  # images per pass without gradients
_LEARNING_RATE = 2e-3
_EMA_HALFLIFE_IMAGES = 30_000.0
_ROTATION_RAD, _SCALE, _SHEAR, _SHIFT_PX = math.radians(12), 0.12, 0.15, 2.5  # the largest of each, in both directions


class ImageClassifier(nn.Module):
    """A network of three convolutions and a layer of features: [N, C, S, S] float32 in [−1, 1] → logits [N, K].

    Above 40 pixels, more convolutions of stride 2 stand before the others, so that the layers after them see about as
    many places as they do of 28 × 28 pixels.

    Args:
        channels: C, the channels of an image.
        side: S, the height and width of an image in pixels, at least 16.
        classes: K, the number of classes.
    """

    def __init__(self, *, channels: int = 1, side: int = 28, classes: int = 10) -> None:
        super().__init__()
        halved = (side + 1) // 2  # 28 → 14
        first: list[nn.Module] = [
            nn.Conv2d(channels, 32, kernel_size=5, stride=2, padding=2, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
        ]
        while halved > _MOST_PLACES:
            first += [nn.Conv2d(32, 32, kernel_size=3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU()]
            halved = (halved + 1) // 2
        self.body = nn.Sequential(
            *first,
            nn.Conv2d(32, 64, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 14 → 7
            nn.Conv2d(64, 128, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 7 → 3
            nn.Flatten(),
            nn.Linear(128 * (halved // 2 // 2) ** 2, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Compute features: [N, C, S, S] float32 in [−1, 1] → [N, 128], not negative."""
        features: torch.Tensor = self.body(images)
        return features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(images))
        return logits


@cache
def load_classifier(path: Path = WEIGHTS_FILE) -> ImageClassifier:
    """Load the shipped classifier, in evaluation mode.

    Raises:
        DataError: the file is missing or damaged.
    """
    classifier = ImageClassifier()
    try:
        classifier.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise DataError(
            f"{path} cannot be read ({error}): restore it with `git checkout`, or train it again with "
            "`python -m training classifier`"
        ) from error
    return classifier.eval().requires_grad_(requires_grad=False)


def train_classifier(
    images: torch.Tensor, labels: torch.Tensor, *, epochs: int, seed: int, say: Callable[[str], None]
) -> ImageClassifier:
    """Train a classifier on digits [N, 1, 28, 28] uint8 with labels [N] int64, and return it with averaged weights.

    The loss is the cross-entropy. Adam's learning rate rises and falls once. Every image is shifted, rotated, sheared
    and scaled a little each time it is used. The same arguments give the same weights on one machine.
    """
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # PyTorch draws initial weights from global state only
        classifier = ImageClassifier()
    average = EMA(classifier, halflife_images=_EMA_HALFLIFE_IMAGES)
    optimiser = torch.optim.Adam(classifier.parameters(), fused=True)
    steps = len(images) // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, epochs=epochs, steps_per_epoch=steps)
    for epoch in range(epochs):
        losses = 0.0
        order = torch.randperm(len(images), generator=rng)
        for step in range(steps):
            batch = order[step * _BATCH : (step + 1) * _BATCH]
            pictures = distort(to_float(images[batch]), rng=rng)
            loss = functional.cross_entropy(classifier(pictures), labels[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            average.update(classifier, batch_images=_BATCH, images_seen=(epoch * steps + step + 1) * _BATCH)
            losses += float(loss.detach())
        say(f"epoch {epoch + 1}/{epochs}  loss {losses / steps:.4f}")
    return average.network


def distort(images: torch.Tensor, *, rng: torch.Generator) -> torch.Tensor:
    """Rotate, shear, scale and shift each image of [N, C, H, W] float32 in [−1, 1] at random; new pixels are −1."""
    n = len(images)

    def either_way(largest: float) -> torch.Tensor:
        return (torch.rand(n, generator=rng) * 2 - 1) * largest

    angle, shear = either_way(_ROTATION_RAD), either_way(_SHEAR)
    width, height = 1 + either_way(_SCALE), 1 + either_way(_SCALE)
    shift = 2 * _SHIFT_PX / images.shape[-1]  # affine_grid's unit is half a side
    maps = torch.stack(
        [
            torch.stack([angle.cos() * width, (shear - angle.sin()) * width, either_way(shift)], dim=1),
            torch.stack([angle.sin() * height, angle.cos() * height, either_way(shift)], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    return functional.grid_sample(images + 1, grid, align_corners=False) - 1


@torch.no_grad()
def accuracy(classifier: ImageClassifier, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share (0–1) of digits [N, 1, 28, 28] uint8 that the classifier assigns to their label [N]."""
    right = 0
    for start in range(0, len(images), _BLOCK):
        logits = classifier(to_float(images[start : start + _BLOCK]))
        right += int((logits.argmax(dim=1) == labels[start : start + _BLOCK]).sum())
    return right / len(images)


def write_classifier(path: Path, classifier: ImageClassifier, *, test_accuracy: float, seed: int, epochs: int) -> None:
    """Write the weights, and facts about their training, to a safetensors file.

    Raises:
        OSError: the disk is full or cannot be written.
    """
    facts = {"test_accuracy": str(test_accuracy), "seed": str(seed), "epochs": str(epochs)}
    write_atomically(path, save({name: t.contiguous() for name, t in classifier.state_dict().items()}, facts))
