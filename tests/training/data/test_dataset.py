"""Data sets: how each kind is loaded, which images are held out, and their fingerprints."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from models.images import ImageShape
from tests.training.support import tiny_images, write_npz, write_pngs
from training.data.dataset import Dataset, load_dataset
from training.data.mnist import read_mnist, read_mnist_labels
from training.data.split import MAX_HELD_OUT
from training.errors import DataError


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def write_idx(path: Path, images: NDArray[np.uint8]) -> Path:
    path.write_bytes(gzip.compress(struct.pack(">4I", 0x803, *images.shape) + images.tobytes()))
    return path


def test_mnist_has_its_own_test_set():
    data = load_dataset("mnist")
    train, test = read_mnist()
    assert (data.name, data.shape) == ("mnist", ImageShape(channels=1, height=28, width=28))
    assert data.images.dtype == torch.uint8
    np.testing.assert_array_equal(data.images[:, 0].numpy(), train)
    np.testing.assert_array_equal(data.held_out[:, 0].numpy(), test)


def test_held_out_digits_have_their_labels():
    labels = load_dataset("mnist").held_out_labels
    assert labels is not None
    np.testing.assert_array_equal(labels.numpy(), read_mnist_labels()[1])


def test_held_out_images_of_a_split_have_their_labels(tmp_path: Path):
    marked = tiny_images(40)
    marked[:, 0, 0] = np.arange(40) % 3
    np.savez(tmp_path / "d.npz", images=marked, labels=np.arange(40) % 3)
    data = load_dataset(str(tmp_path / "d.npz"))
    assert data.held_out_labels is not None
    assert data.held_out_labels.tolist() == data.held_out[:, 0, 0, 0].tolist()


def test_classes_of_a_test_set_have_the_numbers_of_the_training_classes(tmp_path: Path):
    """The folder `test` has other classes than `train`, so their order alone would give other numbers."""
    for folder, value in (("train/b", 1), ("train/c", 2), ("test/a", 0), ("test/c", 2)):
        write_pngs(tmp_path / folder, np.full((12, 16, 16), value, np.uint8))
    data = load_dataset(str(tmp_path))
    assert data.class_names == ("b", "c")
    assert data.held_out_labels is not None
    numbers = {0: -1, 2: 1}
    assert data.held_out_labels.tolist() == [numbers[int(image[0, 0, 0])] for image in data.held_out]


def test_images_without_labels_have_none(tmp_path: Path):
    assert load_dataset(str(write_npz(tmp_path / "d.npz"))).held_out_labels is None


@pytest.mark.parametrize("kind", ["folder", "npz", "idx", "folder of idx"])
def test_every_kind_of_source_gives_the_same_images(tmp_path: Path, kind: str):
    images = tiny_images(40)
    source = tmp_path / "digits"
    if kind == "folder":
        write_pngs(source, images)
    elif kind == "npz":
        source = write_npz(tmp_path / "digits.npz", images)
    elif kind == "idx":
        source = write_idx(tmp_path / "digits-ubyte.gz", images)
    else:
        source.mkdir()
        write_idx(source / "train-images-idx3-ubyte.gz", images)
    data = load_dataset(str(source))
    assert data.name.startswith("digits")
    assert data.shape == ImageShape(channels=1, height=16, width=16)
    assert rows(data.images) | rows(data.held_out) == {image.tobytes() for image in images}


def test_the_name_of_a_folder_is_kept_whole_and_that_of_a_file_without_its_suffix(tmp_path: Path):
    assert load_dataset(str(write_pngs(tmp_path / "my.photos", tiny_images(20)))).name == "my.photos"
    assert load_dataset(str(write_npz(tmp_path / "my.photos.npz"))).name == "my.photos"


def test_rgb_is_turned_to_the_networks_order(tmp_path: Path):
    images = tiny_images(40, channels=3)
    data = load_dataset(str(write_npz(tmp_path / "a.npz", images)))
    assert data.shape == ImageShape(channels=3, height=16, width=16)
    assert data.images.shape == (36, 3, 16, 16)
    wanted = {image.transpose(2, 0, 1).tobytes() for image in images}
    assert rows(data.images) | rows(data.held_out) == wanted


# --- Held out -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "held_out"), [(20, 2), (21, 2), (39, 3), (40, 4), (199, 19)])
def test_a_tenth_is_held_out_and_never_trained_on(tmp_path: Path, n: int, held_out: int):
    images = tiny_images(n)
    data = load_dataset(str(write_npz(tmp_path / "a.npz", images)))
    assert (len(data.images), len(data.held_out)) == (n - held_out, held_out)
    assert not rows(data.images) & rows(data.held_out)
    again = load_dataset(str(write_npz(tmp_path / "b.npz", images)))
    assert torch.equal(again.images, data.images)
    assert torch.equal(again.held_out, data.held_out)


def test_at_most_10_000_are_held_out(tmp_path: Path):
    images = np.zeros((110_000, 16, 16), np.uint8)
    data = load_dataset(str(write_npz(tmp_path / "a.npz", images)))
    assert len(data.held_out) == MAX_HELD_OUT == 10_000
    assert len(data.images) == 100_000


def test_fewer_than_20_images(tmp_path: Path):
    with pytest.raises(DataError, match="there are 19 images; at least 20 are needed"):
        load_dataset(str(write_npz(tmp_path / "a.npz", tiny_images(19))))
    write_pngs(tmp_path / "few", tiny_images(19))
    with pytest.raises(DataError, match="there are 19 images"):
        load_dataset(str(tmp_path / "few"))


# --- Sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [16, 17, 127, 128])
def test_sides_from_16_to_128(tmp_path: Path, side: int):
    data = load_dataset(str(write_npz(tmp_path / "a.npz", tiny_images(20, side))))
    assert (data.shape.height, data.shape.width) == (side, side)


@pytest.mark.parametrize(("height", "width"), [(15, 15), (129, 129), (16, 17), (28, 20)])
def test_one_past_the_limits_and_images_that_are_not_square(tmp_path: Path, height: int, width: int):
    path = write_npz(tmp_path / "a.npz", np.zeros((20, height, width), np.uint8))
    with pytest.raises(DataError, match=f"are {height} × {width}; they must be square, 16 to 128 pixels a side"):
        load_dataset(str(path))
    assert load_dataset(str(path), side=32).shape == ImageShape(channels=1, height=32, width=32)


@pytest.mark.parametrize("side", [15, 129])
def test_a_resized_side_has_the_same_limits(tmp_path: Path, side: int):
    with pytest.raises(DataError, match="must be square, 16 to 128"):
        load_dataset(str(write_npz(tmp_path / "a.npz")), side=side)


def test_image_side_resizes_every_kind(tmp_path: Path):
    write_pngs(tmp_path / "folder", tiny_images(20, 20))
    for source in (tmp_path / "folder", write_npz(tmp_path / "a.npz", tiny_images(20, 20))):
        assert load_dataset(str(source), side=24).images.shape == (18, 1, 24, 24)


@pytest.mark.parametrize("shape", [(0, 28, 28), (20, 0, 0), (20, 16, 0)])
@pytest.mark.parametrize("side", [None, 32])
def test_arrays_without_a_pixel(tmp_path: Path, shape: tuple[int, ...], side: int | None):
    with pytest.raises(DataError):
        load_dataset(str(write_npz(tmp_path / "a.npz", np.zeros(shape, np.uint8))), side=side)


# --- Errors -----------------------------------------------------------------------------------------


def test_sources_that_are_none(tmp_path: Path):
    with pytest.raises(DataError, match=r"there is no data at 'nowhere': give 'mnist', 'stacked-mnist', or the path"):
        load_dataset("nowhere")
    path = tmp_path / "a.txt"
    path.write_text("text")
    with pytest.raises(DataError, match=r"a\.txt is neither a folder, a \.zip, \.tar, .* nor an IDX file"):
        load_dataset(str(path))


# --- The first n, fingerprints, means -----------------------------------------------------------------


def test_first_keeps_the_first_and_what_is_held_out(tmp_path: Path):
    data = load_dataset(str(write_npz(tmp_path / "a.npz")))
    few = data.first(20)
    assert torch.equal(few.images, data.images[:20])
    assert torch.equal(few.held_out, data.held_out)
    assert data.first(None) is data
    assert len(data.first(36).images) == 36
    with pytest.raises(DataError, match="train_images is 37, but a has 36 training images"):
        data.first(37)


def dataset(images: NDArray[np.uint8], held_out: NDArray[np.uint8]) -> Dataset:
    shape = ImageShape(channels=1, height=16, width=16)
    return Dataset("d", torch.from_numpy(images)[:, None], torch.from_numpy(held_out)[:, None], shape)


def test_the_fingerprint_changes_with_any_pixel_order_or_border():
    images, held_out = tiny_images(8), tiny_images(3, seed=1)
    seen = {dataset(images, held_out).fingerprint()}
    assert dataset(images.copy(), held_out.copy()).fingerprint() in seen
    for array in (images, held_out):
        for place in ((0, 0, 0), (len(array) - 1, 15, 15), (1, 7, 3)):
            array[place] ^= 1
            seen.add(dataset(images, held_out).fingerprint())
            array[place] ^= 1
    seen.add(dataset(images[::-1].copy(), held_out).fingerprint())
    everything = np.concatenate([images, held_out])
    seen.add(dataset(everything[:7], everything[7:]).fingerprint())  # the same bytes, split elsewhere
    assert len(seen) == 9
    assert dataset(images, held_out).fingerprint() in seen


def test_pixel_means():
    images = tiny_images(8)
    means = dataset(images, images).pixel_means()
    assert means.dtype == torch.float32
    np.testing.assert_allclose(means[0].numpy(), images.astype(np.float64).mean(0) / 255, rtol=1e-6)


def test_a_photo_album_end_to_end(tmp_path: Path):
    for index in range(20):
        Image.new("RGB", (100 + index, 80), (255, index, 0)).save(tmp_path / f"{index}.jpg")
    data = load_dataset(str(tmp_path), side=32)
    assert data.shape == ImageShape(channels=3, height=32, width=32)
    assert int(data.images[:, 0].min()) > 240  # red first


@pytest.mark.parametrize("source", ["mnist", "stacked-mnist"])
def test_a_folder_with_the_name_of_an_embedded_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str):
    monkeypatch.chdir(tmp_path)
    assert load_dataset(source).notes == ()
    (tmp_path / source).mkdir()
    (note,) = load_dataset(source).notes
    assert note == (
        f"{source} is the data set that comes with this package; to read what is at ./{source}, use --data ./{source}"
    )
    with pytest.raises(DataError, match=f"{source} holds no images"):
        load_dataset(f"./{source}")
