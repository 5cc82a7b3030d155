"""Reading files of a folder that may be hostile, or that may change while they are read."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from models.errors import ModelFileMissingError, ModelPathError, ModelTooLargeError

_BLOB_PATTERN = r"[0-9a-f]{32,128}"
"""The names of files in a folder `blobs`: the hash of their content."""


def belongs_to(folder: Path, path: Path) -> bool:
    """Whether a path, with its links followed, leads to a file of a folder: into the folder, or to a blob of its cache.

    A cache of the Hugging Face Hub holds `snapshots/<revision>/<file>`, which is a link to `blobs/<hash>` beside
    `snapshots`. Such a link is followed from the snapshot, or from a folder inside it. No other link may leave the
    folder: a model folder from a stranger must not show other files of this machine.
    """
    real, home = path.resolve(), folder.resolve()
    if real.is_relative_to(home):
        return True
    snapshots = next((parent for parent in home.parents if parent.name == "snapshots"), None)
    in_blobs = snapshots is not None and real.parent == snapshots.parent / "blobs"
    return in_blobs and re.fullmatch(_BLOB_PATTERN, real.name) is not None


def read_file(folder: Path, name: str, max_bytes: int) -> bytes:
    """Read a file of a folder, after checking that it belongs to the folder and is not too large.

    Args:
        folder: the folder.
        name: the file's path relative to the folder.
        max_bytes: the largest size allowed.

    Raises:
        ModelFileMissingError: there is no such file.
        ModelPathError: the file is a link that leads out of the folder.
        ModelTooLargeError: the file has more than `max_bytes` bytes.
        OSError: the file cannot be read.
    """
    path = folder / name
    if not path.is_file():
        if path.is_symlink():
            raise ModelFileMissingError(f"{path} is missing: there is a link that leads to no file; put the file there")
        raise ModelFileMissingError(
            f"{path} is missing; a model folder needs it (`python -m training export` writes it)"
        )
    if not belongs_to(folder, path):
        raise ModelPathError(f"{path} is a link that leads out of its folder; put the file itself there")
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > max_bytes else file.read(max_bytes + 1)  # the file may grow meanwhile
    if max(size, len(data)) > max_bytes:
        raise ModelTooLargeError(
            f"{path} has {max(size, len(data)):,} bytes; at most {max_bytes:,} are allowed: put a smaller file there"
        )
    return data


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading if it is a regular file. The open does not block, even if the path is a pipe by now.

    Raises:
        ModelFileMissingError: the path is not a regular file any more.
        OSError: the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ModelFileMissingError(f"{path} is not a file any more; restore the model folder")
        yield file


@contextmanager
def unchanging(path: Path, data: bytes) -> Iterator[Path]:
    """Give the path of an in-memory file that holds `data`, the bytes read from `path`.

    The safetensors library maps its file into memory, and the process would be killed if another program shortened that
    file meanwhile. On systems without in-memory files the result is `path` itself.
    """
    if not hasattr(os, "memfd_create"):
        yield path
        return
    descriptor = os.memfd_create("model.safetensors")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
