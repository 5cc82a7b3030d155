"""The embedded MNIST: handwritten digits by LeCun, Cortes and Burges, 60,000 to train on and 10,000 to test with."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.idx import parse_idx, read_raw
from training.errors import DataError

FOLDER = Path(__file__).parent / "mnist-idx"

SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""SHA-256 of the unpacked files."""


@cache
def read_mnist() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the training images [60000, 28, 28] and test images [10000, 28, 28], uint8, ink 255 on 0; read-only.

    Raises:
        DataError: a file is missing or not the original.
    """
    return _read("train-images-idx3-ubyte", 3), _read("t10k-images-idx3-ubyte", 3)


@cache
def read_mnist_labels() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the labels 0–9 of the training and the test images: [60000] and [10000] uint8; read-only.

    Raises:
        DataError: a file is missing or not the original.
    """
    return _read("train-labels-idx1-ubyte", 1), _read("t10k-labels-idx1-ubyte", 1)


def _read(name: str, dimensions: int) -> NDArray[np.uint8]:
    path = FOLDER / f"{name}.xz"
    data = read_raw(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest != SHA256[name]:
        raise DataError(f"{path} is damaged: SHA-256 {digest}, not {SHA256[name]}; restore it with `git checkout`")
    return parse_idx(data, path, dimensions=dimensions)
