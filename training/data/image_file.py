"""One image file as an array of 8 bits: upright, scaled from 12 or 16 bits, and opaque on a white background."""

from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from training.data.reading import Fit

GREY_MODES = frozenset({"1", "L", "LA", "La"})
BACKGROUND = (255, 255, 255, 255)
"""White: transparent pixels take the colour that a web page would show there."""

_WHITE_IS_ZERO = 0


class UnreadableError(Exception):
    """A file cannot be read as an image; the message says why."""


class ImageFile(NamedTuple):
    """An image as it is read from a file.

    Attributes:
        pixels: [H, W] or [H, W, 3] uint8.
        transparent: whether the file has transparent pixels.
        several: whether the file has more pictures.
        square: whether the picture was square in its file.
    """

    pixels: NDArray[np.uint8]
    transparent: bool
    several: bool
    square: bool


def read_image_file(file: Path | BinaryIO, side: int | None, fit: Fit | None = None) -> ImageFile:
    """Read the first picture of a file.

    Args:
        file: the path of the file, or its bytes.
        side: height and width in pixels to which the picture is resized; None keeps its size.
        fit: how it becomes square (`make_square`); None: `crop` if there is a side, and otherwise it stays as it is.

    Raises:
        UnreadableError: the file cannot be read.
    """
    try:
        with Image.open(file) as opened:
            several = bool(getattr(opened, "is_animated", False))
            upright = ImageOps.exif_transpose(opened)
            pixels, transparent = _scale(upright, opened) if _is_deep(opened) else _to_bytes(upright)
        square = pixels.shape[0] == pixels.shape[1]
        return ImageFile(make_square(pixels, side, fit), transparent, several, square)
    except (MemoryError, UnreadableError):  # without memory, the file may still be good
        raise
    except UnidentifiedImageError as error:
        raise UnreadableError("it is not an image of a known kind") from error
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged files
        raise UnreadableError(f"{error}" or type(error).__name__) from error


def make_square(image: NDArray[np.uint8], side: int | None, fit: Fit | None) -> NDArray[np.uint8]:
    """Return an image [H, W] or [H, W, 3] uint8 as a square.

    Args:
        image: the image.
        side: height and width of the square; None: the shorter side of the image if it is cropped, and the longer one
            if it is padded.
        fit: `crop` takes the middle square. `pad` keeps the whole image and fills the bars beside it with the median
            colour of the image's outermost pixels, channel by channel: on a plain background they do not show. None:
            `crop` if there is a side, and otherwise the image stays as it is.
    """
    if side is None and fit is None:
        return image
    if side is None:
        side = max(image.shape[:2]) if fit == "pad" else min(image.shape[:2])
    return _pad(image, side) if fit == "pad" else resize(image, side)


def resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the middle square of an image [H, W] or [H, W, 3] uint8, resized to `side` pixels a side.

    Pillow's Lanczos filter averages over as many pixels as become one, so fine patterns do not become coarse ones.
    """
    fitted = ImageOps.fit(Image.fromarray(image), (side, side), method=Image.Resampling.LANCZOS)
    return np.asarray(fitted, dtype=np.uint8)


def _pad(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the whole image in the middle of a square; its longer side becomes `side` pixels."""
    height, width = image.shape[:2]
    longer = max(height, width)
    size = (max(1, round(width * side / longer)), max(1, round(height * side / longer)))
    small = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS), dtype=np.uint8)
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    square = np.empty((side, side, *image.shape[2:]), dtype=np.uint8)
    square[:] = np.median(edge, axis=0)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = small
    return square


def _to_bytes(image: Image.Image) -> tuple[NDArray[np.uint8], bool]:
    """Return the pixels of an image, composited on white, and whether any of them was transparent.

    An image whose red, green and blue are equal is grey, also if its file could hold colours (palette, RGB, WebP).
    """
    if image.mode in {"I", "F"}:
        raise UnreadableError("its pixels have 32 bits, whose black and white are unknown; save it with 8 or 16 bits")
    mode = "L" if image.mode in GREY_MODES else "RGB"
    transparent = image.has_transparency_data and _has_transparent_pixels(image)
    if transparent:
        opaque = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, BACKGROUND), opaque).convert("RGB")
    pixels = np.asarray(image.convert(mode), dtype=np.uint8)
    if mode == "RGB" and (pixels == pixels[..., :1]).all():
        pixels = np.ascontiguousarray(pixels[..., 0])
    return pixels, transparent


def _has_transparent_pixels(image: Image.Image) -> bool:
    lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
    return float(lowest) < 255  # type: ignore[arg-type]


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I;16")  # Pillow would clip 16 bits instead of scaling them


def _scale(image: Image.Image, opened: Image.Image) -> tuple[NDArray[np.uint8], bool]:
    """Take the upper 8 of 12 or 16 bits; a pixel of the grey level that the file calls transparent becomes white.

    Args:
        image: the image, upright.
        opened: the image as Pillow opened it, with the tags of a TIFF, which Pillow applies only to at most 8 bits.
    """
    values = np.asarray(image)
    tags = getattr(opened, "tag_v2", {})
    (bits,) = tags.get(ExifTags.Base.BitsPerSample, (16,))
    pixels = (values >> (bits - 8)).astype(np.uint8)
    if tags.get(ExifTags.Base.PhotometricInterpretation) == _WHITE_IS_ZERO:
        pixels = 255 - pixels
    level = image.info.get("transparency")
    if not isinstance(level, int):
        return pixels, False
    clear = values == level
    pixels[clear] = BACKGROUND[0]
    return pixels, bool(clear.any())
