"""Digits to upload, and a spy in the place of what makes a digit of a picture."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from app.media import uploads
from app.media.digit_photo import DigitPhoto
from training.data.mnist import read_mnist


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return read_mnist()[1][:300]


@pytest.fixture
def seven() -> Image.Image:
    """A 7 in black ink on white paper, 200 × 300 pixels, off the middle."""
    image = Image.new("L", (200, 300), 255)
    ImageDraw.Draw(image).line([(30, 150), (110, 150), (60, 280)], fill=0, width=14, joint="curve")
    return image


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.uint8]]:
    """The pictures of which a digit was to be made. Their dark pixels (below 128) are what is found."""
    pictures: list[NDArray[np.uint8]] = []

    def find(picture: NDArray[np.uint8], *, side: int, steps: bool = False) -> DigitPhoto:
        pictures.append(picture)
        grey = picture if picture.ndim == 2 else picture.mean(axis=2)
        rows, columns = np.flatnonzero((grey < 128).any(axis=1)), np.flatnonzero((grey < 128).any(axis=0))
        if not len(rows):
            return DigitPhoto(False, None, None, "it is light", np.zeros_like(picture), ())
        box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        return DigitPhoto(True, np.zeros((side, side), np.uint8), box, None, np.zeros_like(picture), ())

    monkeypatch.setattr(uploads, "make_digit", find)
    return pictures
