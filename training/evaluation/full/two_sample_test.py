"""The classifier two-sample test: can a network that is trained for it tell two sets of images apart?

Source: Lopez-Paz and Oquab 2017 (arXiv 1610.06545), section 3. Each set has a part to train on and a part to test on.
If both sets have one distribution, the accuracy on the second parts is 0.5, with the standard deviation 0.5/√n for n
tested images in all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from training.evaluation.full.small_cnn import probabilities, train_small_cnn
from training.evaluation.out_of_distribution import auroc

SEED = 1


@dataclass(frozen=True)
class ImageSet:
    """One of the two sets: the images to train on and those to test on, both [·, C, H, W] uint8."""

    training: torch.Tensor
    test: torch.Tensor


@dataclass(frozen=True)
class TwoSampleResult:
    """The result of a test.

    Attributes:
        accuracy: share (0–1) of the tested images whose set was recognised, the mean of both sets; 0.5 by guessing.
        auroc: chance that the network finds a tested image of the second set more like the second set than one of the
            first; 0.5 by guessing.
        probabilities: [n] float32, for each tested image of the second set the probability that it belongs there.
    """

    accuracy: float
    auroc: float
    probabilities: NDArray[np.float32]


def two_sample_test(
    real: ImageSet,
    other: ImageSet,
    *,
    steps: int | None = None,
    say: Callable[[float], None] = lambda _done: None,
) -> TwoSampleResult:
    """Train a network to tell `other` from `real`, and test it on images that it was not trained on.

    Args:
        real: real images; the ones to test on are held out from G.
        other: the set in question: generated images or, for comparison, other real ones.
        steps: the number of training steps; None: as many as `training_steps` says.
        say: is told the share of the work that is done, from 0 to 1.
    """
    images = torch.cat([real.training, other.training])
    labels = torch.cat([torch.zeros(len(real.training)), torch.ones(len(other.training))]).long()
    network = train_small_cnn(images, labels, classes=2, seed=SEED, steps=steps, say=say)
    of_real, of_other = (probabilities(network, part.test)[:, 1].numpy() for part in (real, other))
    accuracy = (float((of_real <= 0.5).mean()) + float((of_other > 0.5).mean())) / 2
    return TwoSampleResult(accuracy, auroc(of_other, of_real), of_other)
