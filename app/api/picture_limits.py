"""How large a picture may become."""

from app.problems import Problem
from models.images import ImageShape

MAX_PICTURE_PIXELS = 64_000_000


def check_pixels(
    shape: ImageShape, n: int, *, columns: int | None = None, padding: int = 0, scale: int, fewer: str
) -> None:
    """Refuse a grid, or the frames of an animation, of too many pixels.

    Args:
        shape: of one image.
        n: how many.
        columns: of the grid, at most n; None for frames, which leave no place empty.
        padding: around each image.
        scale: of the picture.
        fewer: the parameter that makes n smaller.

    Raises:
        Problem: 422, with what to lower.
    """
    pixels = count_pixels(shape, n, columns=columns, padding=padding, scale=scale)
    if pixels > MAX_PICTURE_PIXELS:
        detail = f"there would be {pixels:,} pixels, at most {MAX_PICTURE_PIXELS:,} are drawn: lower scale or {fewer}"
        raise Problem.of_parameter("scale", detail, scale)


def count_pixels(shape: ImageShape, n: int, *, columns: int | None = None, padding: int = 0, scale: int) -> int:
    """The pixels of such a picture, the padding at its right and lower ends left out."""
    places = -(-n // columns) * columns if columns else n
    return places * (shape.height + padding) * (shape.width + padding) * scale**2
