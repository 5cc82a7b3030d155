"""Pictures that are not square: cropped or padded, from every kind of file and at every size."""

import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.training.support import tiny_images, write_pngs
from training.data.dataset import load_dataset
from training.data.image_file import make_square, read_image_file
from training.data.reading import Fit, Reading
from training.errors import DataError


def striped(height: int, width: int) -> NDArray[np.uint8]:
    """White on both sides of a black square in the middle, of the size of the shorter side."""
    image = np.full((height, width), 255, np.uint8)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    image[top : top + side, left : left + side] = 0
    return image


@pytest.mark.parametrize(("height", "width"), [(16, 48), (48, 16), (20, 60), (60, 20)])
def test_crop_keeps_only_the_middle_and_pad_keeps_all(height: int, width: int):
    image = striped(height, width)
    assert make_square(image, 16, "crop").mean() < 16  # the filter overshoots a little at the edge
    padded = make_square(image, 48, "pad")
    assert padded.shape == (48, 48)
    assert padded.min() == 0
    assert padded.max() == 255


def test_pad_puts_the_whole_picture_into_the_middle():
    """Where nothing is resized, every pixel can be compared."""
    image = np.random.default_rng(0).integers(0, 256, (10, 16, 3), dtype=np.uint8)
    padded = make_square(image, None, "pad")
    np.testing.assert_array_equal(padded[3:13], image)
    ring = [image[y, x] for y in range(10) for x in range(16) for _ in range((y in {0, 9}) + (x in {0, 15}))]
    colour = np.median(np.array(ring), axis=0).astype(np.uint8)
    for bar in (padded[:3], padded[13:]):
        assert (bar == colour).all()


def test_bars_do_not_show_on_a_plain_background():
    image = np.full((16, 40, 3), (10, 200, 30), np.uint8)
    image[4:12, 10:30] = 255
    padded = make_square(image, None, "pad")
    assert (padded[:12] == (10, 200, 30)).all()
    assert (padded[28:] == (10, 200, 30)).all()


def test_without_a_side_the_square_has_the_size_of_the_picture():
    image = tiny_images(1, 20)[0][:, :16]
    assert make_square(image, None, "crop").shape == (16, 16)
    assert make_square(image, None, "pad").shape == (20, 20)
    assert make_square(image, None, None) is image
    np.testing.assert_array_equal(make_square(image, 16, None), make_square(image, 16, "crop"))


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_fine_patterns_become_grey_and_not_coarse_patterns(fit: Fit):
    """A chessboard of single pixels has nothing at the size of 16 pixels but its mean; without a filter it has."""
    board = np.indices((130, 130)).sum(axis=0) % 2 * 255
    small = make_square(board.astype(np.uint8), 16, fit)
    assert np.ptp(small[1:-1, 1:-1].astype(int)) <= 2
    assert small.mean() == pytest.approx(127.5, abs=2)


KINDS = ("1", "L", "LA", "P", "P with a clear colour", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "turned")


def picture_file(kind: str, width: int, height: int) -> io.BytesIO:
    """Return a file with a picture of this kind, size as it is seen, half white and half black from left to right."""
    seen = np.zeros((height, width), np.uint8)
    seen[:, : (width + 1) // 2] = 255
    image, suffix = Image.fromarray(seen), "PNG"
    options: dict[str, Any] = {}
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned a quarter clockwise
        image, options = Image.fromarray(np.ascontiguousarray(np.rot90(seen))), {"exif": exif}
    elif kind == "I;16":
        image = Image.fromarray(seen.astype(np.uint16) * 257)
    elif kind == "P with a clear colour":
        image = Image.fromarray(np.where(seen == 255, 7, 0).astype(np.uint8), "P")  # 7 is black, but transparent
        image.putpalette(bytes(768))
        options = {"transparency": 7}
    else:
        image, suffix = image.convert(kind), "JPEG" if kind in {"CMYK", "YCbCr"} else "PNG"
        options = {"quality": 100} if suffix == "JPEG" else {}
    file = io.BytesIO()
    image.save(file, suffix, **options)
    file.seek(0)
    return file


@pytest.mark.parametrize("size", [(40, 20), (20, 40), (33, 33), (1, 50), (50, 1), (16, 16), (200, 130)], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_at_every_size(kind: str, size: tuple[int, int]):
    """The left of a picture is white and the right black, however its file stores it."""
    width, height = size
    for side in (16, 28, 64):
        for fit in ("crop", "pad"):
            read = read_image_file(picture_file(kind, width, height), side, fit)
            assert read.pixels.shape[:2] == (side, side)
            assert read.square == (width == height)
            assert read.pixels.dtype == np.uint8
            grey = read.pixels if read.pixels.ndim == 2 else read.pixels.mean(axis=2)
            if min(width, height) >= 16:
                row = grey[side // 2]
                left = (side - round(side * min(1, width / height))) // 2 if fit == "pad" else 0
                assert row[left + 1] > 200
                assert row[side - 2 - left] < 55


@pytest.mark.parametrize(("fit", "kept"), [(None, "middle"), ("crop", "middle"), ("pad", "whole")])
def test_a_folder_of_mixed_sizes_says_what_it_did(tmp_path: Path, fit: Literal["crop", "pad"] | None, kept: str):
    write_pngs(tmp_path, tiny_images(20, 20))
    for number, size in enumerate([(40, 20), (20, 41), (1, 9)]):
        Image.new("RGBA", size, (255, 0, 0, 128)).save(tmp_path / f"z{number}.png")
    data = load_dataset(str(tmp_path), side=16, reading=Reading(fit=fit))
    assert data.images.shape[1:] == (3, 16, 16)
    assert data.not_square == 3
    (note,) = [note for note in data.notes if "not square" in note]
    assert note.startswith(f"3 image(s) are not square; the {kept} of each was kept")


def test_one_option_is_enough_where_all_sizes_agree(tmp_path: Path):
    write_pngs(tmp_path, tiny_images(20, 40)[:, :20])
    with pytest.raises(DataError, match=r"000\.png is 40 × 20 pixels; images must be square.*image_side=32.*--fit pad"):
        load_dataset(str(tmp_path))
    assert load_dataset(str(tmp_path), reading=Reading(fit="crop")).shape.height == 20
    assert load_dataset(str(tmp_path), reading=Reading(fit="pad")).shape.height == 40


def test_arrays_are_padded_too(tmp_path: Path):
    np.savez(tmp_path / "a.npz", images=np.tile(striped(16, 48), (20, 1, 1)))
    with pytest.raises(DataError, match="--fit pad"):
        load_dataset(str(tmp_path / "a.npz"))
    assert load_dataset(str(tmp_path / "a.npz"), side=24, reading=Reading(fit="crop")).images.float().mean() < 16
    padded = load_dataset(str(tmp_path / "a.npz"), side=24, reading=Reading(fit="pad")).images
    assert padded.shape[1:] == (1, 24, 24)
    assert padded.max() == 255
