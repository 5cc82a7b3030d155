"""One writer a run folder: a lock that ends with the process that holds it, however that ends, and leaves no file.

It is `flock` on the folder itself. Where the system has none (Windows), or the file system refuses it, a run goes on
without; over NFS it holds among the processes of one machine.
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
"""What file systems that know no such lock say."""


BUSY = (
    "another process is training in {folder}: `watch {folder}` shows it; wait for its end or stop it, then "
    "`resume {folder}`, or give `fit` another `--out`"
)


@contextmanager
def only_writer(folder: Path, *, busy: str = BUSY) -> Iterator[None]:
    """Be the only process that writes into a run folder, which is there already.

    Args:
        folder: the folder.
        busy: the error's text, with `{folder}` in it.

    Raises:
        RunError: another process is at it; nothing was touched.
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
