"""A process and all that it started, by /proc: their cores, their memory, their end. Without /proc there is none."""

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

END_TIMEOUT_S = 10


@dataclass(frozen=True)
class Member:
    """A process; its start, in ticks since the machine's own, tells it from a later one with the same number."""

    pid: int
    start: int


def family(pid: int) -> list[Member]:
    """A process and its descendants, as they are now."""
    parents = _parents()
    found = [member for member in parents if member.pid == pid]
    for member in found:  # grows while it is read
        found += [child for child, parent in parents.items() if parent == member.pid]
    return found


def resident_mb(pid: int) -> float:
    """Resident memory of a family, MB (10⁶ bytes), shared pages counted in each; NaN where the system does not tell."""
    return sum(map(_resident_bytes, family(pid))) / 1e6 or float("nan")


def check_core(pid: int, core: int) -> None:
    """Raise RuntimeError where a member of a family may run on another core: its work there would cost nothing."""
    for member in family(pid):
        try:
            allowed = os.sched_getaffinity(member.pid)
        except ProcessLookupError:
            continue
        if allowed != {core}:
            raise RuntimeError(f"process {member.pid} may run on the cores {sorted(allowed)}, not on {core} alone")


def see_off(members: list[Member]) -> None:
    """Wait until all of them have ended; those that are late are killed, and counted on standard error."""
    deadline = time.monotonic() + END_TIMEOUT_S
    while left := _parents().keys() & set(members):
        if time.monotonic() > deadline:
            print(f"killing {len(left)} processes that a service left behind", file=sys.stderr)
            for member in left:
                with suppress(ProcessLookupError):
                    os.kill(member.pid, signal.SIGKILL)
            deadline += END_TIMEOUT_S
        time.sleep(0.05)


def _parents() -> dict[Member, int]:
    """All processes but zombies, and the numbers of their parents."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[0] != "Z":  # proc(5): state, parent, …, start as the 22nd field of the line
            found[Member(int(path.parent.name), int(fields[19]))] = int(fields[1])
    return found


def _resident_bytes(member: Member) -> int:
    try:
        status = Path(f"/proc/{member.pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024 if "VmRSS:" in status else 0
