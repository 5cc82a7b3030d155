"""A small convolutional network that is trained on images and labels, for figures that ask what can be learned.

It is trained anew for each figure, on one thread and with a fixed seed: the same images give the same network,
whatever number of threads PyTorch has.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from models.images import to_float
from models.inference.tiles import one_thread

PASSES = 3
MIN_STEPS = 200
"""The fewest training steps; few images are passed over more often."""

BATCH = 128
_LEARNING_RATE = 3e-3
_SLOPE = 0.1
"""The slope of LeakyReLU for negative inputs. With ReLU the hidden units died where two sets are hard to tell apart,
and the two-sample test said 0.5 for samples that this network recognises."""

_BLOCK = 1000  # images per pass without gradients


class SmallCNN(nn.Module):
    """Two convolutions and two linear layers: [N, C, S, S] float32 in [−1, 1] → logits [N, K] float32.

    The first convolution sees every pixel (its stride is 1), so that the network can notice artefacts of single pixels.

    Args:
        channels: C, the channels of an image.
        side: S, the height and width of an image in pixels.
        classes: K, the number of classes.
    """

    def __init__(self, *, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 16, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.LeakyReLU(_SLOPE),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.LeakyReLU(_SLOPE),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * (side // 4) ** 2, 128),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(128, classes),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(images)
        return logits


def training_steps(n: int) -> int:
    """Return the number of steps that a training on n images takes: three passes, at least 200 steps."""
    return max(MIN_STEPS, PASSES * n // BATCH)


def train_small_cnn(
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    classes: int,
    seed: int,
    steps: int | None = None,
    say: Callable[[float], None] = lambda _done: None,
) -> SmallCNN:
    """Train a network on images [N, C, S, S] uint8 with labels [N] int64, and return it in evaluation mode.

    The loss is the cross-entropy. Adam's learning rate rises and falls once.

    Args:
        images: the images.
        labels: the class of each image, 0 to `classes` − 1.
        classes: the number of classes.
        seed: the seed of the first weights and of the order of the images.
        steps: the number of steps; None: `training_steps`.
        say: is told the share of the work that is done, from 0 to 1.
    """
    steps = training_steps(len(images)) if steps is None else steps
    rng = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # PyTorch draws initial weights from global state only
        network = SmallCNN(channels=images.shape[1], side=images.shape[-1], classes=classes)
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps)
    order = torch.empty(0, dtype=torch.int64)
    with one_thread():
        for step in range(steps):
            if len(order) < BATCH:
                order = torch.cat([order, torch.randperm(len(images), generator=rng)])
            batch, order = order[:BATCH], order[BATCH:]
            loss = functional.cross_entropy(network(to_float(images[batch])), labels[batch])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            say((step + 1) / steps)
    return network.eval().requires_grad_(requires_grad=False)


@torch.no_grad()
def probabilities(network: SmallCNN, images: torch.Tensor) -> torch.Tensor:
    """Return the probability that the network gives to each class: [N, C, S, S] uint8 → [N, K] float32."""
    with one_thread():
        blocks: tuple[torch.Tensor, ...] = torch.split(images, _BLOCK)
        return torch.cat([network(to_float(block)).softmax(dim=1) for block in blocks])
