"""The commands that messages tell a person to type."""

import shlex
import sys
from pathlib import Path

CONSOLE_SCRIPT = "gan-train"


def program() -> str:
    """Return how this program was started: `gan-train`, or `python -m training`."""
    return CONSOLE_SCRIPT if Path(sys.argv[0]).name == CONSOLE_SCRIPT else "python -m training"


def command(*arguments: str | Path) -> str:
    """Return a command line of this program, quoted as a shell needs it."""
    return f"{program()} {shlex.join(map(str, arguments))}"
