"""The repository: its folder, and temporary checkouts of other revisions."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent


class UnknownRevisionError(Exception):
    """Git cannot check a revision out."""


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Check a revision out into a temporary worktree, and remove it afterwards.

    Raises:
        UnknownRevisionError: git does not know the revision.
    """
    with tempfile.TemporaryDirectory(prefix="gan-revision-") as scratch:
        tree = Path(scratch) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), revision)
        try:
            yield tree
        finally:
            _git("worktree", "remove", "--force", str(tree))


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnknownRevisionError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
