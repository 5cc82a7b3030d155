"""The IDX files of one data set: images, their labels and a test set, which are found by names as in MNIST.

`train-images-idx3-ubyte` has its labels in `train-labels-idx1-ubyte`, and its test set in `t10k-images-idx3-ubyte` or
`test-images-idx3-ubyte`. A `.` may stand before `idx`, and each file may be plain or compressed.
"""

from pathlib import Path

from training.data.idx import is_idx, read_idx, unpacked_name
from training.data.labels import Labels, number_labels
from training.data.raw_images import RawImages
from training.data.text import name, some
from training.errors import DataError

_TRAIN = "train-images"
_TESTS = ("t10k-images", "test-images")
_PACKINGS = ("", ".gz", ".xz")


def find_idx_images(folder: Path) -> Path | None:
    """Return the file of training images in a folder; None if there is none.

    Raises:
        DataError: there are several; the same one, plain and compressed, counts once.
    """
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if _TRAIN in file.name and not file.name.startswith(".") and is_idx(file):
            found.setdefault(unpacked_name(file), file)
    if len(found) > 1:
        raise DataError(
            f"{name(folder)} has {len(found)} files of training images: {some([name(file) for file in found.values()])}"
            "; give one of these files to --data"
        )
    return next(iter(found.values()), None)


def read_idx_set(images: Path, *, folder: Path | None = None) -> RawImages:
    """Read a file of images and, from beside it, their labels and the test set with its labels, as far as they exist.

    Args:
        images: the file of the images.
        folder: the folder that was named as the data: a note says what else it holds. None: the file was named.

    Raises:
        DataError: a file cannot be read, or there are two test sets.
    """
    test, labels = _test_set(images), _labels_file(images)
    test_labels = None if test is None else _labels_file(test)
    notes = []
    if test is not None:
        notes.append(f"{name(images)} is trained on, and {name(test)} is held out")
    if folder is not None:
        read = {images, labels, test, test_labels}
        others = [file.name for file in sorted(folder.iterdir()) if file not in read and not file.name.startswith(".")]
        if others:
            notes.append(f"ignored {len(others):,} file(s) or folder(s) beside the IDX files: {some(others)}")
    return RawImages(
        read_idx(images, dimensions=3),
        _read_labels(labels),
        None if test is None else read_idx(test, dimensions=3),
        _read_labels(test_labels),
        notes=tuple(note if note.isprintable() else ascii(note)[1:-1] for note in notes),
    )


def _read_labels(file: Path | None) -> Labels | None:
    return None if file is None else number_labels(read_idx(file, dimensions=1), where=name(file))


def _labels_file(images: Path) -> Path | None:
    """Return the file of the labels beside a file of images; None if there is none."""
    start, word, end = unpacked_name(images).rpartition("images")
    return _beside(images, f"{start}labels{end.replace('idx3', 'idx1')}") if word else None


def _test_set(images: Path) -> Path | None:
    """Return the test set beside a file of training images; None if there is none.

    Raises:
        DataError: there are two.
    """
    if _TRAIN not in images.name:
        return None
    names = [unpacked_name(images).replace(_TRAIN, test) for test in _TESTS]
    found = [file for file in (_beside(images, wanted) for wanted in names) if file is not None]
    if len(found) > 1:
        raise DataError(
            f"{name(images)} has two test sets beside it, {name(found[0])} and {name(found[1])}: move one away"
        )
    return found[0] if found else None


def _beside(images: Path, wanted: str) -> Path | None:
    """Return the file beside `images` with a name, in which `.idx` may stand for `-idx`, plain or compressed."""
    packing = images.name.removeprefix(unpacked_name(images))
    other = wanted.replace("-idx", ".idx") if "-idx" in wanted else wanted.replace(".idx", "-idx")
    for spelling in (wanted, other):
        for suffix in (packing, *_PACKINGS):
            file = images.with_name(spelling + suffix)
            if is_idx(file):
                return file
    return None
