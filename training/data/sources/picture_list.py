"""Lists of pictures that are not read yet: what every source offers to the reader."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias

ClassLabel: TypeAlias = str | int
"""A class as the data give it: the name of a folder, or a text or a whole number in a file of labels."""

Opened: TypeAlias = Path | BinaryIO


@dataclass(frozen=True)
class PictureList:
    """The pictures of a training set or a test set, in the order in which they are read.

    Attributes:
        where: the place of the pictures, for messages.
        classes: the class of each picture; None: it has none.
        name_of: returns the name of the picture with an index, as one printable line.
        open: returns the path or the bytes of the picture with an index. The reader asks for each once, in order. It
            raises `UnreadableError` if the bytes cannot be read.
        class_names: the names of classes that are numbers, if the source names them.
    """

    where: str
    classes: Sequence[ClassLabel | None]
    name_of: Callable[[int], str]
    open: Callable[[int], Opened]
    class_names: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class PictureSource:
    """All pictures of a data set.

    Attributes:
        path: the data as they were named.
        train: the pictures to train on.
        test: the pictures of a test set; None if there is none.
        notes: sentences for the log.
        files: all files on the disk from which the pictures and labels are read. If one of them changes, so may they.
        found_labels: whether the classes come from a file of labels that was found by its name.
    """

    path: Path
    train: PictureList
    test: PictureList | None
    notes: tuple[str, ...]
    files: Sequence[Path]
    found_labels: bool = False
