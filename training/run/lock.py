"""A lock, so that only one process at a time writes into a folder. It ends with its process, and leaves no file.

The lock is `flock` on the folder itself. Where `flock` is missing (on Windows, or on a file system that refuses it), a
run continues without a lock. Over NFS the lock only works among the processes of one machine.
"""

import errno
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from training.commands import command
from training.errors import RunError

fcntl: ModuleType | None
try:
    fcntl = importlib.import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

_REFUSED = frozenset({errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""Errors of file systems that do not support the lock."""


BUSY = (
    "another process is training in {folder}: wait until it ends, or stop it and then run `{resume}`; or start another "
    "run with `fit` and another `--out`"
)


@contextmanager
def only_writer(folder: Path, *, busy: str = BUSY) -> Iterator[None]:
    """Hold the lock of a folder while the block runs, so that no other process writes into it.

    Args:
        folder: the folder, which must exist.
        busy: text of the error if another process holds the lock; `{folder}` in it stands for the folder, and
            `{resume}` for the command that resumes a run in it.

    Raises:
        RunError: another process holds the lock; no file was changed.
        OSError: the folder cannot be opened.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # child processes do not inherit it
    try:
        _lock(fcntl, descriptor, busy.format(folder=folder, resume=command("resume", folder)))
        yield
    finally:
        os.close(descriptor)


def _lock(fcntl: ModuleType, descriptor: int, busy: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunError(busy) from error
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
