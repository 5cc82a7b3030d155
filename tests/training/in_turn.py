"""Several commands in one process, one after the other: `python -m tests.training.in_turn`; its input has the steps.

A process of its own has the locale, the time zone, the permissions and the threads that a test chooses for it. The
packages are imported only once for all commands. A step is a command line, or `chmod MODE PATH`.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.training.support import ROOT, judge_few_samples
from training.cli.command_line import main

END = "\0"


@dataclass(frozen=True)
class Done:
    """What a command did: its exit code, and what it printed."""

    code: int
    out: str
    err: str


def in_turn(
    steps: Sequence[Sequence[str]], *, cwd: Path, environment: Mapping[str, str], prefix: Sequence[str] = ()
) -> list[Done]:
    """Run the steps in a process with exactly this environment. Return what each command did; `chmod` is no command."""
    done = subprocess.run(
        [*prefix, sys.executable, "-m", "tests.training.in_turn"],
        input=json.dumps(steps),
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outs, errs = done.stdout.split(END), done.stderr.split(END)
    return [Done(int(code), out, err) for out, code, err in zip(outs[:-1:2], outs[1::2], errs[:-1], strict=True)]


def _take(step: Sequence[str]) -> None:
    if step[0] == "chmod":
        Path(step[2]).chmod(int(step[1], 8))
        return
    print(END, main(step), END, sep="", end="", flush=True)
    print(END, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    with pytest.MonkeyPatch.context() as few:
        judge_few_samples(few)
        for each in json.load(sys.stdin):
            _take(each)
