"""A network that is trained without labels: it learns to find the other view of the same image among many.

Source: Chen et al. 2020, "A simple framework for contrastive learning of visual representations" (SimCLR), arXiv
2002.05709, with a small network, small batches and views that fit small images. docs/data.md says what it was compared
with.
"""

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from models.images import to_float
from training.data.dataset import Dataset
from training.evaluation.classifier import FEATURES, ImageClassifier
from training.evaluation.learned.learning import BATCH, SEED, learn, make_network, training_steps

PROJECTED = 128
"""The number of values, computed from the features, by which views are compared in training."""

TEMPERATURE = 0.2
SMALLEST_CUT = 0.5
"""A view shows at least this share of an image's side."""

_BRIGHTNESS, _CONTRAST, _COLOUR = 0.4, 0.4, 0.3  # the largest change of each, for images in [−1, 1]
_GREY = 0.2  # share of colour images that lose their colours


def train_self_supervised(
    dataset: Dataset, *, steps: int | None = None, say: Callable[[str], None] | None = None
) -> tuple[ImageClassifier, float]:
    """Train a network to find the other view of an image, and return it with its accuracy (0–1) on held-out images.

    Args:
        dataset: the data set; its labels are not used.
        steps: the number of training steps; None: half of `training_steps`, because a step sees each image twice.
        say: is given lines about the progress; None: nothing is said.

    Raises:
        NotFiniteError: the loss is NaN or infinite.
    """
    side = dataset.shape.height
    network = make_network(channels=dataset.shape.channels, side=side, classes=2)  # the logits are not used
    projector = _make_projector()

    def loss_of(batch: torch.Tensor, _rows: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        two = torch.cat([view(batch, rng), view(batch, rng)])
        return contrastive_loss(projector(network.features(two)))

    steps = max(1, training_steps(len(dataset.images), side=side) // 2) if steps is None else steps
    task = "a network learns to find the other view of an image"
    trained = learn(network, projector, dataset.images, loss_of, steps=steps, task=task, say=say)
    return trained, share_found(trained, dataset.held_out)


def _make_projector() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)  # PyTorch draws initial weights from global state only
        return nn.Sequential(
            nn.Linear(FEATURES, 2 * FEATURES),
            nn.BatchNorm1d(2 * FEATURES),
            nn.ReLU(),
            nn.Linear(2 * FEATURES, PROJECTED),
        )


def contrastive_loss(projected: torch.Tensor) -> torch.Tensor:
    """Return NT-Xent, the loss of SimCLR: [2N, P], where rows i and N + i are views of one image → scalar.

    Each row is a classification: which of the 2N − 1 other rows is the other view?
    """
    n = len(projected) // 2
    unit = functional.normalize(projected, dim=1)
    logits = (unit @ unit.T / TEMPERATURE).masked_fill(torch.eye(2 * n, dtype=torch.bool), -math.inf)
    return functional.cross_entropy(logits, torch.arange(2 * n).roll(n))


@torch.no_grad()
def share_found(network: ImageClassifier, images: torch.Tensor) -> float:
    """Return the share (0–1) of images [N, C, S, S] uint8 whose other view has the nearest features of up to 128."""
    rng = torch.Generator().manual_seed(SEED)
    found = 0
    for block in torch.split(images, BATCH):
        one, other = (network.features(view(to_float(block), rng)) for _ in range(2))
        likeness = functional.normalize(one, dim=1) @ functional.normalize(other, dim=1).T
        found += int((likeness.argmax(dim=1) == torch.arange(len(block))).sum())
    return found / len(images)


def view(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Return a random view of each image of [N, C, S, S] float32 in [−1, 1], of the same shape.

    It shows a part of the image, enlarged, and perhaps mirrored, with another brightness, contrast and colour.
    """
    n, channels = images.shape[:2]

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand((n, *shape), generator=rng)

    width, height = uniform(SMALLEST_CUT, 1), uniform(SMALLEST_CUT, 1)
    mirrored = torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0)
    nothing = torch.zeros(n)
    maps = torch.stack(
        [
            torch.stack([mirrored * width, nothing, uniform(-1, 1) * (1 - width)], dim=1),
            torch.stack([nothing, height, uniform(-1, 1) * (1 - height)], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(maps, list(images.shape), align_corners=False)
    images = functional.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    contrast, brightness = uniform(1 - _CONTRAST, 1 + _CONTRAST, 1, 1, 1), uniform(-_BRIGHTNESS, _BRIGHTNESS, 1, 1, 1)
    images = images * contrast + brightness
    if channels == 1:
        return images
    images = images + uniform(-_COLOUR, _COLOUR, channels, 1, 1)
    grey = torch.rand((n, 1, 1, 1), generator=rng) < _GREY
    return torch.where(grey, images.mean(dim=1, keepdim=True), images)
