"""Letters and signs: how they look, and that D is evaluated with other fonts than it is trained with."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import ImageFont

from training.data.glyphs import CHARACTERS, FONTS, HELD_OUT_FONTS, LATIN, draw_glyphs
from training.data.mnist import read_mnist
from training.evaluation.features import extract

FONT_FOLDER = Path(mpl.get_data_path()) / "fonts" / "ttf"


@pytest.mark.parametrize("side", [16, 28, 64])
def test_shape_ink_and_margins(side: int):
    glyphs = draw_glyphs(60, side=side, seed=1)
    assert glyphs.shape == (60, side, side)
    assert glyphs.dtype == np.uint8
    assert (glyphs.max(axis=(1, 2)) > 60).all()  # none is empty
    assert (np.median(glyphs, axis=(1, 2)) == 0).mean() > 0.9  # white on black, and mostly black
    for glyph in glyphs:
        rows, columns = (np.flatnonzero(glyph.max(axis=axis) > 60) for axis in (1, 0))
        longest = max(np.ptp(rows), np.ptp(columns)) + 1
        assert longest <= side * 20 / 28 * 1.15 + 2
        for lines in (rows, columns):  # the ink is centred, except for the faint edge of a blur
            assert abs((lines[0] + lines[-1]) / 2 - (side - 1) / 2) <= 0.1 * side


def test_the_ink_is_about_as_large_as_mnists():
    def extent(images: NDArray[np.uint8]) -> float:
        inks = [[np.flatnonzero(image.max(axis=axis) > 60) for axis in (0, 1)] for image in images]
        return float(np.mean([max(np.ptp(along) + 1 for along in ink) for ink in inks]))

    assert extent(draw_glyphs(100, side=28, seed=2)) == pytest.approx(extent(read_mnist()[1][:100]), abs=3)


def test_the_same_seed_gives_the_same_glyphs():
    one, again, other = (draw_glyphs(20, side=28, seed=seed) for seed in (4, 4, 5))
    assert (one == again).all()
    assert not (one == other).all(axis=(1, 2)).any()
    assert (draw_glyphs(8, side=28, seed=4) == one[:8]).all()  # drawing more does not change the first ones


def test_two_drawings_of_one_letter_differ_as_a_hands_do():
    same = draw_glyphs(30, side=28, seed=0, characters="k", fonts=FONTS[:1])
    assert len({glyph.tobytes() for glyph in same}) == 30
    assert np.mean([np.corrcoef(same[0].ravel(), glyph.ravel())[0, 1] for glyph in same[1:]]) > 0.3


def test_the_fonts_of_the_examination_are_none_that_a_judge_sees():
    assert not set(FONTS) & set(HELD_OUT_FONTS)
    files = {name: (FONT_FOLDER / name).read_bytes() for name in (*FONTS, *HELD_OUT_FONTS)}
    assert len(set(files.values())) == len(files)
    seen, held_out = (
        {ImageFont.truetype(FONT_FOLDER / name).getname()[0] for name in group} for group in (FONTS, HELD_OUT_FONTS)
    )
    assert not seen & held_out


def test_no_character_is_a_digit_or_looks_like_one():
    assert not set("0123456789OolI|") & set("".join(c for c in CHARACTERS if c not in LATIN))
    assert not set("0123456789") & set(CHARACTERS)
    assert set(LATIN) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    assert len(LATIN) == 52


@pytest.mark.parametrize(("characters", "fonts"), [(CHARACTERS, FONTS), (LATIN, HELD_OUT_FONTS)])
def test_every_font_has_every_character(characters: str, fonts: tuple[str, ...]):
    """A font draws a box instead of a character that it does not have."""
    for name in fonts:
        font = ImageFont.truetype(FONT_FOLDER / name, size=40)
        drawn = {character: bytes(font.getmask(character)) for character in {*characters, "\uffff"}}
        nothing = {drawn["\uffff"], *(pixels for pixels in drawn.values() if not any(pixels))}
        missing = [character for character in characters if drawn[character] in nothing]
        assert not missing, name


def test_a_digit_drawn_so_would_be_read_as_one():
    """The glyphs are readable: the classifier recognises digits that are drawn in the same way."""
    for digit in (3, 5):
        drawn = draw_glyphs(40, side=28, seed=digit, characters=str(digit))
        labels = extract(torch.from_numpy(drawn)[:, None], digits=1).labels
        assert labels is not None
        assert (labels == digit).double().mean() > 0.7
