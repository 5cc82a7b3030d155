"""Grids, compared with placing images one by one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from models.grids import assemble_grid, split_grid


def by_hand(images: NDArray[np.uint8], columns: int, padding: int, scale: int) -> NDArray[np.uint8]:
    n, height, width = images.shape[:3]
    rows = (n + columns - 1) // columns
    size = (rows * (height + padding) + padding, columns * (width + padding) + padding)
    grid = np.zeros((*size, *images.shape[3:]), dtype=np.uint8)
    for k, image in enumerate(images):
        top = padding + k // columns * (height + padding)
        left = padding + k % columns * (width + padding)
        grid[top : top + height, left : left + width] = image
    return np.stack([grid[y // scale] for y in range(size[0] * scale)])[:, np.arange(size[1] * scale) // scale]


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize(("padding", "scale"), [(0, 1), (0, 3), (1, 1), (2, 2)])
@pytest.mark.parametrize(("n", "columns"), [(1, 1), (2, 1), (2, 2), (5, 3), (6, 3), (7, 3), (9, 3), (8, 8)])
def test_every_image_is_in_its_place(n: int, columns: int, padding: int, scale: int, channels: tuple[int, ...]) -> None:
    images = np.random.default_rng(n).integers(1, 256, size=(n, 5, 4, *channels), dtype=np.uint8)
    grid = assemble_grid(images, columns=columns, padding=padding, scale=scale)
    np.testing.assert_array_equal(grid, by_hand(images, columns, padding, scale))


@pytest.mark.parametrize(("n", "columns", "size"), [(1, None, (6, 6)), (5, None, (11, 16)), (2, 9, (6, 11))])
def test_columns(n: int, columns: int | None, size: tuple[int, int]) -> None:
    """Without a number of columns the grid is the squarest one; more columns than images count as that many."""
    assert assemble_grid(np.ones((n, 4, 4), dtype=np.uint8), columns=columns, padding=1).shape == size


@pytest.mark.parametrize("padding", [0, 3])
def test_split_is_the_inverse(padding: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(6, 8, 8), dtype=np.uint8)
    grid = assemble_grid(images, columns=3, padding=padding)
    np.testing.assert_array_equal(split_grid(grid, 8, padding=padding), images)
