"""Grids: many images arranged in one picture."""

import math

import numpy as np
from numpy.typing import NDArray

from models.png_framing import as_rows


def default_columns(n: int) -> int:
    """Return the number of columns, ⌈√n⌉, of the squarest grid of n ≥ 1 images that is not higher than it is wide."""
    return math.isqrt(n - 1) + 1


def assemble_grid(
    images: NDArray[np.uint8], *, columns: int | None = None, padding: int = 0, scale: int = 1
) -> NDArray[np.uint8]:
    """Arrange images in a grid, row by row, on a black background.

    Args:
        images: [n, H, W] or [n, H, W, 3] uint8, n ≥ 1.
        columns: number of images in a row, limited to n; None gives the squarest grid.
        padding: number of black pixels between images and around them, before scaling.
        scale: the factor by which the grid is enlarged: each pixel becomes scale × scale pixels.

    Returns:
        [rows·(H + padding) + padding, columns·(W + padding) + padding] · scale, uint8; RGB has a last axis of 3. A
        single image without padding and scaling is returned itself, not copied.
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
    """Return the PNG scanlines of a grid: `as_rows` of `assemble_grid`.

    Several images at scale 1 are written into the scanlines directly, without building the grid first.

    Args:
        images: [n, H, W] or [n, H, W, 3] uint8, n ≥ 1.
        columns: number of images in a row, as in `assemble_grid`.
        padding: number of black pixels, as in `assemble_grid`.
        scale: the factor by which pixels are enlarged, as in `assemble_grid`.

    Returns:
        [height, 1 + width · channels] uint8, with the height and width of the grid.
    """
    if scale != 1 or len(images) == 1:
        return as_rows(assemble_grid(images, columns=columns, padding=padding, scale=scale))
    columns = min(columns or default_columns(len(images)), len(images))
    height, width, *channels = _shape_of_grid(images, columns, padding)
    rows = np.zeros((height, 1 + math.prod((width, *channels))), dtype=np.uint8)
    _fill(rows[:, 1:].reshape(height, width, *channels), images, columns, padding)  # writes to a view of `rows`
    return rows


def _shape_of_grid(images: NDArray[np.uint8], columns: int, padding: int) -> tuple[int, ...]:
    n, height, width, *channels = images.shape
    return (-(-n // columns) * (height + padding) + padding, columns * (width + padding) + padding, *channels)


def _fill(grid: NDArray[np.uint8], images: NDArray[np.uint8], columns: int, padding: int) -> None:
    """Copy images to their places in a black grid whose shape is `_shape_of_grid`."""
    n, height, width, *channels = images.shape
    rows, cell = -(-n // columns), (height + padding, width + padding)
    # The place of each image, as a view [rows, columns, height, width] of the grid.
    places = grid[: rows * cell[0], : columns * cell[1]].reshape(rows, cell[0], columns, cell[1], *channels)
    places = places.swapaxes(1, 2)[:, :, padding:, padding:]
    whole = n // columns
    places[:whole] = images[: whole * columns].reshape(whole, columns, *images.shape[1:])
    if n > whole * columns:
        places[whole, : n - whole * columns] = images[whole * columns :]


def split_grid(grid: NDArray[np.uint8], side: int, *, padding: int) -> NDArray[np.uint8]:
    """Split a grid into its images, [n, side, side] or [n, side, side, 3] uint8. It inverts `assemble_grid` at scale 1.

    Raises:
        ValueError: the grid's size does not fit images of this side and padding.
    """
    cell = side + padding
    rows, columns = ((length - padding) // cell for length in grid.shape[:2])
    if (rows * cell + padding, columns * cell + padding) != grid.shape[:2]:
        raise ValueError(f"the shape {list(grid.shape)} is not a grid of {side} × {side} images with padding {padding}")
    cells = grid[padding:, padding:].reshape(rows, cell, columns, cell, *grid.shape[2:]).swapaxes(1, 2)
    return np.ascontiguousarray(cells.reshape(rows * columns, cell, cell, *grid.shape[2:])[:, :side, :side])
