"""One image file as an array of 8 bits: upright, scaled from 12 or 16 bits, and opaque on a white background."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

GREY_MODES = frozenset({"1", "L", "LA", "La"})
BACKGROUND = (255, 255, 255, 255)
"""White: transparent pixels take the colour that a web page would show there."""

_WHITE_IS_ZERO = 0


class UnreadableError(Exception):
    """A file cannot be read as an image; the message says why."""


class ImageFile(NamedTuple):
    """An image [H, W] or [H, W, 3] uint8, whether it had transparent pixels, and whether its file has more pictures."""

    pixels: NDArray[np.uint8]
    transparent: bool
    several: bool


def read_image_file(file: Path, side: int | None) -> ImageFile:
    """Read the first picture of a file.

    Args:
        file: the path of the file.
        side: height and width in pixels to which the middle square is resized; None takes the image as it is.

    Raises:
        UnreadableError: the file cannot be read.
    """
    try:
        with Image.open(file) as opened:
            several = bool(getattr(opened, "is_animated", False))
            upright = ImageOps.exif_transpose(opened)
            pixels, transparent = _scale(upright, opened) if _is_deep(opened) else _to_bytes(upright)
        return ImageFile(pixels if side is None else resize(pixels, side), transparent, several)
    except (MemoryError, UnreadableError):  # without memory, the file may still be good
        raise
    except UnidentifiedImageError as error:
        raise UnreadableError("it is not an image of a known kind") from error
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    except Exception as error:  # Pillow's decoders raise many kinds of errors for damaged files
        raise UnreadableError(f"{error}" or type(error).__name__) from error


def resize(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Return the middle square of an image [H, W] or [H, W, 3] uint8, resized to `side` pixels a side."""
    fitted = ImageOps.fit(Image.fromarray(image), (side, side), method=Image.Resampling.LANCZOS)
    return np.asarray(fitted, dtype=np.uint8)


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
