"""The ink of a transparent picture shows, whether the paper is the transparent part or the visible one."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from app.media.transparency import on_paper
from app.media.uploads import Prepared, read_upload
from models.images import ImageShape
from tests.app.checks import close, png_bytes
from tests.app.media.raw_pngs import GREY, GREY_ALPHA, raw_png


def prepare(data: bytes) -> Prepared:
    (prepared,) = read_upload(data, filename="x", shape=ImageShape(), preprocess="auto", max_pixels=10**7)
    return prepared


def ink_alone(seven: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """The seven in one colour on a transparent ground, with soft edges: a browser's canvas makes such files."""
    soft = seven.resize((100, 150)).filter(ImageFilter.GaussianBlur(1))
    drawing = Image.new("RGBA", soft.size, (*colour, 255))
    drawing.putalpha(Image.fromarray(255 - np.asarray(soft)))
    return drawing


def cut_out(paper: int, ink: int, *, width: int = 10) -> Image.Image:
    """Paper with a stroke and round transparent corners, whose hidden pixels have another colour."""
    corners = Image.new("L", (200, 300), 0)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, 199, 299), radius=40, fill=255)
    page = Image.new("L", (200, 300), paper)
    ImageDraw.Draw(page).line([(60, 90), (140, 90), (90, 220)], fill=ink, width=width)
    page = Image.composite(page, Image.new("L", page.size, 255 - paper), corners)
    page.putalpha(corners)
    return page


@pytest.mark.parametrize(
    "colour", [(0, 0, 0), (255, 255, 255), (128, 128, 128), (220, 20, 20), (0, 0, 255), (255, 255, 0)], ids=str
)
def test_ink_alone_in_any_colour(
    seen: list[NDArray[np.uint8]], seven: Image.Image, colour: tuple[int, int, int]
) -> None:
    drawing = ink_alone(seven, colour)
    prepare(png_bytes(drawing))
    assert (seen[0] == 255 - np.asarray(drawing.getchannel("A"))).all()  # with its soft edges
    assert len(np.unique(seen[0])) > 50


@pytest.mark.parametrize("level", [0, 255])
def test_ink_alone_in_grey_and_alpha(seen: list[NDArray[np.uint8]], seven: Image.Image, level: int) -> None:
    drawing = ink_alone(seven, (level, level, level))
    prepare(png_bytes(drawing.convert("LA")))
    assert (seen[0] == 255 - np.asarray(drawing.getchannel("A"))).all()


def test_ink_alone_that_fills_its_picture(seen: list[NDArray[np.uint8]]) -> None:
    """A stroke that was cut out tightly is visible in most of the picture."""
    drawing = Image.new("RGBA", (30, 100))
    ImageDraw.Draw(drawing).rounded_rectangle((0, 0, 29, 99), radius=14, fill=(0, 90, 0, 255))
    assert (np.asarray(drawing)[..., 3] > 0).mean() > 0.9
    prepare(png_bytes(drawing))
    assert (seen[0] == 255 - np.asarray(drawing)[..., 3]).all()


def test_ink_alone_is_the_same_digit(seven: Image.Image) -> None:
    plain = prepare(png_bytes(seven)).image
    assert plain is not None
    for colour in ((0, 0, 0), (255, 255, 255), (200, 0, 90)):
        made = prepare(png_bytes(ink_alone(seven, colour))).image
        assert made is not None
        assert close(made, plain, 6)


@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (230, 60), (0, 255), (40, 200), (235, 185)])
@pytest.mark.parametrize("width", [3, 10, 40])
def test_paper_with_round_corners(seen: list[NDArray[np.uint8]], paper: int, ink: int, width: int) -> None:
    """The corners become paper, and nothing else changes; the paper of thin ink has nearly one brightness."""
    page = cut_out(paper, ink, width=width)
    for image in (page, page.convert("RGBA")):
        prepare(png_bytes(image))
        (picture,) = seen
        seen.clear()
        grey = picture if picture.ndim == 2 else picture[..., 0]
        alpha = np.asarray(page.getchannel("A"))
        assert (grey[alpha == 0] == paper).all()
        assert (grey[alpha == 255] == np.asarray(page.getchannel("L"))[alpha == 255]).all()


def test_paper_with_half_transparent_edges(seen: list[NDArray[np.uint8]]) -> None:
    """The window of a screen has a shadow around it."""
    window = np.full((100, 100, 4), 255, dtype=np.uint8)
    window[40:60, 40:60, :3] = 10
    window[:10], window[:, :10] = (0, 0, 0, 100), (0, 0, 0, 100)
    prepare(png_bytes(window))
    assert (seen[0][:10] == 155).all()
    assert (seen[0][50, 50] == 10).all()


def test_two_colours_of_ink(seen: list[NDArray[np.uint8]]) -> None:
    """Red and blue have about one brightness: alpha is the ink. Black and light grey are laid on white, as they are."""
    for first, second in (((200, 0, 0, 255), (0, 0, 250, 255)), ((0, 0, 0, 255), (150, 150, 150, 255))):
        drawing = np.zeros((90, 90, 4), dtype=np.uint8)
        drawing[20:30, 20:70], drawing[30:80, 40:50] = first, second
        assert prepare(png_bytes(drawing)).box == (20, 20, 70, 80) or second[0] == 150
        assert seen[-1].reshape(90, 90, -1)[0, 0, 0] == 255
        assert seen[-1].reshape(90, 90, -1)[25, 45, 0] == 0
        assert seen[-1].reshape(90, 90, -1)[60, 45, 0] == second[0]


def test_ink_on_its_own_small_paper(seen: list[NDArray[np.uint8]]) -> None:
    """A sticker that covers less than half of the picture is laid on black or white, by its mean brightness."""
    for paper, ink, ground in ((240, 10, 0), (20, 250, 255)):
        sticker = np.zeros((100, 100, 2), dtype=np.uint8)
        sticker[20:80, 20:80] = paper, 255
        sticker[40:60, 30:50] = ink, 255
        prepare(png_bytes(sticker))
        assert seen[-1][0, 0] == ground
        assert seen[-1][30, 30] == paper
        assert seen[-1][50, 40] == ink


@pytest.mark.parametrize("colour", [(10, 20, 30, 0), (255, 255, 255, 0), (0, 0, 0, 0)], ids=str)
def test_wholly_transparent_is_an_empty_page(colour: tuple[int, int, int, int]) -> None:
    prepared = prepare(png_bytes(Image.new("RGBA", (40, 40), colour)))
    assert not prepared.found
    assert (prepared.image, prepared.box) == (None, None)
    assert prepared.reason


def test_faint_ink_alone(seen: list[NDArray[np.uint8]]) -> None:
    """No pixel is half opaque, so all of them are ink."""
    drawing = np.zeros((50, 50, 4), dtype=np.uint8)
    drawing[10:40, 20:25] = 0, 0, 90, 100
    prepare(png_bytes(drawing))
    assert (seen[0][10:40, 20:25] == 155).all()
    assert seen[0].max() == 255


def test_an_opaque_picture_with_alpha_is_left_as_it_is(seen: list[NDArray[np.uint8]]) -> None:
    colours = np.random.default_rng(0).integers(100, 130, (40, 50, 3), dtype=np.uint8)  # of little contrast
    opaque = np.dstack([colours, np.full((40, 50), 255, dtype=np.uint8)])
    prepare(png_bytes(opaque))
    assert (seen[0] == colours).all()
    prepare(png_bytes(np.ascontiguousarray(opaque[..., [0, 3]])))
    assert (seen[1] == colours[..., 0]).all()


def test_colour_is_kept(seen: list[NDArray[np.uint8]]) -> None:
    """Red on green of the same brightness shows by its colour alone."""
    picture = np.full((40, 40, 3), (0, 130, 0), dtype=np.uint8)
    picture[10:30, 15:25] = 255, 0, 0
    prepare(png_bytes(picture))
    assert (seen[0] == picture).all()
    prepare(png_bytes(Image.fromarray(picture).convert("P", palette=Image.Palette.ADAPTIVE)))
    assert close(seen[1], picture, 3)


def test_a_palette_with_a_transparent_colour(seen: list[NDArray[np.uint8]], seven: Image.Image) -> None:
    drawing = ink_alone(seven, (0, 0, 0)).getchannel("A").point([255 * (level > 99) for level in range(256)])
    palette = drawing.convert("P")
    prepare(png_bytes(palette, transparency=bytes([0] + [255] * 255)))  # colour 0, black, is clear; the ink is white
    assert (seen[0] == 255 - np.asarray(drawing)).all()


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_shade_of_grey(seen: list[NDArray[np.uint8]], depth: int) -> None:
    """The shade is 1, and the ink is black: alone, it would be lost on a black ground."""
    samples = np.ones((40, 40, 1), dtype=np.uint16)
    samples[10:30, 15:20] = 0
    prepare(raw_png(samples, depth=depth, colour=GREY, transparency=(1).to_bytes(2, "big")))
    assert (seen[0] == np.where(samples[..., 0] == 1, 255, 0)).all()


def test_grey_and_alpha_of_16_bits(seen: list[NDArray[np.uint8]]) -> None:
    samples = np.zeros((40, 40, 2), dtype=np.uint16)
    samples[10:30, 15:20] = 40_000, 65_535
    prepare(raw_png(samples, depth=16, colour=GREY_ALPHA))
    assert (seen[0] == np.where(samples[..., 1] > 0, 0, 255)).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK"])
def test_opaque_modes(mode: str) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)).convert(mode)
    pixels = on_paper(image)
    assert pixels.dtype == np.uint8
    wanted = image.convert("L" if mode in {"1", "L"} else "RGB")
    assert (pixels == np.asarray(wanted)).all()
