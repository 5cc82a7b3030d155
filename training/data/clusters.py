"""Clusters of images, found without labels, which can take the place of labels in a conditional game.

A G that is told which kind of image to draw learns more easily than one that has to find the kinds itself (Liu et al.
2020, "Diverse image generation via self-conditioned GANs", arXiv 2006.10728, cluster D's features while the game goes
on). Here the clusters are found once, before the game, so that they are the same in every process and after `resume`.
"""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import blake2b

import numpy as np
import torch
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.errors import RecipeError

COMPONENTS = 50
"""The number of principal components of the pixels in which images are compared, at most."""

ROUNDS = 100
"""The most rounds of k-means; it ends earlier if a round changes no image's cluster."""

_CHUNK = 10_000
"""The number of images that are converted to float64 at once."""

_EXACT = 1024
"""The most pixels (of all channels) for which the components are computed exactly; the time grows with their cube."""


def check_clusters(dataset: Dataset, clusters: int) -> None:
    """Check that clusters can be found.

    Raises:
        RecipeError: there are fewer different images than clusters.
    """
    different = len({blake2b(image.tobytes(), digest_size=16).digest() for image in dataset.images.cpu().numpy()})
    if different < clusters:
        fewer = f"{max(2, different // 10)} or another number up to {different}" if different > 1 else "0"
        raise RecipeError(
            f"clusters is {clusters}, but there are only {different} different images to train on: use `--set "
            f"clusters={fewer}`"
        )


def with_clusters(dataset: Dataset, clusters: int) -> Dataset:
    """Return the data with the cluster of each training image in the place of its label.

    Args:
        dataset: the images. Their labels are not used.
        clusters: K, at least 2.

    Returns:
        The same images with labels [N] int64, from 0 to K − 1. They depend only on the images and K. A held-out image
        gets the cluster whose mean is nearest.

    Raises:
        RecipeError: there are fewer different images than clusters.
    """
    check_clusters(dataset, clusters)
    pixels = dataset.images.flatten(1).cpu().numpy()
    labels = k_means(principal_components(pixels, COMPONENTS), clusters)
    names = tuple(map(str, range(clusters)))
    held_out_labels = torch.from_numpy(_nearest_mean(dataset.held_out.flatten(1).cpu().numpy(), pixels, labels))
    return replace(
        dataset,
        labels=torch.from_numpy(labels).to(dataset.images.device),
        class_names=names,
        held_out_labels=held_out_labels,
    )


def _nearest_mean(others: NDArray[np.uint8], pixels: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the cluster whose mean image is nearest to each of `others`, [M, d] uint8: [M] int64."""
    clusters = np.unique(labels)  # k-means may have left a cluster empty
    means = np.stack([pixels[labels == cluster].mean(axis=0, dtype=np.float64) for cluster in clusters])
    parts = [
        _squared_distances(others[first : first + _CHUNK].astype(np.float64), means)
        for first in range(0, len(others), _CHUNK)
    ]
    nearest: NDArray[np.int64] = clusters[np.concatenate(parts).argmin(axis=1)]
    return nearest


def principal_components(pixels: NDArray[np.uint8], most: int) -> NDArray[np.float64]:
    """Return the coordinates of images on their first principal components: [N, d] uint8 → [N, min(d, most)] float64.

    Above 1,024 pixels the components are approximate, and those of at most 10,000 images.
    """
    mean = pixels.mean(axis=0, dtype=np.float64)
    if pixels.shape[1] <= _EXACT:
        scatter = sum(part.T @ part for part in _parts(pixels, mean))
        _, axes = np.linalg.eigh(scatter)  # in ascending order
        axes = axes[:, ::-1][:, :most]
    else:
        some = pixels[np.linspace(0, len(pixels) - 1, min(len(pixels), _CHUNK)).astype(np.int64)]
        axes = _first_axes(next(_parts(some, mean)), most)
    return np.concatenate([part @ axes for part in _parts(pixels, mean)])


def _parts(pixels: NDArray[np.uint8], mean: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield the images in parts, as differences from their mean, in [−1, 1]."""
    for first in range(0, len(pixels), _CHUNK):
        yield (pixels[first : first + _CHUNK] - mean) / 255


def _first_axes(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Return the first principal axes of values [N, d], as columns [d, ≤ most], by random projections.

    Source: Halko, Martinsson and Tropp 2011 (arXiv 0909.4061), algorithm 4.4, with four iterations.
    """
    sketch = values @ np.random.default_rng(0).standard_normal((values.shape[1], most + 10))
    for _ in range(4):
        sketch = values @ (values.T @ np.linalg.qr(sketch)[0])
    found = np.linalg.qr(sketch)[0]
    axes: NDArray[np.float64] = np.linalg.svd(found.T @ values, full_matrices=False)[2][:most].T
    return axes


def k_means(points: NDArray[np.float64], clusters: int) -> NDArray[np.int64]:
    """Return the cluster of each point: [N, d] float64 → [N] int64, numbers 0 … K − 1.

    Lloyd's algorithm, from the starting points of k-means++ (Arthur and Vassilvitskii 2007) with a fixed seed.

    Raises:
        ValueError: there are fewer points than clusters.
    """
    if len(points) < clusters:
        raise ValueError(f"{len(points)} points cannot make {clusters} clusters")
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
        shares = nearest / total if total > 0 else None  # else all points are equal to a centre
        chosen = points[[rng.choice(len(points), p=shares)]]
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
