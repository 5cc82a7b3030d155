"""A copy of the repository in which commands run as a person runs them: nothing of the tests' own settings."""

import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.docs.documents import ROOT
from tests.processes import interruptible

LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", "runs", "build", "site")
SETTINGS = ("GAN_", "OMP_", "MKL_", "OPENBLAS_", "TORCH_", "PYTEST_", "PYTHONPATH")
"""Beginnings of the names of variables that a person's shell does not have."""


@dataclass(frozen=True)
class Workplace:
    """A copy of the repository, and a home.

    Attributes:
        folder: the copy; commands run in it.
        home: the folder that `~` stands for.
    """

    folder: Path
    home: Path

    def environment(self) -> dict[str, str]:
        """What a person has who has activated the environment of the tests; all threads of the machine."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
        programs = os.pathsep.join([str(Path(sys.executable).parent), own["PATH"]])
        return own | {"PATH": programs, "HOME": str(self.home)}

    def run(self, line: str) -> str:
        """Run a line by the shell, to its end; returns its standard output."""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line} exited with {done.returncode}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def start(self, line: str) -> "subprocess.Popen[str]":
        """Start a command that hears Ctrl-C."""
        pipe = subprocess.PIPE
        with interruptible():
            return subprocess.Popen(
                ["env", *shlex.split(line)],
                cwd=self.folder,
                env=self.environment(),
                stdout=pipe,
                stderr=pipe,
                text=True,
            )


def make_workplace(folder: Path) -> Workplace:
    """Copy the repository to `folder`/gan, with an empty home beside it."""
    shutil.copytree(ROOT, folder / "gan", ignore=LEFT_OUT)
    (folder / "home").mkdir()
    return Workplace(folder / "gan", folder / "home")
