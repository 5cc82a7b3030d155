"""Images from an .npz file."""

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.errors import DataError

IMAGE_KEYS = ("images", "x_train", "arr_0")
LABEL_KEYS = ("labels", "y_train")

# What numpy and zipfile are seen to raise for damaged archives; RuntimeError for encrypted and oddly compressed ones,
# TypeError for a bare .npy.
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


def read_npz(path: Path) -> NDArray[np.uint8]:
    """The images of an .npz: `images`, `x_train`, or its only array; [N, H, W] or [N, H, W, 1 or 3] uint8.

    Raises:
        DataError: no such array, another shape or dtype, or a file that is damaged or holds pickled objects.
    """
    key, images = _array(path, IMAGE_KEYS)
    if images is None:
        raise DataError(f"{path} holds {key}, none of which is {' or '.join(IMAGE_KEYS)}")
    if images.dtype != np.uint8:
        raise DataError(f"{path}: {key} is {images.dtype}; images must be uint8, 0–255")
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise DataError(f"{path}: {key} has the shape {list(images.shape)}; [N, H, W] or [N, H, W, 3] is wanted")
    return np.asarray(images, dtype=np.uint8)


def read_npz_labels(path: Path) -> NDArray[np.int64] | None:
    """The labels of an .npz, `labels` or `y_train`: [N] int64, 0 or more; None where it has neither.

    Raises:
        DataError: they are not whole numbers from 0 on, or the file is damaged.
    """
    key, labels = _array(path, LABEL_KEYS)
    if labels is None:
        return None
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or (labels.size and labels.min() < 0):
        raise DataError(f"{path}: {key} must be [N] whole numbers from 0 on, not {list(labels.shape)} {labels.dtype}")
    return labels.astype(np.int64)


def _array(path: Path, keys: tuple[str, ...]) -> tuple[str, NDArray[np.generic] | None]:
    """The first of `keys` that an archive has, and its array; where it has none, what it has instead, and None."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            key = next((key for key in keys if key in archive), None)
            if key is None:
                return str(sorted(archive)), None
            array = archive[key]
    except _UNREADABLE as error:
        raise DataError(f"{path} cannot be read as an .npz: {error}") from error
    if not isinstance(array, np.ndarray):  # numpy gives the bytes of an entry that is no array
        raise DataError(f"{path}: {key} is not an array")
    return key, array
