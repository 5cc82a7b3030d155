"""An MNIST-like digit is made from a picture."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

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
    assert np.mean(distances) < 12  # thin strokes become 2.6 pixels wide


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
    page = np.full((50, 50), 200, np.uint8)
    page[10:40, 22:28] = 190
    assert digit_of(page).max() == 0
    page[10:40, 22:28] = 170
    assert digit_of(page).max() == 255


def distance(one: NDArray[np.uint8] | None, other: NDArray[np.uint8] | None) -> float:
    """The mean difference in grey levels, but for a shift by a pixel: the centre is rounded to whole pixels."""
    assert one is not None
    assert other is not None
    shifts = [np.roll(one, (row, column), (0, 1)) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    return min(float(np.abs(shifted.astype(int) - other).mean()) for shifted in shifts)


def written(numbers: str, *, size: int = 90, gap: int = 40) -> Image.Image:
    """Dark numbers on white."""
    font = ImageFont.load_default(size)
    page = Image.new("L", (len(numbers) * (size // 2 + gap) + 2 * gap, 2 * size), 235)
    for place, number in enumerate(numbers):
        ImageDraw.Draw(page).text((gap + place * (size // 2 + gap), size // 3), number, fill=40, font=font)
    return page


def test_several_digits_are_said_and_split() -> None:
    page = np.asarray(written("2741"))
    assert make_digit(page, side=28).reason == "there are 4 digits in the picture; send split=true to score each"
    digits = split_digits(page, side=28)
    lefts = [digit.box[0] for digit in digits if digit.box]
    assert len(lefts) == 4
    assert lefts == sorted(lefts)
    assert distance(digits[1].image, make_digit(np.asarray(written("7")), side=28).image) < 6


def shaded(page: Image.Image, kind: str) -> NDArray[np.uint8]:
    """A photo of a page, as a phone in a bad light takes it: [H, W, 3] uint8."""
    rng = np.random.default_rng(3)
    grey = np.asarray(page, dtype=np.float32)
    height, width = grey.shape
    rows, columns = np.mgrid[:height, :width]
    if kind == "cast shadow":
        grey *= 0.45 + 0.55 / (1 + np.exp(-(columns + rows / 2 - width * 0.7) / 5))  # some 20 pixels from dark to light
    if kind == "dark corner":
        grey *= 0.3 + 0.7 * (rows / height + columns / width) / 2
    if kind == "squared paper":
        grey = np.where((rows % 21 == 0) | (columns % 21 == 0), np.minimum(grey, 190), grey)
    colour = np.stack([grey, grey * 0.97, grey * 0.9], axis=2) + rng.normal(0, 3, (height, width, 1))
    return colour.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["cast shadow", "dark corner", "squared paper"])
@pytest.mark.parametrize("number", ["2", "7", *(pytest.param(number, marks=pytest.mark.slow) for number in "34568")])
def test_light_and_paper_change_little(kind: str, number: str) -> None:
    page = written(number, size=200, gap=80)
    plain, photo = make_digit(np.asarray(page), side=28), make_digit(shaded(page, kind), side=28)
    assert distance(photo.image, plain.image) < 10
    assert plain.box is not None
    assert photo.box is not None
    assert np.abs(np.subtract(photo.box, plain.box)).max() <= 6


def test_red_ink_on_green_of_the_same_luminance() -> None:
    ink = np.asarray(written("5", size=200, gap=80))[..., None] < 128
    picture = np.where(ink, np.array([200, 70, 60]), np.array([70, 133, 60])).astype(np.uint8)
    assert np.ptp(np.asarray(Image.fromarray(picture).convert("L")).astype(int)) < 8
    plain = make_digit(np.asarray(written("5", size=200, gap=80)), side=28)
    assert distance(make_digit(picture, side=28).image, plain.image) < 6


def test_a_picture_cut_to_its_ink_is_the_same_digit() -> None:
    for number in "023456789":
        page = np.asarray(written(number, size=200, gap=80))
        whole = make_digit(page, side=28)
        assert whole.box is not None
        left, top, right, bottom = whole.box
        cut = make_digit(np.ascontiguousarray(page[top:bottom, left:right]), side=28)
        assert distance(cut.image, whole.image) < 10, number


def with_lines(page: Image.Image, kind: str) -> Image.Image:
    """A page with dark lines that are no part of its digit."""
    page = page.copy()
    draw, (width, height) = ImageDraw.Draw(page), page.size
    digit = make_digit(np.asarray(page), side=28).box
    assert digit is not None
    left, top, right, bottom = digit
    if kind in ("ruled", "squared"):
        for row in range(12, height, 32):
            draw.line((0, row, width, row + 8), fill=90, width=3)
    if kind == "squared":
        for column in range(12, width, 32):
            draw.line((column, 0, column - 8, height), fill=90, width=3)
    if kind == "box":
        draw.rectangle((left - 30, top - 25, right + 20, bottom + 30), outline=40, width=4)
    if kind == "circle":
        draw.arc((left - 60, top - 40, right + 60, bottom + 40), 20, 365, fill=40, width=4)
    if kind == "underline":
        draw.line((left - 20, bottom + 20, right + 20, bottom + 24), fill=40, width=6)
    return page


@pytest.mark.parametrize("kind", ["ruled", "squared", "box", "circle", "underline"])
@pytest.mark.parametrize("number", ["2", "7", *(pytest.param(number, marks=pytest.mark.slow) for number in "0345689")])
def test_lines_are_no_part_of_the_digit(kind: str, number: str) -> None:
    page = written(number, size=200, gap=80)
    plain, photo = make_digit(np.asarray(page), side=28), make_digit(np.asarray(with_lines(page, kind)), side=28)
    assert distance(photo.image, plain.image) < 14
    assert plain.box is not None
    assert photo.box is not None
    assert np.abs(np.subtract(photo.box, plain.box)).max() <= 8


@pytest.mark.parametrize("kind", ["ruled", "squared"])
def test_lines_alone_are_nothing(kind: str) -> None:
    page = Image.new("L", (400, 300), 235)
    draw = ImageDraw.Draw(page)
    for row in range(15, 300, 30):
        draw.line((0, row, 400, row), fill=90, width=3)
    for column in range(15, 400, 30) if kind == "squared" else []:
        draw.line((column, 0, column, 300), fill=90, width=3)
    assert not make_digit(np.asarray(page), side=28).found


def test_a_one_from_edge_to_edge_is_no_line_of_the_paper() -> None:
    page = Image.new("L", (120, 300), 235)
    ImageDraw.Draw(page).line((70, 0, 50, 299), fill=40, width=4)
    assert make_digit(np.asarray(page), side=28).found


def test_boxes_of_a_form() -> None:
    page = written("428", size=150, gap=60)
    draw = ImageDraw.Draw(page)
    for digit in split_digits(np.asarray(page), side=28):
        assert digit.box is not None
        left, top, right, bottom = digit.box
        draw.rectangle((left - 22, top - 25, right + 22, bottom + 25), outline=40, width=3)
    assert len(split_digits(np.asarray(page), side=28)) == 3


def on_table(page: Image.Image) -> NDArray[np.uint8]:
    """A photo of a sheet on a dark table: [H, W] uint8."""
    table = np.full((2 * page.height, 2 * page.width), 60, np.uint8)
    top, left = page.height // 2, page.width // 3
    table[top : top + page.height, left : left + page.width] = np.asarray(page)
    return table


@pytest.mark.parametrize("number", ["2", "7", *(pytest.param(number, marks=pytest.mark.slow) for number in "0345689")])
def test_the_digit_and_not_the_sheet_is_found_on_a_table(number: str) -> None:
    page = written(number, size=200, gap=80)
    alone, photo = make_digit(np.asarray(page), side=28), make_digit(on_table(page), side=28)
    assert distance(photo.image, alone.image) < 12
    assert alone.box is not None
    moved = np.add(alone.box, (page.width // 3, page.height // 2) * 2)
    assert photo.box is not None
    assert np.abs(np.subtract(photo.box, moved)).max() <= 4


def test_a_scan_that_was_turned_with_black_corners() -> None:
    page = written("5", size=200, gap=80)
    turned = page.rotate(8, expand=True, fillcolor=0)
    photo = make_digit(np.asarray(turned), side=28)
    plain = make_digit(np.asarray(page.rotate(8, fillcolor=235)), side=28)
    assert distance(photo.image, plain.image) < 12


def test_a_blank_sheet_on_a_table_is_nothing() -> None:
    assert not make_digit(on_table(Image.new("L", (300, 400), 235)), side=28).found


def test_digits_one_above_the_other_are_two() -> None:
    page = Image.new("L", (300, 560), 235)
    for top, number in ((30, "5"), (240, "2")):
        font = ImageFont.load_default(250)
        ImageDraw.Draw(page).text((70, top), number, fill=40, font=font)
    assert len(split_digits(np.asarray(page), side=28)) == 2
    assert make_digit(np.asarray(page), side=28).reason.startswith("there are 2 digits")  # type: ignore[union-attr]


def test_a_faint_digit_beside_a_strong_one_counts() -> None:
    page = np.asarray(written("72")).copy()
    right = page[:, page.shape[1] // 2 :]
    right[:] = 235 - (235 - right.astype(int)) * 0.8
    assert len(split_digits(page, side=28)) == 2


def test_more_digits_than_allowed_are_said_and_not_lost() -> None:
    row = np.asarray(written("23456789"))
    page = np.concatenate([row] * 5)
    (photo,) = split_digits(page, side=28)
    assert photo.reason == "there are more than 32 shapes like digits in the picture; send a part of it"
    assert len(split_digits(np.concatenate([row] * 4), side=28)) == 32


@pytest.mark.parametrize("side", [3, 8])
def test_a_crumb_is_no_digit(side: int) -> None:
    page = np.full((600, 800), 230, np.uint8)
    page[300 : 300 + side, 400 : 400 + side] = 40
    assert not make_digit(page, side=28).found


def test_grain_without_ink_is_nothing() -> None:
    rng = np.random.default_rng(0)
    assert not make_digit(rng.normal(200, 6, (400, 300)).clip(0, 255).astype(np.uint8), side=28).found


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


@pytest.mark.parametrize("inverted", [False, True])
def test_a_digit_is_taken_as_it_is_if_most_pixels_are_paper(inverted: bool) -> None:
    for ink, taken in ((391, True), (392, False), (393, False)):  # 392 is half of the pixels: the median is between
        box = np.zeros(400, dtype=np.uint8)
        box[: ink - 1] = box[-1] = 255  # the last pixel makes the box 20 pixels high
        picture = np.pad(box.reshape(20, 20), 4)
        picture = 255 - picture if inverted else picture
        made = make_digit(picture, side=28, steps=True)
        assert made.steps[0].words.startswith("The picture has the size") == taken, ink
