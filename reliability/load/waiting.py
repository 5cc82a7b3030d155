"""Wait until a service has changed: the sockets that listen at its port, or any other condition."""

import time
from collections.abc import Callable
from pathlib import Path

TIMEOUT_S = 60.0


def listeners(port: int) -> int:
    """Return the number of sockets that listen on a port: one for each worker."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port for fields in lines)


def wait_for(condition: Callable[[], bool]) -> bool:
    """Wait until a condition is true. Return False if it is not after `TIMEOUT_S`."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
