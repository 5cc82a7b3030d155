"""Images from a folder: the files in it and below it, in the order of their paths, with their classes."""

from pathlib import Path

from training.data.folder_tree import find_images
from training.data.sources.label_file import NAMES
from training.data.sources.labelled_tree import label_tree
from training.data.sources.labelling import find_labels, read_given
from training.data.sources.picture_list import PictureSource


def list_folder(path: Path, labels: Path | None = None, *, find: bool = True) -> PictureSource:
    """List all images of a folder.

    Args:
        path: the folder.
        labels: the file of `--labels`; None: none was given.
        find: whether to look for a file of labels by its name, in the folder and beside it.

    The class of an image is its label or, without a file of labels, its sub-folder. There are no classes if an image is
    in no sub-folder, or if there is only one sub-folder.

    Raises:
        DataError: there are no images, or the labels have mistakes.
    """
    tree = find_images(path, not_counted=NAMES if find else ())
    notes: tuple[str, ...] = ()
    found = None if labels is None else read_given(labels)
    if found is None and find:
        places = (path, tree.top) if tree.test_top is None else (path, tree.top.parent)
        found, notes = find_labels(places, _read, beside=path.absolute().parent)
    files = [*tree.files, *tree.test, *(() if found is None else (found.file,))]
    return label_tree(path, tree, found, notes, open_file=lambda file: file, files=files, given=labels is not None)


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
