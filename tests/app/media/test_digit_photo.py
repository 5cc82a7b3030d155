"""An MNIST-like digit is made from a picture."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from app.media.digit_photo import make_digit, split_digits
from tests.app.checks import close, png_bytes


def digit_of(picture: NDArray[np.uint8] | Image.Image) -> NDArray[np.uint8]:
    """The digit of a grey picture of 8 bits; black if nothing is found."""
    made = make_digit(np.asarray(picture, dtype=np.uint8), side=28).image
    return np.zeros((28, 28), np.uint8) if made is None else made


def test_mnist_digits_come_back_as_they_are(digits: NDArray[np.uint8]) -> None:
    made = np.stack([digit_of(digit) for digit in digits])
    assert (made == digits).all(axis=(1, 2)).mean() > 0.85
    assert np.abs(made.astype(int) - digits).mean() < 0.1  # the rest are moved by a rounded pixel


def test_dark_ink_on_white_is_the_same_digit(digits: NDArray[np.uint8]) -> None:
    for digit in digits[:50]:
        assert close(digit_of(255 - digit), digit_of(digit), 0.5)


def test_enlarged_digit_comes_back(digits: NDArray[np.uint8]) -> None:
    distances = []
    for digit in digits[:50]:
        large = Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC)
        distances.append(np.abs(digit_of(large).astype(int) - digit).mean())
    assert np.mean(distances) < 9


def test_box_and_centre_are_mnists(seven: Image.Image) -> None:
    made = digit_of(seven)
    rows, columns = np.flatnonzero(made.any(axis=1)), np.flatnonzero(made.any(axis=0))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    for axis in (0, 1):
        weight = made.sum(axis=1 - axis)
        assert abs((weight * np.arange(28)).sum() / weight.sum() - 14) <= 0.5
    assert made.max() == 255


def test_thin_strokes_stay_visible() -> None:
    image = Image.new("L", (400, 400), 0)
    ImageDraw.Draw(image).line([(100, 60), (300, 60), (180, 340)], fill=255, width=3)
    assert digit_of(image).max() == 255


def test_photo_with_grain_and_shade(seven: Image.Image) -> None:
    rng = np.random.default_rng(0)
    paper = np.linspace(190, 225, 200)[None, :] + rng.normal(0, 3, (300, 200))
    photo = np.where(np.asarray(seven) < 128, 60 + rng.normal(0, 5, (300, 200)), paper).clip(0, 255).astype(np.uint8)
    assert close(digit_of(Image.open(io.BytesIO(png_bytes(photo, "JPEG", quality=85)))), digit_of(seven), 14)


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_empty_page_is_black(shade: int) -> None:
    photo = make_digit(np.full((50, 60), shade, dtype=np.uint8), side=28)
    assert not photo.found
    assert (photo.image, photo.box) == (None, None)
    assert photo.reason


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    ramp = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size)
    assert digit_of(ramp).shape == (28, 28)


def test_make_digit_of_other_sides(seven: Image.Image) -> None:
    for side in (16, 40, 64):
        made = make_digit(np.asarray(seven), side=side).image
        assert made is not None
        assert made.shape == (side, side)
        assert np.ptp(np.flatnonzero(made.any(axis=1))) + 1 == round(side * 20 / 28)


def test_faint_ink_counts_from_its_limit_on() -> None:
    page = np.zeros((50, 50), np.uint8)
    page[20:30, 20:30] = 11
    assert digit_of(page).max() == 0
    page[20:30, 20:30] = 12
    assert digit_of(page).max() == 255


def test_box_steps_and_split(seven: Image.Image) -> None:
    pixels = np.asarray(seven)
    dark = pixels < 128
    rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
    photo = make_digit(np.stack([pixels] * 3, axis=2), side=28, steps=True)
    assert photo.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert all(max(step.picture.shape) <= 256 and step.words for step in photo.steps)
    assert make_digit(pixels, side=28).steps == ()
    assert len(split_digits(pixels, side=28)) == 1


def test_the_picture_is_left_as_it_is(seven: Image.Image) -> None:
    pixels = np.array(seven)
    made = digit_of(pixels)
    assert (pixels == np.asarray(seven)).all()
    assert (digit_of(pixels) == made).all()
