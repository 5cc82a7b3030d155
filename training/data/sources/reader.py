"""Reads the pictures of a source one by one, and counts those that cannot be read or are changed."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Never

import numpy as np
from tqdm import tqdm

from models.images import MAX_SIDE, MIN_SIDE
from training.data.image_file import UnreadableError
from training.data.labels import Labels, number_labels
from training.data.raw_images import RawImages
from training.data.reading import Fit
from training.data.sources.decoding import decode_pictures
from training.data.sources.picture_list import ClassLabel, PictureList, PictureSource
from training.data.sources.spool import Spool
from training.data.text import name, some
from training.errors import DataError

QUIET_S = 1.0
"""A progress bar appears after this many seconds; if standard error is no terminal, a line appears every 10 s."""

WAYS_OUT = (
    "use `--set image_side=32` to resize all images; of those that are not square, `--fit crop` keeps the middle "
    "(the default) and `--fit pad` the whole"
)


def read_pictures(
    source: PictureSource,
    side: int | None,
    fit: Fit | None,
    *,
    strict: bool = False,
    show_progress: bool = False,
    spool: Spool | None = None,
) -> RawImages:
    """Read all pictures of a source that can be read.

    Args:
        source: the pictures.
        side: height and width in pixels to which each picture is resized; None keeps their size.
        fit: how pictures become square; see `training.data.image_file.make_square`.
        strict: whether to stop at the first picture that cannot be read.
        show_progress: whether to show a progress bar on standard error if the reading takes long.
        spool: takes the pictures; None: they are read into memory.

    Raises:
        DataError: none can be read, a picture has another size, or, if `strict`, one cannot be read. The message names
            the first such picture.
        OSError: the disk is full.
    """
    reading = _Reading(side, fit, strict, Spool() if spool is None else spool)
    found = len(source.train) + (0 if source.test is None else len(source.test))
    with warnings.catch_warnings(), _progress_bar(found, show=show_progress) as bar:
        warnings.filterwarnings("ignore", module=r"PIL\.")  # they name no file, and such pictures are read all the same
        train = reading.read(source.train, bar)
        if not train:
            raise DataError(
                f"none of the {found} images in {name(source.path)} can be read; the first is {reading.skipped[0]}"
            )
        test = [] if source.test is None else reading.read(source.test, bar)
    if source.test is not None and not test:
        last = reading.skipped[-1]
        raise DataError(f"none of the {len(source.test)} images of the test set can be read; the last is {last}")
    labels = _labels(source.train, train)
    images = reading.spool.array()
    return RawImages(
        images[: len(train)],
        labels,
        images[len(train) :] if source.test is not None else None,
        _labels(source.test, test) if source.test is not None else None,
        tuple(reading.skipped),
        (
            *source.notes,
            *reading.notes(),
            *_class_notes(source.train, labels),
            *_lost_notes(source.train, train),
            *(_lost_notes(source.test, test, of=" of the test set") if source.test is not None else ()),
        ),
        reading.not_square,
        name_of=lambda row: source.train.name_of(train[row]),
        name_of_test=lambda row: "" if source.test is None else source.test.name_of(test[row]),
    )


@dataclass
class _Reading:
    """Reads lists of pictures into a spool."""

    side: int | None
    fit: Fit | None
    strict: bool
    spool: Spool
    skipped: list[str] = field(default_factory=list)
    not_square: int = 0
    _first: str = field(init=False, default="")
    _size: tuple[int, ...] = field(init=False, default=())
    _read: int = field(init=False, default=0)
    _transparent: int = field(init=False, default=0)
    _several: int = field(init=False, default=0)
    _coloured: int = field(init=False, default=0)
    _first_coloured: str = field(init=False, default="")

    def read(self, pictures: PictureList, bar: "tqdm[Never]") -> list[int]:
        """Read all pictures of a list that can be read, and return their indices in the list."""
        read = []
        for index, picture in decode_pictures(pictures, self.side, self.fit):
            if isinstance(picture, UnreadableError):
                told = pictures.name_of(index)
                if self.strict:
                    raise DataError(
                        f"{told} cannot be read as an image: {picture}; repair it or take it out of the folder"
                    ) from picture
                self.skipped.append(f"{told}: {picture}")
            else:
                self._check_size(picture.pixels.shape[:2], pictures, index)
                self.spool.append(picture.pixels)
                read.append(index)
                self._read += 1
                self._transparent += picture.transparent
                self._several += picture.several
                self.not_square += not picture.square
                if picture.pixels.ndim == 3:
                    self._first_coloured = self._first_coloured or pictures.name_of(index)
                    self._coloured += 1
            bar.update()
        return read

    def _check_size(self, size: tuple[int, ...], pictures: PictureList, index: int) -> None:
        """Check that a picture has the size of the first one, and that this is a size that can be trained on.

        Raises:
            DataError: it has not. To read all pictures before this is said could take an hour.
        """
        if size == self._size:
            return
        told = f"{pictures.name_of(index)} is {size[1]} × {size[0]} pixels"
        if self._size:
            raise DataError(f"{told}, but {self._first} is {self._size[1]} × {self._size[0]}: {WAYS_OUT}")
        if size[0] != size[1] or not MIN_SIDE <= size[0] <= MAX_SIDE:
            raise DataError(f"{told}; images must be square, {MIN_SIDE} to {MAX_SIDE} pixels a side: {WAYS_OUT}")
        self._size, self._first = size, pictures.name_of(index)

    def notes(self) -> tuple[str, ...]:
        """Return sentences about pictures that were changed."""
        notes = []
        if self._transparent:
            notes.append(f"{self._transparent:,} image(s) have transparent pixels, which were put on white")
        if self._several:
            notes.append(f"{self._several:,} file(s) hold several pictures; the first of each was read")
        if self.not_square:
            what = (
                "the whole of each was kept, with bars in the colour of its edge"
                if self.fit == "pad"
                else "the middle of each was kept (`--fit pad` keeps the whole)"
            )
            notes.append(f"{self.not_square:,} image(s) are not square; {what}")
        if self._coloured not in {0, self._read}:
            notes.append(
                f"{self._coloured:,} of the {self._read:,} images are in colour, the others grey, so all are read as "
                f"RGB; the first is {self._first_coloured}"
            )
        return tuple(notes)


def _progress_bar(pictures: int, *, show: bool) -> "tqdm[Never]":
    pause = QUIET_S if sys.stderr.isatty() else 10.0
    return tqdm(
        total=pictures,
        desc="reading images",
        unit="file",
        disable=not show,
        delay=pause,
        mininterval=min(pause, 0.1) if sys.stderr.isatty() else pause,
        leave=False,
    )


def _labels(pictures: PictureList, read: Sequence[int]) -> Labels | None:
    """Number the classes of the pictures that were read; None if one has no class, or all have the same."""
    classes = [pictures.classes[index] for index in read]
    if None in classes or len(set(classes)) < 2:
        return None
    labels = number_labels(np.array(classes), where=pictures.where)
    if not pictures.class_names:
        return labels
    return Labels(labels.values, tuple(pictures.class_names.get(int(number), number) for number in labels.names))


def _class_notes(pictures: PictureList, labels: Labels | None) -> tuple[str, ...]:
    """Return a note if the sub-folders are not used as classes because some pictures lie beside them; else nothing."""
    beside = sum(each is None for each in pictures.classes)
    if labels is not None or beside in {0, len(pictures)}:
        return ()
    note = (
        f"{beside:,} image(s) lie in {pictures.where} beside its sub-folders, so the sub-folders are not taken for "
        "classes"
    )
    return (note,)


def _lost_notes(pictures: PictureList, read: Sequence[int], *, of: str = "") -> tuple[str, ...]:
    """Return a note that names the classes of which no picture can be read; () if there are none.

    Args:
        pictures: all pictures.
        read: the indices of those that can be read.
        of: the set to which the pictures belong, for the note.
    """
    classes: set[ClassLabel | None] = set(pictures.classes)
    lost = classes - {pictures.classes[index] for index in read}
    if not lost or None in classes:
        return ()
    named = sorted(_printable(pictures, each) for each in lost if each is not None)
    return (f"no image of {len(lost):,} class(es){of} can be read, so the data lack them: {some(named)}",)


def _printable(pictures: PictureList, label: ClassLabel) -> str:
    text = pictures.class_names.get(label, str(label)) if isinstance(label, int) else label
    return text if text.isprintable() else ascii(text)
