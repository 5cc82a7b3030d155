"""Connections that cost too much or go nowhere: limits that uvicorn does not have.

The head of a request may have `MAX_HEAD_BYTES`. Now and then a sweep looks at all connections, and ends those on which
a head, a body or the reading of an answer takes too long; requests themselves pay nothing for it.
"""

import asyncio
import socket
import struct
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.server.admission import Gate
from app.server.fast_path import Drawing, Shortcut

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers together."""

SWEEP_S = 2.0

HEAD_TIMEOUT_S = 30.0
"""Until a request's head is there, from the connection's begin or from the end of the answer before."""

BODY_TIMEOUT_S = 120.0
"""Until a request's body is there, from its head."""

IDLE_TIMEOUT_S = 5.0
"""Between a request that has been answered and the first byte of the next."""

STUCK_TIMEOUT_S = 60.0
"""For a client that reads nothing of an answer that waits for it."""


class GuardedConfig(Config):
    """uvicorn's configuration, a gate, and a shortcut.

    Args:
        app: the application (ASGI).
        gate: says whether a request may come in.
        shortcut: answers some requests without the application, where nothing stands before it.
        settings: uvicorn's own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        gate: Gate,
        shortcut: Shortcut | None,
        **settings: Any,  # noqa: ANN401  (some fifty, each its own)
    ) -> None:
        super().__init__(app, http=GuardedProtocol, **settings)
        self.gate = gate
        self.shortcut = shortcut


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with a limit on heads, and a gate before the requests.

    Args:
        config: uvicorn's, with the gate.
        server_state: uvicorn's.
        app_state: uvicorn's.
        _loop: uvicorn's.
    """

    def __init__(
        self,
        config: GuardedConfig,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._gate = config.gate
        self._shortcut = config.shortcut
        self._service = self.app
        self._drawing: Drawing | None = None  # what the shortcut has begun
        self._head_bytes = 0
        self._in_body = False
        self._unread = b""
        self.requests = 0  # heads that have been read

    def data_received(self, data: bytes) -> None:
        """Bytes from the client; where too much goes on for another request, they are read later."""
        if self._unread:
            self._unread += data
            if len(self._unread) > MAX_HEAD_BYTES:
                self.read_on()
        elif self._gate.may_read(len(self.tasks)) or self.is_answering or data.startswith(self._gate.first):
            self._read(data)
        else:
            self._unread = data
            self._gate.put_off(self.read_on)

    def read_on(self) -> None:
        """Read what was put off."""
        data, self._unread = self._unread, b""
        if data and not self.transport.is_closing():
            self._read(data)

    def _read(self, data: bytes) -> None:
        if not self._in_body:  # of a body that nobody reads, too: its request may have been answered before its end
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.is_answering and not self.transport.is_closing():
            refuse(self, b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        """The parser has read a head."""
        self._head_bytes = 0
        self._in_body = True
        self.requests += 1
        if len(self.tasks) < self._gate.max_requests or self._gate.lets_in(self.url, len(self.tasks), self._count_slow):
            super().on_headers_complete()
        elif self._is_plain_get() and not self.is_answering:
            self._refuse()
        else:  # an answer before it comes first, or a body after it, or a page asks
            inside, self.app = self.app, self._gate.refuse
            super().on_headers_complete()
            self.app = inside
        if self._gate.is_closing and self.is_answering:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        """Begin to answer; a request behind which others wait goes the ordinary way, lest they call each other."""
        ordinary = super()._start_asgi_task
        if self._shortcut is not None and app is self._service and cycle is self.cycle:
            self._drawing = self._shortcut.take(cycle, self.tasks, otherwise=partial(ordinary, cycle, app))
            if self._drawing is not None or cycle.response_complete:
                return
        ordinary(cycle, app)

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone, or was sent away: what is drawn for it is dropped."""
        super().connection_lost(error)
        if self._drawing is not None:
            self._drawing.cancel()

    def on_message_complete(self) -> None:
        """The parser has read a request: what comes next is a head."""
        self._head_bytes = 0
        self._in_body = False
        if self.cycle is not None:  # there is none as long as all requests of a connection were refused
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request has been answered; the sweep ends the connection if no other comes: a timer each costs 3 µs."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """The service ends: what has come is answered, and then the connection ends."""
        self.read_on()
        super().shutdown()

    @property
    def waits_for_client(self) -> bool:
        """Whether there is a request whose body has not come or whose answer is not read."""
        standing = _standing_of(self)
        return standing is not None and standing.phase in {"body", "reading"}

    def _count_slow(self) -> int:
        return sum(isinstance(one, GuardedProtocol) and one.waits_for_client for one in self.connections)

    def _is_plain_get(self) -> bool:
        """Whether it is a GET without a body, and not of a page that wants headers of its own."""
        names = [name for name, _ in self.headers]
        return self.parser.get_method() == b"GET" and self._gate.needs_more.isdisjoint(names)

    def _refuse(self) -> None:
        """Answer at once: neither a task nor a scope is made for it."""
        kept = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0" and not self._gate.is_closing
        self.transport.write(self._gate.refusal(self.server_state.default_headers, kept=kept))
        if not kept:
            self.transport.close()

    @property
    def is_idle(self) -> bool:
        """Whether all that has come is requests that have been answered, one at least."""
        return self.requests > 0 and not (self._head_bytes or self._in_body or self._unread or self.is_answering)

    @property
    def is_answering(self) -> bool:
        """Whether there is a request that has not been answered."""
        return self.cycle is not None and not self.cycle.response_complete


class _Standing(NamedTuple):
    """What a connection waits for; while that stays the same, nothing moves."""

    phase: str
    requests: int
    waiting_bytes: int


_AT_ONCE = struct.pack("ii", 1, 0)
_LIMITS_S = {"idle": IDLE_TIMEOUT_S, "head": HEAD_TIMEOUT_S, "body": BODY_TIMEOUT_S, "reading": STUCK_TIMEOUT_S}


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
            elif standing.phase == "idle":
                connection.transport.close()
            elif standing.phase == "reading":
                drop(connection)  # it would read no word of ours
            else:
                refuse(connection, b"408 Request Timeout")


def drop(connection: HttpToolsProtocol) -> None:
    """End a connection by a reset: else the kernel would keep what was not read, megabytes, and try for minutes."""
    connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    connection.transport.abort()


def refuse(connection: HttpToolsProtocol, status: bytes) -> None:
    """Answer with a status and nothing else, and end the connection."""
    connection.transport.write(b"HTTP/1.1 " + status + b"\r\n" + _standing_headers(connection) + b"\r\n")
    connection.transport.close()


def _standing_headers(connection: HttpToolsProtocol) -> bytes:
    headers = [*connection.server_state.default_headers, (b"content-length", b"0"), (b"connection", b"close")]
    return b"".join(b"%b: %b\r\n" % header for header in headers)


def _standing_of(connection: GuardedProtocol) -> _Standing | None:
    """What a connection waits for from its client; None while it waits for us."""
    if not connection.is_answering:
        return _Standing("idle" if connection.is_idle else "head", connection.requests, 0)
    waiting = connection.transport.get_write_buffer_size()
    if waiting:
        return _Standing("reading", connection.requests, waiting)
    cycle = connection.cycle
    if cycle.more_body and not cycle.response_started:
        return _Standing("body", connection.requests, 0)
    return None
