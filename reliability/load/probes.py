"""Probes: the requests that a supervisor sends again and again, made during a trial."""

import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

EVERY_S = 0.05
TIMEOUT_S = 10.0


@dataclass
class Probe:
    """A probe of one path, every `EVERY_S` seconds.

    Attributes:
        port: the port of the service.
        path: /healthz or /readyz.
        fresh: whether each request has a new connection, as with Kubernetes; otherwise one connection is kept.
        seen: for each request the moment, the ms until the whole answer had arrived, and its status (0 without answer).
    """

    port: int
    path: str
    fresh: bool
    seen: list[tuple[float, float, int]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name in tables."""
        return f"{self.path}, {'new connections' if self.fresh else 'one connection'}"

    def sorted_ms(self) -> list[float]:
        """Return all times in ms, ascending."""
        return sorted(ms for _, ms, _ in self.seen)

    def run(self, stop: threading.Event) -> None:
        """Ask until `stop` is set."""
        kept: socket.socket | None = None
        while not stop.is_set():
            began = time.perf_counter()
            status = 0
            try:
                connection = kept or socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
                kept = connection
                status = self._ask(connection)
            except OSError:
                pass
            took = time.perf_counter() - began
            self.seen.append((began, took * 1000, status))
            if kept is not None and (self.fresh or not status):
                kept.close()
                kept = None
            stop.wait(max(0, EVERY_S - took))
        if kept is not None:
            kept.close()

    def _ask(self, connection: socket.socket) -> int:
        connection.sendall(f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        received = b""
        while True:
            data = connection.recv(65536)
            if not data:
                return 0
            received += data
            head, end, body = received.partition(b"\r\n\r\n")
            if not end:
                continue
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if len(body) >= int(lengths[0].partition(b":")[2]):
                return int(received[9:12])


class Probes:
    """All four probes at once, each in its own thread, within a `with` block."""

    def __init__(self, port: int) -> None:
        self.all = [Probe(port, path, fresh) for path in ("/healthz", "/readyz") for fresh in (False, True)]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=probe.run, args=(self._stop,)) for probe in self.all]

    def __enter__(self) -> "Probes":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
