"""Images and labels from an .npz file."""

import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.labels import Labels, number_labels
from training.errors import DataError

IMAGE_KEYS = ("images", "x_train", "arr_0")
LABEL_KEYS = ("labels", "y_train")

# numpy and zipfile raise these for damaged archives: RuntimeError for encryption or an unknown compression, TypeError
# for a bare .npy.
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
    """Return the images of an .npz, named `images`, `x_train` or `arr_0`: [N, H, W] or [N, H, W, 3] uint8.

    Grey images may also be stored as [N, H, W, 1].

    Raises:
        DataError: there is no such array, it has another shape or dtype, or the file is damaged or has pickled objects.
    """
    key, images = _array(path, IMAGE_KEYS)
    if images is None:
        raise DataError(f"{path} holds {key}; its images must be named {' or '.join(IMAGE_KEYS)}")
    if images.dtype != np.uint8:
        raise DataError(f"{path}: {key} is {images.dtype}; images must be uint8, 0–255")
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise DataError(f"{path}: {key} has the shape {list(images.shape)}; [N, H, W] or [N, H, W, 3] is needed")
    return np.asarray(images, dtype=np.uint8)


def read_npz_labels(path: Path) -> Labels | None:
    """Return the labels of an .npz, `labels` or `y_train`; None if it has neither. See `number_labels` for their form.

    Raises:
        DataError: the labels have another form, or the file is damaged.
    """
    key, labels = _array(path, LABEL_KEYS)
    return None if labels is None else number_labels(labels, where=f"{path}: {key}")


def _array(path: Path, keys: tuple[str, ...]) -> tuple[str, NDArray[np.generic] | None]:
    """Return the first of `keys` that an archive has, and its array; if it has none, a list of its names, and None."""
    key = None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            key = next((key for key in keys if key in archive), None)
            if key is None:
                return str(sorted(archive)), None
            array = archive[key]
    except _UNREADABLE as error:
        advice = (
            f"write texts as text, `{key}={key}.astype(str)`"
            if key is not None and "Object arrays" in str(error)
            else "fetch or write the file again"
        )
        raise DataError(f"{path} cannot be read as an .npz: {error}; {advice}") from error
    if not isinstance(array, np.ndarray):  # numpy returns bytes for an entry that is not an array
        raise DataError(f"{path}: {key} is not an array; write the file again with numpy.savez")
    return key, array
