"""Start services pinned to the server's core, and end them with all the processes that they started."""

import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.cores import SERVER_CORE, can_pin, pinned
from harness.process_tree import check_pinned, tree_of, wait_until_ended
from harness.service import environment
from harness.service_specs import ServiceSpec

START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60


@dataclass(frozen=True)
class PinnedService:
    """A service that is ready.

    Attributes:
        port: the TCP port on which the service listens, on 127.0.0.1.
        pid: the number of the service's first process.
        start_s: seconds from the start of the service until it was ready.
    """

    port: int
    pid: int
    start_s: float


@contextmanager
def started(spec: ServiceSpec) -> Iterator[PinnedService]:
    """Run a service on a free port and on its core, and end it afterwards, with all that it started.

    Raises:
        RuntimeError: the service ended before it was ready, was not ready in time, or may run on another core.
    """
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="gan-", ignore_cleanup_errors=True))
        port = free_port()
        filled = {"port": port, "scratch": scratch}
        command = [part.format(**filled) for part in spec.command]
        variables = {name: value.format(**filled) for name, value in spec.environment.items()}
        log: IO[bytes] | None = None
        if spec.log is not None:
            log = stack.enter_context(Path(spec.log.format(**filled)).open("wb"))
        began = time.perf_counter()
        process = subprocess.Popen(
            [*pinned(SERVER_CORE), *command],
            env=environment() | {"OMP_NUM_THREADS": "1"} | variables,
            cwd=spec.folder,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
        stack.callback(_end, process)
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}{spec.ready_path}")
        except RuntimeError as error:
            raise RuntimeError(f"{error}{_last_words(log)}") from error
        start_s = time.perf_counter() - began
        if can_pin():
            check_pinned(process.pid, SERVER_CORE)
        yield PinnedService(port, process.pid, start_s)


def _last_words(log: IO[bytes] | None) -> str:
    """Return the end of a service's log, to be appended to an error."""
    if log is None:
        return ""
    return f"; its log ends with: {Path(log.name).read_text(encoding='utf-8', errors='replace')[-2000:]}"


def _end(process: "subprocess.Popen[Any]") -> None:
    members = tree_of(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=STOP_TIMEOUT_S)
    wait_until_ended(members)
    process.kill()  # needed where there is no /proc
    process.wait()


def free_port() -> int:
    """Find a port of 127.0.0.1 on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until_ready(process: "subprocess.Popen[Any]", url: str) -> None:
    """Ask for a URL until it answers with 200.

    Raises:
        RuntimeError: the process ended first, or there was no 200 within `START_TIMEOUT_S`.
    """
    began = time.perf_counter()
    while time.perf_counter() - began < START_TIMEOUT_S:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with code {process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.02)
    raise RuntimeError(f"{url} was not ready within {START_TIMEOUT_S} s")
