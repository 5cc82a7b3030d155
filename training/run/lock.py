"""A lock (`models.lock`) on a folder itself, so that only one process at a time writes into it. It leaves no file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models import lock
from training.commands import command
from training.errors import RunError

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
    if lock.fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # child processes do not inherit it
    try:
        if not lock.lock(descriptor):
            raise RunError(busy.format(folder=folder, resume=command("resume", folder)))
        yield
    finally:
        os.close(descriptor)
