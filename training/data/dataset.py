"""A data set in memory, and how each kind of data set is loaded."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from models.images import MAX_SIDE, MIN_SIDE, ImageShape, channels_first
from training.data.idx import is_idx, read_idx
from training.data.mnist import read_mnist, read_mnist_labels
from training.data.npz import read_npz, read_npz_labels
from training.data.stacked_mnist import read_stacked_mnist
from training.errors import DataError

MNIST = "mnist"
STACKED_MNIST = "stacked-mnist"
MAX_HELD_OUT = 10_000
HELD_OUT_SHARE = 0.1


@dataclass(frozen=True)
class Dataset:
    """A data set in memory.

    Attributes:
        name: what to call it in a model's card.
        images: [N, C, H, W] uint8, to train on.
        held_out: [M, C, H, W] uint8, never trained on: MNIST's test set, or a tenth of a person's own images.
        shape: shape of one image.
        labels: [N] int64, the class of each training image, counted from 0; None if the data have no labels.
        digits: the number of channels that hold a handwritten digit: 1 for MNIST, 3 for stacked MNIST, 0 for others.
        skipped: files of a folder that cannot be read, each as "path: reason"; they have no effect on the images.
    """

    name: str
    images: torch.Tensor
    held_out: torch.Tensor
    shape: ImageShape
    labels: torch.Tensor | None = None
    digits: int = 0
    skipped: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """The number of classes that the labels name; 0 without labels."""
        return 0 if self.labels is None else int(self.labels.max()) + 1

    def to(self, device: torch.device) -> "Dataset":
        """Return this data set with its training images and labels on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, images=self.images.to(device), labels=labels)

    def first(self, n: int | None) -> "Dataset":
        """Return this data set with its first n training images only; None keeps all of them.

        Raises:
            DataError: there are fewer than n training images.
        """
        if n is None:
            return self
        if n > len(self.images):
            raise DataError(
                f"train_images is {n:,}, but {self.name} has {len(self.images):,} training images: give a smaller "
                "number, or `none` for all of them"
            )
        labels = None if self.labels is None else self.labels[:n]
        return replace(self, images=self.images[:n], labels=labels)

    def fingerprint(self) -> str:
        """Return the SHA-256 of all images and labels; a run is resumed only if it is the same as before."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), tuple(self.held_out.shape))).encode())
        digest.update(self.images.numpy().data)
        digest.update(self.held_out.numpy().data)
        if self.labels is not None:
            digest.update(self.labels.numpy().data)
        return digest.hexdigest()

    def class_shares(self) -> NDArray[np.float64]:
        """Return each class's share of the training images, [K] float64; a class without images counts as one image."""
        if self.labels is None:
            raise ValueError(f"{self.name} has no labels")
        counts = torch.bincount(self.labels, minlength=self.classes).clamp(min=1).double()
        shares: NDArray[np.float64] = (counts / counts.sum()).numpy()
        return shares

    def pixel_means(self) -> torch.Tensor:
        """Return the mean of each pixel over the training images: [C, H, W] float32 in [0, 1]."""
        return (self.images.sum(dim=0, dtype=torch.int64).double() / (255 * len(self.images))).float()


def load_dataset(source: str, *, side: int | None = None, strict: bool = False) -> Dataset:
    """Load a data set.

    Args:
        source: "mnist" for the embedded MNIST; "stacked-mnist" for three of its digits as red, green and blue; or the
            path of a folder of images (its sub-folders are labels), of a folder of IDX files, of one IDX file, or of an
            .npz (its labels are `labels` or `y_train`). IDX files may be compressed by gzip or xz.
        side: crop each image's middle square and resize it to this many pixels a side; None takes images as they are.
        strict: stop at the first image of a folder that cannot be read, instead of going on without it.

    Raises:
        DataError: the data cannot be read or used; the message names the file and the reason.
    """
    if source == MNIST:
        train, test = read_mnist()
        return _dataset(
            MNIST, _resized(train, side), _resized(test, side), read_mnist_labels()[0].astype(np.int64), digits=1
        )
    if source == STACKED_MNIST:
        train, test = read_stacked_mnist()
        return _dataset(STACKED_MNIST, _resized(train, side), _resized(test, side), None, digits=3)
    path = Path(source)
    if not path.exists():
        raise DataError(
            f"there is no data at {source!r}: give 'mnist', 'stacked-mnist', or the path of a folder of images, an "
            ".npz or an IDX file"
        )
    images, labels, skipped = _read(path, side, strict=strict)
    images = _resized(images, side)
    if labels is not None and len(labels) != len(images):
        raise DataError(f"{path} has {len(images):,} images but {len(labels):,} labels: give one label for each")
    train_rows, held_out_rows = _split(len(images), skipped=len(skipped))
    data = _dataset(
        path.resolve().stem, images[train_rows], images[held_out_rows], None if labels is None else labels[train_rows]
    )
    return replace(data, skipped=skipped)


_Read: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.int64] | None, tuple[str, ...]]


def _read(path: Path, side: int | None, *, strict: bool) -> _Read:
    """Return the images at a path, their labels if there are any, and the files that cannot be read."""
    if path.is_dir():
        idx_files = sorted(file for file in path.iterdir() if "train-images" in file.name and is_idx(file))
        if idx_files:
            return *_read_idx_pair(idx_files[0]), ()
        from training.data.image_folder import read_image_folder  # noqa: PLC0415  (it needs Pillow; MNIST does not)

        folder = read_image_folder(path, side, strict=strict)
        return folder.images, folder.labels, folder.skipped
    if path.suffix == ".npz":
        return read_npz(path), read_npz_labels(path), ()
    if is_idx(path):
        return *_read_idx_pair(path), ()
    raise DataError(
        f"{path} is neither a folder, an .npz nor an IDX file; the name of an IDX file ends in -ubyte or .idx, with or "
        "without .gz or .xz"
    )


def _read_idx_pair(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """Return the images of an IDX file, and the labels from the file beside it that is named as in MNIST, if any."""
    images = read_idx(path, dimensions=3)
    labels = path.with_name(path.name.replace("images-idx3", "labels-idx1"))
    if labels == path or not labels.exists():
        return images, None
    return images, read_idx(labels, dimensions=1).astype(np.int64)


def _split(n: int, *, skipped: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to train on and the tenth that is held out, by a permutation that depends only on n."""
    if n < 20:
        beside = f" that can be read, and {skipped} that cannot" if skipped else ""
        raise DataError(f"there are {n} images{beside}; at least 20 are needed, because a tenth is held out")
    order = np.random.Generator(np.random.Philox(0)).permutation(n)
    held_out = min(MAX_HELD_OUT, int(n * HELD_OUT_SHARE))
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def _resized(images: NDArray[np.uint8], side: int | None) -> NDArray[np.uint8]:
    if side is None or images.shape[1:3] == (side, side):
        return images
    if images.size == 0:
        raise DataError(f"the images have no pixels: their shape is {list(images.shape)}; give other images")
    from training.data.image_folder import resize  # noqa: PLC0415

    return np.stack([resize(image, side) for image in images])


def _dataset(
    name: str,
    train: NDArray[np.uint8],
    held_out: NDArray[np.uint8],
    labels: NDArray[np.int64] | None,
    *,
    digits: int = 0,
) -> Dataset:
    height, width = train.shape[1:3]
    if height != width or not MIN_SIDE <= height <= MAX_SIDE:
        raise DataError(
            f"the images of {name} are {height} × {width}; they must be square, {MIN_SIDE} to {MAX_SIDE} pixels "
            "a side: use `--set image_side=32` to crop and resize them"
        )
    shape = ImageShape(channels=1 if train.ndim == 3 else 3, height=height, width=width)
    return Dataset(
        name,
        channels_first(train),
        channels_first(held_out),
        shape,
        None if labels is None else torch.from_numpy(np.ascontiguousarray(labels)),
        digits,
    )
