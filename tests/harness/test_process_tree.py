"""Families of processes, on small ones of the test's own."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import process_tree
from harness.process_tree import ProcessId, check_pinned, peak_mb, resident_mb, tree_of, wait_until_ended

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")


@pytest.fixture
def shell() -> Iterator["subprocess.Popen[bytes]"]:
    """A process with one child, which is there."""
    process = subprocess.Popen(["sh", "-c", "tail -f /dev/null & echo there; wait"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    members = tree_of(process.pid)
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until_ended(members)


def test_a_family_is_a_process_and_its_descendants(shell: "subprocess.Popen[bytes]") -> None:
    members = tree_of(shell.pid)
    assert members[0].pid == shell.pid
    assert len(members) == 2
    assert set(members) < set(tree_of(os.getpid()))


def test_memory_is_that_of_all_members(shell: "subprocess.Popen[bytes]") -> None:
    members = tree_of(shell.pid)
    assert resident_mb(shell.pid) > max(resident_mb(members[1].pid), 0.1)
    assert math.isnan(resident_mb(2**22 + 1)), "no process has such a number"


def test_the_peak_of_memory_stays_when_memory_is_freed() -> None:
    code = "x = b'1' * 50_000_000; del x; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert peak_mb(process.pid) > resident_mb(process.pid) + 40
        process.communicate(b"\n")


def test_a_member_on_another_core_is_told(shell: "subprocess.Popen[bytes]") -> None:
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(shell.pid, {core})
    child = tree_of(shell.pid)[1].pid
    os.sched_setaffinity(child, {core})
    check_pinned(shell.pid, core)
    with pytest.raises(RuntimeError, match=f"process {shell.pid} may run on the cores \\[{core}\\], not on 999 alone"):
        check_pinned(shell.pid, 999)


def test_whoever_is_left_behind_is_ended(
    shell: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    members = tree_of(shell.pid)
    shell.kill()
    shell.wait()
    assert tree_of(members[1].pid) == members[1:], "an orphan"
    monkeypatch.setattr(process_tree, "END_TIMEOUT_S", 0)
    wait_until_ended(members)
    assert tree_of(members[1].pid) == []
    assert "killing 1 processes that a service left behind" in capsys.readouterr().err


def test_a_later_process_with_the_same_number_is_left_alone() -> None:
    mine = tree_of(os.getpid())[0]
    wait_until_ended([ProcessId(mine.pid, mine.start + 1)])
