"""Makes an image like those of MNIST from a photo or a drawing of a digit.

The picture becomes grey (`ink.to_grey`), its ink is read (`ink.read_ink`), the digit is chosen (`digit_parts`), and its
strokes are drawn as MNIST has them (`digit_strokes`).
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.media.digit_parts import MOST_DIGITS, Digit, find_digit
from app.media.digit_strokes import BOX_SHARE, centred, draw_strokes
from app.media.ink import Ink, Mask, Pixels, to_grey

STEP_SIDE = 256
"""The longest side of a step's picture, in pixels."""

_WORKED_SIDE = 480
"""Longest side of the picture in which the digit is looked for. Small pictures are enlarged, up to six times."""

_SMALL_SIDE, _MOST_ENLARGED = 160, 6

_FAINTEST_INK = 0.1
"""Ink that differs from the paper by less, on average, is none."""

_FLATTEST_EDGE = 0.012
"""The least steepness of a digit's outline: shadows and folds have less."""

_SMALLEST = 9
"""The least length of a digit, in pixels of the picture in which it is looked for: crumbs and grain are smaller."""

_SMALLEST_IN_PICTURE = 6
"""The least length of a digit, in pixels of the picture itself."""

NO_INK = "there is no ink in the picture, or it is too faint"


@dataclass(frozen=True)
class Step:
    """A stage of the preparation.

    Attributes:
        name: the stage: "grey", "flattened", "ink" or "strokes".
        words: one sentence that says what was done to this picture.
        picture: [h, w] uint8, the longest side at most `STEP_SIDE`.
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
        ink: [h, w] uint8, the strength of the ink at the size in which it was looked for.
        steps: the stages of the preparation; empty unless asked for.
    """

    found: bool
    image: NDArray[np.uint8] | None
    box: tuple[int, int, int, int] | None
    reason: str | None
    ink: NDArray[np.uint8]
    steps: tuple[Step, ...]


class _Search(NamedTuple):
    """A picture in which a digit was looked for: its grey, enlarged or reduced by `scale`, and the digit, if any."""

    size: tuple[int, int]
    grey: Pixels
    scale: float
    digit: Digit | None


def make_digit(picture: NDArray[np.uint8], *, side: int, steps: bool = False) -> DigitPhoto:
    """Make an MNIST-like digit from a picture.

    Args:
        picture: [H, W] or [H, W, 3] uint8, of any size; the ink may be lighter or darker than the paper.
        side: height and width of the result, in pixels.
        steps: whether the result has the stages of the preparation.

    Returns:
        The digit; `found` is False if the picture has no ink, or several digits of like size.
    """
    (photo,) = _made(picture, side=side, split=False, steps=steps)
    return photo


def split_digits(picture: NDArray[np.uint8], *, side: int, steps: bool = False) -> tuple[DigitPhoto, ...]:
    """Make an MNIST-like digit of each digit in a picture, in reading order. The arguments are those of `make_digit`.

    Returns:
        One result for each digit; a single one that says why, if there is none, or if there are more than
        `MOST_DIGITS`.
    """
    return _made(picture, side=side, split=True, steps=steps)


def _made(picture: NDArray[np.uint8], *, side: int, split: bool, steps: bool) -> tuple[DigitPhoto, ...]:
    as_it_is = _already_made(picture, side)
    if as_it_is is not None:
        return (_with_steps(as_it_is, picture) if steps else as_it_is,)
    search = _search(picture)
    if search.digit is None:
        return (_nothing(search, NO_INK, steps=steps),)
    masks = [search.digit.mask, *search.digit.others]
    if len(masks) > MOST_DIGITS:
        reason = f"there are more than {MOST_DIGITS} shapes like digits in the picture; send a part of it"
        return (_nothing(search, reason, steps=steps),)
    if len(masks) > 1 and not split:
        reason = f"there are {len(masks)} digits in the picture; send split=true to score each"
        return (_nothing(search, reason, steps=steps),)
    return tuple(_finish(search, search.digit.ink, mask, side=side, steps=steps) for mask in _in_reading_order(masks))


def _already_made(picture: NDArray[np.uint8], side: int) -> DigitPhoto | None:
    """Return a picture that is an MNIST digit already, its size, box and black paper: it keeps its faintest greys."""
    grey = picture if picture.ndim == 2 else picture[..., 0]
    if grey.shape != (side, side) or (picture.ndim == 3 and np.ptp(picture, axis=2).any()):
        return None
    levels = np.sort(grey, axis=None)
    middle = (int(levels[(levels.size - 1) // 2]) + int(levels[levels.size // 2])) / 2  # the median, by one quick sort
    light, paper = (grey, middle) if middle < 128 else (255 - grey, 255 - middle)
    strongest = light.max()
    place = _box(light > 0)
    # The paper is one level; a scan's or a JPEG's is not.
    if place is None or strongest < 128 or paper > 0 or _longest(place) != round(side * BOX_SHARE):
        return None
    left, top, right, bottom = place
    digit = light[top:bottom, left:right].astype(np.float32) / np.float32(strongest)
    return DigitPhoto(True, (centred(digit, side) * 255).round().astype(np.uint8), place, None, light, ())


def _with_steps(made: DigitPhoto, picture: NDArray[np.uint8]) -> DigitPhoto:
    grey = picture if picture.ndim == 2 else np.ascontiguousarray(picture[..., 0])
    words = "The picture has the size and the paper of MNIST’s digits already, so it was only moved to the middle."
    return DigitPhoto(made.found, made.image, made.box, made.reason, made.ink, (Step("grey", words, grey),))


def _search(picture: NDArray[np.uint8]) -> _Search:
    grey = to_grey(picture)
    longest = max(grey.shape)
    scale = min(1.0, _WORKED_SIDE / longest)
    if longest < _SMALL_SIDE:
        scale = float(min(_MOST_ENLARGED, max(1, _SMALL_SIDE // longest)))
    if scale != 1:
        height, width = grey.shape
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        grey = np.clip(cv2.resize(grey, size, interpolation=way), 0, 1)
    digit = find_digit(grey)
    if digit is not None and not _is_ink(digit, scale):
        digit = None
    rows, columns = picture.shape[:2]
    return _Search((columns, rows), grey, scale, digit)


def _is_ink(digit: Digit, scale: float) -> bool:
    box = _box(digit.mask)
    large = box is not None and _longest(box) >= max(_SMALLEST, _SMALLEST_IN_PICTURE * scale)
    strong = float(digit.ink.strength[digit.mask].mean()) > _FAINTEST_INK
    return large and strong and digit.sharpness > _FLATTEST_EDGE


def _nothing(search: _Search, reason: str, *, steps: bool) -> DigitPhoto:
    ink = search.digit.ink if search.digit is not None else None
    strength = np.zeros(search.grey.shape, np.uint8) if ink is None else _levels(ink.strength)
    stages: tuple[Step, ...] = ()
    if steps:
        stages = (_grey_step(search.grey),) if ink is None else (_grey_step(search.grey), _flattened_step(ink))
    return DigitPhoto(False, None, None, reason, strength, stages)


def _finish(search: _Search, ink: Ink, mask: Mask, *, side: int, steps: bool) -> DigitPhoto:
    """Draw the strokes of a chosen digit."""
    full = max(float(np.quantile(ink.strength[mask], 0.75)), 1e-3)
    around = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8))
    strokes = (np.clip(ink.strength / full, 0, 1) * around).astype(np.float32)
    image = draw_strokes(strokes, side=side)
    box = _box(mask)
    if box is None or not image.any():
        return _nothing(search, NO_INK, steps=steps)
    stages: tuple[Step, ...] = ()
    if steps:
        chosen = np.where(mask, 255, np.where(ink.mask, 90, 0)).astype(np.uint8)
        stages = (
            _grey_step(search.grey),
            _flattened_step(ink),
            _step("ink", "Ink was told from paper and its lines, and the digit (white) from other ink (grey).", chosen),
            _step("strokes", "The strokes were brought to the width that MNIST’s digits have, and centred.", image),
        )
    return DigitPhoto(True, image, _in_picture(box, search), None, _levels(ink.strength), stages)


def _in_picture(box: tuple[int, int, int, int], search: _Search) -> tuple[int, int, int, int]:
    left, top, right, bottom = (edge / search.scale for edge in box)
    width, height = search.size
    return int(left), int(top), min(width, int(np.ceil(right))), min(height, int(np.ceil(bottom)))


def _in_reading_order(masks: list[Mask]) -> list[Mask]:
    """Sort by rows, which are at least half a digit apart, and within a row from left to right."""
    boxes = [(box, mask) for mask in masks if (box := _box(mask)) is not None]
    row = max(box[3] - box[1] for box, _ in boxes)
    boxes.sort(key=lambda one: (one[0][1] + one[0][3]) / 2)
    rows: list[list[tuple[tuple[int, int, int, int], Mask]]] = []
    for box, mask in boxes:
        middle = (box[1] + box[3]) / 2
        if not rows or middle - (rows[-1][0][0][1] + rows[-1][0][0][3]) / 2 > row / 2:
            rows.append([])
        rows[-1].append((box, mask))
    return [mask for line in rows for _, mask in sorted(line, key=lambda one: one[0][0])]


def _box(mask: Mask) -> tuple[int, int, int, int] | None:
    """Return the smallest box (left, top, right, bottom) that holds all pixels of a mask; None if there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _longest(box: tuple[int, int, int, int]) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def _levels(strength: Pixels) -> NDArray[np.uint8]:
    return np.asarray((strength * 255).round(), dtype=np.uint8)


def _grey_step(grey: Pixels) -> Step:
    return _step("grey", "The picture became grey, along the colours that differ most.", _levels(grey))


def _flattened_step(ink: Ink) -> Step:
    tone = "darker" if ink.dark else "lighter"
    return _step("flattened", f"The light of the paper was evened out; the ink is {tone}.", _levels(ink.strength))


def _step(name: str, words: str, picture: NDArray[np.uint8]) -> Step:
    longest = max(picture.shape)
    if longest > STEP_SIDE:
        height, width = picture.shape
        size = (max(1, width * STEP_SIDE // longest), max(1, height * STEP_SIDE // longest))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return Step(name, words, picture)
