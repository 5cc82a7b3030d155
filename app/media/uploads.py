"""From an uploaded file to the image that D sees.

`preprocess="none"` takes an image of D's own size as it is. `preprocess="auto"` makes an MNIST digit of a photo or a
drawing, the way MNIST was made (LeCun et al. 1998, section III.A): light ink on black, the digit's longest side scaled
to 20 of the 28 pixels, its centre of mass in the middle.
"""

import io
from collections.abc import Sequence
from typing import IO, Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from app.problems import Problem
from models.images import ImageShape

Preprocess: TypeAlias = Literal["auto", "none"]

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
BOX_SHARE = 20 / 28
FAINTEST_INK = 12 / 255  # less contrast than this is an empty page
FAINT_SHARE = 0.12  # of the strongest ink; what is fainter is the paper

WORKED_PIXELS = 4_000_000  # larger pictures are shrunk once they are decoded: a float of each pixel takes gigabytes
WORKED_SIDE = 2048
MAX_READS = 50_000  # of a file by its decoder, a few for each chunk, marker or block: millions of them are an attack
PIXELS_TOGETHER = 4  # all files of a request may have so many times the pixels of one


def check_sizes(
    files: Sequence[IO[bytes]],
    names: Sequence[str],
    *,
    preprocess: Preprocess,
    shape: ImageShape,
    max_pixels: int,
    field: str = "files",
) -> int:
    """Refuse uploads by what their headers say, before any of them is decoded; the files are at their beginnings again.

    Args:
        files: the uploads.
        names: what errors call them.
        preprocess: "none" takes the size of `shape` alone.
        shape: that D takes.
        max_pixels: of one image; all of them may have `PIXELS_TOGETHER` times as many.
        field: the form's field that they came in, for errors.

    Returns:
        The pixels of all of them.

    Raises:
        Problem: 415 not an image we read; 413 too many pixels; 422 the wrong size for "none".
    """
    total = 0
    for file, name in zip(files, names, strict=True):
        width, height = _open(file, filename=name, max_pixels=max_pixels, field=field).size
        file.seek(0)
        if preprocess == "none":
            _check_exact((width, height), filename=name, shape=shape, field=field)
        total += width * height
    if total > PIXELS_TOGETHER * max_pixels:
        detail = f"the images have {total:,} pixels; at most {PIXELS_TOGETHER * max_pixels:,} are taken together"
        raise Problem.of_parameter(field, f"{detail}: send fewer at once", status=413)
    return total


def read_upload(
    data: bytes, *, filename: str, shape: ImageShape, preprocess: Preprocess, max_pixels: int, field: str = "files"
) -> NDArray[np.uint8]:
    """An uploaded file as D's input: [H, W] or [H, W, 3] uint8.

    Args:
        data: the file.
        filename: what errors call it.
        shape: the shape that D takes.
        preprocess: see the head of this module. For RGB models "auto" cuts the middle square and resizes it.
        max_pixels: images with more are refused before they are decoded.
        field: the form's field that it came in, for errors.

    Raises:
        Problem: 415 not an image we read, or damaged; 413 too many pixels; 422 the wrong size for "none".
    """
    image = _open(io.BytesIO(data), filename=filename, max_pixels=max_pixels, field=field)
    if preprocess == "none":
        _check_exact(image.size, filename=filename, shape=shape, field=field)
    try:
        image.load()  # the first frame of an animation
        image = _opaque(ImageOps.exif_transpose(_shrunk(image)))
        if shape.channels == 3:
            if preprocess == "auto":
                image = ImageOps.fit(image.convert("RGB"), (shape.width, shape.height))
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
        brightness = _brightness(image)
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them trip over
        raise not_an_image(field, filename) from error
    if preprocess == "none":
        return (brightness * 255).round().astype(np.uint8)
    return make_digit(brightness, side=shape.height)


def make_digit(brightness: NDArray[np.float32], *, side: int) -> NDArray[np.uint8]:
    """An MNIST-like digit from the brightness of a picture.

    Args:
        brightness: [H, W] float32 in [0, 1], of any size; the ink may be light or dark.
        side: pixels a side of the result.

    Returns:
        [side, side] uint8, ink 255 on 0; all 0 for an empty page.
    """
    ink, noise = _contrast(brightness)
    box = round(side * BOX_SHARE)
    digit = _trimmed(ink)
    # What is an MNIST digit already stays as it is, to its faintest grey; all else has paper to be cleaned of.
    if ink.shape != (side, side) or max(digit.shape) != box:
        digit = _trimmed(_cleaned(ink, noise))
    if digit.size == 0:
        return np.zeros((side, side), dtype=np.uint8)
    return (_centred(_fit_box(digit, box), side) * 255).round().astype(np.uint8)


def too_many_pixels(field: str, filename: str, size: tuple[int, int], *, max_pixels: int) -> Problem:
    """The problem of an image beyond the limit."""
    width, height = size
    detail = f"{filename!r} has {width} × {height} pixels; at most {max_pixels:,} are taken"
    return Problem.of_parameter(field, detail, filename, status=413)


def not_an_image(field: str, filename: str) -> Problem:
    """The problem of a file that cannot be decoded."""
    detail = f"{filename!r} is not an image that can be read, or is damaged; {', '.join(FORMATS)} are taken"
    return Problem.of_parameter(field, detail, filename, status=415)


class _Patient:
    """A file that can be read so many times, and not once more."""

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
    """An image of which the header has been read, and nothing else."""
    try:
        image = Image.open(cast("IO[bytes]", _Patient(file)), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise Problem.of_parameter(field, f"{filename!r} has too many pixels", filename, status=413) from error
    except Exception as error:  # as below: so do those of headers
        raise not_an_image(field, filename) from error
    if image.width * image.height > max_pixels:
        raise too_many_pixels(field, filename, image.size, max_pixels=max_pixels)
    return image


def _check_exact(size: tuple[int, int], *, filename: str, shape: ImageShape, field: str) -> None:
    if size != (shape.width, shape.height):
        width, height = size
        raise Problem.of_parameter(
            field,
            f"{filename!r} has {width} × {height} pixels; preprocess=none takes {shape.width} × "
            f"{shape.height}, preprocess=auto any size",
            filename,
        )


def _shrunk(image: Image.Image) -> Image.Image:
    """A large picture by a whole factor smaller, to at most `WORKED_SIDE` pixels a side; any other as it is."""
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
    """Transparent images on the background that their ink stands out from: black, or white under dark ink."""
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    pixels = np.asarray(rgba, dtype=np.float32)
    weight = pixels[..., 3].sum()
    mean = (pixels[..., :3].mean(axis=2) * pixels[..., 3]).sum() / weight if weight else 0.0
    background = Image.new("RGBA", rgba.size, "black" if mean >= 128 else "white")
    return Image.alpha_composite(background, rgba).convert("RGB")


def _brightness(image: Image.Image) -> NDArray[np.float32]:
    """[H, W] float32 in [0, 1]."""
    if image.mode.startswith("I"):  # 16 bits
        return np.asarray(np.clip(np.asarray(image) / 65535, 0, 1), dtype=np.float32)
    return np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)


def _contrast(brightness: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """How far each pixel stands out from the background, towards the side that stands out more, 0 to 1; and the
    background's own unevenness on the same scale."""
    border = np.concatenate([brightness[0], brightness[-1], brightness[:, 0], brightness[:, -1]])
    background = np.median(border)
    lighter, darker = np.clip(brightness - background, 0, None), np.clip(background - brightness, 0, None)
    ink = lighter if lighter.max() >= darker.max() else darker
    strongest = ink.max()
    if strongest < FAINTEST_INK:
        return np.zeros_like(ink), 0.0
    return ink / strongest, float(np.quantile(np.abs(border - background), 0.9) / strongest)


def _cleaned(ink: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    """Without what is too faint to be ink: the paper's grain and shade, a JPEG's ripples around a stroke."""
    floor = max(3 * noise, FAINT_SHARE)
    if floor >= 1:
        return np.zeros_like(ink)
    return np.asarray(np.clip((ink - floor) / (1 - floor), 0, 1), dtype=np.float32)


def _trimmed(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """The smallest rectangle that holds all ink; empty if there is none."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return ink[:0, :0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _fit_box(ink: NDArray[np.float32], box: int) -> NDArray[np.float32]:
    """Scale so that the longest side is `box` pixels; thin strokes keep their strength."""
    height, width = ink.shape
    longest = max(height, width)
    if longest == box:
        return ink
    size = (max(1, round(width * box / longest)), max(1, round(height * box / longest)))
    scaled = np.asarray(Image.fromarray(ink).resize(size, Image.Resampling.LANCZOS), dtype=np.float32)
    strongest = scaled.max()
    if 0 < strongest < 1:
        scaled = scaled / strongest
    return np.clip(scaled, 0, 1)


def _centred(digit: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """The digit on a black square, its centre of mass as near to the middle as whole pixels and the edges allow."""
    height, width = digit.shape
    total = digit.sum()
    rows, columns = np.arange(height), np.arange(width)
    centre_row = float((digit.sum(axis=1) * rows).sum() / total) if total else height / 2
    centre_column = float((digit.sum(axis=0) * columns).sum() / total) if total else width / 2
    top = int(np.clip(round(side / 2 - centre_row), 0, side - height))
    left = int(np.clip(round(side / 2 - centre_column), 0, side - width))
    square = np.zeros((side, side), dtype=np.float32)
    square[top : top + height, left : left + width] = digit
    return square
