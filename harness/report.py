"""Markdown tables, and the description of the machine on which their figures were measured."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch


def describe_machine() -> str:
    """Return one line: processor, number of cores, version of PyTorch, commit, date."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    ).stdout.strip()
    processor = names[0] if names else platform.machine()
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"{processor}, {cores} cores, torch {torch.__version__}, commit {commit or 'unknown'}, {date}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table. The first column is aligned to the left, all others to the right."""
    widths = [max(len(row[k]) for row in [heads, *rows]) for k in range(len(heads))]
    rule = ["-" * widths[0], *[f"{'-' * (width - 1)}:" for width in widths[1:]]]
    lines = []
    for row in [heads, rule, *rows]:
        cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append(f"| {' | '.join([row[0].ljust(widths[0]), *cells[1:]])} |")
    return "\n".join(lines)
