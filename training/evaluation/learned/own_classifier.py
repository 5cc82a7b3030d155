"""A classifier of a data set's own classes, whose features say what tells the images of the set apart."""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from models.images import to_float
from training.data.dataset import Dataset
from training.evaluation.classifier import ImageClassifier
from training.evaluation.features import cut
from training.evaluation.learned.learning import learn, make_network, shift, training_steps


def train_own_classifier(
    dataset: Dataset, *, steps: int | None = None, say: Callable[[str], None] | None = None
) -> tuple[ImageClassifier, float]:
    """Train a classifier on the training images, and return it with its accuracy (0–1) on the held-out images.

    The loss is the cross-entropy. Images are shifted a little each time they are used; they are not mirrored, because
    letters and signs would change their meaning.

    Args:
        dataset: the data set, with labels. If its held-out images have none, the last tenth of the training images is
            not trained on, and takes their place.
        steps: the number of training steps; None: `training_steps`.
        say: is given lines about the progress; None: nothing is said.

    Raises:
        ValueError: the data have no labels.
        NotFiniteError: the loss is NaN or infinite.
    """
    images, labels = dataset.images, dataset.labels
    if labels is None:
        raise ValueError(f"{dataset.name} has no labels")
    test, test_labels = dataset.held_out, dataset.held_out_labels
    if test_labels is None or not (test_labels >= 0).any():
        kept = len(images) - max(1, len(images) // 10)
        test, test_labels = images[kept:], labels[kept:]
        images, labels = images[:kept], labels[:kept]
    side = dataset.shape.height
    network = make_network(channels=dataset.shape.channels, side=side, classes=dataset.classes)

    def loss_of(batch: torch.Tensor, rows: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        return functional.cross_entropy(network(shift(batch, rng)), labels[rows])

    steps = training_steps(len(images), side=side) if steps is None else steps
    trained = learn(
        network, nn.Identity(), images, loss_of, steps=steps, task="a classifier learns the classes", say=say
    )
    return trained, accuracy(trained, test[test_labels >= 0], test_labels[test_labels >= 0])


@torch.no_grad()
def accuracy(network: ImageClassifier, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share (0–1) of images [N, C, S, S] uint8 that the network assigns to their label [N] int64."""
    read = torch.cat([network(to_float(block)).argmax(dim=1) for block in cut(images)])
    return float((read == labels).double().mean())
