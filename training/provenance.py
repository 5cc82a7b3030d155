"""The provenance of a figure: the commit of this code, and the machine it runs on."""

import platform
import subprocess
from pathlib import Path


def read_git_commit() -> str:
    """Return the commit of this code, or "unknown" outside a checkout; "-dirty" is added if files were changed."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        # No part of the command comes from outside.
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603  # nosec B603
        return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def describe_machine() -> str:
    """Return the processor's name and, if the system reports it, the number of its cores."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0]} ({len(names)} cores)" if names else platform.processor() or platform.machine()
