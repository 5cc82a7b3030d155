"""webdataset shards: tar files in which `KEY.jpg` is a picture, and `KEY.cls` or `KEY.json` has its label.

A key is a path up to the first dot of its last part. `KEY.cls` holds a whole number or a text; `KEY.json` an object
with one of `LABEL_KEYS`.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from training.data.folder_tree import SUFFIXES
from training.data.image_file import UnreadableError
from training.data.sources.archive import list_archive, read_at, tar_entries, tar_members
from training.data.sources.label_file import LABEL_KEYS, LabelTable
from training.data.sources.labelling import MAX_TOLD
from training.data.sources.picture_list import ClassLabel, PictureList, PictureSource
from training.data.sources.shards import split_shards
from training.data.text import name
from training.errors import DataError

MAX_LABEL_BYTES = 2**20
_LABEL_ENDINGS = ("cls", "json")


@dataclass(frozen=True)
class _Place:
    """The bytes of a picture."""

    shard: Path
    member: str
    offset: int
    size: int

    @property
    def name(self) -> str:
        return name(self.shard / self.member)


def list_shards(path: Path, files: list[Path], labels: Path | None) -> PictureSource:
    """List the pictures of tar files.

    A single tar without `.cls` and `.json` files is an archive of folders (`training.data.sources.archive`).

    Args:
        path: the data as they were named.
        files: the tar files.
        labels: the file of `--labels`, which only an archive of folders can have.

    Raises:
        DataError: a file cannot be read, there are no pictures, or labels are missing or wrong.
    """
    if len(files) == 1 and (labels is not None or not _has_labels(files[0])):
        return list_archive(tar_entries(files[0]), labels)
    if labels is not None:
        raise DataError("tar shards have their labels inside, as KEY.cls or KEY.json: leave --labels out")
    train, test, notes = split_shards(files)
    mistakes: list[str] = []
    train_list, train_notes = _list(path, train, mistakes)
    test_list, test_notes = _list(path, test, mistakes) if test else (None, ())
    if mistakes:
        more = [f"  … and {len(mistakes) - MAX_TOLD:,} more"] if len(mistakes) > MAX_TOLD else []
        head = f"the labels in {name(path)} have {len(mistakes):,} mistake(s); write the shards again:"
        raise DataError("\n".join([head, *(f"  {mistake}" for mistake in mistakes[:MAX_TOLD]), *more]))
    return PictureSource(path, train_list, test_list, (*notes, *train_notes, *test_notes), files)


def _has_labels(file: Path) -> bool:
    """Whether a tar has a picture with a label of the same key."""
    keys: dict[str, set[bool]] = {}
    for member, _, _ in tar_members(file):
        key, ending = _key(member)
        if _is_picture(ending) or ending in _LABEL_ENDINGS:
            kinds = keys.setdefault(key, set())
            kinds.add(_is_picture(ending))
            if len(kinds) == 2:
                return True
    return False


def _list(path: Path, files: list[Path], mistakes: list[str]) -> tuple[PictureList, tuple[str, ...]]:
    """List the pictures of some shards; mistakes in their labels are added to a list."""
    places: list[_Place] = []
    classes: list[ClassLabel | None] = []
    others = several = 0
    for shard in files:
        pictures: dict[str, _Place] = {}
        labels: dict[str, ClassLabel | None] = {}
        for member, offset, size in tar_members(shard):
            key, ending = _key(member)
            if _is_picture(ending):
                several += key in pictures
                pictures.setdefault(key, _Place(shard, member, offset, size))
            elif ending in _LABEL_ENDINGS and (ending == "cls" or key not in labels):
                label = _read_label(_Place(shard, member, offset, size), ending, mistakes)
                labels[key] = labels.get(key) if label is None else label
            else:
                others += 1
        places += pictures.values()
        classes += [labels.get(key) for key in pictures]
    if not places:
        raise DataError(f"{name(path)} holds no images ({', '.join(sorted(SUFFIXES))}): give other shards")
    if any(label is not None for label in classes):
        lacking = zip(places, classes, strict=True)
        mistakes += [f"{place.name} has no label" for place, label in lacking if label is None]
    notes = []
    if several:
        notes.append(f"{several:,} picture(s) have the key of another one in the same shard and are ignored")
    if others:
        notes.append(f"ignored {others:,} file(s) of other kinds in the shards")

    def open_picture(index: int) -> BinaryIO:
        place = places[index]
        return io.BytesIO(read_at(place.shard, place.offset, place.size))

    found = PictureList(name(path), _alike(classes), lambda index: places[index].name, open_picture)
    return found, tuple(notes)


def _key(member: str) -> tuple[str, str]:
    """Return the key of a file in a tar, and the rest of its name in lower case: "a/b.x.png" → "a/b", "x.png"."""
    folder, slash, last = member.rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


def _is_picture(ending: str) -> bool:
    return f".{ending.rpartition('.')[2]}" in SUFFIXES


def _read_label(place: _Place, ending: str, mistakes: list[str]) -> ClassLabel | None:
    """Return the label in a file; None if it has none."""
    table = LabelTable()
    try:
        if place.size > MAX_LABEL_BYTES:
            raise UnreadableError(f"it has {place.size:,} bytes, and at most {MAX_LABEL_BYTES:,} are read")
        text = read_at(place.shard, place.offset, place.size).decode()
        if ending == "cls":
            table.add(place.member, text, place.name)
        else:
            content = cast("object", json.loads(text))
            values = {key.lower(): value for key, value in content.items()} if isinstance(content, dict) else {}
            key = next((key for key in LABEL_KEYS if values.get(key) is not None), None)
            if key is None:
                return None
            table.add(place.member, values[key], place.name)
    except (UnreadableError, ValueError, RecursionError) as error:
        mistakes.append(f"{place.name} cannot be read: {error}")
    mistakes += table.mistakes
    return next(iter(table.labels.values()), None)


def _alike(classes: Sequence[ClassLabel | None]) -> list[ClassLabel | None]:
    """Return labels that are all numbers, if every one is the text of a number; otherwise texts."""
    table = LabelTable()
    for number, label in enumerate(classes):
        if label is not None:
            table.labels[str(number)] = label
    table.make_alike()
    return [table.labels.get(str(number)) for number in range(len(classes))]
