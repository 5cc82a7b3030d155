"""A small disk, a tmpfs, that can be filled and emptied."""

import subprocess
from pathlib import Path

from reliability.trainings.disk_filler import PAGE, fill

SIZE = "4m"


class Disk:
    """A tmpfs of a few MB that can be filled and given room again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filler = path / "filler"

    def leave(self, pages: int) -> None:
        """Fill the disk, except for a number of pages."""
        fill(self.filler)
        with self.filler.open("r+b") as file:
            file.truncate(self.filler.stat().st_size - pages * PAGE)

    def make_room(self) -> None:
        """Remove the file that fills the disk."""
        self.filler.unlink(missing_ok=True)


def mount(mountpoint: Path) -> str:
    """Mount a small tmpfs. Return why that was not possible, or an empty text."""
    try:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "gan-disk", str(mountpoint)],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        return str(error)
    return (done.stderr.strip() or f"mount exited with {done.returncode}") if done.returncode else ""
