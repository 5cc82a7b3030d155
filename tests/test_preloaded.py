"""A process that is forked from one with its packages is as one that is started, but for what is imported before."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.repository import ROOT
from harness.service import Process, start_process
from tests import preloaded
from tests.processes import interruptible

PROBE = """\
import json, os, signal, sys, tempfile, threading, time
told = {
    "arguments": sys.argv,
    "path": sys.path,
    "folder": os.getcwd(),
    "temporary": tempfile.gettempdir(),
    "zone": time.tzname,
    "environment": dict(os.environ),
    "signals": {str(n): str(signal.getsignal(n)).partition(" at ")[0] for n in signal.valid_signals()},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "descriptors": sorted(d for d in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{d}")),
    "standard input": sys.stdin.read(),
    "buffered": [sys.stdout.line_buffering, sys.stdout.encoding, sys.stderr.line_buffering, sys.stderr.encoding],
    "main": [__name__, __spec__.name, sys.modules["__main__"].__dict__ is globals()],
    "ours": sorted(m for m in sys.modules if m.partition(".")[0] in ("app", "harness", "models", "tests", "training")),
    "threads": threading.active_count(),
    "leader": os.getpgrp() == os.getpid(),
}
json.dump(told, sys.stdout)
print("to the other", file=sys.stderr)
sys.exit(7)
"""
WAITS = """\
import signal, sys, time
print("ready", flush=True)
time.sleep(600)
"""

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="processes are forked on Linux only")


def own_environment(**others: str) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | others


def test_it_is_as_a_process_that_is_started(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(PROBE)
    (tmp_path / "own").mkdir()
    environment = own_environment(TZ="Asia/Kolkata", TMPDIR=str(tmp_path / "own"), GAN_MODELS_DIR="ä 数")
    command = [sys.executable, "-m", "probe", "one", "--two", "drei ä"]
    plain = subprocess.run(
        command, env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    forked = preloaded.run(command, environment, tmp_path, timeout_s=600)
    assert (forked.returncode, forked.stderr) == (plain.returncode, plain.stderr) == (7, "to the other\n")
    wanted, told = json.loads(plain.stdout), json.loads(forked.stdout)
    assert wanted["ours"] == []
    assert wanted["temporary"] == str(tmp_path / "own")
    for name in wanted:
        assert told[name] == wanted[name], name


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_it_ends_by_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "waits.py").write_text(WAITS)

    def ended(process: Process) -> int:
        assert process.stdout is not None
        with process.stdout:
            assert process.stdout.readline() == "ready\n"
            assert process.poll() is None
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.01)
            process.send_signal(number)
            code = process.wait(600)
            assert process.poll() == process.returncode == code
            process.terminate()  # it has no effect any more
            assert process.stdout.read() == ""
        return code

    command = [sys.executable, "-m", "waits"]
    with interruptible(), (tmp_path / "log").open("w") as log:
        codes = [ended(start(command, own_environment(), tmp_path, log)) for start in (start_process, preloaded.start)]
    assert codes[0] == codes[1] == -number


def test_one_with_a_sitecustomize_is_started(tmp_path: Path) -> None:
    """What is imported before all others cannot be imported after them."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nprint('torch' in sys.modules)\n")
    (tmp_path / "nothing.py").write_text("")
    environment = own_environment(PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert preloaded.run([sys.executable, "-m", "nothing"], environment, tmp_path, timeout_s=600).stdout == "False\n"


ORPHANS = """\
import json, socket, subprocess, sys
from dataclasses import asdict
from tests.fork_server import Order

here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
reports, closed = socket.socketpair()
order = json.dumps(asdict(Order("waits", [], {}, sys.argv[1]))).encode()
with open("out", "w") as out:
    socket.send_fds(here, [order], [out.fileno(), out.fileno(), closed.fileno()])
here.close()
reports.close()
closed.close()
sys.exit(subprocess.run([sys.executable, "-m", "tests.fork_server"], stdin=there, cwd=sys.argv[2]).returncode)
"""


def test_no_process_outlives_tests_that_are_killed(tmp_path: Path) -> None:
    """They are gone when the server reads their order: the process is started, and ended again."""
    (tmp_path / "waits.py").write_text(WAITS)
    done = subprocess.run(
        [sys.executable, "-c", ORPHANS, str(tmp_path), str(ROOT)],
        env=own_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
