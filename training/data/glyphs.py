"""Letters and signs that are not digits, drawn in the fonts of Matplotlib and distorted to look handwritten.

At export D is trained to distinguish them from real images (`training.export.negatives`), and evaluation tests D on
other ones (`training.evaluation.out_of_distribution`).
"""

from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

CHARACTERS = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # twice, because people mostly try Latin letters
    "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθκλμξπστφχψω"
    "БГДЖИЙЛПФЦЧШЩЪЫЬЭЮЯгджийлпфцчшщъыьэюя"
    "!?&@#%*+=<>[]{}$~^"
)
FONTS = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Italic.ttf",
    "DejaVuSansMono.ttf",
)
HELD_OUT_FONTS = ("cmr10.ttf", "cmss10.ttf", "cmtt10.ttf", "STIXGeneral.ttf", "STIXGeneralItalic.ttf")
"""Fonts that are used only to evaluate D; it is never trained on them."""

LATIN = CHARACTERS[:52]
_CANVAS = 96  # half the side of the canvas, in pixels, on which a glyph is drawn before it is made small
_INK_SIDE = 20 / 28  # as in MNIST: the longer side of the ink, as a share of the picture's side


def draw_glyphs(
    n: int, *, side: int, seed: int, characters: str = CHARACTERS, fonts: tuple[str, ...] = FONTS
) -> NDArray[np.uint8]:
    """Draw n random glyphs (letters and signs), [n, side, side] uint8, white on black, each distorted in its own way.

    The ink's longer side is about 20 of 28 pixels, as in MNIST, and the ink is centred.
    """
    rng = np.random.default_rng(seed)
    return np.stack([_draw(rng, side, characters, fonts) for _ in range(n)])


def _draw(rng: np.random.Generator, side: int, characters: str, fonts: tuple[str, ...]) -> NDArray[np.uint8]:
    character = characters[rng.integers(len(characters))]
    font = _font(fonts[rng.integers(len(fonts))])
    canvas = Image.new("L", (2 * _CANVAS, 2 * _CANVAS))
    stroke = int(rng.integers(0, 5))  # makes thin fonts bold
    pen = ImageDraw.Draw(canvas)
    pen.text((_CANVAS, _CANVAS), character, fill=255, font=font, anchor="mm", stroke_width=stroke)
    turned = canvas.rotate(rng.uniform(-15, 15), resample=Image.Resampling.BILINEAR)
    sheared = turned.transform(
        turned.size,
        Image.Transform.AFFINE,
        (1, shear := rng.uniform(-0.3, 0.3), -shear * _CANVAS, 0, 1, 0),
        resample=Image.Resampling.BILINEAR,
    )
    if rng.random() < 0.5:
        sheared = _wobble(sheared, rng)
    ink = sheared.crop(sheared.getbbox())
    longest = max(2, round(side * _INK_SIDE * rng.uniform(0.75, 1.15)))
    scale = longest / max(ink.size)
    width, height = (max(1, round(length * scale * rng.uniform(0.85, 1.0))) for length in ink.size)
    small = ink.resize((width, height), Image.Resampling.BOX)
    picture = Image.new("L", (side, side))
    picture.paste(small, ((side - width) // 2, (side - height) // 2))
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.7)))
    return np.asarray(picture, dtype=np.uint8)


def _wobble(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Bend an image smoothly, as handwriting is bent: its corners, edges and middle each move a little."""
    pixels = np.asarray(image, dtype=np.float32)
    bends = rng.uniform(-10, 10, (2, 4, 4)).astype(np.float32)
    size = pixels.shape[::-1]
    along, across = (np.asarray(Image.fromarray(bend).resize(size, Image.Resampling.BICUBIC)) for bend in bends)
    rows, columns = np.indices(pixels.shape)
    moved_rows = np.clip(np.rint(rows + along), 0, pixels.shape[0] - 1).astype(int)
    moved_columns = np.clip(np.rint(columns + across), 0, pixels.shape[1] - 1).astype(int)
    return Image.fromarray(pixels[moved_rows, moved_columns].astype(np.uint8))


@cache
def _font(name: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / name, size=int(_CANVAS * 0.9))
