"""The two trees of code that are compared, and how a command is run in one of them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FIXED = {"GIT_DIR": os.devnull, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
"""Without git, files name the commit "unknown" in both trees; `--help` has the same width in both."""

PACKAGES = ("app", "models", "training")


@dataclass(frozen=True)
class Tree:
    """A tree of code.

    Attributes:
        name: "before" or "after".
        path: its folder.
        scratch: an empty folder in which its commands run. The paths that they get and print are relative to it, so
            they are the same for both trees.
    """

    name: str
    path: Path
    scratch: Path

    def environment(self, settings: dict[str, str] | None = None) -> dict[str, str]:
        """Return the environment of a command: this tree's modules come first, and no setting of the user is in it."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("GAN_", "PYTHON"))}
        return inherited | FIXED | {"PYTHONPATH": str(self.path)} | (settings or {})

    def python(self, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """Run `python …` to its end, whatever its exit code."""
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.scratch, env=self.environment(), capture_output=True, check=False
        )

    def succeed(self, *arguments: str) -> bytes:
        """Run `python …`, which must exit with 0, and return what it printed.

        Raises:
            RuntimeError: it did not.
        """
        done = self.python(*arguments)
        if done.returncode:
            said = done.stderr.decode(errors="replace")
            raise RuntimeError(f"{self.name}: python {' '.join(arguments)} exited with {done.returncode}:\n{said}")
        return done.stdout

    def check_imports(self) -> None:
        """Check that commands import the packages of this tree, and not installed ones.

        Raises:
            RuntimeError: they do not.
        """
        said = self.succeed(
            "-c", f"from importlib.util import find_spec as f; print(*[f(p).origin for p in {PACKAGES}])"
        )
        for file in said.decode().split():
            if not Path(file).is_relative_to(self.path):
                raise RuntimeError(f"{self.name}: {file} would be imported, which is not in {self.path}")
