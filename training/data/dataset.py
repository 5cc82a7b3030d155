"""A data set in memory, and where each kind of it comes from."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.images import MAX_SIDE, MIN_SIDE, ImageShape, channels_first
from training.data.idx import is_idx, read_idx
from training.data.image_folder import read_image_folder, resize
from training.data.mnist import read_mnist
from training.data.npz import read_npz
from training.errors import DataError

MAX_HELD_OUT = 10_000
HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Dataset:
    """Images in memory.

    Attributes:
        name: what to call it in a model's card.
        images: [N, C, H, W] uint8, to train on.
        held_out: [M, C, H, W] uint8, never trained on: MNIST's test set, or a tenth of a person's own images.
        shape: shape of one image.
    """

    name: str
    images: torch.Tensor
    held_out: torch.Tensor
    shape: ImageShape

    def first(self, n: int | None) -> "Dataset":
        """The same with the first n training images only; None keeps them all."""
        if n is None:
            return self
        if n > len(self.images):
            raise DataError(f"train_images is {n:,}, but {self.name} has {len(self.images):,} training images")
        return Dataset(self.name, self.images[:n], self.held_out, self.shape)

    def fingerprint(self) -> str:
        """SHA-256 of all its images: a run is resumed on the same data or not at all."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), tuple(self.held_out.shape))).encode())
        digest.update(self.images.numpy().data)
        digest.update(self.held_out.numpy().data)
        return digest.hexdigest()

    def pixel_means(self) -> torch.Tensor:
        """Mean of each pixel over the training images: [C, H, W] float32 in [0, 1]."""
        return (self.images.sum(dim=0, dtype=torch.int64).double() / (255 * len(self.images))).float()


def load_dataset(source: str, *, side: int | None = None) -> Dataset:
    """Load a data set.

    Args:
        source: "mnist" for the embedded one; a folder of images (its sub-folders are labels, which an unconditional
            game does not look at) or of IDX files; an .npz; an IDX file, plain or compressed by gzip or xz.
        side: crop each image's middle square and resize it to this many pixels a side; None takes images as they are.

    Raises:
        DataError: names the file and says what is wrong with it.
    """
    if source == "mnist":
        train, test = read_mnist()
        return _dataset("mnist", _resized(train, side), _resized(test, side))
    path = Path(source)
    if not path.exists():
        raise DataError(f"there is no data at {source!r}: give 'mnist', a folder of images, an .npz or an IDX file")
    images = _resized(_reader(path)(path, side), side)
    train, held_out = _split(images)
    return _dataset(path.resolve().stem, train, held_out)


def _reader(path: Path) -> Callable[[Path, int | None], NDArray[np.uint8]]:
    if path.is_dir():
        idx_files = sorted(file for file in path.iterdir() if "train-images" in file.name and is_idx(file))
        if idx_files:
            return lambda _path, _side: read_idx(idx_files[0], dimensions=3)
        return read_image_folder
    if path.suffix == ".npz":
        return lambda file, _side: read_npz(file)
    if is_idx(path):
        return lambda file, _side: read_idx(file, dimensions=3)
    raise DataError(f"{path} is neither a folder, an .npz nor an IDX file")


def _split(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A tenth, drawn by a fixed permutation, is held out: the same in each run over the same images."""
    if len(images) < 20:
        raise DataError(f"there are {len(images)} images; at least 20 are needed (a tenth is held out)")
    order = np.random.Generator(np.random.Philox(0)).permutation(len(images))
    held_out = min(MAX_HELD_OUT, int(len(images) * HELD_OUT_SHARE))
    return images[np.sort(order[held_out:])], images[np.sort(order[:held_out])]


def _resized(images: NDArray[np.uint8], side: int | None) -> NDArray[np.uint8]:
    if side is None or images.shape[1:3] == (side, side):
        return images
    if images.size == 0:
        raise DataError(f"the images have the shape {list(images.shape)}: there is no pixel in them")
    return np.stack([resize(image, side) for image in images])


def _dataset(name: str, train: NDArray[np.uint8], held_out: NDArray[np.uint8]) -> Dataset:
    height, width = train.shape[1:3]
    if height != width or not MIN_SIDE <= height <= MAX_SIDE:
        raise DataError(
            f"the images of {name} are {height} × {width}; they must be square, {MIN_SIDE} to {MAX_SIDE} pixels "
            "a side: `--set image_side=32` crops and resizes them"
        )
    shape = ImageShape(channels=1 if train.ndim == 3 else 3, height=height, width=width)
    return Dataset(name, channels_first(train), channels_first(held_out), shape)
