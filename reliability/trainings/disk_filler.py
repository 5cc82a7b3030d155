"""Fill a disk when a command opens a file: `python -m reliability.trainings.disk_filler PATTERN N FILLER COMMAND…`.

The command is one of the training package. When it opens a file whose name matches the pattern for the N-th time, the
file system of FILLER is filled to its last page. Nothing else is changed: the write that then fails is the command's
own.
"""

import errno
import sys
from fnmatch import fnmatch
from pathlib import Path

from training.cli.command_line import main

PAGE = 4096


def fill(filler: Path) -> None:
    """Write to a file until the disk has no page left."""
    with filler.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def fill_when_opened(pattern: str, n: int, filler: Path) -> None:
    """Call `fill` when a file whose name matches the pattern is opened for the n-th time from now."""
    left = n

    def see(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event == "open" and left and fnmatch(str(arguments[0]).rpartition("/")[2], pattern):
            left -= 1
            if not left:
                fill(filler)

    sys.addaudithook(see)


if __name__ == "__main__":
    fill_when_opened(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    sys.exit(main(sys.argv[4:]))
