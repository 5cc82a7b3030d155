"""The training of a network for features: how long it is, and its loop.

The same images, arguments and number of threads give the same network on one machine.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import nn

from models.images import to_float
from training.errors import NotFiniteError
from training.evaluation.classifier import ImageClassifier
from training.evaluation.progress import EvaluationProgress
from training.gan.ema import EMA

LossOfBatch: TypeAlias = Callable[[torch.Tensor, torch.Tensor, torch.Generator], torch.Tensor]
"""Computes the loss of a batch: images [B, C, S, S] float32 in [−1, 1], their rows [B] int64, and the source of random
numbers."""

BATCH = 128
MOST_IMAGES = 150_000
"""Training ends after this many images of 32 × 32 pixels, or fewer larger ones that take as long."""

MOST_PASSES = 15
MIN_STEPS = 300
"""The fewest training steps; few images are passed over more often."""

SEED = 0
_LEARNING_RATE = 2e-3
_EMA_HALFLIFE_IMAGES = 15_000.0


def training_steps(images: int, *, side: int) -> int:
    """Return the number of training steps for so many images of `side` × `side` pixels."""
    most = min(MOST_PASSES * images, int(MOST_IMAGES / relative_cost(side)))
    return max(MIN_STEPS, most // BATCH)


def relative_cost(side: int) -> float:
    """Return about how much longer a step takes with images of this side than with 32 pixels.

    It is an estimate from the number of places that the later layers see, and of pixels; it was not measured.
    """
    places = (side + 1) // 2
    while places > 20:
        places = (places + 1) // 2
    return 0.8 * (places / 16) ** 2 + 0.2 * (side / 32) ** 2


def make_network(*, channels: int, side: int, classes: int) -> ImageClassifier:
    """Return a network with initial weights of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)  # PyTorch draws initial weights from global state only
        return ImageClassifier(channels=channels, side=side, classes=classes)


def learn(
    network: ImageClassifier,
    more: nn.Module,
    images: torch.Tensor,
    loss_of: LossOfBatch,
    *,
    steps: int,
    task: str,
    say: Callable[[str], None] | None,
) -> ImageClassifier:
    """Train a network, and return it with averaged weights, in evaluation mode.

    Adam's learning rate rises and falls once. A batch comes from a random order of all images, so that images may be
    sorted in any way.

    Args:
        network: the network.
        more: other layers that the loss needs and that are trained with it.
        images: [N, C, S, S] uint8.
        loss_of: the loss of a batch.
        steps: the number of steps.
        task: what the network learns, for the lines about the progress and for an error.
        say: is given these lines; None: nothing is said.

    Raises:
        NotFiniteError: the loss is NaN or infinite.
    """
    rng = torch.Generator().manual_seed(SEED)
    progress = EvaluationProgress({task: 1.0}, say=say, title="features")
    average = EMA(network, halflife_images=_EMA_HALFLIFE_IMAGES)
    optimiser = torch.optim.Adam([*network.parameters(), *more.parameters()], fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps)
    batch_images = min(BATCH, len(images))
    order = torch.empty(0, dtype=torch.int64)
    progress.begin(task)
    for step in range(steps):
        if len(order) < batch_images:
            order = torch.cat([order, torch.randperm(len(images), generator=rng)])
        rows, order = order[:batch_images], order[batch_images:]
        loss = loss_of(to_float(images[rows]), rows, rng)
        if not math.isfinite(float(loss.detach())):
            raise NotFiniteError(
                f"features: {task}: the loss is {float(loss.detach())} at step {step + 1:,} of {steps:,}: use "
                "`--features wavelets`, which needs no training"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        average.update(network, batch_images=batch_images, images_seen=(step + 1) * batch_images)
        progress.advance((step + 1) / steps)
    return average.network


def shift(images: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Shift each image of [N, C, S, S] by up to an eighth of its side; what comes into view mirrors the image."""
    n, channels, side, _ = images.shape
    most = max(1, side // 8)
    padded = nn.functional.pad(images, (most,) * 4, mode="reflect")
    first = torch.randint(0, 2 * most + 1, (2, n, 1), generator=rng)
    rows, columns = first + torch.arange(side)
    return padded[
        torch.arange(n)[:, None, None, None],
        torch.arange(channels)[:, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
