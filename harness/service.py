"""`python -m app` as a process on a real socket, with a log and an HTTP client."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, TypeAlias

import httpx

from harness.repository import ROOT

ADDRESS_LINE = "Serving on "


class Process(Protocol):
    """The part of `subprocess.Popen` that is asked of a service."""

    pid: int
    returncode: int | None
    stdout: IO[str] | None

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


Start: TypeAlias = Callable[[Sequence[str], Mapping[str, str], Path, IO[str]], Process]
"""A function that starts a command in an environment and a folder; a file takes its standard error."""


def start_process(command: Sequence[str], environment: Mapping[str, str], cwd: Path, errors: IO[str]) -> Process:
    """Start a command as a new process."""
    return subprocess.Popen(command, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=errors, text=True)


@dataclass
class Service:
    """A running service.

    Attributes:
        process: the process of the service.
        url: the address, without a slash at the end.
        client: an httpx client that asks this service.
        log: the file that receives the standard error of the service.
    """

    process: Process
    url: str
    client: httpx.Client
    log: Path

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        lines = self.client.get("/metrics").text.splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


def environment(**settings: object) -> dict[str, str]:
    """Return the environment of a service: these settings, and no GAN_* variable of the person who runs this."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GAN_")}
    return inherited | {f"GAN_{name.upper()}": str(value) for name, value in settings.items()}


@contextmanager
def held_requests(url: str, count: int) -> Iterator[None]:
    """Keep `count` requests under way: each sends the first half of its body, and never the rest."""
    address = httpx.URL(url)
    head = b"POST /v1/samples HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{"
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((address.host, address.port), timeout=60))
            connection.sendall(head)
        yield


@contextmanager
def running(
    folder: Path,
    *,
    python_path: Path | None = None,
    prefix: Sequence[str] = (),
    start: Start = start_process,
    **settings: object,
) -> Iterator[Service]:
    """Start `python -m app` on a free port, wait for its address, and end it by SIGTERM.

    Args:
        folder: the folder in which the service runs, and in which `service.log` is written.
        python_path: a folder of modules that are imported before all others.
        prefix: a command that starts the service in its place, such as `setpriv …`.
        start: starts the process.
        settings: GAN_* settings, in lower case.

    Raises:
        RuntimeError: the service printed no address, or a `sitecustomize` in `python_path` failed; the error quotes its
            log.
    """
    log = folder / "service.log"
    paths = [str(path) for path in (python_path, ROOT) if path is not None]
    with log.open("w", encoding="utf-8") as errors:
        own = environment(port=0, **settings) | {"PYTHONPATH": os.pathsep.join(paths)}
        process = start([*prefix, sys.executable, "-m", "app"], own, folder, errors)
    try:
        url = _printed_address(process, log)
        with httpx.Client(base_url=url, timeout=240) as client:
            yield Service(process, url, client, log)
    finally:
        process.terminate()
        process.wait(timeout=120)
        if process.stdout is not None:
            process.stdout.close()


def _printed_address(process: Process, log: Path) -> str:
    """Return the URL that a service prints once it listens."""
    line = "" if process.stdout is None else process.stdout.readline()
    said = log.read_text(encoding="utf-8", errors="replace")
    if not line.startswith(ADDRESS_LINE):
        raise RuntimeError(f"the service printed no address; its log says: {said}")
    if "Error in sitecustomize" in said:
        raise RuntimeError(f"the service runs without the changes of `python_path`; its log says: {said}")
    return line.removeprefix(ADDRESS_LINE).strip()
