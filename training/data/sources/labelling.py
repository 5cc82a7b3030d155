"""Finds the file of labels of some pictures, and gives each picture its label; all mistakes are told at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.data.sources.label_file import MAYBE, NAMES, LabelTable, NoLabelsError, parse_labels
from training.data.sources.picture_list import ClassLabel
from training.data.text import name
from training.errors import DataError

MAX_TOLD = 20
"""The most mistakes that a message tells; the others are only counted."""


@dataclass(frozen=True)
class FoundLabels:
    """A file of labels that was read.

    Attributes:
        file: its path, or its path in an archive.
        table: what it holds.
        beside: whether it lies beside the folder of the pictures, so that it may name pictures of other folders, too.
    """

    file: Path
    table: LabelTable
    beside: bool = False


@dataclass(frozen=True)
class LabelledPictures:
    """The classes of the training images and of the test images, and notes. None: the images have no labels."""

    train: list[ClassLabel | None]
    test: list[ClassLabel | None]
    notes: tuple[str, ...]


def read_given(file: Path) -> FoundLabels:
    """Read the file of `--labels`.

    Raises:
        DataError: the file cannot be read, or holds no labels.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(
            f"the labels {name(file)} cannot be read: {error.strerror}; give another file to --labels"
        ) from error
    try:
        return FoundLabels(file, parse_labels(data, file.name))
    except NoLabelsError as error:
        raise DataError(f"{name(file)} holds no labels: {error}") from error


def find_labels(
    places: Sequence[Path], read: Callable[[Path], bytes | None], *, beside: Path | None = None
) -> tuple[FoundLabels | None, tuple[str, ...]]:
    """Find a file of labels by its name.

    Args:
        places: the folders to look in, the nearest first.
        read: returns the bytes of a file; None if there is none.
        beside: a folder to look in afterwards, for `labels.*` only: it holds the folder of the pictures.

    Returns:
        The labels, or None; and notes about files that are passed over.

    Raises:
        DataError: a file `labels.*` cannot be read.
    """
    notes: list[str] = []
    candidates = [(place / file, False) for place in dict.fromkeys(places) for file in NAMES]
    candidates += [] if beside is None else [(beside / file, True) for file in NAMES if file not in MAYBE]
    for file, is_beside in candidates:
        data = read(file)
        if data is None:
            continue
        try:
            return FoundLabels(file, parse_labels(data, file.name), is_beside), tuple(notes)
        except NoLabelsError as error:
            if file.name not in MAYBE and not is_beside:
                raise DataError(f"{name(file)} holds no labels: {error}; correct it, or rename it") from error
            notes.append(f"{name(file)} is passed over, because it holds no labels: {error}")
    return None, tuple(notes)


def label_pictures(
    found: FoundLabels, root: Path, train: Sequence[Path], test: Sequence[Path]
) -> LabelledPictures | None:
    """Give each picture its label.

    A name in the file is a path from the folder or archive of the pictures, or from the folder of the file.

    Args:
        found: the labels.
        root: the folder or archive of the pictures.
        train: the training images; they lie in `root`.
        test: the images of a test set; they may all be without labels.

    Returns:
        The labels; None if the file lies beside the folder and names no picture in it.

    Raises:
        DataError: a line is wrong, a picture that is named is missing, or a picture has no label. The message tells up
            to `MAX_TOLD` mistakes.
    """
    table, pictures = found.table, {*train, *test}
    labels: dict[Path, ClassLabel] = {}
    mistakes = list(table.mistakes)
    elsewhere = 0
    for key, label in table.labels.items():
        paths = [root / key, found.file.parent / key]
        path = next((path for path in paths if path in pictures), None)
        if path is None and found.beside and not paths[1].is_relative_to(root):
            elsewhere += 1
        elif path is None:
            mistakes.append(f"{table.places[key]}: there is no picture {key!r}")
        elif path in labels:
            mistakes.append(f"{table.places[key]}: {key!r} has a label already, by another name")
        else:
            labels[path] = label
    if not labels and found.beside:
        return None
    told = {folder / key for key in table.refused for folder in (root, found.file.parent)}
    without = [path for path in train if path not in labels and path not in told]
    without_test = [path for path in test if path not in labels]
    no_test_labels = len(without_test) == len(test)
    mistakes += [f"{name(path)} has no label" for path in (*without, *(() if no_test_labels else without_test))]
    if mistakes:
        raise DataError("\n".join(_told(found.file, mistakes)))
    notes = [f"the labels of {len(labels):,} pictures are read from {name(found.file)}"]
    if elsewhere:
        notes.append(f"{name(found.file)} also names {elsewhere:,} picture(s) outside {name(root)}")
    if test and no_test_labels:
        notes.append(f"the {len(test):,} images of the test set have no labels")
    return LabelledPictures([labels[path] for path in train], [labels.get(path) for path in test], tuple(notes))


def _told(file: Path, mistakes: list[str]) -> list[str]:
    more = [f"  … and {len(mistakes) - MAX_TOLD:,} more"] if len(mistakes) > MAX_TOLD else []
    told = (mistake if mistake.isprintable() else ascii(mistake)[1:-1] for mistake in mistakes[:MAX_TOLD])
    head = f"the labels in {name(file)} have {len(mistakes):,} mistake(s); correct them, or take the file away:"
    return [head, *(f"  {mistake}" for mistake in told), *more]
