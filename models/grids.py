"""Many images as one picture."""

import math

import numpy as np
from numpy.typing import NDArray

from models.png_framing import as_rows


def default_columns(n: int) -> int:
    """The columns of the squarest grid of n images, n ≥ 1, that is at least as wide as it is high: ⌈√n⌉."""
    return math.isqrt(n - 1) + 1


def assemble_grid(
    images: NDArray[np.uint8], *, columns: int | None = None, padding: int = 0, scale: int = 1
) -> NDArray[np.uint8]:
    """Images side by side, row by row, on black.

    Args:
        images: [n, H, W] or [n, H, W, 3] uint8, n ≥ 1.
        columns: images in a row; None gives the squarest grid. More than n counts as n.
        padding: black pixels between images and around them, before scaling.
        scale: each pixel becomes scale × scale pixels.

    Returns:
        [rows·(H + padding) + padding, columns·(W + padding) + padding] · scale, uint8; RGB has a last axis of 3. One
        image to which nothing happens is returned as it is, not copied.
    """
    if len(images) == 1 and padding == 0 and scale == 1:
        lone: NDArray[np.uint8] = images[0]
        return lone
    columns = min(columns or default_columns(len(images)), len(images))
    grid = np.zeros(_shape_of_grid(images, columns, padding), dtype=np.uint8)
    _fill(grid, images, columns, padding)
    return grid if scale == 1 else grid.repeat(scale, axis=0).repeat(scale, axis=1)


def assemble_rows(
    images: NDArray[np.uint8], *, columns: int | None = None, padding: int = 0, scale: int = 1
) -> NDArray[np.uint8]:
    """`as_rows` of the grid: the scanlines that a PNG of it deflates.

    Many images at scale 1 are written straight into the scanlines, without the grid in between.

    Args:
        images: [n, H, W] or [n, H, W, 3] uint8, n ≥ 1.
        columns: as in `assemble_grid`.
        padding: as in `assemble_grid`.
        scale: as in `assemble_grid`.

    Returns:
        [height, 1 + width · channels] uint8, of the grid's height and width.
    """
    if scale != 1 or len(images) == 1:
        return as_rows(assemble_grid(images, columns=columns, padding=padding, scale=scale))
    columns = min(columns or default_columns(len(images)), len(images))
    height, width, *channels = _shape_of_grid(images, columns, padding)
    rows = np.zeros((height, 1 + math.prod((width, *channels))), dtype=np.uint8)
    _fill(rows[:, 1:].reshape(height, width, *channels), images, columns, padding)  # a view of `rows`
    return rows


def _shape_of_grid(images: NDArray[np.uint8], columns: int, padding: int) -> tuple[int, ...]:
    n, height, width, *channels = images.shape
    return (-(-n // columns) * (height + padding) + padding, columns * (width + padding) + padding, *channels)


def _fill(grid: NDArray[np.uint8], images: NDArray[np.uint8], columns: int, padding: int) -> None:
    """Copy images to their places in a black grid of the shape `_shape_of_grid`."""
    n, height, width, *channels = images.shape
    rows, cell = -(-n // columns), (height + padding, width + padding)
    # Where each image goes, [rows, columns, height, width] of the grid's own memory.
    places = grid[: rows * cell[0], : columns * cell[1]].reshape(rows, cell[0], columns, cell[1], *channels)
    places = places.swapaxes(1, 2)[:, :, padding:, padding:]
    whole = n // columns
    places[:whole] = images[: whole * columns].reshape(whole, columns, *images.shape[1:])
    if n > whole * columns:
        places[whole, : n - whole * columns] = images[whole * columns :]


def split_grid(grid: NDArray[np.uint8], side: int, *, padding: int) -> NDArray[np.uint8]:
    """The images of a grid, [n, side, side] or [n, side, side, 3] uint8: the inverse of `assemble_grid` at scale 1.

    Raises:
        ValueError: the grid's size is not that of whole images with such a padding.
    """
    cell = side + padding
    rows, columns = ((length - padding) // cell for length in grid.shape[:2])
    if (rows * cell + padding, columns * cell + padding) != grid.shape[:2]:
        raise ValueError(f"{list(grid.shape)} is no grid of images of {side} pixels a side, {padding} apart")
    cells = grid[padding:, padding:].reshape(rows, cell, columns, cell, *grid.shape[2:]).swapaxes(1, 2)
    return np.ascontiguousarray(cells.reshape(rows * columns, cell, cell, *grid.shape[2:])[:, :side, :side])
