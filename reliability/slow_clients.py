"""Slow clients beside normal ones: `python -m reliability.slow_clients`.

16 clients ask for one image each, all the time. Beside them stand 1,000 connections on which nothing is ever sent; 300
uploads that come by a byte a second; 300 archives of which nothing is read. The rate of the 16, their latency, and the
service's memory are measured alone and beside each kind. Then all slow connections have to end within their limits
(app/server/protocol.py): 30 s for a head, 120 s for a body, 60 s for an answer that nobody reads.
"""

import argparse
import multiprocessing
import resource
import select
import socket
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from app.server.sweeper import BODY_TIMEOUT_S, HEAD_TIMEOUT_S, STUCK_TIMEOUT_S, SWEEP_S
from harness.cores import CLIENT_CORE, pinned_to
from harness.percentiles import percentile
from harness.pinned_services import started
from harness.process_tree import resident_mb
from harness.report import describe_machine, table
from harness.service_specs import ours
from models import bundled_models_dir
from reliability.load.flood import closed_loop

UPLOAD = (
    b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Content-Length: 100000\r\n\r\n"
    b'--b\r\nContent-Disposition: form-data; name="files"; filename="x"\r\n\r\n'
)
SLACK_S = 60.0
"""Beyond a limit: sweeps, and the time until nothing moves any more, for the kernel takes megabytes of each archive."""


@dataclass(frozen=True)
class SlowClientKind:
    """A kind of slow client.

    Attributes:
        name: for the table.
        connections: how many.
        first: what each sends at once.
        trickles: whether it sends a byte each second after that.
        limit_s: when it has to end.
        settle_s: after so long only its client is waited for: the kernel takes megabytes of an archive.
    """

    name: str
    connections: int
    first: bytes
    trickles: bool
    limit_s: float
    settle_s: float = 3.0


KINDS = (
    SlowClientKind("idle", 1000, b"", trickles=False, limit_s=HEAD_TIMEOUT_S),
    SlowClientKind("slow writers", 300, UPLOAD, trickles=True, limit_s=BODY_TIMEOUT_S),
    SlowClientKind(
        "readers of nothing",
        300,
        b"GET /v1/samples?n=100000&format=npz&seed=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        trickles=False,
        limit_s=STUCK_TIMEOUT_S,
        settle_s=25.0,
    ),
)


def main() -> int:
    """Measure, wait for the ends, print; 1 if something was wrong."""
    parser = argparse.ArgumentParser(description="slow clients beside normal ones")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement (default: 5)")
    parser.add_argument("--kind", choices=[kind.name for kind in KINDS], help="only this one (default: all)")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows, wrong = [], []
    with (
        pinned_to(CLIENT_CORE),
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        for kind in (kind for kind in KINDS if options.kind in {None, kind.name}):
            print(f"{kind.name} …", file=sys.stderr)
            with started(ours(bundled_models_dir(), "mnist-mlp")) as running:
                for beside in (False, True):
                    slow = SlowClients(running.port, kind) if beside else None
                    if slow:
                        time.sleep(kind.settle_s)
                    load = pool.submit(
                        closed_loop, running.port, "/v1/samples?n=1&format=png&seed=SEED", seconds=options.seconds
                    ).result()
                    ended = slow.wait(kind.limit_s + SLACK_S) if slow else []
                    cells = [f"{load.rate(options.seconds):,.0f}", f"{percentile(load.accepted_ms, 0.99):.1f}"]
                    cells += [str(load.sent - load.answers[200]), f"{resident_mb(running.pid):.0f}"]
                    rows.append(
                        [f"beside {kind.connections:,} {kind.name}" if beside else "alone", *cells, *told(ended)]
                    )
                    if load.sent != load.answers[200]:
                        wrong.append(f"{kind.name}: {dict(load.answers)}, {load.broken} broken")
                    if slow and len(ended) < kind.connections:
                        wrong.append(f"{kind.name}: {kind.connections - len(ended)} did not end")
    print(f"{describe_machine()}; 16 normal clients, sweeps each {SWEEP_S:g} s\n")
    heads = ["normal clients", "requests/s", "p99, ms", "not 200", "MB", "slow ones ended", "first, s", "last, s"]
    print(table(heads, rows))
    print("\n".join(["", *wrong]) if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def told(ended: Sequence[float]) -> list[str]:
    """How many ended, the first and the last."""
    return [str(len(ended)), f"{min(ended):.0f}", f"{max(ended):.0f}"] if ended else ["–", "–", "–"]


class SlowClients:
    """All connections of a kind, opened at once and looked at by a thread."""

    def __init__(self, port: int, kind: SlowClientKind) -> None:
        self._kind = kind
        self._ended: list[float] = []
        self._began = time.monotonic()
        self._open = {}
        for _ in range(kind.connections):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(30)
            connection.connect(("127.0.0.1", port))
            connection.sendall(kind.first)
            self._open[connection.fileno()] = connection
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait(self, timeout_s: float) -> list[float]:
        """Seconds after which they ended, those that did in time."""
        self._thread.join(max(0, self._began + timeout_s - time.monotonic()))
        self._stop.set()
        self._thread.join()
        for connection in self._open.values():
            connection.close()
        return self._ended

    def _run(self) -> None:
        """Nothing is read: an end shows as a hang-up, or, where nothing was sent before, as the 408."""
        poll = select.poll()
        for fd in self._open:
            poll.register(fd, select.POLLRDHUP)
        while self._open and not self._stop.is_set():
            for fd, _ in poll.poll(1000):
                poll.unregister(fd)
                self._open.pop(fd).close()
                self._ended.append(time.monotonic() - self._began)
            if self._kind.trickles:
                for connection in self._open.values():
                    with suppress(OSError):
                        connection.send(b"x")
                self._stop.wait(1)


if __name__ == "__main__":
    sys.exit(main())
