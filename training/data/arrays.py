"""Data that are arrays already: `.npz` and IDX files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.folder_tree import archive_hint
from training.data.idx import is_idx
from training.data.idx_set import find_idx_images, read_idx_set
from training.data.npz import npy_hint, read_npz
from training.data.raw_images import RawImages
from training.data.reading import Fit
from training.data.text import name
from training.errors import DataError


def holds_arrays(path: Path) -> bool:
    """Whether a path is not for `training.data.sources`: a folder of IDX files, or a file that is no archive."""
    if path.is_dir():
        return find_idx_images(path) is not None
    return path.suffix.lower() not in {".zip", ".tar", ".parquet"}


def read_arrays(path: Path) -> RawImages:
    """Return the images in an `.npz` or in IDX files, with their labels and the test set.

    Raises:
        DataError: the files cannot be read, or are of another kind.
    """
    if path.is_dir() and (images := find_idx_images(path)) is not None:
        return read_idx_set(images, folder=path)
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    if is_idx(path):
        return read_idx_set(path)
    if path.suffix.lower() == ".npy":
        raise DataError(f"{name(path)} is a single array (.npy): {npy_hint(path)}")
    hint = archive_hint(path)
    if hint is not None:
        raise DataError(f"{name(path)} is an archive: {hint}")
    raise DataError(
        f"{name(path)} is neither a folder, a .zip, .tar, .parquet or .npz nor an IDX file; the name of an IDX file "
        "ends in -ubyte or .idx, with or without .gz or .xz"
    )


def resized(images: NDArray[np.uint8], side: int | None, fit: Fit | None) -> NDArray[np.uint8]:
    """Return images [N, H, W] or [N, H, W, 3] uint8 as squares of a side; see `image_file.make_square`.

    Raises:
        DataError: the images have no pixels.
    """
    height, width = images.shape[1:3]
    if (side is None or (height, width) == (side, side)) and (fit is None or height == width):
        return images
    if images.size == 0:
        raise DataError(f"the images have no pixels: their shape is {list(images.shape)}; give other images")
    from training.data.image_file import make_square  # noqa: PLC0415  (it needs Pillow; MNIST does not)

    return np.stack([make_square(image, side, fit) for image in images])
