"""A data set, in memory or mapped into it, and how each kind of data set is loaded."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from models.images import MAX_SIDE, MIN_SIDE, ImageShape, channels_first
from training.data.arrays import holds_arrays, read_arrays, resized
from training.data.copies import note_copies
from training.data.labels import Labels, check_number, number_as
from training.data.mnist import read_mnist, read_mnist_labels
from training.data.raw_images import RawImages
from training.data.reading import Reading
from training.data.sources.shards import is_pattern
from training.data.split import Split, split, split_test
from training.data.stacked_mnist import read_stacked_mnist
from training.data.text import name
from training.data.title import title_of
from training.errors import DataError

MNIST = "mnist"
STACKED_MNIST = "stacked-mnist"
BLOCK = 4096
"""The number of images that are looked at together, where all of them at once could fill the memory."""

EMBEDDED = (MNIST, STACKED_MNIST)
"""The data sets that come with this package; any other source is a path."""


@dataclass(frozen=True)
class Dataset:
    """A data set. Its images may be mapped from a file (`training.data.cache`) and be more than the memory can hold.

    Attributes:
        name: name of the data set in a model's card.
        images: [N, C, H, W] uint8, to train on.
        held_out: [M, C, H, W] uint8, never trained on: the test set, if the data have one, or a tenth of a person's own
            images. The order of both is random and stratified (`training.data.split`), so that every slice of them
            has nearly the same classes as the whole; MNIST, whose order is random already, keeps the published one.
        shape: shape of one image.
        labels: [N] int64, the class of each training image, counted from 0; None if the data have no labels.
        digits: the number of channels that hold a handwritten digit: 1 for MNIST, 3 for stacked MNIST, 0 for others.
        skipped: files of a folder that cannot be read, each as "path: reason"; they have no effect on the images.
        class_names: the name of each class; () if the data have no labels.
        notes: sentences for the log about files that were skipped or changed, images that are equal, and classes that
            could not be stratified.
        held_out_labels: [M] int64, the class of each held-out image, numbered as `labels`; −1 for a class that no
            training image has. None if the held-out images have no labels.
        not_square: the number of pictures that were not square in their files.
        found_labels: whether the classes come from a file of labels that was found by its name.
    """

    name: str
    images: torch.Tensor
    held_out: torch.Tensor
    shape: ImageShape
    labels: torch.Tensor | None = None
    digits: int = 0
    skipped: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    held_out_labels: torch.Tensor | None = None
    not_square: int = 0
    found_labels: bool = False

    @property
    def classes(self) -> int:
        """The number of classes that the data have; 0 without labels."""
        if self.labels is None:
            return 0
        return len(self.class_names) or int(self.labels.max()) + 1

    def to(self, device: torch.device) -> "Dataset":
        """Return this data set with its training images and labels on a device."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, images=self.images.to(device), labels=labels)

    def as_rgb(self) -> "Dataset":
        """Return this data set with three equal channels in place of a grey one; they share their memory."""
        if self.shape.channels == 3:
            return self
        images, held_out = (x.expand(-1, 3, -1, -1) for x in (self.images, self.held_out))
        return replace(self, images=images, held_out=held_out, shape=self.shape.model_copy(update={"channels": 3}))

    def first(self, n: int | None) -> "Dataset":
        """Return this data set with its first n training images only, which are stratified; None keeps all of them.

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
        if self.labels is None:
            return replace(self, images=self.images[:n])
        few = replace(self, images=self.images[:n], labels=self.labels[:n])
        left = len(torch.unique(few.labels))
        if left == self.classes:
            return few
        note = f"train_images={n:,} leaves images of {left:,} of {self.classes:,} classes: give a larger number"
        return replace(few, notes=(*self.notes, note))

    def fingerprint(self) -> str:
        """Return the SHA-256 of all images and labels; a run is resumed only if this hash is the same as before."""
        digest = hashlib.sha256(repr((tuple(self.images.shape), tuple(self.held_out.shape))).encode())
        for images in (self.images, self.held_out):
            for block in _blocks(images):
                digest.update(block.contiguous().numpy().data)
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
        sums = torch.zeros(self.images.shape[1:], dtype=torch.int64, device=self.images.device)
        for block in _blocks(self.images):
            sums += block.sum(dim=0, dtype=torch.int64)
        return (sums.double() / (255 * len(self.images))).float()


def load_dataset(
    source: str,
    *,
    side: int | None = None,
    strict: bool = False,
    show_progress: bool = False,
    reading: Reading | None = None,
) -> Dataset:
    """Load a data set.

    Args:
        source: "mnist" for the embedded MNIST, "stacked-mnist" for three of its digits as red, green and blue, or the
            path of a folder of images (its sub-folders are classes, or `train` and `test` with classes below) or of IDX
            files, of a zip or tar of images, of an .npz (its labels are `labels` or `y_train`), of an IDX file, plain
            or compressed by gzip or xz, or of Parquet or webdataset shards. A test set beside the images is held out.
        side: height and width in pixels to which each image is resized; None keeps the size of images.
        strict: whether to stop at the first image of a folder that cannot be read, instead of skipping it.
        show_progress: whether to show a progress bar on standard error if a folder takes long.
        reading: how data that are not embedded are read; None: by the defaults, and without a cache.

    Raises:
        DataError: the data cannot be read or used; the message names the file and the reason.
        ModuleNotFoundError: the data are Parquet files, and pyarrow is not installed.
    """
    if source in EMBEDDED:
        return _load_embedded(source, side)
    reading, path = reading or Reading(), Path(source)
    title = reading.name or title_of(source)
    if not path.exists() and not is_pattern(source):
        raise DataError(
            f"there is no data at {source!r}: give 'mnist', 'stacked-mnist', or the path of a folder or archive of "
            "images, of shards, or of an .npz or an IDX file"
        )
    if path.exists() and not (path.is_dir() or path.is_file()):
        raise DataError(f"{path} is a pipe or a device, and no file or folder of images: write the data into a file")
    if is_pattern(source) or not holds_arrays(path):
        from training.data.load_pictures import load_pictures  # noqa: PLC0415  (it needs Pillow; MNIST does not)

        return load_pictures(source, title, side, reading, strict=strict, show_progress=show_progress)
    if reading.labels is not None:
        raise DataError(f"{name(path)} has its own labels: leave --labels out, which is for folders and archives")
    return assemble(read_arrays(path), path, title, side, reading)


Arrange: TypeAlias = Callable[[str, NDArray[np.uint8], NDArray[np.int64]], torch.Tensor]
"""Takes a name, images [·, H, W] or [·, H, W, 3] uint8 and an order; returns them as [N, C, H, W]."""


def assemble(
    found: RawImages,
    path: Path,
    title: str,
    side: int | None,
    reading: Reading,
    *,
    arrange: Arrange = lambda _, images, order: channels_first(images[order]),
) -> Dataset:
    """Split images that were read, and put them into their final order.

    Args:
        found: the images.
        path: where they come from, for messages.
        title: the data set's name.
        side: height and width in pixels to which arrays are resized.
        reading: how they are read.
        arrange: makes the tensors, which by default are in memory.

    Raises:
        DataError: the images or labels cannot be used.
        OSError: `arrange` writes to a full disk.
    """
    images, labels = resized(found.images, side, reading.fit), found.labels
    test = images if found.test is None else resized(found.test, side, reading.fit)
    check_number(labels, len(images), path)
    check_number(found.test_labels, len(test), path, of="test ")
    if test.shape[1:] != images.shape[1:]:
        raise DataError(
            f"{name(path)} has training images of the shape {list(images.shape[1:])} but test images of the shape "
            f"{list(test.shape[1:])}: make both alike, or take the test images away"
        )
    parts = split(len(images), labels, skipped=len(found.skipped)) if found.test is None else split_test(labels, found)
    train_labels = None if labels is None else Labels(labels.values[parts.train], labels.names)
    test_labels = labels if found.test is None else number_as(labels, found.test_labels)
    held_out_labels = None if test_labels is None else Labels(test_labels.values[parts.held_out], test_labels.names)
    height, width = images.shape[1:3]
    if height != width or not MIN_SIDE <= height <= MAX_SIDE:
        raise DataError(
            f"the images of {title} are {height} × {width}; they must be square, {MIN_SIDE} to {MAX_SIDE} pixels "
            "a side: use `--set image_side=32` to crop and resize them; with `--fit pad` the whole of each is kept"
        )
    arranged = (arrange("images", images, parts.train), arrange("held_out", test, parts.held_out))
    data = dataset_of(title, *arranged, train_labels, held_out_labels)
    notes = (*found.notes, *parts.notes, *note_copies(data.images, data.held_out, name_of=_names(found, parts)))
    return replace(data, skipped=found.skipped, notes=notes, not_square=found.not_square)


def _load_embedded(source: str, side: int | None) -> Dataset:
    """Load a data set that comes with this package; a note tells if a file or folder has the same name."""
    labels, test_labels, digits = None, None, 3
    train, test = read_mnist() if source == MNIST else read_stacked_mnist()
    if source == MNIST:
        labels, test_labels = (Labels(of.astype(np.int64), tuple("0123456789")) for of in read_mnist_labels())
        digits = 1
    images, held_out = (channels_first(resized(of, side, None)) for of in (train, test))
    data = dataset_of(source, images, held_out, labels, test_labels, digits=digits)
    if not os.path.lexists(source):
        return data
    note = (
        f"{source} is the data set that comes with this package; to read what is at ./{source}, use --data ./{source}"
    )
    return replace(data, notes=(note,))


def _names(found: RawImages, parts: Split) -> Callable[[int], str]:
    """Return a function that names an image by its row among the training images, which the held-out ones follow."""

    def name_of(row: int) -> str:
        is_trained_on = row < len(parts.train)
        index = int(parts.train[row] if is_trained_on else parts.held_out[row - len(parts.train)])
        in_test = not is_trained_on and found.test is not None
        named = found.name_of_test if in_test else found.name_of
        return named(index) if named else f"image {index:,}{' of the test set' if in_test else ''} (from 0)"

    return name_of


def dataset_of(
    title: str,
    images: torch.Tensor,
    held_out: torch.Tensor,
    labels: Labels | None,
    held_out_labels: Labels | None = None,
    *,
    digits: int = 0,
) -> Dataset:
    """Return a data set of images [·, C, H, W] uint8 and their labels."""
    _, channels, height, width = images.shape
    shape = ImageShape(channels=1 if channels == 1 else 3, height=height, width=width)
    return Dataset(
        title,
        images,
        held_out,
        shape,
        _as_tensor(labels),
        digits,
        class_names=() if labels is None else labels.names,
        held_out_labels=_as_tensor(held_out_labels),
    )


def _blocks(images: torch.Tensor) -> Iterator[torch.Tensor]:
    yield from (images[first : first + BLOCK] for first in range(0, len(images), BLOCK))


def _as_tensor(labels: Labels | None) -> torch.Tensor | None:
    return None if labels is None else torch.from_numpy(np.ascontiguousarray(labels.values))
