"""The helper for processes that tests start."""

import signal
import subprocess
import sys

from tests.processes import interruptible

PROGRAM = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"


def hears_ctrl_c() -> str:
    return subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout.strip()


def test_a_child_hears_ctrl_c_where_this_process_does_not() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert hears_ctrl_c() == "False"
        with interruptible():
            assert hears_ctrl_c() == "True"
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
