"""Turns an uploaded file into the image that D sees: checks limits, decodes, and handles transparency and brightness.

`preprocess="none"` takes an image of D's own size as it is. `preprocess="auto"` makes an MNIST-like digit of a photo or
a drawing (`app.media.digit_photo`).
"""

import io
from collections.abc import Sequence
from typing import IO, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from app.media.digit_photo import make_digit
from app.media.file_kinds import describe_other_kind
from app.media.jpeg_end import with_end
from app.media.png_chunks import needed_chunks
from app.problems import Problem
from models.images import ImageShape

Preprocess: TypeAlias = Literal["auto", "none"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""The image formats that are read. AVIF is not one, although Pillow can read it: docs/operations.md says why."""

_BEGINNINGS = {b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"RIFF": "WebP", b"GIF8": "GIF", b"BM": "BMP"}
_RLE = (1, 2)
"""The values of a BMP's field "compression" that stand for run-length encoding."""

WORKED_PIXELS = 4_000_000
"""Pictures with more pixels are shrunk once they are decoded: a float for each pixel would take gigabytes."""

WORKED_SIDE = 2048
"""The longest side of a picture that was shrunk, in pixels."""

MAX_READS = 50_000
"""The most reads of one file by a decoder. It reads once for each chunk, marker or block: millions are an attack."""

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
    """Check the width and height of uploads, and rewind the files. No pixel is decoded: the header has the size.

    Args:
        files: the uploaded files, open for reading.
        names: the name of each file, for errors.
        preprocess: the preparation of the images: "none" allows only D's own size, "auto" allows every size.
        shape: the shape of the images that D takes.
        max_pixels: the most pixels of one image; all images together may have `PIXELS_TOGETHER` times as many.
        field: the form's field that held the files, for errors.


    Returns:
        The number of pixels of all uploads together.

    Raises:
        Problem: 415 for a file that is not an image of `FORMATS`; 413 for too many pixels, in one image or in all
            together; 422 for another size than D's with "none".
    """
    total = 0
    for file, name in zip(files, names, strict=True):
        file.seek(0)
        data = file.read()
        file.seek(0)
        width, height = _open(data, filename=name, max_pixels=max_pixels, field=field).size
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
        data: the bytes of the file.
        filename: the name of the file, for errors.
        shape: the shape of the images that D takes.
        preprocess: "none" or "auto", as the docstring of this module describes. For RGB
            models "auto" cuts out the middle square and resizes it.
        max_pixels: an image with more pixels is refused before it is decoded.
        field: the form's field that held the file, for errors.

    Returns:
        [H, W] or [H, W, 3] uint8, of `shape`.

    Raises:
        Problem: 415 for a file that is damaged or not an image of `FORMATS`; 413 for too many pixels; 422 for the
            wrong size with "none".
    """
    image = _open(data, filename=filename, max_pixels=max_pixels, field=field)
    if preprocess == "none":
        _check_exact(image.size, filename=filename, shape=shape, field=field)
    try:
        image = _decoded(image, data)
        orientation = _orientation(image)
        image = _opaque(_shrunk(_opaque_grey16(image)))
        if orientation in _TRANSPOSITIONS:
            image = image.transpose(_TRANSPOSITIONS[orientation])
        if shape.channels == 3:
            image = _rgb(image)
            if preprocess == "auto":
                image = ImageOps.fit(image, (shape.width, shape.height))
            return np.asarray(image, dtype=np.uint8)
        brightness = _brightness(image)
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise not_an_image(field, filename, _reason(data, error)) from error
    levels = (brightness * 255).round().astype(np.uint8)
    if preprocess == "none":
        return levels
    made = make_digit(levels, side=shape.height).image
    return np.zeros(shape.array, dtype=np.uint8) if made is None else made


def too_many_pixels(field: str, filename: str, size: tuple[int, int], *, max_pixels: int) -> Problem:
    """Return the problem (413) of an image with more pixels than `max_pixels`."""
    width, height = size
    detail = f"{filename!r} has {width} × {height} pixels, and at most {max_pixels:,} are allowed; send a smaller image"
    return Problem.of_parameter(field, detail, filename, status=413)


def not_an_image(field: str, filename: str, reason: str = "is damaged, or not an image that can be read") -> Problem:
    """Return the problem (415) of a file that cannot be decoded. `reason` continues the file's name."""
    detail = f"{filename!r} {reason}; send one of {', '.join(FORMATS)}"
    return Problem.of_parameter(field, detail, filename, status=415)


def _reason(data: bytes, error: Exception) -> str:
    """Return the reason why a file cannot be decoded, as the rest of a sentence that begins with its name."""
    if isinstance(error, _CutOffError):
        return "is a JPEG that is cut off: the file ends before its picture does, so send the whole file"
    form = next((form for beginning, form in _BEGINNINGS.items() if data.startswith(beginning)), None)
    if form == "BMP" and data[30:31] and data[30] in _RLE:
        return "is a BMP with run-length encoding (RLE) that cannot be read here: save it without, or as PNG"
    if isinstance(error, _TooManyPiecesError):
        return f"is made of more than {MAX_READS:,} pieces, which takes too long to read: save it anew"
    if form is not None:
        return f"is a {form} that is damaged, cut off, or of a rare kind that is not read here: save it anew"
    return describe_other_kind(data) or "is damaged, or not an image that can be read"


class _CutOffError(Exception):
    """A part of a JPEG's picture is missing."""


class _TooManyPiecesError(ValueError):
    """A file has more than `MAX_READS` chunks, markers or blocks."""


class _LimitedFile:
    """A file in memory that can be read `MAX_READS` times; the next read raises `_TooManyPiecesError`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._reads = 0
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        self._reads += 1
        if self._reads > MAX_READS:
            raise _TooManyPiecesError
        return self._file.read(size)


def _open(data: bytes, *, filename: str, max_pixels: int, field: str) -> Image.Image:
    """Open an image, and read and check its header. Its pixels are not decoded yet."""
    try:
        file = io.BytesIO(_needed(data))
        image = Image.open(cast("IO[bytes]", _LimitedFile(file)), formats=FORMATS)
    except Image.DecompressionBombError as error:
        detail = f"{filename!r} has too many pixels; send a smaller image"
        raise Problem.of_parameter(field, detail, filename, status=413) from error
    except Exception as error:  # a damaged header can make a decoder raise anything
        raise not_an_image(field, filename, _reason(data, error)) from error
    if image.width * image.height > max_pixels:
        raise too_many_pixels(field, filename, image.size, max_pixels=max_pixels)
    return image


def _needed(data: bytes) -> bytes:
    """Return the bytes of a file; those of a PNG without the parts that no pixel needs."""
    try:
        return needed_chunks(data, max_chunks=MAX_READS)
    except ValueError as error:
        raise _TooManyPiecesError from error


def _decoded(image: Image.Image, data: bytes) -> Image.Image:
    """Decode an opened image; an animation gives its first frame. A JPEG may lack its end marker.

    Raises:
        _CutOffError: a part of a JPEG's picture is missing.
        Exception: the file is damaged in other ways.
    """
    try:
        image.load()
    except OSError:
        if not isinstance(image, JpegImageFile):
            raise
        whole = with_end(data)
        if whole is None:
            raise _CutOffError from None
        image = Image.open(io.BytesIO(whole), formats=["JPEG"])
        image.load()
    return image


def _orientation(image: Image.Image) -> int:
    """Return the orientation, 1 to 8, in the EXIF data of a picture; 1 (upright) if they are missing or damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  (damaged EXIF data can make the parser raise anything)
        return 1


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


def _opaque_grey16(image: Image.Image) -> Image.Image:
    """Do what `_opaque` does for grey of 16 bits, one shade of which is transparent; return any other as it is."""
    shade = image.info.get("transparency")
    if not image.mode.startswith("I;16") or shade is None:
        return image
    pixels = np.array(image, dtype=np.uint16)
    clear = pixels == shade
    ink = pixels[~clear]
    pixels[clear] = 0 if ink.size and ink.mean() >= 128 * 257 else 65535
    return Image.fromarray(pixels)


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


def _rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB. Pillow's own conversion cuts grey of 16 bits off at 255."""
    if image.mode.startswith("I"):
        image = Image.fromarray((_brightness(image) * 255).round().astype(np.uint8))
    return image.convert("RGB")


def _brightness(image: Image.Image) -> NDArray[np.float32]:
    """Return the brightness of each pixel, [H, W] float32 in [0, 1]."""
    if image.mode.startswith("I"):  # 16 bits
        return np.asarray(np.clip(np.asarray(image) / 65535, 0, 1), dtype=np.float32)
    return np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)
