"""Images from .npz files, valid and hostile."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.training.support import tiny_images
from training.data.dataset import load_dataset
from training.data.npz import read_npz
from training.errors import DataError

IMAGES = tiny_images(20)


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("key", ["images", "x_train", "arr_0"])
def test_reads_each_name(tmp_path: Path, key: str):
    path = save(tmp_path / "a.npz", **{key: IMAGES, "labels": np.zeros(20)})
    np.testing.assert_array_equal(read_npz(path).images, IMAGES)


def test_images_goes_before_the_other_names(tmp_path: Path):
    path = save(tmp_path / "a.npz", arr_0=IMAGES + 1, images=IMAGES)
    np.testing.assert_array_equal(read_npz(path).images, IMAGES)


def test_the_only_array_may_have_any_name(tmp_path: Path):
    np.testing.assert_array_equal(read_npz(save(tmp_path / "a.npz", faces=IMAGES)).images, IMAGES)
    labelled = read_npz(save(tmp_path / "b.npz", faces=IMAGES, y_train=np.arange(20) % 2))
    np.testing.assert_array_equal(labelled.images, IMAGES)
    assert labelled.labels is not None
    assert labelled.notes == ()
    with pytest.raises(DataError, match=r"holds \['labels'\]; its images must be named"):
        read_npz(save(tmp_path / "c.npz", labels=IMAGES))


def test_colours_and_a_last_axis_of_one(tmp_path: Path):
    rgb = tiny_images(20, channels=3)
    np.testing.assert_array_equal(read_npz(save(tmp_path / "rgb.npz", images=rgb)).images, rgb)
    np.testing.assert_array_equal(read_npz(save(tmp_path / "grey.npz", images=IMAGES[..., None])).images, IMAGES)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"pictures": IMAGES, "b": IMAGES},
            r"holds \['b', 'pictures'\]; its images must be named images or x_train or arr_0",
        ),
        ({"images": IMAGES.astype(np.float32)}, "images is float32; images must be uint8, 0–255"),
        ({"images": IMAGES.astype(np.int64)}, "images is int64"),
        ({"images": IMAGES[0]}, r"has the shape \[16, 16\]; \[N, H, W\] or \[N, H, W, 3\] is needed"),
        ({"images": np.zeros((20, 16, 16, 2), np.uint8)}, r"has the shape \[20, 16, 16, 2\]"),
        ({"images": np.zeros((20, 16, 16, 4), np.uint8)}, r"has the shape \[20, 16, 16, 4\]"),
        ({"images": np.zeros((2, 20, 16, 16, 3), np.uint8)}, r"has the shape \[2, 20, 16, 16, 3\]"),
        ({"images": np.array([{"a": 1}], dtype=object)}, "cannot be read as an .npz: Object arrays cannot be loaded"),
    ],
)
def test_bad_arrays(tmp_path: Path, arrays: dict[str, object], message: str):
    path = save(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message) as error:
        read_npz(path)
    assert str(path) in str(error.value)


def test_files_that_are_no_npz(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.save(tmp_path / "a.npy", IMAGES)
    bare = (tmp_path / "a.npy").read_bytes()
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("images.npy", b"not an array")
    for data in (b"", b"PK", b"some text", other.getvalue()):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"a\.npz"):
            read_npz(path)
    path.write_bytes(bare)
    with pytest.raises(
        DataError, match=r"is a single array \(\.npy\) .* `numpy\.savez\('.*/a\.npz', images=numpy\.load\("
    ):
        read_npz(path)


def test_the_hint_for_a_single_array_works(tmp_path: Path):
    path = tmp_path / "it's.npy"
    np.save(path, IMAGES)
    with pytest.raises(DataError, match=r"is a single array \(\.npy\): write it with `.*`, and give .*\.npz") as error:
        load_dataset(str(path))
    exec(str(error.value).split("`")[1], {"numpy": np})  # noqa: S102
    assert load_dataset(str(path.with_suffix(".npz"))).shape.height == 16


def test_two_arrays_of_labels_are_refused(tmp_path: Path):
    arrays = {"labels": np.arange(20) % 4, "y_train": np.arange(20) % 2}
    for images in ("x_train", "images"):
        path = save(tmp_path / "a.npz", **{images: IMAGES}, **arrays)
        with pytest.raises(
            DataError, match=r"a\.npz holds two arrays of labels, labels and y_train: write it with only"
        ):
            read_npz(path)


@pytest.mark.parametrize("compressed", [False, True])
def test_no_damaged_byte_is_more_than_a_data_error(tmp_path: Path, compressed: bool):
    buffer = io.BytesIO()
    images = IMAGES[:, :8, :8] // 16  # compressible, so that few bytes make the archive
    (np.savez_compressed if compressed else np.savez)(buffer, images=images)
    whole = buffer.getvalue()
    path = tmp_path / "a.npz"
    refused = 0
    for position in range(0, len(whole), 3):
        data = bytearray(whole)
        data[position] ^= 0xFF if position % 2 else 0x01
        path.write_bytes(data)
        try:
            seen = read_npz(path).images
        except DataError:
            refused += 1
        else:
            assert seen.dtype == np.uint8
    assert refused > len(whole) / 3 * 0.8
    for length in range(0, len(whole), 50):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            read_npz(path)
