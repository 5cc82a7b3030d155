"""Stacked MNIST: three digits as the red, green and blue of one image, so 1,000 modes that a classifier can count.

Source: Metz et al. 2017 ("Unrolled generative adversarial networks", arXiv 1611.02163), with the sizes of PacGAN
(arXiv 1712.04086), section 4: 128,000 images, each of three digits drawn at random.
"""

import numpy as np
from numpy.typing import NDArray

from training.data.mnist import read_mnist

TRAIN_IMAGES = 128_000
HELD_OUT_IMAGES = 10_000


def read_stacked_mnist() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return training images [128000, 28, 28, 3] and held-out images [10000, 28, 28, 3], uint8; always the same.

    The held-out images are made from MNIST's test images.

    Raises:
        DataError: a file of MNIST is missing or not the original.
    """
    train, test = read_mnist()
    return _stack(train, TRAIN_IMAGES, key=0), _stack(test, HELD_OUT_IMAGES, key=1)


def _stack(digits: NDArray[np.uint8], n: int, *, key: int) -> NDArray[np.uint8]:
    """Make n images [n, 28, 28, 3], each from three of the digits [N, 28, 28], drawn at random."""
    rows = np.random.Generator(np.random.Philox(key)).integers(len(digits), size=(n, 3))
    return np.ascontiguousarray(digits[rows].transpose(0, 2, 3, 1))
