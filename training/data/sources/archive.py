"""Pictures in a zip, or in a tar that is no webdataset, read as they are: nothing is unpacked onto the disk.

The paths inside are treated like those of a folder: `train` and `test` are splits, sub-folders or a file of labels the
classes. A path only sorts and names a picture, and no file is written, so a path such as `../x` can do no harm; an
entry with such a path is ignored nevertheless. An entry is read whole into memory, up to `MAX_ENTRY_BYTES`, one at a
time.
"""

import io
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from training.data.folder_tree import HIDDEN, SUFFIXES
from training.data.image_file import UnreadableError
from training.data.picture_tree import arrange
from training.data.sources.label_file import NAMES
from training.data.sources.labelled_tree import label_tree
from training.data.sources.labelling import find_labels, read_given
from training.data.sources.picture_list import PictureSource
from training.data.text import name, some
from training.errors import DataError

MAX_ENTRY_BYTES = 512 * 2**20
"""The largest entry that is read: a picture of 64 megapixels needs less than half of this, even uncompressed."""

MAX_ENTRIES = 20_000_000

_BAD_ZIP = (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, ValueError)
"""What zipfile raises for damaged entries, passwords and unknown compressions."""


@dataclass
class Entries:
    """The entries of an archive.

    Attributes:
        path: the archive.
        reads: for each file inside, by its path, the function that reads its bytes; it raises `UnreadableError`.
        notes: sentences about entries that are ignored.
    """

    path: Path
    reads: dict[PurePosixPath, Callable[[], bytes]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    twice: int = 0

    def add(self, text: str, read: Callable[[], bytes]) -> None:
        """Add a file by the text of its path; the last one of a path counts, as for a program that unpacks it."""
        inside = PurePosixPath(text.replace("\\", "/"))
        if inside.is_absolute() or ".." in inside.parts or not inside.parts or ":" in inside.parts[0]:
            self.outside.append(name(Path(text)))
            return
        if len(self.reads) >= MAX_ENTRIES:
            raise DataError(f"{name(self.path)} has more than {MAX_ENTRIES:,} entries: divide it into several archives")
        self.twice += inside in self.reads
        self.reads[inside] = read

    def pictures(self) -> tuple[list[Path], tuple[str, ...]]:
        """Return the paths of the pictures, each below that of the archive, and notes about the other entries."""
        found, hidden, others = [], 0, Counter[str]()
        for inside in self.reads:
            if inside.name.startswith(".") or any(part.startswith(HIDDEN) for part in inside.parts[:-1]):
                hidden += inside.suffix.lower() in SUFFIXES
            elif inside.suffix.lower() in SUFFIXES:
                found.append(self.path / inside)
            elif str(inside) not in NAMES:
                others[inside.suffix.lower() or "no suffix"] += 1
        notes = []
        if hidden:
            notes.append(f"ignored {hidden:,} image(s) that are hidden")
        if self.outside:
            notes.append(f"ignored {len(self.outside):,} entries with paths outside the archive: {some(self.outside)}")
        if self.twice:
            notes.append(f"{self.twice:,} path(s) occur more than once; the last entry of each was read")
        if others:
            kinds = [f"{count:,} {suffix}" for suffix, count in others.most_common()]
            notes.append(f"ignored {others.total():,} file(s) of other kinds: {some(kinds)}")
        return found, tuple(note if note.isprintable() else ascii(note)[1:-1] for note in notes)

    def read(self, path: Path) -> bytes | None:
        """Return the bytes of the entry with a path below that of the archive; None if there is none."""
        read = self.reads.get(PurePosixPath(path.relative_to(self.path).as_posix()))
        return None if read is None else read()


def list_archive(entries: Entries, labels: Path | None) -> PictureSource:
    """List the pictures of an archive.

    Args:
        entries: what the archive holds.
        labels: the file of `--labels`; None: a file of labels is looked for in the archive.

    Raises:
        DataError: there are no pictures, or the labels have mistakes.
    """
    path = entries.path
    files, notes = entries.pictures()
    if not files:
        seen = "".join(f"; {note}" for note in notes)
        raise DataError(f"{name(path)} holds no images ({', '.join(sorted(SUFFIXES))}): give another archive{seen}")
    tree = arrange(path, files, notes)
    about: tuple[str, ...] = ()
    found = None if labels is None else read_given(labels)
    if found is None:
        places = (path, tree.top) if tree.test_top is None else (path, tree.top.parent)
        try:
            found, about = find_labels([place for place in places if place != path.parent], entries.read)
        except UnreadableError as error:
            raise DataError(f"a file of labels in {name(path)} cannot be read: {error}; pack it again") from error

    def open_entry(file: Path) -> BinaryIO:
        return io.BytesIO(entries.read(file) or b"")

    on_disk = [path] if labels is None else [path, labels]
    return label_tree(path, tree, found, about, open_file=open_entry, files=on_disk, given=labels is not None)


def zip_entries(path: Path) -> Entries:
    """List the files in a zip.

    Raises:
        DataError: it is no zip, or damaged.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (*_BAD_ZIP, OSError) as error:
        raise DataError(f"{name(path)} cannot be read as a zip: {error}; fetch or pack it again") from error
    entries = Entries(path)
    for info in archive.infolist():
        if not info.is_dir():
            entries.add(info.filename, _zip_reader(archive, info))
    return entries


def _zip_reader(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        check_entry_size(info.file_size)
        try:
            with archive.open(info) as file:
                return file.read(MAX_ENTRY_BYTES)
        except (*_BAD_ZIP, OSError) as error:
            raise UnreadableError(f"{error}" or type(error).__name__) from error

    return read


def tar_entries(path: Path) -> Entries:
    """List the files in a tar; links and devices in it are ignored.

    Raises:
        DataError: it is no tar, or damaged.
    """
    entries = Entries(path)
    for text, offset, size in tar_members(path):
        entries.add(text, lambda offset=offset, size=size: read_at(path, offset, size))  # type: ignore[misc]
    return entries


def tar_members(path: Path) -> Iterator[tuple[str, int, int]]:
    """Yield the path of each regular file in a tar, the place of its bytes, and their number.

    Raises:
        DataError: it is no tar, or damaged.
    """
    try:
        with tarfile.open(path, mode="r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # otherwise all are kept: 1 GB for a million
                if member.isreg() and not member.issparse():
                    yield member.name, member.offset_data, member.size
    except (tarfile.TarError, OSError, ValueError) as error:
        raise DataError(
            f"{name(path)} cannot be read as an uncompressed tar: {error}; fetch or pack it again"
        ) from error


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Return bytes of a file.

    Raises:
        UnreadableError: they are too many, or cannot be read.
    """
    check_entry_size(size)
    data = b""
    with suppress(OSError), path.open("rb") as file:
        file.seek(offset)
        data = file.read(size)
    if len(data) != size:
        raise UnreadableError(f"only {len(data):,} of its {size:,} bytes can be read from {name(path)}")
    return data


def check_entry_size(size: int) -> None:
    """Check that an entry may be read into memory.

    Raises:
        UnreadableError: it is too large.
    """
    if size > MAX_ENTRY_BYTES:
        raise UnreadableError(f"it has {size:,} bytes, and at most {MAX_ENTRY_BYTES:,} are read")
