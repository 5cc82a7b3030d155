"""Images from a folder: the files in it and below it, in the order of their paths, with their classes."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Never

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.data.folder_tree import class_of, find_images, name, some
from training.data.image_file import UnreadableError, read_image_file
from training.data.labels import Labels, number_labels
from training.data.raw_images import RawImages
from training.errors import DataError

QUIET_S = 1.0
"""A progress bar appears after this many seconds; if standard error is no terminal, a line appears every 10 s."""


def read_image_folder(path: Path, side: int | None, *, strict: bool = False, show_progress: bool = False) -> RawImages:
    """Read all images of a folder that can be read.

    Args:
        path: the folder.
        side: height and width in pixels to which each image's middle square is resized; None requires that all images
            have the same size already.
        strict: whether to stop at the first file that cannot be read.
        show_progress: whether to show a progress bar on standard error if the reading takes long.

    The class of an image is its sub-folder. There are no classes if an image is in no sub-folder, or if there is only
    one sub-folder.

    Raises:
        DataError: there are no images, none can be read, an image has another size, or, if `strict`, a file cannot be
            read. The message names the first such file.
    """
    tree = find_images(path)
    reading = _Reading(side, strict)
    found = len(tree.files) + len(tree.test)
    with _progress_bar(found, show=show_progress) as bar:
        train, test = reading.read(tree.files, bar), reading.read(tree.test, bar)
    if not train.files:
        raise DataError(f"none of the {found} images in {name(path)} can be read; the first is {reading.skipped[0]}")
    if tree.test and not test.files:
        last = reading.skipped[-1]
        raise DataError(f"none of the {len(tree.test)} images of the test set can be read; the last is {last}")
    all_files, all_images = train.files + test.files, train.images + test.images
    _check_sizes(all_files, all_images)
    coloured = [file for file, image in zip(all_files, all_images, strict=True) if image.ndim == 3]
    in_colour = bool(coloured)
    labels = _labels(train.files, tree.top)
    return RawImages(
        _stack(train.images, in_colour=in_colour),
        labels,
        _stack(test.images, in_colour=in_colour) if test.files else None,
        _labels(test.files, tree.test_top) if tree.test_top and test.files else None,
        tuple(reading.skipped),
        (
            *tree.notes,
            *reading.notes(),
            *_colour_notes(coloured, n=len(all_files)),
            *_class_notes(tree.files, tree.top, labels),
            *_lost_notes(tree.files, train.files, tree.top),
            *(_lost_notes(tree.test, test.files, tree.test_top, of=" of the test set") if tree.test_top else ()),
        ),
        files=train.files,
        test_files=test.files,
    )


@dataclass
class _Images:
    files: list[Path] = field(default_factory=list)
    images: list[NDArray[np.uint8]] = field(default_factory=list)


class _Reading:
    """Reads files, and counts those that cannot be read or are changed."""

    def __init__(self, side: int | None, strict: bool) -> None:
        self._side, self._strict = side, strict
        self.skipped: list[str] = []
        self._transparent = 0
        self._several = 0

    def read(self, files: list[Path], bar: "tqdm[Never]") -> _Images:
        """Read all files that can be read."""
        found = _Images()
        for file in files:
            try:
                image = read_image_file(file, self._side)
            except UnreadableError as error:
                if self._strict:
                    raise DataError(
                        f"{name(file)} cannot be read as an image: {error}; repair it or take it out of the folder"
                    ) from error
                self.skipped.append(f"{name(file)}: {error}")
            else:
                found.files.append(file)
                found.images.append(image.pixels)
                self._transparent += image.transparent
                self._several += image.several
            bar.update()
        return found

    def notes(self) -> tuple[str, ...]:
        """Return sentences about files that were changed."""
        notes = []
        if self._transparent:
            notes.append(f"{self._transparent:,} image(s) have transparent pixels, which were put on white")
        if self._several:
            notes.append(f"{self._several:,} file(s) hold several pictures; the first of each was read")
        return tuple(notes)


def _progress_bar(files: int, *, show: bool) -> "tqdm[Never]":
    pause = QUIET_S if sys.stderr.isatty() else 10.0
    return tqdm(
        total=files,
        desc="reading images",
        unit="file",
        disable=not show,
        delay=pause,
        mininterval=min(pause, 0.1) if sys.stderr.isatty() else pause,
        leave=False,
    )


def _check_sizes(files: list[Path], images: list[NDArray[np.uint8]]) -> None:
    first = images[0].shape
    for file, image in zip(files, images, strict=True):
        if image.shape[:2] != first[:2]:
            raise DataError(
                f"{name(file)} is {image.shape[1]} × {image.shape[0]} pixels, but {name(files[0])} is "
                f"{first[1]} × {first[0]}: use `--set image_side=32` to crop and resize all images"
            )


def _stack(images: list[NDArray[np.uint8]], *, in_colour: bool) -> NDArray[np.uint8]:
    if in_colour:
        images = [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in images]
    return np.stack(images)


def _labels(files: list[Path], top: Path) -> Labels | None:
    names = [class_of(file, top) for file in files]
    if None in names or len(set(names)) < 2:
        return None
    return number_labels(np.array(names, dtype=np.str_), where=name(top))


def _colour_notes(coloured: list[Path], *, n: int) -> tuple[str, ...]:
    """Return a note if some of n images have colours and the others are grey; otherwise nothing."""
    if len(coloured) in {0, n}:
        return ()
    return (
        f"{len(coloured):,} of the {n:,} images are in colour, the others grey, so all are read as RGB; the first is "
        + name(coloured[0]),
    )


def _class_notes(files: list[Path], top: Path, labels: Labels | None) -> tuple[str, ...]:
    """Return a note if the sub-folders are not used as classes because some images lie beside them; else nothing.

    Args:
        files: the images.
        top: the folder that holds the sub-folders.
        labels: the classes of the images, or None if there are none.
    """
    beside = sum(class_of(file, top) is None for file in files)
    if labels is not None or beside in {0, len(files)}:
        return ()
    return (
        f"{beside:,} image(s) lie in {name(top)} beside its sub-folders, so the sub-folders are not taken for classes",
    )


def _lost_notes(found: list[Path], read: list[Path], top: Path, *, of: str = "") -> tuple[str, ...]:
    """Return a note that names the classes of which no image can be read; () if there are none.

    Args:
        found: all images.
        read: those of them that can be read.
        top: the folder whose sub-folders are the classes.
        of: the set to which the images belong, for the note.
    """
    classes = {class_of(file, top) for file in found}
    lost = sorted(name(Path(each)) for each in classes - {class_of(file, top) for file in read} if each is not None)
    if not lost or None in classes:
        return ()
    return (f"no image of {len(lost):,} class(es){of} can be read, so the data lack them: {some(lost)}",)
