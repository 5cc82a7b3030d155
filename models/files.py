"""Atomic writes: a file is written under a temporary name, synced to disk, and then renamed.

After a crash, a `kill -9` or a full disk, either the old file or the complete new one is there, never a part.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from models.lock import is_still_at, lock

TEMPORARY_SUFFIX = ".tmp"

_SYSTEM_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def is_system_file(path: Path) -> bool:
    """Whether a file was made by a file manager, and not by a person or this program: `.DS_Store`, `._NAME` and others.

    macOS and Windows put such files into any folder that is opened or copied.
    """
    return (path.name in _SYSTEM_FILES or path.name.startswith("._")) and path.is_file()


def check_file_destination(path: Path) -> None:
    """Check that a file can be written to `path`: its folder exists, and `path` is free or a regular file.

    A rename would replace a symbolic link, a pipe or a device such as `/dev/null` by a file. Nothing is changed here.

    Raises:
        FileNotFoundError: the folder does not exist.
        FileExistsError: `path` is something other than a regular file.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {path.parent}; make it first", str(path))
    if not os.path.lexists(path):
        return
    mode = path.lstat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a symbolic link" if stat.S_ISLNK(mode) else "a device or a pipe"
        raise FileExistsError(errno.EEXIST, f"{kind} is there, and is not replaced; name another path", str(path))


def check_new_folder(path: Path) -> None:
    """Check that a folder can be made at `path`, with the folders above it. Nothing is changed here.

    Raises:
        NotADirectoryError: something that is not a folder is above it.
        PermissionError: this user cannot write into the folder above it.
    """
    parent = next(folder for folder in path.absolute().parents if os.path.lexists(folder))
    if not parent.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{parent} is not a folder; name another path", str(path))
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"this user cannot write into {parent}; name another path", str(path))


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at `path` by one that holds `data`, or leave it as it was.

    Raises:
        FileNotFoundError: the folder does not exist.
        FileExistsError: `path` is something other than a regular file.
        BlockingIOError: another process writes the same file.
        OSError: the disk is full, or the folder cannot be written. The error names the file; no temporary file is left.
    """
    check_file_destination(path)
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    with naming(path, temporary), _locked(temporary, of=path) as file:
        try:
            file.truncate(0)  # a crash may have left a part
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


@contextmanager
def _locked(temporary: Path, *, of: Path) -> Iterator[BinaryIO]:
    """Open the temporary file of `of` to write it, as the only process that does so.

    Raises:
        BlockingIOError: another process writes it.
    """
    while True:
        with temporary.open("ab") as file:
            if not lock(file.fileno()):
                raise BlockingIOError(errno.EAGAIN, "another process is writing it at this moment; try again", str(of))
            if is_still_at(file.fileno(), temporary):  # otherwise another process has just finished with it
                yield file
                return


@contextmanager
def naming(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an OSError name the file, if it names none, as those of `write` and `fsync`, or its temporary file."""
    try:
        yield
    except OSError as error:
        if error.filename is None or error.filename == str(temporary):
            error.filename = str(path)
        raise


def replace_folder(new: Path, path: Path) -> None:
    """Move the finished folder `new` to `path`, and remove the folder that was there, if any.

    A crash between the two renames leaves the old folder beside the new one as `.NAME.old.tmp`.

    Raises:
        OSError: a folder cannot be renamed; the old one is back in its place.
    """
    old = path.with_name(f".{path.name}.old{TEMPORARY_SUFFIX}")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    sync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def sync_folder(path: Path) -> None:
    """Sync a folder, so that files created or renamed in it survive a power failure.

    Raises:
        OSError: the folder cannot be opened or synced; the error names it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
