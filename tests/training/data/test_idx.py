"""IDX files, and the embedded MNIST, which consists of them."""

import gzip
import hashlib
import lzma
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.training.support import tiny_images
from training.data import mnist
from training.data.idx import is_idx, read_idx
from training.errors import DataError

IMAGES = tiny_images(5)


def idx_bytes(kind: int = 8, shape: tuple[int, ...] = (5, 16, 16), body: bytes | None = None) -> bytes:
    header = struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape)
    return header + (IMAGES.tobytes() if body is None else body)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a-ubyte", bytes), ("a.idx", bytes), ("a-ubyte.gz", gzip.compress), ("a-ubyte.xz", lzma.compress)],
)
def test_reads_plain_and_compressed_files(tmp_path: Path, name: str, pack: type[bytes]):
    path = write(tmp_path / name, pack(idx_bytes()))
    assert is_idx(path)
    np.testing.assert_array_equal(read_idx(path, dimensions=3), IMAGES)


def test_the_first_number_is_the_slowest_axis(tmp_path: Path):
    path = write(tmp_path / "a.idx", idx_bytes(shape=(2, 3), body=bytes([1, 2, 3, 4, 5, 6])))
    assert read_idx(path, dimensions=2).tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not an IDX file"),
        (b"\0\0\x08\x03\0\0", "is not an IDX file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not an IDX file"),
        (idx_bytes()[:-1], "should have 1,280 bytes of data but has 1,279; fetch it again"),
        (idx_bytes() + b"\0", "should have 1,280 bytes of data but has 1,281"),
        (idx_bytes(kind=0x0D), r"3-dimensional data of IDX type 0x0d; 3-dimensional unsigned bytes \(0x08\)"),
        (idx_bytes(shape=(5,), body=bytes(5000)), "holds 1-dimensional data"),
        (idx_bytes(shape=(5, 16, 16, 1)), "holds 4-dimensional data"),
        (idx_bytes(shape=(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)), "should have 79,228,"),  # no overflow, no allocation
    ],
)
def test_bad_files_name_themselves_and_what_is_wrong(tmp_path: Path, data: bytes, message: str):
    path = write(tmp_path / "bad-ubyte", data)
    with pytest.raises(DataError, match=message) as error:
        read_idx(path, dimensions=3)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("xz", lzma.compress)])
def test_damaged_archives(tmp_path: Path, suffix: str, pack: type[bytes]):
    whole = pack(idx_bytes())
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for data in (b"", whole[: len(whole) // 2], whole[:-3], bytes(flipped), b"not an archive"):
        path = write(tmp_path / f"bad-ubyte.{suffix}", data)
        with pytest.raises(DataError, match=r"bad-ubyte"):
            read_idx(path, dimensions=3)


def test_a_missing_file(tmp_path: Path):
    with pytest.raises(DataError, match="none-ubyte cannot be read"):
        read_idx(tmp_path / "none-ubyte", dimensions=3)


# --- The embedded MNIST ----------------------------------------------------------------------------

# Counts of the digits 0 … 9, as on Yann LeCun's site.
TRAIN_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
TEST_COUNTS = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_the_embedded_mnist_is_the_original():
    train, test = mnist.read_mnist()
    assert (train.shape, test.shape) == ((60000, 28, 28), (10000, 28, 28))
    assert train.dtype == test.dtype == np.uint8
    assert train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)  # the field's well-known figures
    assert train.astype(np.float32).std() / 255 == pytest.approx(0.3081, abs=5e-5)
    header = struct.pack(">4I", 0x803, 60000, 28, 28)
    assert hashlib.sha256(header + train.tobytes()).hexdigest() == (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    )


def test_the_labels():
    train, test = mnist.read_mnist_labels()
    assert np.bincount(train).tolist() == TRAIN_COUNTS
    assert np.bincount(test).tolist() == TEST_COUNTS
    assert train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_the_images_belong_to_their_labels():
    """The nearest class mean gives the right label for 82 % of test digits, but for 10 % if labels are shuffled."""
    (train, test), (labels, test_labels) = mnist.read_mnist(), mnist.read_mnist_labels()
    means = np.stack([train[labels == digit].mean(0) for digit in range(10)]).reshape(10, -1)
    sample = test[:1000].reshape(1000, -1)
    nearest = ((sample[:, None] - means) ** 2).sum(2).argmin(1)
    assert (nearest == test_labels[:1000]).mean() > 0.7


def test_what_was_read_cannot_be_changed_by_a_caller():
    train, _ = mnist.read_mnist()
    with pytest.raises(ValueError, match="read-only"):
        train[0, 0, 0] = 1


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(mnist, "FOLDER", tmp_path)
    return tmp_path


def labels_file() -> bytes:
    return (Path(mnist.__file__).parent / "mnist-idx" / "t10k-labels-idx1-ubyte.xz").read_bytes()


def read_labels() -> object:
    return mnist._read("t10k-labels-idx1-ubyte", 1)  # without the cache


def test_a_damaged_archive_of_mnist(own_folder: Path):
    data = bytearray(labels_file())
    data[len(data) // 2] ^= 1
    path = write(own_folder / "t10k-labels-idx1-ubyte.xz", bytes(data))
    with pytest.raises(DataError, match="cannot be read") as error:
        read_labels()
    assert str(path) in str(error.value)


def test_another_file_in_mnists_place(own_folder: Path):
    raw = bytearray(lzma.decompress(labels_file()))
    raw[-1] ^= 1
    write(own_folder / "t10k-labels-idx1-ubyte.xz", lzma.compress(bytes(raw), preset=0))
    with pytest.raises(DataError, match=r"is damaged: SHA-256 [0-9a-f]{64}, not ff7bcfd4.*git checkout"):
        read_labels()


def test_a_missing_file_of_mnist(own_folder: Path):
    with pytest.raises(DataError, match="cannot be read"):
        read_labels()


def test_an_untouched_copy_is_taken(own_folder: Path):
    write(own_folder / "t10k-labels-idx1-ubyte.xz", labels_file())
    assert np.asarray(read_labels()).shape == (10000,)
