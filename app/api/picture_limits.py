"""Limits the number of pixels of a picture."""

from app.problems import Problem
from models.images import ImageShape

MAX_PICTURE_PIXELS = 64_000_000


def check_pixels(
    shape: ImageShape, n: int, *, columns: int | None = None, padding: int = 0, scale: int, fewer: str
) -> None:
    """Refuse a grid, or the frames of an animation, that would have too many pixels.

    Args:
        shape: shape of one image.
        n: number of images.
        columns: number of columns of the grid, at most n; None for the frames of an animation, which is no grid.
        padding: number of pixels around each image.
        scale: factor by which each image is enlarged.
        fewer: name of the parameter that the client can lower to make n smaller, for the error.

    Raises:
        Problem: 422, naming the parameters to lower.
    """
    pixels = count_pixels(shape, n, columns=columns, padding=padding, scale=scale)
    if pixels > MAX_PICTURE_PIXELS:
        most = f"at most {MAX_PICTURE_PIXELS:,} are allowed"
        detail = f"the picture would have {pixels:,} pixels, and {most}; lower scale or {fewer}"
        raise Problem.of_parameter("scale", detail, scale)


def count_pixels(shape: ImageShape, n: int, *, columns: int | None = None, padding: int = 0, scale: int) -> int:
    """Return the number of pixels of a picture of `n` images, without the padding at the right and lower edges."""
    places = -(-n // columns) * columns if columns else n
    return places * (shape.height + padding) * (shape.width + padding) * scale**2
