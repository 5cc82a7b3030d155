"""Clusters of images, found without labels, which can take the place of labels in a conditional game.

A G that is told which kind of image to draw learns more easily than one that has to find the kinds itself (Liu et al.
2020, "Diverse image generation via self-conditioned GANs", arXiv 2006.10728, cluster D's features while the game goes
on). Here the clusters are found once, before the game, so that they are the same in every process and after `resume`.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.errors import RecipeError

COMPONENTS = 50
"""The number of principal components of the pixels in which images are compared, at most."""

ROUNDS = 100
"""The most rounds of k-means; it ends earlier if a round changes no image's cluster."""


def with_clusters(dataset: Dataset, clusters: int) -> Dataset:
    """Return the data with the cluster of each training image in the place of its label.

    Args:
        dataset: the images. Their labels are not used.
        clusters: K, at least 2.

    Returns:
        The same images with labels [N] int64, from 0 to K − 1, each of which at least one image has. They depend only
        on the images and K.

    Raises:
        RecipeError: there are fewer different images than clusters.
    """
    pixels = dataset.images.flatten(1).cpu().numpy()
    labels = k_means(principal_components(pixels, COMPONENTS), clusters)
    return replace(dataset, labels=torch.from_numpy(labels).to(dataset.images.device), class_names=())


def principal_components(pixels: NDArray[np.uint8], most: int) -> NDArray[np.float64]:
    """Return the coordinates of images [N, d] uint8 on their first principal components: [N, min(d, most)] float64."""
    values = pixels.astype(np.float64) / 255
    values -= values.mean(axis=0)
    _, axes = np.linalg.eigh(values.T @ values)  # in ascending order
    components: NDArray[np.float64] = values @ axes[:, ::-1][:, :most]
    return components


def k_means(points: NDArray[np.float64], clusters: int) -> NDArray[np.int64]:
    """Return the cluster of each point: [N, d] float64 → [N] int64, numbers 0 … K − 1, each of which occurs.

    Lloyd's algorithm, from the starting points of k-means++ (Arthur and Vassilvitskii 2007) with a fixed seed.

    Raises:
        RecipeError: there are fewer different points than clusters.
    """
    centres = _starting_centres(points, clusters)
    labels: NDArray[np.int64] = _squared_distances(points, centres).argmin(axis=1)
    for _ in range(ROUNDS):
        centres = _means(points, labels, centres)
        previous, labels = labels, _squared_distances(points, centres).argmin(axis=1)
        if (labels == previous).all():
            break
    return labels


def _starting_centres(points: NDArray[np.float64], clusters: int) -> NDArray[np.float64]:
    """Draw the first centre from all points alike, and each other one in proportion to its squared distance."""
    rng = np.random.default_rng(0)
    centres = points[[rng.integers(len(points))]]
    nearest = _squared_distances(points, centres)[:, 0]
    for _ in range(clusters - 1):
        total = nearest.sum()
        if total <= 0:
            raise RecipeError(
                f"clusters is {clusters}, but there are only {len(centres)} different images to train on: use `--set "
                f"clusters={len(centres) // 10}` or fewer"
            )
        chosen = points[[rng.choice(len(points), p=nearest / total)]]
        centres = np.concatenate([centres, chosen])
        nearest = np.minimum(nearest, _squared_distances(points, chosen)[:, 0])
    return centres


def _means(points: NDArray[np.float64], labels: NDArray[np.int64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each cluster's points; a cluster that has lost its points begins again, far from others."""
    counts = np.bincount(labels, minlength=len(centres))
    sums = np.stack([np.bincount(labels, weights=column, minlength=len(centres)) for column in points.T], axis=1)
    means: NDArray[np.float64] = sums / np.maximum(counts, 1)[:, None]
    (empty,) = np.nonzero(counts == 0)
    if len(empty):
        strayed = ((points - means[labels]) ** 2).sum(axis=1)
        means[empty] = points[np.argsort(-strayed, kind="stable")[: len(empty)]]
    return means


def _squared_distances(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ‖point − centre‖² for each pair: [N, d] and [K, d] → [N, K], at least 0."""
    products = points @ centres.T
    squared = (points**2).sum(axis=1)[:, None] - 2 * products + (centres**2).sum(axis=1)
    distances: NDArray[np.float64] = np.maximum(squared, 0)
    return distances
