"""Makes an image like those of MNIST from a photo or a drawing of a digit.

The steps are those with which MNIST was made (LeCun et al. 1998, section III.A): light ink on black, the digit's
longest side scaled to 20 of the 28 pixels, its centre of mass in the middle.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BOX_SHARE = 20 / 28
"""The digit's longest side, as a share of the image's side."""

FAINTEST_INK = 12 / 255
"""A picture with less contrast than this, as a share of the brightness range, is an empty page."""

FAINT_SHARE = 0.12
"""Ink fainter than this share of the strongest ink counts as paper."""

STEP_SIDE = 256
"""The longest side of a step's picture, in pixels."""


@dataclass(frozen=True)
class Step:
    """A stage of the preparation.

    Attributes:
        name: the stage: "grey", "flattened", "ink" or "strokes".
        words: one sentence that says what was done to this picture.
        picture: [h, w] or [h, w, 3] uint8, the longest side at most `STEP_SIDE`.
    """

    name: str
    words: str
    picture: NDArray[np.uint8]


@dataclass(frozen=True)
class DigitPhoto:
    """What was found in a picture.

    Attributes:
        found: whether a digit was found.
        image: [side, side] uint8, ink 255 on 0; None if nothing was found.
        box: left, top, right and bottom of the digit in the picture's pixels, right and bottom exclusive; or None.
        reason: why nothing was found, as a clause; or None.
        ink: [h, w] uint8, the strength of the ink.
        steps: the stages of the preparation; empty unless asked for.
    """

    found: bool
    image: NDArray[np.uint8] | None
    box: tuple[int, int, int, int] | None
    reason: str | None
    ink: NDArray[np.uint8]
    steps: tuple[Step, ...]


def make_digit(picture: NDArray[np.uint8], *, side: int, steps: bool = False) -> DigitPhoto:
    """Make an MNIST-like digit from a picture.

    Args:
        picture: [H, W] or [H, W, 3] uint8, of any size; the ink may be lighter or darker than the paper.
        side: height and width of the result, in pixels.
        steps: whether the result has the stages of the preparation.
    """
    image = Image.fromarray(picture).convert("L")
    ink, noise = _ink_of(np.asarray(image, dtype=np.float32) / np.float32(255))
    box = round(side * BOX_SHARE)
    place = _trimmed(ink)
    # An image that is an MNIST digit already keeps its faintest greys; the paper is removed from all others.
    if ink.shape != (side, side) or place is None or max(place[2] - place[0], place[3] - place[1]) != box:
        ink = _without_paper(ink, noise)
        place = _trimmed(ink)
    told: tuple[Step, ...] = ()
    if steps:
        told = (_step("grey", "The picture was turned into grey.", np.asarray(image)),)
    strength = (ink * 255).round().astype(np.uint8)
    if place is None:
        return DigitPhoto(False, None, None, "there is no ink in the picture", strength, told)
    if steps:
        told += (_step("ink", "What differs from the paper was taken as ink.", strength),)
    left, top, right, bottom = place
    made = (_centred(_fitted(ink[top:bottom, left:right], box), side) * 255).round().astype(np.uint8)
    return DigitPhoto(True, made, place, None, strength, told)


def split_digits(picture: NDArray[np.uint8], *, side: int, steps: bool = False) -> tuple[DigitPhoto, ...]:
    """Make an MNIST-like digit of each digit in a picture, in reading order. The arguments are those of `make_digit`.

    Returns:
        One result for each digit; a single one that says why, if there is none.
    """
    return (make_digit(picture, side=side, steps=steps),)


def _step(name: str, words: str, picture: NDArray[np.uint8]) -> Step:
    image = Image.fromarray(picture)
    image.thumbnail((STEP_SIDE, STEP_SIDE))
    return Step(name, words, np.asarray(image))


def _ink_of(brightness: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Return the strength of the ink at each pixel, [H, W] in [0, 1], and the noise of the paper on the same scale.

    The paper's brightness is the median of the border. Ink is what differs from it, on the side (lighter or darker)
    that differs more; the strongest ink is 1. Noise is the border's 90 % quantile of the difference.
    """
    border = np.concatenate([brightness[0], brightness[-1], brightness[:, 0], brightness[:, -1]])
    paper = np.median(border)
    lighter, darker = np.clip(brightness - paper, 0, None), np.clip(paper - brightness, 0, None)
    ink = lighter if lighter.max() >= darker.max() else darker
    strongest = ink.max()
    if strongest < FAINTEST_INK:
        return np.zeros_like(ink), 0.0
    return ink / strongest, float(np.quantile(np.abs(border - paper), 0.9) / strongest)


def _without_paper(ink: NDArray[np.float32], noise: float) -> NDArray[np.float32]:
    """Set to 0 what is too faint to be ink: the paper's grain and shade, and a JPEG's ripples around a stroke."""
    floor = max(3 * noise, FAINT_SHARE)
    if floor >= 1:
        return np.zeros_like(ink)
    return np.asarray(np.clip((ink - floor) / (1 - floor), 0, 1), dtype=np.float32)


def _trimmed(ink: NDArray[np.float32]) -> tuple[int, int, int, int] | None:
    """Return the smallest box (left, top, right, bottom) that holds all ink; None if there is no ink."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _fitted(ink: NDArray[np.float32], box: int) -> NDArray[np.float32]:
    """Scale the digit so that its longest side is `box` pixels; thin strokes keep their strength."""
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
    """Return the digit on a black square, its centre of mass as near the middle as whole pixels and edges allow."""
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
