"""Chooses what of the ink is the digit: a large, central part with the parts near it, without lines and edges.

A digit may be in several parts (the bar of a 5, a broken stroke), and a picture may hold other things: neighbours that
the border cuts, rules of a notebook, the edge of a table, dust.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from app.media.digit_strokes import stroke_width
from app.media.frames import without_frames
from app.media.ink import Ink, Mask, Pixels, edge_sharpness, read_ink
from app.media.paper_sheet import sheet_alone
from app.media.ruled_lines import without_ruled_lines

MOST_DIGITS = 32
"""A picture may have this many digits."""

_MOST_PARTS = 64

_NEAR = 0.22
"""A part this near, as a share of the digit's longest side, belongs to the digit."""

_MOST_SHEETS = 2
"""A sheet may lie on another one, or a photo of it may have black bars."""

_GAP = 0.05
"""Parts one above the other with a wider gap, as a share of the digit's length, are two digits if both are high."""

_LIKE_STRENGTH = 0.4
"""Another digit is at least this share as strong as the first: pencil beside a pen."""

_LIKE_SIZE = 0.6
"""What is at least this share as high as the digit, and beside or below it, is another digit and no part of it."""

_FLAT, _OVERLONG = 5, 1.3
"""A part this many times wider than high is a level line. No digit has one below all else, but a 5 has one above, which
is not longer than this multiple of the rest."""

_WIDEST_STROKE = 0.55
"""A stroke's largest width as a share of the window: a wider one is read as its edges alone."""


class Digit(NamedTuple):
    """A digit in a reading of a picture.

    Attributes:
        ink: the reading.
        mask: [H, W] bool, the pixels of the digit.
        quality: how sharp, large and central the digit is; larger is better.
        sharpness: the mean steepness of its outline.
        others: the masks of other whole things of like size: more digits, at most `MOST_DIGITS`.
    """

    ink: Ink
    mask: Mask
    quality: float
    sharpness: float
    others: tuple[Mask, ...]


class _Parts:
    """The connected parts of the ink, described by arrays with one entry for each."""

    def __init__(self, ink: Ink) -> None:
        count, self.labels, table, _ = cv2.connectedComponentsWithStats(ink.mask.astype(np.uint8), connectivity=8)
        self.shape = ink.mask.shape
        self.area = table[1:, cv2.CC_STAT_AREA].astype(float)
        self.left, self.top, width, height = (table[1:, column].astype(float) for column in range(4))
        self.right, self.bottom = self.left + width, self.top + height
        self.longest = np.maximum(width, height)
        sums = np.bincount(self.labels.ravel(), weights=ink.strength.ravel(), minlength=count)
        self.strength = sums[1:] / self.area
        rows, columns = self.shape
        self.cut = (self.left <= 0) | (self.top <= 0) | (self.right >= columns) | (self.bottom >= rows)

    def weights(self) -> NDArray[np.float64]:
        """Return how much each part looks like the digit: large, strong, central and whole."""
        rows, columns = self.shape
        across = (self.left + self.right) / 2 / columns - 0.5
        down = (self.top + self.bottom) / 2 / rows - 0.5
        central = np.exp(-4 * (across**2 + down**2))
        size = np.sqrt(self.area / (rows * columns) * self.longest / max(rows, columns))
        return np.asarray(size * self.strength * central * np.where(self.cut, 0.5, 1.0))

    def largest(self) -> list[int]:
        """Return the largest parts, at most `_MOST_PARTS`: grain may have thousands."""
        return [int(part) for part in np.argsort(-self.area)[:_MOST_PARTS]]

    def box(self, chosen: Sequence[int]) -> tuple[float, float, float, float]:
        """Return left, top, right and bottom of some parts together."""
        parts = list(chosen)
        return self.left[parts].min(), self.top[parts].min(), self.right[parts].max(), self.bottom[parts].max()

    def with_near_parts(self, first: int, taken: Sequence[int] = ()) -> list[int]:
        """Return a part and all that belong to it: near, of like strength, and no digits of their own."""
        chosen = [first]
        candidates = [part for part in self.largest() if part != first and part not in taken]
        while True:
            near = next((other for other in candidates if self._belongs(other, first, self.box(chosen))), None)
            if near is None:
                return chosen
            chosen.append(near)
            candidates.remove(near)

    def _belongs(self, other: int, first: int, box: tuple[float, float, float, float]) -> bool:
        left, top, right, bottom = box
        across = max(0.0, self.left[other] - right, left - self.right[other])
        down = max(0.0, self.top[other] - bottom, top - self.bottom[other])
        longest = self.longest[first]
        dust = self.area[other] < 0.015 * self.area[first] and self.longest[other] < 0.1 * longest
        apart = across > 0 or down > _GAP * longest
        wide = self.right[other] - self.left[other]
        line = down > 0 and wide > _FLAT * (self.bottom[other] - self.top[other])
        if line and (self.top[other] > bottom or wide > _OVERLONG * (right - left)):
            return False
        another = apart and self.bottom[other] - self.top[other] > _LIKE_SIZE * (bottom - top)
        return bool(
            not dust
            and not another
            and np.hypot(across, down) <= _NEAR * longest
            and self.strength[other] >= 0.5 * self.strength[first]
            and (self.cut[first] or not self.cut[other])
        )

    def mask(self, chosen: Sequence[int]) -> Mask:
        """Return the pixels of some parts: [H, W] bool."""
        return np.asarray(np.isin(self.labels, [part + 1 for part in chosen]), dtype=np.bool_)


def find_digit(grey: Pixels) -> Digit | None:
    """Find the digit of a picture; if the picture shows a sheet of paper on something else, the digit on the sheet.

    Args:
        grey: [H, W] float32 in [0, 1], the brightness.

    Returns:
        The digit in the reading that shows it best; None if no reading has one.
    """
    found = _best_digit(grey)
    for _ in range(_MOST_SHEETS):
        sheet = None if found is None else sheet_alone(grey, found.mask)
        if sheet is None:
            break
        grey, found = sheet, _best_digit(sheet)
    return found


def _best_digit(grey: Pixels) -> Digit | None:
    edges = {dark: edge_sharpness(grey, dark=dark) for dark in (True, False)}
    inks = _without_lines(read_ink(grey))
    digits = [digit for ink in inks if (digit := _digit_of(ink, grey, edges[ink.dark])) is not None]
    return max(digits, key=lambda digit: digit.quality, default=None)


def _without_lines(inks: Iterable[Ink]) -> Iterator[Ink]:
    """Take frames and the lines of the paper from each reading, and yield those that have any ink left.

    A window wider than the picture joins them with shadows, so what the window before it found is taken from it, too.
    """
    before: tuple[Ink, Mask] | None = None
    for ink in inks:
        mask = ink.mask
        if before is not None and before[0].dark == ink.dark and ink.share > 1:
            mask = mask & ~_lines(*before)
        kept = without_ruled_lines(without_frames(mask))
        before = ink, kept
        if kept.any():
            yield ink._replace(mask=kept)


def _lines(ink: Ink, kept: Mask) -> Mask:
    """Return what was taken from a reading, two pixels wider on each side, without what was kept."""
    wider = cv2.dilate((ink.mask & ~kept).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return np.asarray(wider & ~kept, dtype=np.bool_)


def _digit_of(ink: Ink, grey: Pixels, edges: Pixels) -> Digit | None:
    """Return the digit of a reading; None if its strokes are too wide for the window."""
    parts = _Parts(ink)
    chosen = parts.with_near_parts(int(np.argmax(parts.weights())))
    mask = parts.mask(chosen)
    shape = mask.astype(np.uint8)
    width = stroke_width(shape)
    if width > _WIDEST_STROKE * ink.window:
        return None
    outline = cv2.morphologyEx(shape, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    steepness, length = float(edges[outline].sum()), int(outline.sum())
    rows, columns = parts.shape
    left, top, right, bottom = parts.box(chosen)
    off_centre = ((left + right) / 2 / columns - 0.5) ** 2 + ((top + bottom) / 2 / rows - 0.5) ** 2
    quality = (
        steepness**2  # much sharp outline,
        / length  # and little that is not sharp
        * np.exp(-4 * off_centre)
        * (1 - _border(mask).mean()) ** 2
        * _against_border(grey, mask, dark=ink.dark)
        * _paper_around(grey, shape, width=width) ** 2
        * (1.15 if ink.dark else 1.0)  # people write dark on light more often
        * min(ink.share, 0.4) ** 0.12  # of two that are as good, the one with more of the paper around
    )
    return Digit(ink, mask, float(quality), steepness / length, _others(parts, chosen))


def _against_border(grey: Pixels, mask: Mask, *, dark: bool) -> float:
    """Return, up to 1, how well the ink differs from the picture's border, which is paper more often than not.

    A border of one level is paper for sure; any other may hold ink, so it counts less.
    """
    border = _border(grey)
    paper, contrast = float(np.median(border)), max(float(np.ptp(grey)), 1e-3)
    even = float((np.abs(border - paper) < 0.15 * contrast).mean()) > 0.97
    difference = (paper - float(grey[mask].mean())) / contrast
    return float(np.clip(2 * (difference if dark else -difference), 0.01 if even else 0.2, 1))


def _paper_around(grey: Pixels, shape: NDArray[np.uint8], *, width: float) -> float:
    """Return the share of the pixels around the ink that are paper: about half if a stroke is read as its edges."""
    distances = cv2.distanceTransform(1 - shape, cv2.DIST_L2, 5)
    ring = (distances > 1 + width / 8) & (distances < 3 + width / 2)
    if not ring.any():
        return 1.0
    differences = np.abs(np.log(grey[ring] + 0.05) - np.log(grey[shape > 0] + 0.05).mean())
    return float((differences > np.quantile(differences, 0.9) / 2).mean())


def _border(picture: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


def _others(parts: _Parts, digit: list[int]) -> tuple[Mask, ...]:
    """Return the masks of the other whole things that are as high as the digit, or nearly, and as strong."""
    taken: list[int] = list(digit)
    found: list[Mask] = []
    _, top, _, bottom = parts.box(digit)
    height, strength = bottom - top, parts.strength[digit[0]]
    if parts.cut[digit].any():
        return ()
    for part in parts.largest():
        if part in taken or len(found) == MOST_DIGITS:
            continue
        if parts.longest[part] < 0.3 * height:
            break
        group = parts.with_near_parts(part, taken)
        _, upper, _, lower = parts.box(group)
        if (
            lower - upper >= _LIKE_SIZE * height
            and parts.strength[part] > _LIKE_STRENGTH * strength
            and not parts.cut[group].any()
        ):
            found.append(parts.mask(group))
            taken += group
    return tuple(found)
