"""The nearest training image, compared with a loop over all pairs in float64."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.data.mnist import read_mnist
from training.evaluation.neighbours import find_nearest


def random_images(n: int, *, seed: int, channels: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, channels, 9, 9), dtype=np.uint8)


def brute_force(images: NDArray[np.uint8], training: NDArray[np.uint8]) -> tuple[list[float], list[int]]:
    """Return, for each image, the smallest root mean squared difference, and the row that has it."""
    distances, rows = [], []
    for image in images.astype(np.float64):
        every = [float(np.sqrt(((image - other) ** 2).mean())) for other in training.astype(np.float64)]
        distances.append(min(every))
        rows.append(every.index(min(every)))
    return distances, rows


@pytest.mark.parametrize("channels", [1, 3])
def test_distances_and_rows(channels: int):
    images, training = (random_images(n, seed=n, channels=channels) for n in (40, 70))
    distances, rows = brute_force(images, training)
    seen = find_nearest(torch.from_numpy(images), torch.from_numpy(training))
    assert (seen.distances.dtype, seen.rows.dtype) == (torch.float32, torch.int64)
    np.testing.assert_allclose(seen.distances.numpy(), distances, rtol=1e-5)
    assert seen.rows.tolist() == rows


def test_more_images_than_a_block_has_rows():
    images, training = random_images(1203, seed=1), random_images(11, seed=2)
    distances, rows = brute_force(images, training)
    seen = find_nearest(torch.from_numpy(images), torch.from_numpy(training))
    np.testing.assert_allclose(seen.distances.numpy(), distances, rtol=1e-5)
    assert seen.rows.tolist() == rows


def test_distances_are_in_grey_levels():
    black, grey = torch.zeros(1, 1, 16, 16, dtype=torch.uint8), torch.full((1, 1, 16, 16), 7, dtype=torch.uint8)
    assert find_nearest(black, grey).distances.tolist() == [7]
    assert find_nearest(black, 255 - black).distances.tolist() == [255]


def test_a_copy_of_a_training_image_is_at_no_distance_at_all():
    """The sum of 784 squared bright pixels is not exact in float32; a copy must still be at distance 0."""
    training = torch.from_numpy(read_mnist()[1][:1000].copy())[:, None]
    copies = [5, 17, 999, 0, 5]
    seen = find_nearest(training[copies], training)
    assert seen.distances.tolist() == [0] * 5
    assert seen.rows.tolist() == copies
    bright = 255 - training
    assert find_nearest(bright[copies], bright).distances.tolist() == [0] * 5


def test_one_grey_level_in_one_pixel_is_seen():
    training = 255 - torch.from_numpy(read_mnist()[1][:500].copy())[:, None]
    changed = training[42:43].clone()
    changed[0, 0, 14, 14] ^= 1
    seen = find_nearest(changed, training)
    assert seen.rows.tolist() == [42]
    assert seen.distances.tolist() == pytest.approx([1 / 28], rel=1e-6)
