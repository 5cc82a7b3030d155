"""A decoded picture as a viewer shows it: upright by its EXIF orientation, and shrunk to the size that is worked on.

Boxes that are found in it are mapped back to the pixels of the upload.
"""

from dataclasses import dataclass
from typing import TypeAlias

from PIL import ExifTags, Image

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom are exclusive."""

WORKED_SIDE = 1000
"""A picture is shrunk by the largest whole factor that leaves its longest side this many pixels or more."""

_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that makes a picture upright, by the orientation in its EXIF data; 1 is upright."""

_SIDEWAYS = (5, 6, 7, 8)
"""The orientations that exchange width and height."""


@dataclass(frozen=True)
class Upright:
    """A picture as a viewer shows it.

    Attributes:
        image: the picture, which may have been shrunk.
        size: width and height of the upload, upright.
    """

    image: Image.Image
    size: tuple[int, int]

    def in_upload(self, box: Box) -> Box:
        """Map a box of `image` to the pixels of the upload. It grows to whole pixels, by less than one of `image`."""
        (width, height), (full_width, full_height) = self.image.size, self.size
        left, top, right, bottom = box
        return (
            left * full_width // width,
            top * full_height // height,
            -(-right * full_width // width),
            -(-bottom * full_height // height),
        )


def shrink_factor(size: tuple[int, int]) -> int:
    """Return the whole factor by which a picture of this width and height is shrunk; 1 leaves it as it is."""
    return max(1, max(size) // WORKED_SIDE)


def orientation_of(image: Image.Image) -> int:
    """Return the orientation, 1 to 8, in the EXIF data of a picture; 1 (upright) if they are missing or damaged.

    Only EXIF data count, as in browsers; Pillow's `getexif` also takes an orientation from XMP data.
    """
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        orientation = int(exif.get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  (damaged EXIF data can make the parser raise anything)
        return 1
    return orientation if orientation in _TRANSPOSITIONS else 1


def make_upright(image: Image.Image, *, size: tuple[int, int], orientation: int) -> Upright:
    """Shrink a decoded picture, and turn it upright.

    Args:
        image: the picture, of 8 bits, which the decoder may have shrunk already.
        size: width and height in the file.
        orientation: the orientation in its EXIF data, 1 to 8.
    """
    image = _shrunk(image)
    if orientation in _TRANSPOSITIONS:
        image = image.transpose(_TRANSPOSITIONS[orientation])
    return Upright(image, size[::-1] if orientation in _SIDEWAYS else size)


def _shrunk(image: Image.Image) -> Image.Image:
    factor = shrink_factor(image.size)
    if factor == 1:
        return image
    if image.has_transparency_data and image.mode != "LA":
        image = image.convert("LA" if image.mode in {"1", "L"} else "RGBA")
    elif image.mode in {"1", "P"}:
        image = image.convert("L" if image.mode == "1" else "RGB")
    return image.reduce(factor)
