"""Images, labels and a test set from an .npz file."""

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.labels import Labels, number_labels
from training.data.raw_images import RawImages
from training.data.text import name, some
from training.errors import DataError

IMAGE_KEYS = ("images", "x_train", "arr_0")
LABEL_KEYS = ("labels", "y_train")
TEST_KEY, TEST_LABEL_KEY = "x_test", "y_test"
"""The test set beside `x_train` and `y_train`, the names that Keras gives to its data sets."""

# numpy and zipfile raise these for damaged archives: RuntimeError for encryption or an unknown compression.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    TypeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
)


def read_npz(path: Path) -> RawImages:
    """Read the images of an .npz, and its labels and test set if it has them.

    The images are `images`, `x_train` or `arr_0` or, if the archive has none of these, its only array but for the
    labels: [N, H, W], [N, H, W, 1] or [N, H, W, 3] uint8. The labels are `labels` or `y_train`; `number_labels` says in
    which form. `x_test` and `y_test` are the test set of `x_train`. A note names the arrays that are not read.

    Raises:
        DataError: there are no such images, there are both `labels` and `y_train`, an array has another shape or dtype,
            or the file is damaged or has pickled objects.
    """
    keys = _keys(path)
    images = next((key for key in IMAGE_KEYS if key in keys), None) or _only(keys)
    if images is None:
        raise DataError(f"{path} holds {sorted(keys)}; its images must be named {' or '.join(IMAGE_KEYS)}")
    labels = _only_labels(path, keys)
    test = TEST_KEY if images == "x_train" and TEST_KEY in keys else None
    test_labels = TEST_LABEL_KEY if test is not None and TEST_LABEL_KEY in keys else None
    notes = []
    if test is not None:
        notes.append(f"{images} is trained on, and {test} is held out")
    if unused := sorted(keys - {images, labels, test, test_labels}):
        notes.append(
            f"ignored {len(unused):,} array(s) of {name(path)}: {some(unused)} (images are read from {images}, and "
            f"labels from {labels or ' or '.join(LABEL_KEYS)})"
        )
    return RawImages(
        _images(path, images),
        None if labels is None else _labels(path, labels),
        None if test is None else _images(path, test),
        None if test_labels is None else _labels(path, test_labels),
        notes=tuple(note if note.isprintable() else ascii(note)[1:-1] for note in notes),
    )


def npy_hint(path: Path) -> str:
    """Return how to write a file of a single array as an .npz, as the end of a sentence."""
    npz = path.with_suffix(".npz")
    return f"write it with `numpy.savez({str(npz)!r}, images=numpy.load({str(path)!r}))`, and give {name(npz)}"


def _only(keys: set[str]) -> str | None:
    others = keys - set(LABEL_KEYS)
    return others.pop() if len(others) == 1 else None


def _only_labels(path: Path, keys: set[str]) -> str | None:
    there = [key for key in LABEL_KEYS if key in keys]
    if len(there) > 1:
        raise DataError(
            f"{path} holds two arrays of labels, {' and '.join(there)}: write it with only the one that has the classes"
        )
    return there[0] if there else None


def _images(path: Path, key: str) -> NDArray[np.uint8]:
    images = _array(path, key)
    if images.dtype != np.uint8:
        raise DataError(f"{path}: {key} is {images.dtype}; images must be uint8, 0–255")
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise DataError(f"{path}: {key} has the shape {list(images.shape)}; [N, H, W] or [N, H, W, 3] is needed")
    return np.asarray(images, dtype=np.uint8)


def _labels(path: Path, key: str) -> Labels:
    return number_labels(_array(path, key), where=f"{path}: {key}")


def _keys(path: Path) -> set[str]:
    """Return the names of an archive's arrays."""
    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.lib.npyio.NpzFile):
                return set(archive.files)
    except _UNREADABLE as error:
        raise DataError(f"{path} cannot be read as an .npz: {error}; fetch or write the file again") from error
    raise DataError(f"{path} is a single array (.npy) and not an .npz: {npy_hint(path)}")


def _array(path: Path, key: str) -> NDArray[np.generic]:
    """Return an array of an archive."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            array = archive[key]
    except _UNREADABLE as error:
        advice = (
            f"write texts as text, `{key}={key}.astype(str)`"
            if "Object arrays" in str(error)
            else "fetch or write the file again"
        )
        raise DataError(f"{path} cannot be read as an .npz: {error}; {advice}") from error
    if not isinstance(array, np.ndarray):  # numpy returns bytes for an entry that is not an array
        raise DataError(f"{path}: {key} is not an array; write the file again with numpy.savez")
    return array
