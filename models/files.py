"""Files that are either whole or not there: written under a temporary name, synced, then renamed.

A crash, a `kill -9` or a full disk at any moment leaves the old file or the new one, never a part.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"


def write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at `path` by one that holds `data`, or leave it as it was.

    Raises:
        OSError: the disk is full, or the folder cannot be written; it names a file; the temporary file is removed.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY_SUFFIX}")
    try:
        with naming(path):
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """An OSError that names no file, as those of writing and syncing do not, names this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def replace_folder(new: Path, path: Path) -> None:
    """Move the finished folder `new` to `path`, in place of the folder that may be there.

    A crash between the two renames leaves the old folder beside the new one as `.NAME.old.tmp`.

    Raises:
        OSError: a folder cannot be renamed; the old one stays in its place.
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
    """Make the names in a folder durable, where the system has such a thing."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
