"""A network that is trained without labels, for data that have none: it tells how an image has been turned.

Source: Gidaris et al. 2018, "Unsupervised representation learning by predicting image rotations", arXiv 1803.07728.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from training.data.dataset import Dataset
from training.evaluation.classifier import ImageClassifier
from training.evaluation.learned.learning import learn, make_network, shift, training_steps
from training.evaluation.learned.own_classifier import accuracy

TURNS = 4
"""An image is turned by 0, 90, 180 or 270 degrees; how far, is the class that the network learns."""


def train_self_supervised(
    dataset: Dataset, *, steps: int | None = None, say: Callable[[str], None] | None = None
) -> tuple[ImageClassifier, float]:
    """Train a network to tell the turns of images, and return it with its accuracy (0–1) on held-out images.

    Args:
        dataset: the data set; its labels are not used.
        steps: the number of training steps; None: `training_steps`.
        say: is given lines about the progress; None: nothing is said.

    Raises:
        NotFiniteError: the loss is NaN or infinite.
    """
    side = dataset.shape.height
    network = make_network(channels=dataset.shape.channels, side=side, classes=TURNS)

    def loss_of(batch: torch.Tensor, rows: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        turns = torch.randint(0, TURNS, (len(rows),), generator=rng)
        return functional.cross_entropy(network(turn(shift(batch, rng), turns)), turns)

    steps = training_steps(len(dataset.images), side=side) if steps is None else steps
    task = "a network learns how images have been turned"
    trained = learn(network, nn.Identity(), dataset.images, loss_of, steps=steps, task=task, say=say)
    turns = torch.arange(len(dataset.held_out)) % TURNS
    return trained, accuracy(trained, turn(dataset.held_out, turns), turns)


def turn(images: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Turn images [N, C, S, S] by as many quarters as `turns` [N] int64 says, 0 to 3, anticlockwise."""
    turned = images.clone()
    for quarters in range(1, TURNS):
        rows = turns == quarters
        turned[rows] = images[rows].rot90(quarters, (2, 3))
    return turned
