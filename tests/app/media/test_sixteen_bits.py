"""Grey of 16 bits: its own range is stretched for a photo, and its values are kept for an image of D's size."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.media.sixteen_bits import to_eight_bits
from app.media.uploads import Prepared, Preprocess, read_upload
from models.images import ImageShape
from tests.app.checks import png_bytes


def prepare(levels: NDArray[np.uint16], preprocess: Preprocess = "auto") -> Prepared:
    data = png_bytes(levels)
    (prepared,) = read_upload(data, filename="x", shape=ImageShape(), preprocess=preprocess, max_pixels=10**6)
    return prepared


def page(paper: int, ink: int) -> NDArray[np.uint16]:
    levels = np.full((60, 50), paper, dtype=np.uint16)
    levels[20:40, 10:30] = ink
    return levels


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (1023, 100), (4095, 0), (65_535, 0), (30_000, 31_000)])
def test_a_part_of_the_range_is_stretched(seen: list[NDArray[np.uint8]], paper: int, ink: int) -> None:
    prepare(page(paper, ink))
    wanted = np.where(page(paper, ink) == max(paper, ink), 255, 0)
    assert (seen[0] == wanted).all()


def test_the_levels_between(seen: list[NDArray[np.uint8]]) -> None:
    levels = np.repeat(np.arange(100, 100 + 10 * 511, 10, dtype=np.uint16)[None], 9, axis=0)
    prepare(levels)
    assert np.abs(seen[0] - (levels.astype(float) - 100) / 5100 * 255).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("dead", [0, 65_535])
def test_single_dead_pixels_do_not_count(seen: list[NDArray[np.uint8]], dead: int) -> None:
    levels = page(2000, 800)
    for row, column in ((3, 3), (0, 0), (30, 20), (59, 49), (10, 45)):
        levels[row, column] = dead
    prepare(levels)
    assert seen[0][5, 5] == 255
    assert seen[0][25, 25] == 0


@pytest.mark.parametrize("step", [(0, 1), (1, 0), (1, 1), (1, -1)], ids=str)
def test_a_line_of_one_pixel_is_ink(seen: list[NDArray[np.uint8]], step: tuple[int, int]) -> None:
    levels = np.full((40, 40), 900, dtype=np.uint16)
    for k in range(10):
        levels[10 + k * step[0], 20 + k * step[1]] = 300
    prepare(levels)
    assert seen[0][10, 20] == 0
    assert seen[0][0, 0] == 255


def test_the_noise_of_an_empty_page_stays_faint(seen: list[NDArray[np.uint8]]) -> None:
    """A level of the file becomes one of 8 bits at most."""
    levels = np.random.default_rng(0).integers(60_000, 60_008, (40, 40)).astype(np.uint16)
    prepare(levels)
    assert np.ptp(seen[0]) <= 7


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2)], ids=str)
def test_small_and_constant(shape: tuple[int, int]) -> None:
    for level in (0, 7, 65_535):
        made = to_eight_bits(Image.fromarray(np.full(shape, level, dtype=np.uint16)), stretch=True)
        assert (made.mode, made.size) == ("L", shape[::-1])
        assert len(np.unique(np.asarray(made))) == 1


def test_none_keeps_the_values(digits: NDArray[np.uint8]) -> None:
    for factor, divisor in ((257, 1), (1, 257)):
        made = prepare(digits[0].astype(np.uint16) * factor, "none").image
        assert made is not None
        assert (made == np.rint(digits[0] / divisor)).all()


def test_any_other_mode_is_left_as_it_is() -> None:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"):
        image = Image.new(mode, (3, 3))
        assert to_eight_bits(image, stretch=True) is image
