"""A data set in memory, and how each kind of data set is loaded."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.images import MAX_SIDE, MIN_SIDE, ImageShape, channels_first
from training.data.copies import note_copies
from training.data.folder_tree import archive_hint, as_utf8_text, name
from training.data.idx import is_idx
from training.data.idx_set import find_idx_images, read_idx_set
from training.data.labels import Labels
from training.data.mnist import read_mnist, read_mnist_labels
from training.data.npz import npy_hint, read_npz
from training.data.raw_images import RawImages
from training.data.split import Split, split, split_test
from training.data.stacked_mnist import read_stacked_mnist
from training.errors import DataError

MNIST = "mnist"
STACKED_MNIST = "stacked-mnist"
RULE = 2
"""The version of the rules by which data are read and split. Version 1 split them without regard to classes."""

EMBEDDED = (MNIST, STACKED_MNIST)
"""The data sets that come with this package; any other source is a path."""


@dataclass(frozen=True)
class Dataset:
    """A data set in memory.

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
        """Return this data set with three equal channels in place of a grey one."""
        if self.shape.channels == 3:
            return self
        images, held_out = (x.repeat(1, 3, 1, 1) for x in (self.images, self.held_out))
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


def load_dataset(source: str, *, side: int | None = None, strict: bool = False, show_progress: bool = False) -> Dataset:
    """Load a data set.

    Args:
        source: "mnist" for the embedded MNIST, "stacked-mnist" for three of its digits as red, green and blue, or the
            path of a folder of images (its sub-folders are classes, or `train` and `test` with classes below) or of IDX
            files, of an .npz (its labels are `labels` or `y_train`), or of an IDX file, plain or compressed by gzip or
            xz. A test set beside the images is held out.
        side: height and width in pixels to which each image's middle square is resized; None takes images as they are.
        strict: whether to stop at the first image of a folder that cannot be read, instead of skipping it.
        show_progress: whether to show a progress bar on standard error if a folder takes long.

    Raises:
        DataError: the data cannot be read or used; the message names the file and the reason.
    """
    if source in EMBEDDED:
        return _load_embedded(source, side)
    path = Path(source)
    if not path.exists():
        raise DataError(
            f"there is no data at {source!r}: give 'mnist', 'stacked-mnist', or the path of a folder of images, an "
            ".npz or an IDX file"
        )
    if not (path.is_dir() or path.is_file()):
        raise DataError(f"{path} is a pipe or a device, and no file or folder of images: write the data into a file")
    found = _read(path, side, strict=strict, show_progress=show_progress)
    images, labels = _resized(found.images, side), found.labels
    test = images if found.test is None else _resized(found.test, side)
    _check_labels(labels, images, path)
    _check_labels(found.test_labels, test, path, of="test ")
    if test.shape[1:] != images.shape[1:]:
        raise DataError(
            f"{name(path)} has training images of the shape {list(images.shape[1:])} but test images of the shape "
            f"{list(test.shape[1:])}: make both alike, or take the test images away"
        )
    parts = split(len(images), labels, skipped=len(found.skipped)) if found.test is None else split_test(labels, found)
    train_labels = None if labels is None else Labels(labels.values[parts.train], labels.names)
    test_labels = labels if found.test is None else _number_as(labels, found.test_labels)
    held_out_labels = None if test_labels is None else Labels(test_labels.values[parts.held_out], test_labels.names)
    resolved = path.resolve()
    title = resolved.name if path.is_dir() else resolved.stem  # the name of a folder has no suffix
    data = _dataset(as_utf8_text(title), images[parts.train], test[parts.held_out], train_labels, held_out_labels)
    notes = (*found.notes, *parts.notes, *note_copies(data.images, data.held_out, name_of=_names(found, parts)))
    return replace(data, skipped=found.skipped, notes=notes)


def _load_embedded(source: str, side: int | None) -> Dataset:
    """Load a data set that comes with this package; a note tells if a file or folder has the same name."""
    if source == MNIST:
        train, test = read_mnist()
        labels, test_labels = (Labels(of.astype(np.int64), tuple("0123456789")) for of in read_mnist_labels())
        data = _dataset(MNIST, _resized(train, side), _resized(test, side), labels, test_labels, digits=1)
    else:
        train, test = read_stacked_mnist()
        data = _dataset(STACKED_MNIST, _resized(train, side), _resized(test, side), None, digits=3)
    if not os.path.lexists(source):
        return data
    note = (
        f"{source} is the data set that comes with this package; to read what is at ./{source}, use --data ./{source}"
    )
    return replace(data, notes=(note,))


def _read(path: Path, side: int | None, *, strict: bool, show_progress: bool) -> RawImages:
    """Return the images at a path, their labels if there are any, and the files that cannot be read.

    The arguments are those of `load_dataset`. Only `read_image_folder` uses `side`, `strict` and `show_progress`.
    """
    from training.data.image_folder import read_image_folder  # noqa: PLC0415  (it needs Pillow; MNIST does not)

    if path.is_dir():
        idx_images = find_idx_images(path)
        if idx_images is not None:
            return read_idx_set(idx_images, folder=path)
        return read_image_folder(path, side, strict=strict, show_progress=show_progress)
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
        f"{name(path)} is neither a folder, an .npz nor an IDX file; the name of an IDX file ends in -ubyte or .idx, "
        "with or without .gz or .xz"
    )


def _check_labels(labels: Labels | None, images: NDArray[np.uint8], path: Path, *, of: str = "") -> None:
    if labels is not None and len(labels.values) != len(images):
        raise DataError(
            f"{name(path)} has {len(images):,} {of}images but {len(labels.values):,} {of}labels: give one label for "
            "each"
        )


def _names(found: RawImages, parts: Split) -> Callable[[int], str]:
    """Return a function that names an image by its row among the training images, which the held-out ones follow."""

    def name_of(row: int) -> str:
        is_trained_on = row < len(parts.train)
        index = int(parts.train[row] if is_trained_on else parts.held_out[row - len(parts.train)])
        in_test = not is_trained_on and found.test is not None
        files = found.test_files if in_test else found.files
        return name(files[index]) if files else f"image {index:,}{' of the test set' if in_test else ''} (from 0)"

    return name_of


def _number_as(labels: Labels | None, others: Labels | None) -> Labels | None:
    """Return the labels `others` with the class numbers of `labels`; −1 for a class that `labels` lacks."""
    if labels is None or others is None:
        return None
    numbers = {label: number for number, label in enumerate(labels.names)}
    renumbered = np.array([numbers.get(label, -1) for label in others.names], dtype=np.int64)
    return Labels(renumbered[others.values], labels.names)


def _resized(images: NDArray[np.uint8], side: int | None) -> NDArray[np.uint8]:
    if side is None or images.shape[1:3] == (side, side):
        return images
    if images.size == 0:
        raise DataError(f"the images have no pixels: their shape is {list(images.shape)}; give other images")
    from training.data.image_file import resize  # noqa: PLC0415

    return np.stack([resize(image, side) for image in images])


def _dataset(
    name: str,
    train: NDArray[np.uint8],
    held_out: NDArray[np.uint8],
    labels: Labels | None,
    held_out_labels: Labels | None = None,
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
        _as_tensor(labels),
        digits,
        class_names=() if labels is None else labels.names,
        held_out_labels=_as_tensor(held_out_labels),
    )


def _as_tensor(labels: Labels | None) -> torch.Tensor | None:
    return None if labels is None else torch.from_numpy(np.ascontiguousarray(labels.values))
