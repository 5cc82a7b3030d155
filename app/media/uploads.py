"""Turns an uploaded file into the images that D sees: checks limits, decodes, and prepares them.

`preprocess="none"` takes an image of D's own size as it is. `preprocess="auto"` makes an MNIST-like digit of a photo or
a drawing for a model of digits (`app.media.digit_photo`), and takes the middle square of a picture for other models.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from app.media.digit_photo import Step, make_digit, split_digits
from app.media.file_kinds import describe_other_kind
from app.media.jpeg_end import with_end
from app.media.plain_png import plain_png_size, read_plain_png
from app.media.png_chunks import needed_chunks
from app.media.sixteen_bits import to_eight_bits
from app.media.transparency import on_paper, on_white_or_black
from app.media.upright import Box, Upright, make_upright, orientation_of, shrink_factor
from app.problems import Problem
from models.images import ImageShape

Preprocess: TypeAlias = Literal["auto", "none"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""The image formats that are read. AVIF is not one, although Pillow can read it: docs/operations.md says why."""

_BEGINNINGS = {b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"RIFF": "WebP", b"GIF8": "GIF", b"BM": "BMP"}
_RLE = (1, 2)
"""The values of a BMP's field "compression" that stand for run-length encoding."""

MAX_READS = 50_000
"""The most reads of one file by a decoder. It reads once for each chunk, marker or block: millions are an attack."""

PIXELS_TOGETHER = 4
"""All files of a request together may have this many times the pixels that one file may have."""


@dataclass(frozen=True)
class Prepared:
    """An image that was made of an upload, or the reason why there is none.

    Attributes:
        filename: the name of the file.
        image: D's input, [H, W] or [H, W, 3] uint8; None if nothing was found.
        box: the part of the upload from which it was made, in the upload's pixels as a viewer shows it; None likewise.
        reason: why nothing was found, as a clause; None if something was.
        steps: the stages of the preparation; empty unless they were asked for.
    """

    filename: str
    image: NDArray[np.uint8] | None
    box: Box | None
    reason: str | None = None
    steps: tuple[Step, ...] = ()

    @property
    def found(self) -> bool:
        """Whether there is an image."""
        return self.image is not None


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
        size = plain_png_size(data, max_pixels=max_pixels)
        width, height = size or _open(data, filename=name, max_pixels=max_pixels, field=field).size
        if preprocess == "none":
            _check_exact((width, height), filename=name, shape=shape, field=field)
        total += width * height
    if total > PIXELS_TOGETHER * max_pixels:
        detail = f"the images have {total:,} pixels together, and at most {PIXELS_TOGETHER * max_pixels:,} are allowed"
        raise Problem.of_parameter(field, f"{detail}; send fewer images at once", status=413)
    return total


def read_upload(
    data: bytes,
    *,
    filename: str,
    shape: ImageShape,
    preprocess: Preprocess,
    max_pixels: int,
    digits: bool = True,
    field: str = "files",
    split: bool = False,
    steps: bool = False,
) -> tuple[Prepared, ...]:
    """Decode an uploaded file, and make D's input of it.

    Args:
        data: the bytes of the file.
        filename: the name of the file, for errors and for the result.
        shape: the shape of the images that D takes.
        preprocess: "none" or "auto", as the docstring of this module describes.
        max_pixels: an image with more pixels is refused before it is decoded.
        digits: whether "auto" looks for a digit: whether the model draws digits. RGB models never do.
        field: the form's field that held the file, for errors.
        split: whether each digit of a picture becomes an image of its own, in reading order ("auto", with `digits`).
        steps: whether the result has the stages of the preparation, which only the search for a digit has.

    Returns:
        One image; with `split` one for each digit. If nothing is found, a single one without an image.

    Raises:
        Problem: 415 for a file that is damaged or not an image of `FORMATS`; 413 for too many pixels; 422 for the
            wrong size with "none".
    """
    plain = read_plain_png(data, max_pixels=max_pixels)
    image = plain or _open(data, filename=filename, max_pixels=max_pixels, field=field)
    size = image.size
    if preprocess == "none":
        _check_exact(size, filename=filename, shape=shape, field=field)
    try:
        image = plain or _decoded(image, data)
        orientation = orientation_of(image)
        image = to_eight_bits(image, stretch=preprocess == "auto")
        picture = make_upright(image, size=size, orientation=orientation)
        if preprocess == "none" or not digits or shape.channels == 3:
            return (_without_search(picture, filename=filename, shape=shape),)
        pixels = on_paper(picture.image)
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise not_an_image(field, filename, _reason(data, error)) from error
    side = shape.height
    photos = split_digits(pixels, side=side, steps=steps) if split else (make_digit(pixels, side=side, steps=steps),)
    return tuple(
        Prepared(filename, photo.image, photo.box and picture.in_upload(photo.box), photo.reason, photo.steps)
        for photo in photos
    )


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

    A large JPEG is decoded at a half, a quarter or an eighth of its size, which takes a part of the time.

    Raises:
        _CutOffError: a part of a JPEG's picture is missing.
        Exception: the file is damaged in other ways.
    """
    try:
        _load(image)
    except OSError:
        if not isinstance(image, JpegImageFile):
            raise
        whole = with_end(data)
        if whole is None:
            raise _CutOffError from None
        image = Image.open(io.BytesIO(whole), formats=["JPEG"])
        _load(image)
    return image


def _load(image: Image.Image) -> None:
    """Decode the pixels of an image; those of a large JPEG at a smaller scale."""
    factor = shrink_factor(image.size)
    image.draft(None, (max(1, image.width // factor), max(1, image.height // factor)))  # does nothing to other formats
    image.load()


def _check_exact(size: tuple[int, int], *, filename: str, shape: ImageShape, field: str) -> None:
    if size != (shape.width, shape.height):
        width, height = size
        raise Problem.of_parameter(
            field,
            f"{filename!r} has {width} × {height} pixels; preprocess=none takes {shape.width} × {shape.height} only, "
            "so resize the image or send preprocess=auto",
            filename,
        )


def _without_search(picture: Upright, *, filename: str, shape: ImageShape) -> Prepared:
    """Make D's input of a whole picture: of the middle square, resized, unless it has D's size already."""
    width, height = picture.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    image = on_white_or_black(picture.image).convert("L" if shape.channels == 1 else "RGB")
    if image.size != (shape.width, shape.height):
        image = ImageOps.fit(image, (shape.width, shape.height))
    return Prepared(filename, np.asarray(image), (left, top, left + side, top + side))
