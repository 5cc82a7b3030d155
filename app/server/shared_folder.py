"""A temporary folder for the processes of one service. It is removed even if all of them are killed.

The process that makes the folder holds a lock on it. The system releases the lock when the process ends, however it
ends. A folder without a lock therefore belongs to no living service, and the next service removes it.
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
    """Make a folder that only this user can read, and remove it at the end. Remove the folders of dead services first.

    Raises:
        OSError: the folder cannot be made.
    """
    parent = Path(tempfile.gettempdir())
    for path in parent.glob(f"{PREFIX}*"):
        with suppress(OSError), _locked(path):  # it is in use, belongs to another user, or was removed meanwhile
            shutil.rmtree(path, ignore_errors=True)
    unnamed = Path(tempfile.mkdtemp(prefix="gan-"))
    with _locked(unnamed):  # it has no name yet by which another service could find it
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
