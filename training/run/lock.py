"""A lock: one process at a time writes into a folder. It ends with its process, even a killed one, and leaves no file.

The lock is `flock` on the folder itself. Without it (Windows, or a file system that refuses it) a run goes on unlocked;
over NFS it holds among the processes of one machine.
"""

import errno
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from training.errors import RunError

fcntl: ModuleType | None
try:
    fcntl = importlib.import_module("fcntl")
except ImportError:  # Windows
    fcntl = None

_REFUSED = frozenset({errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""Errors of file systems that do not support the lock."""


BUSY = (
    "another process is training in {folder}: `watch {folder}` shows it; wait for its end or stop it, then "
    "`resume {folder}`, or give `fit` another `--out`"
)


@contextmanager
def only_writer(folder: Path, *, busy: str = BUSY) -> Iterator[None]:
    """Be the only process that writes into a run folder, which is there already.

    Args:
        folder: the folder.
        busy: the text of the error, in which `{folder}` stands for the folder.

    Raises:
        RunError: another process holds the lock; nothing was touched.
        OSError: the folder cannot be opened.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # not inherited by the processes that this one starts
    try:
        _lock(fcntl, descriptor, busy.format(folder=folder))
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
