"""Locks, so that only one process at a time writes a file or a folder. They end with their process.

A lock is `flock`. Where `flock` is missing (on Windows, or on a file system that refuses it), writing continues without
a lock. Over NFS it only works among the processes of one machine.
"""

import errno
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from models.errors import ModelDestinationError

fcntl: ModuleType | None
try:
    fcntl = importlib.import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

REFUSED = frozenset({errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""Errors of file systems that do not support the lock."""

_held: set[Path] = set()
"""The lock files that this process holds."""


def lock(descriptor: int) -> bool:
    """Take the lock of an open file or folder, without waiting; return False if another process holds it.

    The lock ends when the descriptor is closed.

    Raises:
        OSError: the lock fails for a reason other than that the file system does not support it.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in REFUSED:
            raise
    return True


def is_still_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at `path`, and no other process has renamed or removed it since."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


@contextmanager
def only_writer_of_model(path: Path) -> Iterator[None]:
    """Hold the lock of a model folder that will be written, while the block runs; the folder need not exist yet.

    The lock is on the file `.NAME.lock` beside the folder; the file is removed at the end. A process that holds the
    lock already may take it again.

    Raises:
        ModelDestinationError: another process writes a model to `path`.
        OSError: the lock file cannot be made.
    """
    file = path.absolute().with_name(f".{path.name}.lock")
    if file in _held:
        yield
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if not lock(descriptor):
                raise ModelDestinationError(
                    f"another process is writing a model to {path}: wait until it ends, or name another folder"
                )
            if not is_still_at(descriptor, file):  # the process that held it has just removed the file
                continue
            _held.add(file)
            try:
                yield
            finally:
                _held.remove(file)
                file.unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)
