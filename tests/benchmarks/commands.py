"""Run benchmarks as a person does, and read the tables that they print."""

import shutil
import subprocess
import sys

import pytest

from harness.repository import ROOT

LOAD = ("--seconds", "1", "--connections", "2")

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="no wrk: apt-get install wrk")


def run(module: str, *arguments: str, timeout_s: float = 800) -> str:
    """The standard output of a benchmark."""
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_of(printed: str) -> list[list[str]]:
    """The cells of all tables, with their heads and rules."""
    return [[cell.strip() for cell in line.strip("| ").split("|")] for line in printed.splitlines() if line[:1] == "|"]
