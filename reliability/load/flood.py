"""Clients that overload a service: requests at a fixed rate, or each as soon as the one before is answered.

If all connections wait for an answer when a request is due, it is counted but not sent: it would queue in the client.
Latency counts from the moment of sending. The client imports only the standard library; give it a core of its own.
"""

import math
import re
import select
import socket
import struct
import time
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field

DRAIN_S = 10.0
"""Seconds to wait for the last answers; later ones are counted as missing."""

TICK_S = 0.001
"""The longest sleep. A client in a busy loop would slow down a service on the neighbouring core by half."""

WINDOW_S = 0.1
"""Length of the windows in which answers are counted, s."""

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: no TIME_WAIT, which would soon use up all ports


@dataclass
class FloodResult:
    """The result of a load.

    Attributes:
        due: requests that were due.
        sent: requests that were sent; for the others no connection was free.
        answers: number of answers by status.
        retry_after: 429s with Retry-After.
        broken: requests whose connection ended before their answer.
        refused: connections that could not be opened.
        missing: requests without an answer at the end.
        accepted_ms: latencies of all 200s, ascending.
        refused_ms: latencies of all 429s, ascending.
        windows: number of 200s in each window of `WINDOW_S` from the start.
        late_ms: the longest time during which the client did not look for answers.
    """

    due: int = 0
    sent: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    retry_after: int = 0
    broken: int = 0
    refused: int = 0
    missing: int = 0
    accepted_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    windows: Counter[int] = field(default_factory=Counter)
    late_ms: float = 0

    def rate(self, seconds: float) -> float:
        """Return the answers with 200, a second."""
        return self.answers[200] / seconds

    def others(self) -> int:
        """Return the number of answers that are neither 200 nor 429 with Retry-After."""
        return self.answers.total() - self.answers[200] - self.retry_after


def closed_loop(port: int, target: str, *, seconds: float, connections: int = 16) -> FloodResult:
    """Send the next request on each connection when its answer is there; SEED becomes another number in each."""
    return _Flood(port, target, connections, fresh=False).run(math.inf, seconds)


def open_loop(
    port: int, target: str, *, rate: float, seconds: float, connections: int = 1000, fresh: bool = False
) -> FloodResult:
    """Send rate · seconds requests, evenly spaced.

    Args:
        port: the port of the service, on this machine.
        target: path and query, as in `closed_loop`.
        rate: the rate, in requests a second.
        seconds: how long to send.
        connections: largest number of requests under way.
        fresh: whether each request has a new connection.
    """
    return _Flood(port, target, connections, fresh=fresh).run(rate, seconds)


@dataclass(eq=False, slots=True)
class _FloodConnection:
    socket: socket.socket
    sent: float = 0.0
    busy: bool = False
    asked: bool = False
    received: bytes = b""
    length: int = -1


class _Flood:
    def __init__(self, port: int, target: str, connections: int, *, fresh: bool) -> None:
        self._address = ("127.0.0.1", port)
        head, _, tail = target.partition("SEED")
        self._head = f"GET {head}".encode()
        self._tail = f"{tail} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
        self._room = connections
        self._fresh = fresh
        self._idle: deque[_FloodConnection] = deque()
        self._by_fd: dict[int, _FloodConnection] = {}
        self._outcome = FloodResult()
        self._seen_refusal = b"?"

    def run(self, rate: float, seconds: float) -> FloodResult:
        outcome = self._outcome
        with select.epoll() as self._epoll:
            if not self._fresh:
                for _ in range(self._room):
                    self._open()
            began = looked = time.perf_counter()
            self._began = began
            end, waiting_until = began + seconds, began + seconds + DRAIN_S
            while True:
                now = time.perf_counter()
                outcome.late_ms = max(outcome.late_ms, (now - looked) * 1000)
                looked = now
                if now < end and (self._by_fd or self._fresh):
                    self._send_due(now, rate)
                elif len(self._idle) == len(self._by_fd) or now > waiting_until:
                    break
                for fd, event in self._epoll.poll(TICK_S):
                    self._look(self._by_fd[fd], event)
            outcome.missing = sum(one.busy for one in self._by_fd.values())
            for connection in list(self._by_fd.values()):
                self._close(connection)
        if rate is math.inf:
            outcome.due = outcome.sent
        outcome.accepted_ms.sort()
        outcome.refused_ms.sort()
        return outcome

    def _send_due(self, now: float, rate: float) -> None:
        if rate is math.inf:
            while self._idle:
                self._send()
            return
        outcome = self._outcome
        due = int((now - self._began) * rate) - outcome.due
        outcome.due += due
        while due and (self._idle or (self._fresh and len(self._by_fd) < self._room)):
            due -= 1
            self._send()

    def _send(self) -> None:
        self._outcome.sent += 1
        if self._fresh:
            self._open()
            return
        self._ask(self._idle.popleft())

    def _ask(self, connection: _FloodConnection) -> None:
        connection.sent = time.perf_counter()
        connection.busy = connection.asked = True
        with suppress(OSError):  # `_look` will notice it
            connection.socket.send(b"%b%d%b" % (self._head, self._outcome.sent, self._tail))

    def _open(self) -> None:
        connection = _FloodConnection(socket.socket())
        connection.socket.setblocking(False)
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        connection.sent = time.perf_counter()
        connection.busy = True
        connection.socket.connect_ex(self._address)
        self._by_fd[connection.socket.fileno()] = connection
        self._epoll.register(connection.socket.fileno(), select.EPOLLOUT)

    def _look(self, connection: _FloodConnection, event: int) -> None:
        if event & select.EPOLLOUT and not event & (select.EPOLLERR | select.EPOLLHUP):  # connected
            self._epoll.modify(connection.socket.fileno(), select.EPOLLIN)
            if self._fresh:
                began = connection.sent
                self._ask(connection)
                connection.sent = began
            else:
                connection.busy = False
                self._idle.append(connection)
            return
        try:
            data = connection.socket.recv(2**16)
        except OSError:
            data = b""
        if data == self._seen_refusal and not connection.received:
            self._outcome.retry_after += 1
            self._finish(connection, 429)
        elif data:
            self._take(connection, data)
        else:
            self._broken(connection)

    def _take(self, connection: _FloodConnection, data: bytes) -> None:
        connection.received += data
        if connection.length < 0:
            end = connection.received.find(b"\r\n\r\n")
            if end < 0:
                return
            found = re.search(rb"\r\ncontent-length: *(\d+)", connection.received[:end], re.IGNORECASE)
            if found is None:
                raise RuntimeError(f"an answer without Content-Length: {connection.received[:end]!r}")
            connection.length = end + 4 + int(found[1])
        if len(connection.received) < connection.length:
            return
        answer = connection.received
        connection.received, connection.length = b"", -1
        status = int(answer[9:12])
        if status == 429 and re.search(rb"\r\nretry-after: *\d+\r\n", answer, re.IGNORECASE):
            self._outcome.retry_after += 1
            self._seen_refusal = answer
        self._finish(connection, status, last=b"\r\nconnection: close\r\n" in answer[:1000])

    def _finish(self, connection: _FloodConnection, status: int, *, last: bool = False) -> None:
        outcome, now = self._outcome, time.perf_counter()
        outcome.answers[status] += 1
        if status == 200:
            outcome.accepted_ms.append((now - connection.sent) * 1000)
            outcome.windows[int((now - self._began) / WINDOW_S)] += 1
        elif status == 429:
            outcome.refused_ms.append((now - connection.sent) * 1000)
        if self._fresh or last:
            self._close(connection)
        else:
            connection.busy = False
            self._idle.append(connection)
        if last and not self._fresh:
            self._open()

    def _broken(self, connection: _FloodConnection) -> None:
        self._close(connection)
        if not connection.asked:
            self._outcome.refused += 1
            return
        if connection.busy:
            self._outcome.broken += 1
        else:
            self._idle.remove(connection)
        if not self._fresh:
            self._open()

    def _close(self, connection: _FloodConnection) -> None:
        del self._by_fd[connection.socket.fileno()]
        connection.socket.close()
