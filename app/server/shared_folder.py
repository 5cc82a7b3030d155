"""A temporary folder for the processes of one service, which does not outlive them, even when all are killed.

Its maker holds a lock on it, which ends with the maker however that ends: a folder without a lock is a dead service's,
and the next service removes it.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "gan-workers-"


@contextmanager
def shared_folder() -> Iterator[Path]:
    """A folder that only this user can read, removed at the end; dead services' folders are removed at the start.

    Raises:
        OSError: it cannot be made.
    """
    parent = Path(tempfile.gettempdir())
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError), _locked(path):  # in use, somebody else's, or gone meanwhile
            shutil.rmtree(path, ignore_errors=True)
    unnamed = Path(tempfile.mkdtemp(prefix="gan-"))
    with _locked(unnamed):  # before it has a name by which another service could find it
        folder = unnamed.rename(unnamed.with_name(PREFIX + unnamed.name.removeprefix("gan-")))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
