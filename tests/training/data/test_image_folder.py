"""Images from a folder of files."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.support import tiny_images, write_pngs
from training.data.image_file import resize
from training.data.raw_images import RawImages
from training.data.sources.image_folder import list_folder
from training.data.sources.reader import read_pictures
from training.errors import DataError

GREY = tiny_images(6)
RGB = tiny_images(6, channels=3)


def read_image_folder(path: Path, side: int | None, *, strict: bool = False) -> RawImages:
    return read_pictures(list_folder(path), side, None, strict=strict)


def test_grey_images_in_the_order_of_their_paths(tmp_path: Path):
    write_pngs(tmp_path, GREY)
    np.testing.assert_array_equal(read_image_folder(tmp_path, None).images, GREY)


def test_rgb_images(tmp_path: Path):
    write_pngs(tmp_path, RGB)
    np.testing.assert_array_equal(read_image_folder(tmp_path, None).images, RGB)


def test_one_colour_image_makes_all_of_them_rgb(tmp_path: Path):
    write_pngs(tmp_path, GREY)
    Image.fromarray(RGB[0]).save(tmp_path / "zzz.png")
    found = read_image_folder(tmp_path, None)
    images = found.images
    assert found.notes == (
        f"1 of the 7 images are in colour, the others grey, so all are read as RGB; the first is {tmp_path}/zzz.png",
    )
    assert images.shape == (7, 16, 16, 3)
    for channel in range(3):
        np.testing.assert_array_equal(images[:6, ..., channel], GREY)
    np.testing.assert_array_equal(images[6], RGB[0])


def test_sub_folders_and_other_files(tmp_path: Path):
    write_pngs(tmp_path / "b", GREY[:2])
    write_pngs(tmp_path / "a" / "deep", GREY[2:4])
    write_pngs(tmp_path, GREY[4:])
    (tmp_path / "README.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    images = read_image_folder(tmp_path, None).images
    np.testing.assert_array_equal(images, np.concatenate([GREY[4:], GREY[2:4], GREY[:2]]))


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "gif", "webp", "jpg", "JPEG"])
def test_formats(tmp_path: Path, suffix: str):
    flat = np.full((16, 16), 200, np.uint8)
    Image.fromarray(flat).save(tmp_path / f"a.{suffix}", quality=100)
    images = read_image_folder(tmp_path, None).images
    assert abs(images.astype(int) - 200).max() <= 2
    assert images.shape == (1, 16, 16)  # WebP has no grey, and its equal channels are taken for grey


@pytest.mark.parametrize(("mode", "suffix"), [("P", "png"), ("RGB", "png"), ("RGBA", "png"), ("L", "webp")])
def test_one_grey_picture_that_could_hold_colours_leaves_the_data_grey(tmp_path: Path, mode: str, suffix: str):
    """It made all pictures RGB, and G learned three channels."""
    write_pngs(tmp_path, GREY)
    extra = Image.fromarray(GREY[0]).convert(mode)
    extra.save(tmp_path / f"zzz.{suffix}", lossless=True)
    found = read_image_folder(tmp_path, None)
    np.testing.assert_array_equal(found.images, np.concatenate([GREY, GREY[:1]]))
    assert found.notes == ()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_modes(tmp_path: Path, mode: str):
    white = Image.fromarray(np.full((16, 16), 65535, np.uint16)) if mode == "I;16" else Image.new("L", (16, 16), 255)
    image = white if mode == "I;16" else white.convert(mode)
    image.save(tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"))
    images = read_image_folder(tmp_path, None).images
    assert images.shape[:3] == (1, 16, 16)
    assert images.min() == 255


def test_16_bits_are_scaled_not_clipped(tmp_path: Path):
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16) * 256 + 99  # the low byte has no effect
    Image.fromarray(ramp).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image_folder(tmp_path, None).images[0].ravel(), np.arange(256))


def test_a_photo_is_turned_upright(tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    Image.fromarray(GREY[0]).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image_folder(tmp_path, None).images[0], np.rot90(GREY[0], -1))


def test_sizes_that_differ_name_the_file_and_the_way_out(tmp_path: Path):
    write_pngs(tmp_path, GREY)
    Image.new("L", (20, 16)).save(tmp_path / "odd.png")
    with pytest.raises(DataError, match=r"odd\.png is 20 × 16 pixels, but /.*/000\.png is 16 × 16: use `--set image"):
        read_image_folder(tmp_path, None)
    assert read_image_folder(tmp_path, 32).images.shape == (7, 32, 32)


def test_the_middle_square_is_kept(tmp_path: Path):
    wide = np.zeros((16, 48), np.uint8)
    wide[:, 16:32] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.T).save(tmp_path / "tall.png")
    assert read_image_folder(tmp_path, 16).images.min() == 255


def test_resizing_keeps_the_brightness():
    image = np.zeros((32, 32), np.uint8)
    image[8:24, 8:24] = 200
    small = resize(image, 16)
    assert small.shape == (16, 16)
    assert small.mean() == pytest.approx(image.mean(), abs=1)
    assert resize(RGB[0], 24).shape == (24, 24, 3)


@pytest.mark.parametrize("data", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_a_broken_image_is_named(tmp_path: Path, data: bytes):
    write_pngs(tmp_path, GREY)
    (tmp_path / "broken.png").write_bytes(data)
    with pytest.raises(DataError, match=r"broken\.png cannot be read as an image: .*repair it or take it out"):
        read_image_folder(tmp_path, None, strict=True)


def test_a_truncated_image_is_named(tmp_path: Path):
    buffer = io.BytesIO()
    Image.fromarray(tiny_images(1, 64)[0]).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:-400])
    with pytest.raises(DataError, match=r"cut\.png cannot be read"):
        read_image_folder(tmp_path, None, strict=True)


def test_a_decompression_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_pngs(tmp_path, GREY[:1])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"000\.png cannot be read as an image.*bomb"):
        read_image_folder(tmp_path, None, strict=True)


def test_pictures_about_which_pillow_warns_are_read_without_its_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Pillow names no file, but a line of its own code; in these tests, a warning would be an error."""
    write_pngs(tmp_path, GREY[:1])
    side = GREY[0].shape[0]
    Image.fromarray(GREY[0]).convert("P").save(tmp_path / "palette.png", transparency=bytes([255] * 256))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", side * side - 1)
    found = read_image_folder(tmp_path, None, strict=True)
    assert (found.images == GREY[0]).all()
    assert len(found.images) == 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_no_damaged_byte_is_more_than_a_file_that_is_skipped(tmp_path: Path, kind: str):
    buffer = io.BytesIO()
    Image.fromarray(tiny_images(1, 24)[0]).save(buffer, kind)
    whole = buffer.getvalue()
    write_pngs(tmp_path, GREY[:1])
    path = tmp_path / f"a.{kind.lower()}"
    refused = 0
    for position in range(0, len(whole), max(1, len(whole) // 80)):
        data = bytearray(whole)
        data[position] ^= 0xFF
        path.write_bytes(data)
        found = read_image_folder(tmp_path, 16)  # there is an intact file beside it
        refused += len(found.skipped)
        assert found.images.dtype == np.uint8
        assert len(found.images) + len(found.skipped) == 2
    assert refused


def test_an_empty_folder(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no images \(\.bmp, \.gif, \.jfif, .*, \.webp\): give another"):
        read_image_folder(tmp_path, None)


# --- Files that cannot be read are left out -------------------------------------------------------------


def break_file(path: Path) -> Path:
    """Cut the file, so that it is shorter than its header says."""
    path.write_bytes(path.read_bytes()[:-60])
    return path


def test_the_rest_is_as_if_broken_files_were_not_there(tmp_path: Path):
    """Compare images, their order and their labels; a class may also lose all of its images."""
    for name, images in (("a", GREY[:2]), ("b", GREY[2:4]), ("c", GREY[4:])):
        write_pngs(tmp_path / name, images)
    broken = [break_file(tmp_path / name) for name in ("a/001.png", "b/000.png", "b/001.png")]
    found = read_image_folder(tmp_path, None)
    assert found.labels is not None
    np.testing.assert_array_equal(found.images, GREY[[0, 4, 5]])
    np.testing.assert_array_equal(found.labels.values, [0, 1, 1])
    assert [text.partition(": ")[0] for text in found.skipped] == [str(path) for path in broken]
    assert all("truncated" in text for text in found.skipped)
    for path in broken:
        path.unlink()
    without = read_image_folder(tmp_path, None)
    np.testing.assert_array_equal(without.images, found.images)
    assert without.labels is not None
    np.testing.assert_array_equal(without.labels.values, found.labels.values)
    assert without.skipped == ()


def test_a_broken_file_has_no_say_in_colour_and_size(tmp_path: Path):
    write_pngs(tmp_path, GREY)
    Image.fromarray(tiny_images(1, 20, channels=3)[0]).save(tmp_path / "000.png")
    break_file(tmp_path / "000.png")
    np.testing.assert_array_equal(read_image_folder(tmp_path, None).images, GREY[1:])


def test_an_image_of_another_size_is_not_broken(tmp_path: Path):
    write_pngs(tmp_path, GREY)
    break_file(tmp_path / "000.png")
    Image.new("L", (20, 16)).save(tmp_path / "odd.png")
    with pytest.raises(DataError, match=r"odd\.png is 20 × 16 pixels, but /.*/001\.png is 16 × 16"):
        read_image_folder(tmp_path, None)


def test_not_one_that_can_be_read(tmp_path: Path):
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(b"no image")
    with pytest.raises(
        DataError, match=r"none of the 3 images in .* can be read; the first is .*0\.png: it is not an image"
    ):
        read_image_folder(tmp_path, None)


def test_the_names_of_files_are_one_line_of_text_each(tmp_path: Path):
    write_pngs(tmp_path, GREY)
    names = ["line\nbreak.png", "\x1b[31mred.png", os.fsdecode(b"\xff.png")]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    skipped = read_image_folder(tmp_path, None).skipped
    assert len(skipped) == 3
    assert all(text.isprintable() and text.isascii() for text in skipped)


def test_whatever_a_decoder_raises_is_a_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A lack of memory is the exception: the file may be readable another day, and the data would then differ."""
    write_pngs(tmp_path, GREY)
    convert = Image.Image.convert
    raised: Exception = TypeError("'bytes' object cannot be interpreted as an integer")

    def trip(image: Image.Image, mode: str) -> Image.Image:
        if image.getpixel((0, 0)) == GREY[2, 0, 0]:
            raise raised
        return convert(image, mode)

    monkeypatch.setattr(Image.Image, "convert", trip)
    assert read_image_folder(tmp_path, None).skipped[0].endswith(f"002.png: {raised}")
    raised = MemoryError()
    with pytest.raises(MemoryError):
        read_image_folder(tmp_path, None)


def test_a_class_without_an_image_that_can_be_read_is_named(tmp_path: Path):
    for folder in ("a", "b", "c"):
        write_pngs(tmp_path / folder, tiny_images(3))
    for file in (tmp_path / "b").iterdir():
        file.write_bytes(b"damaged")
    (tmp_path / "c" / "000.png").write_bytes(b"damaged")
    found = read_image_folder(tmp_path, None)
    assert found.notes == ("no image of 1 class(es) can be read, so the data lack them: b",)
    assert found.labels is not None
    assert found.labels.names == ("a", "c")


def test_a_lost_class_is_named_if_one_is_left_and_in_a_test_set(tmp_path: Path):
    for folder in ("train/a", "train/b", "test/a", "test/b"):
        write_pngs(tmp_path / folder, tiny_images(3))
    for folder in ("train/b", "test/a"):
        for file in (tmp_path / folder).iterdir():
            file.write_bytes(b"damaged")
    found = read_image_folder(tmp_path, None)
    assert found.labels is None
    assert "no image of 1 class(es) can be read, so the data lack them: b" in found.notes
    assert "no image of 1 class(es) of the test set can be read, so the data lack them: a" in found.notes


def test_a_sub_folder_without_images_is_named(tmp_path: Path):
    for folder in ("a", "b"):
        write_pngs(tmp_path / folder / "deeper", tiny_images(3))
    (tmp_path / "c" / "deeper").mkdir(parents=True)
    (tmp_path / "c" / "deeper" / "0.heic").touch()
    (tmp_path / "d").mkdir()
    found = read_image_folder(tmp_path, None)
    note = f"2 sub-folder(s) hold no image and make no class: {tmp_path / 'c'}, {tmp_path / 'd'}"
    assert found.notes == (note, "ignored 1 file(s) of other kinds: 1 .heic")
