"""`python -m MODULE` as a new process that has its packages already: it is forked from a process that imported them.

To import PyTorch and FastAPI takes two of the three seconds of processor time that a service needs to start, and is the
same for each test. Only packages of others are imported before. The new process imports each module of this repository,
reads the settings and loads the models by itself, in its own folder and environment.
"""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from harness.repository import ROOT
from harness.service import Process, start_process
from tests.fork_server import MAX_ORDER_BYTES, Order
from tests.processes import interruptible

PACKAGES = (
    *("torch", "numpy.random", "safetensors.torch", "PIL.ImageOps", "pydantic.v1", "pydantic_settings"),
    *("fastapi", "uvicorn", "httptools", "prometheus_client", "dotenv", "isal", "cv2"),
)
READ_BY_IMPORTS = (
    "PYTHON",
    "LD_",
    "MALLOC_",
    "LC_",
    "LANG",
    "OMP_",
    "GOMP_",
    "KMP_",
    "MKL_",
    "OPENBLAS_",
    "TORCH",
    "CUDA",
)
"""The beginnings of the names of variables that have their effect at the start or while a package is imported."""


def start(command: Sequence[str], environment: Mapping[str, str], cwd: Path, errors: IO[str]) -> Process:
    """Start a command as `harness.service.start_process` does; with its packages, if it is `python -m MODULE …`."""
    if not _can_fork(command, environment):
        return start_process(command, environment, cwd, errors)
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as output:
        process = _fork(command, environment, cwd, output, errors)
    process.stdout = os.fdopen(reading, encoding="utf-8")
    return process


def run(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path, *, timeout_s: float
) -> "subprocess.CompletedProcess[str]":
    """Run a command `python -m MODULE …` to its end, and return what it said."""
    with TemporaryFile("w+", encoding="utf-8") as output, TemporaryFile("w+", encoding="utf-8") as errors:
        if _can_fork(command, environment):
            process: Process = _fork(command, environment, cwd, output, errors)
        else:
            process = subprocess.Popen(command, env=environment, cwd=cwd, stdout=output, stderr=errors, text=True)
        try:
            code = process.wait(timeout_s)
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        errors.seek(0)
        return subprocess.CompletedProcess(command, code, output.read(), errors.read())


class ForkedProcess:
    """What `subprocess.Popen` is for a child, for a process that is a child of the fork server."""

    def __init__(self, reports: socket.socket) -> None:
        self.stdout: IO[str] | None = None
        self.returncode: int | None = None
        self._reports = reports
        self._lines = reports.makefile("r", encoding="ascii")
        line = self._lines.readline()
        if not line:
            raise RuntimeError("the fork server has ended")
        self.pid = int(line)

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._reports], [], [], 0)[0]:
            self._read_code()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._reports], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self._read_code()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read_code(self) -> None:
        self.returncode = int(self._lines.readline())
        self._lines.close()
        self._reports.close()


def _can_fork(command: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a command is `python -m MODULE …` without a `sitecustomize` of its own, and the system has pidfds."""
    plain = list(command[:2]) == [sys.executable, "-m"] and environment.get("PYTHONPATH") == str(ROOT)
    return plain and hasattr(os, "pidfd_open")


def _fork(
    command: Sequence[str], environment: Mapping[str, str], cwd: Path, output: IO[bytes] | IO[str], errors: IO[str]
) -> ForkedProcess:
    module, *arguments = command[2:]
    early = {name: value for name, value in environment.items() if name.startswith(READ_BY_IMPORTS)}
    data = json.dumps(asdict(Order(module, arguments, dict(environment), str(cwd)))).encode()
    assert len(data) < MAX_ORDER_BYTES
    here, there = socket.socketpair()
    with there:
        socket.send_fds(_server(frozenset(early.items())), [data], [output.fileno(), errors.fileno(), there.fileno()])
    return ForkedProcess(here)


@cache
def _server(early: frozenset[tuple[str, str]]) -> socket.socket:
    """Start a fork server for processes with these variables, and return the socket that takes orders.

    It lives until the tests end. So these variables must be few, or a test starts its process without this module.
    """
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    others = {name: value for name, value in os.environ.items() if not name.startswith(READ_BY_IMPORTS)}
    with there, interruptible():
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", *PACKAGES],
            env=others | dict(early),
            cwd=ROOT,
            stdin=there.fileno(),
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        here.close()
        server.wait(timeout=120)

    atexit.register(end)
    return here
