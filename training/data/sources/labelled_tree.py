"""The images of a folder or an archive with their classes: labels from a file or, without one, the sub-folders."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from training.data.picture_tree import FolderTree, class_of
from training.data.sources.labelling import FoundLabels, label_pictures
from training.data.sources.picture_list import ClassLabel, Opened, PictureList, PictureSource
from training.data.text import name


def label_tree(
    path: Path,
    tree: FolderTree,
    found: FoundLabels | None,
    notes: Iterable[str],
    *,
    open_file: Callable[[Path], Opened],
    files: Sequence[Path],
    given: bool,
) -> PictureSource:
    """Return the images of a folder or an archive with their labels or, if none are found, with their sub-folders.

    Args:
        path: the folder or archive.
        tree: the images in it.
        found: the labels.
        notes: sentences about the search for labels.
        open_file: returns the file or the bytes of an image.
        files: all files on the disk.
        given: whether the file of labels was given by `--labels`.

    Raises:
        DataError: the labels have mistakes.
    """
    labelled = None
    if found is not None:
        absolute = [[file.absolute() for file in of] for of in (tree.files, tree.test)]
        labelled = label_pictures(replace(found, file=found.file.absolute()), path.absolute(), *absolute)
    if labelled is None:
        if found is not None:
            notes = (*notes, _passed_over(found))
        train: list[ClassLabel | None] = [class_of(file, tree.top) for file in tree.files]
        test: list[ClassLabel | None] = [class_of(file, tree.test_top) for file in tree.test] if tree.test_top else []
    else:
        train, test, notes = labelled.train, labelled.test, (*notes, *labelled.notes)
    return PictureSource(
        path,
        _list_of(tree.files, name(tree.top), train, open_file),
        _list_of(tree.test, name(tree.test_top), test, open_file) if tree.test and tree.test_top else None,
        (*notes, *tree.notes),
        files,
        found_labels=labelled is not None and not given,
    )


def _passed_over(found: FoundLabels) -> str:
    """Return a note about a file of labels beside the folder that names no picture in it."""
    told = f"{name(found.file)} is passed over, because it names no picture in the folder"
    example = next(iter(found.table.labels or found.table.refused), None)
    if example is None:
        return told
    shown = example if example.isprintable() else ascii(example)
    return f"{told}: it names {shown}, for example; names are paths with their suffix"


def _list_of(
    files: list[Path], where: str, classes: list[ClassLabel | None], open_file: Callable[[Path], Opened]
) -> PictureList:
    return PictureList(where, classes, lambda index: name(files[index]), lambda index: open_file(files[index]))
