"""Makes the image that D sees from an uploaded file: checks limits, decodes, and handles transparency and brightness.

`preprocess="none"` takes an image of D's own size as it is. `preprocess="auto"` makes an MNIST-like digit of a photo or
a drawing (`app.media.digit_photo`).
"""

import io
from collections.abc import Sequence
from typing import IO, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from app.media.digit_photo import make_digit
from app.problems import Problem
from models.images import ImageShape

Preprocess: TypeAlias = Literal["auto", "none"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")

WORKED_PIXELS = 4_000_000
"""Pictures with more pixels are shrunk once they are decoded: a float for each pixel would take gigabytes."""

WORKED_SIDE = 2048
"""The longest side of a picture that was shrunk, in pixels."""

MAX_READS = 50_000
"""How often a decoder may read from one file. It reads once for each chunk, marker or block: millions are an attack."""

PIXELS_TOGETHER = 4
"""All files of a request together may have this many times the pixels that one file may have."""


def check_sizes(
    files: Sequence[IO[bytes]],
    names: Sequence[str],
    *,
    preprocess: Preprocess,
    shape: ImageShape,
    max_pixels: int,
    field: str = "files",
) -> int:
    """Check the sizes in the headers of uploads before any upload is decoded, and rewind the files.

    Args:
        files: the uploads.
        names: the names of the files in errors.
        preprocess: "none" takes the size of `shape` only.
        shape: the shape that D takes.
        max_pixels: the most pixels of one image; all together may have `PIXELS_TOGETHER` times as many.
        field: the form's field that they came in, for errors.

    Returns:
        The number of pixels of all uploads together.

    Raises:
        Problem: 415 for a file that is not an image of `FORMATS`; 413 for too many pixels; 422 for the wrong size with
            "none".
    """
    total = 0
    for file, name in zip(files, names, strict=True):
        width, height = _open(file, filename=name, max_pixels=max_pixels, field=field).size
        file.seek(0)
        if preprocess == "none":
            _check_exact((width, height), filename=name, shape=shape, field=field)
        total += width * height
    if total > PIXELS_TOGETHER * max_pixels:
        detail = f"the images have {total:,} pixels together, and at most {PIXELS_TOGETHER * max_pixels:,} are allowed"
        raise Problem.of_parameter(field, f"{detail}; send fewer images at once", status=413)
    return total


def read_upload(
    data: bytes, *, filename: str, shape: ImageShape, preprocess: Preprocess, max_pixels: int, field: str = "files"
) -> NDArray[np.uint8]:
    """Decode an uploaded file and make D's input of it.

    Args:
        data: the file.
        filename: the name of the file in errors.
        shape: the shape that D takes.
        preprocess: see the head of this module. For RGB models "auto" cuts out the middle and resizes it.
        max_pixels: an image with more pixels is refused before it is decoded.
        field: the form's field that the file came in, for errors.

    Returns:
        [H, W] or [H, W, 3] uint8, of `shape`.

    Raises:
        Problem: 415 for a file that is damaged or not an image of `FORMATS`; 413 for too many pixels; 422 for the
            wrong size with "none".
    """
    image = _open(io.BytesIO(data), filename=filename, max_pixels=max_pixels, field=field)
    if preprocess == "none":
        _check_exact(image.size, filename=filename, shape=shape, field=field)
    try:
        image.load()  # of an animation, the first frame
        image = _opaque(ImageOps.exif_transpose(_shrunk(image)))
        if shape.channels == 3:
            if preprocess == "auto":
                image = ImageOps.fit(image.convert("RGB"), (shape.width, shape.height))
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
        brightness = _brightness(image)
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise not_an_image(field, filename) from error
    if preprocess == "none":
        return (brightness * 255).round().astype(np.uint8)
    return make_digit(brightness, side=shape.height)


def too_many_pixels(field: str, filename: str, size: tuple[int, int], *, max_pixels: int) -> Problem:
    """The problem (413) of an image with more pixels than `max_pixels`."""
    width, height = size
    detail = f"{filename!r} has {width} × {height} pixels, and at most {max_pixels:,} are allowed; send a smaller image"
    return Problem.of_parameter(field, detail, filename, status=413)


def not_an_image(field: str, filename: str) -> Problem:
    """The problem (415) of a file that cannot be decoded."""
    detail = f"{filename!r} is damaged, or not an image that can be read; send one of {', '.join(FORMATS)}"
    return Problem.of_parameter(field, detail, filename, status=415)


class _LimitedFile:
    """A file that can be read `MAX_READS` times; the next read raises ValueError."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._reads = 0
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise ValueError(f"more than {MAX_READS:,} pieces")
        return self._file.read(size)


def _open(file: IO[bytes], *, filename: str, max_pixels: int, field: str) -> Image.Image:
    """Open an image, and read and check its header. Its pixels are not decoded yet."""
    try:
        image = Image.open(cast("IO[bytes]", _LimitedFile(file)), formats=FORMATS)
    except Image.DecompressionBombError as error:
        detail = f"{filename!r} has too many pixels; send a smaller image"
        raise Problem.of_parameter(field, detail, filename, status=413) from error
    except Exception as error:  # a damaged header can make a decoder raise anything
        raise not_an_image(field, filename) from error
    if image.width * image.height > max_pixels:
        raise too_many_pixels(field, filename, image.size, max_pixels=max_pixels)
    return image


def _check_exact(size: tuple[int, int], *, filename: str, shape: ImageShape, field: str) -> None:
    if size != (shape.width, shape.height):
        width, height = size
        raise Problem.of_parameter(
            field,
            f"{filename!r} has {width} × {height} pixels; preprocess=none takes {shape.width} × {shape.height} only, "
            "so resize the image or send preprocess=auto",
            filename,
        )


def _shrunk(image: Image.Image) -> Image.Image:
    """Reduce a large picture by a whole factor, to at most `WORKED_SIDE` pixels a side; return any other as it is."""
    if image.width * image.height <= WORKED_PIXELS:
        return image
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode in {"1", "P"}:
        image = image.convert("L" if image.mode == "1" else "RGB")
    return image.reduce(-(-max(image.size) // WORKED_SIDE))


def _opaque(image: Image.Image) -> Image.Image:
    """Lay a transparent image on the background against which its ink shows: white under dark ink, else black."""
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    pixels = np.asarray(rgba, dtype=np.float32)
    weight = pixels[..., 3].sum()
    mean = (pixels[..., :3].mean(axis=2) * pixels[..., 3]).sum() / weight if weight else 0.0
    background = Image.new("RGBA", rgba.size, "black" if mean >= 128 else "white")
    return Image.alpha_composite(background, rgba).convert("RGB")


def _brightness(image: Image.Image) -> NDArray[np.float32]:
    """The brightness of each pixel, [H, W] float32 in [0, 1]."""
    if image.mode.startswith("I"):  # 16 bits
        return np.asarray(np.clip(np.asarray(image) / 65535, 0, 1), dtype=np.float32)
    return np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)
