"""The classes and the splits (train and test) of images, by their paths alone.

The paths may be those of files in a folder or of entries in an archive. If `train` and others such as `test` are the
only sub-folders, they are splits; their sub-folders are the classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training.data.text import name, some

TRAIN = frozenset({"train", "training"})
TEST = frozenset({"test", "testing"})
VALIDATION = frozenset({"val", "valid", "validation"})


@dataclass(frozen=True)
class FolderTree:
    """The image files of a folder, in the order of their paths.

    Attributes:
        top: the folder whose sub-folders are the classes.
        files: the images to train on.
        test_top: the folder whose sub-folders are the classes of `test`; None if there is no test set.
        test: the images of a test set.
        notes: sentences about the files that were skipped, for the log.
    """

    top: Path
    files: list[Path]
    test_top: Path | None
    test: list[Path]
    notes: tuple[str, ...]


def arrange(
    path: Path, files: list[Path], notes: tuple[str, ...], *, empty_notes: Callable[[Path], list[str]] = lambda _: []
) -> FolderTree:
    """Sort images into splits and classes by their paths alone, which may also be paths inside an archive.

    Args:
        path: the folder or archive.
        files: the images in it, at least one.
        notes: sentences about files that were skipped.
        empty_notes: returns sentences about the empty sub-folders of a folder.
    """
    files = sorted(files)
    top = _common_top(path, files)
    splits = _splits(top, files)
    if splits is None:
        return FolderTree(top, files, None, [], (*_no_split_notes(top, files), *empty_notes(top), *notes))
    train, test, unused = splits
    about = [f"{name(train)} is trained on" + (f", and {name(test)} is held out" if test else "; a tenth is held out")]
    about += [f"{name(folder)} is not used" for folder in unused]
    train_files = [file for file in files if file.is_relative_to(train)]
    test_files = [file for file in files if test is not None and file.is_relative_to(test)]
    test_top = None if test is None else _common_top(test, test_files)
    train_top = _common_top(train, train_files)
    for folder in (train_top, test_top):
        about += [] if folder is None else empty_notes(folder)
    return FolderTree(train_top, train_files, test_top, test_files, (*about, *notes))


def class_of(file: Path, top: Path) -> str | None:
    """Return the name of a file's class: the sub-folder of `top` that holds it; None if no sub-folder does."""
    parts = file.relative_to(top).parts
    return parts[0] if len(parts) > 1 else None


def _common_top(path: Path, files: list[Path]) -> Path:
    """Return the deepest folder with all sub-folders that hold images: a folder that only wraps another is no class."""
    while True:
        inside = {file.relative_to(path).parts[0] for file in files}
        if len(inside) != 1 or any(len(file.relative_to(path).parts) < 3 for file in files):
            return path
        path /= inside.pop()


def _splits(top: Path, files: list[Path]) -> tuple[Path, Path | None, list[Path]] | None:
    """Return the folders of the training images and of the test images, and those that are not used.

    The result is None unless all sub-folders of `top` are splits, and one of them is for training.
    """
    inside = sorted({file.relative_to(top).parts[0] for file in files})
    kinds = {folder: folder.lower() for folder in inside}
    train = [folder for folder in inside if kinds[folder] in TRAIN]
    if len(train) != 1 or len(inside) < 2 or not all(k in TRAIN | TEST | VALIDATION for k in kinds.values()):
        return None
    rest = sorted((folder for folder in inside if folder not in train), key=lambda folder: kinds[folder] in VALIDATION)
    test, *unused = rest
    return top / train[0], top / test, [top / folder for folder in unused]


def _no_split_notes(top: Path, files: list[Path]) -> list[str]:
    """Return a sentence that says why folders with the names of splits are none; [] if fewer than two have such names.

    A single one may well be a class: a train is a vehicle.
    """
    parts = [file.relative_to(top).parts for file in files]
    folders = {inside[0] for inside in parts if len(inside) > 1}
    splits = sorted(folder for folder in folders if folder.lower() in TRAIN | TEST | VALIDATION)
    if len(splits) < 2:
        return []
    others = sorted({inside[0] for inside in parts} - set(splits))
    train = [folder for folder in splits if folder.lower() in TRAIN]
    if others:
        reason = f"{some([name(Path(other)) for other in others])} {'is' if len(others) == 1 else 'are'} beside them"
    elif train:
        reason = f"{' and '.join(train)} are both for training"
    else:
        reason = "no folder `train` is beside them"
    taken = "taken as classes" if all(len(inside) > 1 for inside in parts) else "not taken as training and test sets"
    return [f"{' and '.join(splits)} are {taken}, because {reason}"]
