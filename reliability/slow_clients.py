"""Slow clients beside normal ones: `python -m reliability.slow_clients`.

16 normal clients ask for one image after the other. Beside them there are 1,000 connections on which nothing is sent,
then 300 uploads that send a byte a second, then 300 clients that do not read the archive that they asked for. The rate
and the latency of the normal clients and the memory of the service are measured alone and beside each kind. Then all
slow connections must end within their limits (app/server/sweeper.py): 30 s for a head, 120 s for a body, 60 s for an
answer that nobody reads.
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
"""Seconds beyond a limit: for the interval of sweeps, and for the megabytes of an archive that the kernel buffers."""


@dataclass(frozen=True)
class SlowClientKind:
    """A kind of slow client.

    Attributes:
        name: the name in the table.
        connections: the number of connections.
        first: the bytes that each sends at once.
        trickles: whether it then sends a byte each second.
        limit_s: seconds after which the service must have ended it.
        settle_s: seconds until the kernel's buffers are full, and the service waits for the client.
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
    """Run the trial and print its table. Return 1 if something was wrong, otherwise 0."""
    parser = argparse.ArgumentParser(description="Run slow clients beside normal ones.")
    parser.add_argument("--seconds", type=float, default=5, help="seconds of each measurement (default: 5)")
    parser.add_argument("--kind", choices=[kind.name for kind in KINDS], help="try only this kind (default: all)")
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
    """Return the cells about the ends: their number, and the seconds of the first and the last."""
    return [str(len(ended)), f"{min(ended):.0f}", f"{max(ended):.0f}"] if ended else ["–", "–", "–"]


class SlowClients:
    """All connections of a kind, opened at once and watched by a thread."""

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
        """Wait until all have ended or `timeout_s` have passed. Return the seconds after which each of them ended."""
        self._thread.join(max(0, self._began + timeout_s - time.monotonic()))
        self._stop.set()
        self._thread.join()
        for connection in self._open.values():
            connection.close()
        return self._ended

    def _run(self) -> None:
        """Watch for ends. Nothing is read: an end shows as a hang-up, or as a 408 if nothing was sent before."""
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
