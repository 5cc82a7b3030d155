"""Connections that cost too much or go nowhere: limits that uvicorn does not have.

The head of a request may have `MAX_HEAD_BYTES`. Now and then a sweep looks at all connections, and ends those on which
a head, a body or the reading of an answer takes too long; requests themselves pay nothing for it.
"""

import asyncio
from collections.abc import Iterable
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers together."""

SWEEP_S = 2.0

HEAD_TIMEOUT_S = 30.0
"""Until a request's head is there, from the connection's begin or from the end of the answer before."""

BODY_TIMEOUT_S = 120.0
"""Until a request's body is there, from its head."""

STUCK_TIMEOUT_S = 60.0
"""For a client that reads nothing of an answer that waits for it."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with a limit on heads."""

    _head_bytes = 0
    _in_body = False

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if not self._in_body:  # of a body that nobody reads, too: its request may have been answered before its end
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.is_answering and not self.transport.is_closing():
            refuse(self, b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        """The parser has read a head."""
        self._head_bytes = 0
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The parser has read a request: what comes next is a head."""
        self._head_bytes = 0
        self._in_body = False
        super().on_message_complete()

    @property
    def is_answering(self) -> bool:
        """Whether there is a request that has not been answered."""
        return self.cycle is not None and not self.cycle.response_complete


class _Standing(NamedTuple):
    """What a connection waits for; while that stays the same, nothing moves."""

    phase: str
    request: int
    waiting_bytes: int


_LIMITS_S = {"head": HEAD_TIMEOUT_S, "body": BODY_TIMEOUT_S, "reading": STUCK_TIMEOUT_S}


class Sweeper:
    """Ends connections on which nothing moves.

    Args:
        connections: of a server; looked at again at each sweep.
        limits_s: by phase.
    """

    def __init__(self, connections: Iterable[object], limits_s: dict[str, float] | None = None) -> None:
        self._connections = connections
        self._limits_s = limits_s or _LIMITS_S
        self._since: dict[GuardedProtocol, tuple[_Standing, float]] = {}

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep(asyncio.get_running_loop().time())

    def sweep(self, now: float) -> None:
        """Look at all connections, at a time in seconds."""
        before, self._since = self._since, {}
        for connection in [one for one in self._connections if isinstance(one, GuardedProtocol)]:
            standing = _standing_of(connection)
            if standing is None or connection.transport.is_closing():
                continue
            known = before.get(connection)
            since = known[1] if known is not None and known[0] == standing else now
            if now - since < self._limits_s[standing.phase]:
                self._since[connection] = (standing, since)
            elif standing.phase == "reading":
                connection.transport.abort()  # it would read no word of ours
            else:
                refuse(connection, b"408 Request Timeout")


def refuse(connection: HttpToolsProtocol, status: bytes) -> None:
    """Answer with a status and nothing else, and end the connection."""
    connection.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    connection.transport.close()


def _standing_of(connection: GuardedProtocol) -> _Standing | None:
    """What a connection waits for from its client; None while it waits for us."""
    cycle = connection.cycle
    if not connection.is_answering:
        return _Standing("head", id(cycle), 0)
    waiting = connection.transport.get_write_buffer_size()
    if waiting:
        return _Standing("reading", id(cycle), waiting)
    if cycle.more_body and not cycle.response_started:
        return _Standing("body", id(cycle), 0)
    return None
