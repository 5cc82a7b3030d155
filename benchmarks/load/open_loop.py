"""`python -m benchmarks.load.open_loop PORT TARGET --rate R --seconds S`: requests at a constant rate.

Latency counts from the moment at which a request was due, not from the moment at which a connection was free to send
it, so a server that falls behind cannot hide it (no coordinated omission, as in Gil Tene's wrk2). The client waits in a
busy loop, so that no timer delays it: give it a core of its own. It imports little, because a garbage collection over
many objects would pause it.
"""

import argparse
import dataclasses
import json
import random
import re
import selectors
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

from harness.percentiles import percentile

DRAIN_S = 5
"""Seconds to wait for the last answers; a later answer counts as an error."""


@dataclass(frozen=True)
class OpenLoopResult:
    """The answers to requests at one rate.

    Attributes:
        asked: the rate, requests/s.
        achieved: answers/s until the last answer; if it is well below `asked`, the server or this client was too slow.
        p50_ms: median latency of the answers.
        p99_ms: 99th percentile of the latency.
        errors: answers other than 200, and requests without an answer.
    """

    asked: float
    achieved: float
    p50_ms: float
    p99_ms: float
    errors: int


def run(
    port: int, target: str, *, rate: float, seconds: float, connections: int, poisson: bool = False
) -> OpenLoopResult:
    """Send rate · seconds requests; SEED in the target becomes another number in each.

    The requests are evenly spaced, or with `poisson` come as a Poisson process, as from many independent clients.
    """
    total = max(1, round(rate * seconds))
    rng = random.Random(0)  # noqa: S311  (not a secret)
    gaps = ((rng.expovariate(rate) if poisson else 1 / rate) for _ in range(total))
    dues = list(accumulate(gaps, initial=0.0))
    latencies_s: list[float] = []
    errors = sent = 0
    with selectors.DefaultSelector() as selector:
        idle = deque(_OpenLoopConnection(port, selector) for _ in range(connections))
        began = now = time.perf_counter()
        while len(latencies_s) + errors < total and now < began + dues[-1] + DRAIN_S:
            now = time.perf_counter()
            while sent < total and idle and (due := began + dues[sent]) <= now:
                sent += 1
                idle.popleft().ask(target.replace("SEED", str(sent)), due)
            for key, _ in selector.select(0):
                connection: _OpenLoopConnection = key.data
                status = connection.receive()
                if status == 200:
                    latencies_s.append(time.perf_counter() - connection.due)
                elif status is not None:
                    errors += 1
                if status is not None:
                    idle.append(connection)
        for key in list(selector.get_map().values()):
            key.data.close()
    took, answered = time.perf_counter() - began, sorted(latencies_s)
    return OpenLoopResult(
        asked=rate,
        achieved=len(answered) / max(took, seconds),
        p50_ms=percentile(answered, 0.5) * 1000,
        p99_ms=percentile(answered, 0.99) * 1000,
        errors=total - len(answered),
    )


class _OpenLoopConnection:
    """A kept-alive connection with at most one request under way; opened again when the server closes it."""

    def __init__(self, port: int, selector: selectors.BaseSelector) -> None:
        self.due = 0.0
        self._port, self._selector, self._busy = port, selector, False
        self._open()

    def ask(self, target: str, due: float) -> None:
        """Send a request that was due at the time `due`."""
        self.due, self._busy = due, True
        self._received, self._length = b"", -1
        with suppress(ConnectionError):  # `receive` will notice it
            self._socket.send(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())

    def receive(self) -> int | None:
        """Read what has arrived. Return the status of a whole answer, 0 if the server broke off, None if it goes on."""
        try:
            data = self._socket.recv(2**18)
        except ConnectionError:
            data = b""
        if not data:
            broken_off = self._busy
            self.close()
            self._open()
            return 0 if broken_off else None
        self._received += data
        if self._length < 0:
            self._read_head()
        if self._length < 0 or len(self._received) < self._length:
            return None
        self._busy = False
        return int(self._received[9:12])

    def close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()

    def _open(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=DRAIN_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._busy, self._received, self._length = False, b"", -1
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def _read_head(self) -> None:
        """Set the length of the whole answer once its head has arrived."""
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        found = re.search(rb"\r\ncontent-length: *(\d+)", self._received[:end], re.IGNORECASE)
        if found is None:
            raise RuntimeError(f"an answer without Content-Length: {self._received[:end]!r}")
        self._length = end + 4 + int(found[1])


def main() -> None:
    """Send, and print the result as JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load.open_loop", description="Send requests at a constant rate."
    )
    parser.add_argument("port", type=int)
    parser.add_argument("target", help="path and query; SEED in it becomes another number in each request")
    parser.add_argument("--rate", type=float, required=True, help="requests/s")
    parser.add_argument("--seconds", type=float, default=3, help="how long to send (default: 3)")
    parser.add_argument(
        "--connections", type=int, default=64, help="largest number of requests under way (default: 64)"
    )
    parser.add_argument("--poisson", action="store_true", help="send at random times instead of evenly spaced ones")
    asked = parser.parse_args()
    outcome = run(**vars(asked))
    print(json.dumps(dataclasses.asdict(outcome)))


if __name__ == "__main__":
    main()
