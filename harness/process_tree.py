"""A process and its descendants, read from /proc: their cores, memory and end.

Where there is no /proc, a tree is empty.
"""

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

END_TIMEOUT_S = 10


@dataclass(frozen=True)
class ProcessId:
    """The identity of a process. A later process may get the same number, but not the same start.

    Attributes:
        pid: the number of the process.
        start: the time when the process started, in clock ticks since the machine started.
    """

    pid: int
    start: int


def tree_of(pid: int) -> list[ProcessId]:
    """Return a process and its descendants, as they are now."""
    parents = _parents()
    found = [member for member in parents if member.pid == pid]
    for member in found:  # grows in this loop
        found += [child for child, parent in parents.items() if parent == member.pid]
    return found


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process and its descendants, MB (10⁶ bytes); NaN if it is unknown.

    A page that several of them share is counted in each.
    """
    return sum(_status_kib(process.pid, "VmRSS") for process in tree_of(pid)) * 1024 / 1e6 or float("nan")


def processor_s(pid: int) -> float:
    """Return the processor time that a process and its present descendants have used so far, in seconds."""
    return sum(_ticks(process.pid) for process in tree_of(pid)) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Return the largest resident memory that one process has ever had, MB (10⁶ bytes); it needs /proc."""
    return _status_kib(pid, "VmHWM") * 1024 / 1e6


def check_pinned(pid: int, core: int) -> None:
    """Check that a process and its descendants can run only on `core`: a measurement would miss work on another one.

    Raises:
        RuntimeError: one of them may run on another core.
    """
    for member in tree_of(pid):
        try:
            allowed = os.sched_getaffinity(member.pid)
        except ProcessLookupError:
            continue
        if allowed != {core}:
            raise RuntimeError(f"process {member.pid} may run on the cores {sorted(allowed)}, not on {core} alone")


def wait_until_ended(members: list[ProcessId]) -> None:
    """Wait until all these processes have ended. After `END_TIMEOUT_S`, kill the rest and say so on standard error."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while left := _parents().keys() & set(members):
        if time.monotonic() > deadline:
            print(f"killing {len(left)} processes that a service left behind", file=sys.stderr)
            for member in left:
                with suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGKILL)
            deadline += END_TIMEOUT_S
        time.sleep(0.05)


def _parents() -> dict[ProcessId, int]:
    """Return all processes except zombies, and the numbers of their parents."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":  # proc(5): state, parent, …, start as the 22nd field of the line
            found[ProcessId(int(path.parent.name), int(fields[19]))] = int(fields[1])
    return found


def _ticks(pid: int) -> int:
    """Return the clock ticks that a process has spent in user and kernel mode; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])  # proc(5): utime and stime are fields 14 and 15 of the line


def _status_kib(pid: int, field: str) -> int:
    """Return a field of memory of /proc/PID/status, in KiB; 0 if the process has ended, or has no memory of its own."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(status.partition(f"{field}:")[2].split()[0]) if f"{field}:" in status else 0
