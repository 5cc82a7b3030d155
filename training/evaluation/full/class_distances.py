"""A Fréchet distance for each class: the distance of all classes together can hide that one of them is drawn badly."""

import torch

from training.evaluation.metrics import frechet_distance

MIN_IMAGES = 2
"""A class with fewer images in a set has no covariance, and its distance is left out."""


def class_distances(
    real: torch.Tensor, real_labels: torch.Tensor, fake: torch.Tensor, fake_labels: torch.Tensor, *, classes: int
) -> dict[int, float]:
    """Return the Fréchet distance of each class that has at least two images in both sets, by the class's number.

    A distance depends on the number of images: with fewer, it is larger. Compare only distances of classes that have
    about as many images.

    Args:
        real: features of real images, [N, F] float32.
        real_labels: their classes, [N] int64.
        fake: features of samples, [M, F] float32.
        fake_labels: their classes, [M] int64.
        classes: the number of classes.
    """
    pairs = ((label, real[real_labels == label], fake[fake_labels == label]) for label in range(classes))
    return {
        label: frechet_distance(of_real, of_fake)
        for label, of_real, of_fake in pairs
        if min(len(of_real), len(of_fake)) >= MIN_IMAGES
    }


def name_distances(distances: dict[int, float], *, suffix: str) -> dict[str, float]:
    """Return the distances as figures: each class's, their mean, and the largest.

    Names are `class_frechet_0` …, `class_frechet_mean` and `class_frechet_worst`, each with the suffix.
    """
    if not distances:
        return {}
    each = {f"class_frechet_{label}{suffix}": distance for label, distance in distances.items()}
    mean = sum(distances.values()) / len(distances)
    return each | {
        f"class_frechet_mean{suffix}": mean,
        f"class_frechet_worst{suffix}": max(distances.values()),
    }
