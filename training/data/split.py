"""Chooses the held-out images and the order of the others, which is random by a fixed seed and stratified by class.

The order is chosen once, when data are loaded. After that every slice of the images (the first `train_images`, the last
5,000 that the log compares with, the held-out images) has nearly the same share of each class as all of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.labels import Labels
from training.data.raw_images import RawImages
from training.errors import DataError

MIN_IMAGES, MIN_TEST_IMAGES = 20, 2
MAX_HELD_OUT = 10_000
HELD_OUT_SHARE = 0.1
MAX_NAMED = 5
"""The most classes that a note names; the others are only counted."""


@dataclass(frozen=True)
class Split:
    """The indices of the images to train on and of those held out, [N] and [M] int64, and notes for the log."""

    train: NDArray[np.int64]
    held_out: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def stratified_order(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a random order of N rows in which every slice has nearly the same share of each class.

    The order depends only on the labels. Rows are taken one by one, by the Huntington–Hill method, which distributes
    the seats of a parliament: the next row comes from the class with the largest count / √(r(r + 1)), where r of its
    rows are already taken. So the first row of every class comes before the second one of any.

    Args:
        labels: [N] int64, the class of each row, counted from 0; equal labels for data without classes.
    """
    shuffled = np.random.Generator(np.random.Philox(0)).permutation(len(labels))[::-1]
    classes = labels[shuffled]
    counts = np.bincount(classes)
    by_class = np.argsort(classes, kind="stable")
    taken = np.empty(len(labels), dtype=np.int64)  # how many rows of the same class come before each
    taken[by_class] = np.arange(len(labels)) - (np.cumsum(counts) - counts)[classes[by_class]]
    with np.errstate(divide="ignore"):
        priority = counts[classes] / np.sqrt(taken * (taken + 1.0))
    return shuffled[np.argsort(-priority, kind="stable")]


def split(n: int, labels: Labels | None, *, skipped: int) -> Split:
    """Hold out a tenth of n images, at most 10,000. A class of one image stays in training.

    Args:
        n: number of images.
        labels: the class of each image; None if the data have no labels.
        skipped: number of files that cannot be read, for the message.

    Raises:
        DataError: there are fewer than 20 images.
    """
    _check_number(n, skipped, because="a tenth is held out")
    held_out = min(MAX_HELD_OUT, int(n * HELD_OUT_SHARE))
    if labels is not None and len(labels.names) > n - held_out:
        order = _order(n, None)
        note = (
            f"{n:,} images of {len(labels.names):,} classes are too few to keep one of each class in training: "
            f"{held_out:,} images are held out without regard to their classes"
        )
        return Split(order[:-held_out], order[-held_out:], (note,))
    order = _order(n, labels)
    notes = () if labels is None else _note_missing(labels, order[-held_out:])
    return Split(order[:-held_out], order[-held_out:], notes)


def split_test(labels: Labels | None, data: RawImages) -> Split:
    """Hold out the images of a test set, at most 10,000; the training images are all trained on.

    Returns:
        The indices of the training images and those of the test set.

    Raises:
        DataError: there are fewer than 20 training images, or fewer than 2 in the test set.
    """
    n, n_test = len(data.images), 0 if data.test is None else len(data.test)
    _check_number(n, len(data.skipped), because="G and D learn little from fewer")
    if n_test < MIN_TEST_IMAGES:
        images = "1 image" if n_test == 1 else "no image"
        raise DataError(f"the test set has {images} that can be read; at least {MIN_TEST_IMAGES} are needed")
    notes = []
    known, seen = (set() if given is None else set(given.names) for given in (labels, data.test_labels))
    if strange := sorted(seen - known):
        notes.append(f"{len(strange):,} class(es) are only in the test set: {_named(strange)}")
    if n_test > MAX_HELD_OUT:
        notes.append(f"{MAX_HELD_OUT:,} of the {n_test:,} images of the test set are used")
    return Split(_order(n, labels), _order(n_test, data.test_labels)[:MAX_HELD_OUT], tuple(notes))


def _order(n: int, labels: Labels | None) -> NDArray[np.int64]:
    return stratified_order(np.zeros(n, dtype=np.int64) if labels is None else labels.values)


def _check_number(n: int, skipped: int, *, because: str) -> None:
    if n < MIN_IMAGES:
        beside = f" that can be read, and {skipped} that cannot" if skipped else ""
        there = "there is 1 image" if n == 1 else f"there are {n} images"
        raise DataError(f"{there}{beside}; at least {MIN_IMAGES} are needed, because {because}")


def _note_missing(labels: Labels, held_out: NDArray[np.int64]) -> tuple[str, ...]:
    """Return a note about the classes of which no image is held out; () if there are none."""
    counts = np.bincount(labels.values[held_out], minlength=len(labels.names))
    missing = [labels.names[index] for index in np.flatnonzero(counts == 0)]
    if not missing:
        return ()
    note = (
        f"{len(missing):,} of {len(labels.names):,} class(es) have too few images to hold one out; all of theirs are "
        f"trained on: {_named(missing)}"
    )
    return (note,)


def _named(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    text = ", ".join(names[:MAX_NAMED]) + more
    return text if text.isprintable() else ascii(text)[1:-1]
