"""Files of a folder that may be hostile, or may change while they are read."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from models.errors import ModelFileMissingError, ModelPathError, ModelTooLargeError


def read_file(folder: Path, name: str, max_bytes: int) -> bytes:
    """Read a file of a folder, after checking that it lies in the folder and is not too large.

    Args:
        folder: the folder.
        name: of the file, relative to the folder.
        max_bytes: the size allowed.

    Raises:
        ModelFileMissingError: there is no such file.
        ModelPathError: it is a link that leads out of the folder.
        ModelTooLargeError: it has more than `max_bytes` bytes.
        OSError: it cannot be read.
    """
    path = folder / name
    if not path.is_file():
        raise ModelFileMissingError(
            f"{path} is missing; a model folder needs it (`python -m training export` writes it)"
        )
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ModelPathError(f"{path} is a link that leads out of its folder; put the file itself there")
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > max_bytes else file.read(max_bytes + 1)  # it may grow meanwhile
    if max(size, len(data)) > max_bytes:
        raise ModelTooLargeError(f"{path} has {max(size, len(data)):,} bytes; at most {max_bytes:,} are allowed")
    return data


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading, and nothing else: opening a pipe would wait for its writer.

    Raises:
        ModelFileMissingError: something other than a regular file is there by now.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ModelFileMissingError(f"{path} is not a file any more")
        yield file


@contextmanager
def unchanging(path: Path, data: bytes) -> Iterator[Path]:
    """The path of a file in memory that holds `data`, the bytes read from `path`.

    The safetensors library maps its file into memory, and the process would be killed if another program shortened that
    file meanwhile. Systems without files in memory get `path` itself.
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
