"""Pictures are turned upright and shrunk, and the box that is found is in the pixels of what a viewer shows."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.media import uploads, upright
from app.media.uploads import Prepared, read_upload
from app.media.upright import Box, Upright
from app.problems import Problem
from models.images import ImageShape
from tests.app.checks import TURN_TO_FILE, close, png_bytes

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "I;16", "RGB with a transparent colour")


def prepare(data: bytes, shape: ImageShape | None = None) -> Prepared:
    (prepared,) = read_upload(data, filename="x", shape=shape or ImageShape(), preprocess="auto", max_pixels=50_000_000)
    return prepared


def page(size: tuple[int, int], box: Box) -> Image.Image:
    """White paper with a dark rectangle."""
    image = Image.new("L", size, 255)
    image.paste(0, box)
    return image


def as_taken(image: Image.Image, orientation: int, form: str) -> bytes:
    """The file of a camera that was held in another way."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = TURN_TO_FILE[orientation]
    return png_bytes(image if turn is None else image.transpose(turn), form, exif=exif)


@pytest.mark.parametrize("orientation", TURN_TO_FILE)
@pytest.mark.parametrize(
    ("form", "size", "tolerance"),
    [
        ("PNG", (300, 200), 0),
        ("PNG", (2105, 1407), 2),
        ("JPEG", (300, 200), 0),
        ("JPEG", (2105, 1407), 2),
        ("JPEG", (3301, 4403), 4),
        ("JPEG", (6007, 4001), 6),
    ],
)
def test_the_box_is_in_the_pixels_that_a_viewer_shows(
    seen: list[NDArray[np.uint8]], form: str, size: tuple[int, int], tolerance: int, orientation: int
) -> None:
    """A shrunk picture has a box that is exact to one of its own pixels, and holds all of the digit."""
    width, height = size
    box = (width // 5, height // 3, width // 3, height * 9 // 10)
    found = prepare(as_taken(page(size, box), orientation, form)).box
    assert found is not None
    if tolerance == 0:
        assert found == box
    assert all(abs(one - other) <= tolerance for one, other in zip(found, box, strict=True))
    (picture,) = seen
    assert 1000 <= max(picture.shape) < 2000 or max(size) < 2000
    assert (picture.shape[0] > picture.shape[1]) == (height > width)


@pytest.mark.parametrize("orientation", TURN_TO_FILE)
def test_a_digit_that_fills_the_picture(seen: list[NDArray[np.uint8]], orientation: int) -> None:
    for size in ((40, 30), (2999, 2001), (1, 5003), (5003, 1), (1, 1)):
        found = prepare(as_taken(Image.new("L", size, 0), orientation, "PNG")).box
        assert found == (0, 0, *size)


def test_the_middle_square_of_a_turned_photo() -> None:
    shape = ImageShape(channels=3, height=32, width=32)
    for size, box in {
        (300, 200): (50, 0, 250, 200),
        (200, 301): (0, 50, 200, 250),
        (3000, 4000): (0, 500, 3000, 3500),
    }.items():
        for orientation in (1, 6):
            prepared = prepare(as_taken(page(size, (0, 0, 1, 1)).convert("RGB"), orientation, "JPEG"), shape)
            assert prepared.box == box
            assert prepared.image is not None
            assert prepared.image.shape == (32, 32, 3)


@pytest.mark.parametrize("mode", MODES)
def test_a_large_picture_is_shrunk_before_it_is_worked_on(
    monkeypatch: pytest.MonkeyPatch, seen: list[NDArray[np.uint8]], mode: str
) -> None:
    large = page((200, 300), (80, 60, 110, 240))
    if mode == "RGB with a transparent colour":
        data = png_bytes(large.convert("RGB"), transparency=(1, 2, 3))
    elif mode == "PA":
        data = png_bytes(large.convert("P"), transparency=bytes([255] * 256))
    elif mode == "I;16":
        data = png_bytes(np.asarray(large).astype(np.uint16) * 257)
    else:
        data = png_bytes(large.convert(mode), "JPEG" if mode == "CMYK" else "PNG")
    prepare(data)
    monkeypatch.setattr(upright, "WORKED_SIDE", 100)
    prepare(data)
    whole, shrunk = seen
    assert whole.shape[:2] == (300, 200)
    if mode == "CMYK":  # a JPEG is decoded at a half of its size, and a third would be the next whole factor
        assert shrunk.shape[:2] == (150, 100)
        assert close(whole[::2, ::2], shrunk, 8)
    else:
        assert shrunk.shape[:2] == (100, 67)
        assert close(whole[::3, ::3], shrunk, 8)


def test_a_picture_below_the_limit_is_not_shrunk(
    monkeypatch: pytest.MonkeyPatch, seen: list[NDArray[np.uint8]]
) -> None:
    monkeypatch.setattr(upright, "WORKED_SIDE", 50)
    for height in (99, 100):
        prepare(png_bytes(np.zeros((height, 60), dtype=np.uint8)))
    assert [picture.shape for picture in seen] == [(99, 60), (50, 30)]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(
    monkeypatch: pytest.MonkeyPatch, seen: list[NDArray[np.uint8]], options: dict[str, object]
) -> None:
    """Its end marker may be missing, and a JPEG that is cut off is still refused."""
    decoded: list[tuple[int, int]] = []

    def make_upright(image: Image.Image, **options: Any) -> Upright:
        decoded.append(image.size)
        return upright.make_upright(image, **options)

    monkeypatch.setattr(uploads, "make_upright", make_upright)
    data = png_bytes(page((4032, 3024), (1000, 1000, 1500, 2000)), "JPEG", **options)
    for file in (data, data[:-2]):
        assert prepare(file).box == (1000, 1000, 1500, 2000)
    assert decoded == [(1008, 756)] * 2
    with pytest.raises(Problem, match="is a JPEG that is cut off"):
        prepare(data[: len(data) * 3 // 4])


def test_several_pictures_in_one_jpeg(seen: list[NDArray[np.uint8]]) -> None:
    """Some cameras write a preview behind the picture (MPO)."""
    picture, preview = page((2400, 1800), (600, 800, 1000, 1600)), page((40, 30), (0, 0, 9, 9))
    file = io.BytesIO()
    picture.save(file, "MPO", save_all=True, append_images=[preview])
    assert prepare(file.getvalue()).box == (600, 800, 1000, 1600)
