"""uvicorn's HTTP protocol with what it does not have: a limit on heads, admission, and a place for a fast path."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.server.admission import Admission

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

MAX_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers together."""


class Begun(Protocol):
    """What a fast path has begun for a request."""

    def cancel(self) -> bool:
        """The client has gone: nobody waits for it any more."""


class TakeFastPath(Protocol):
    """Answers a request at once, or begins to, or leaves it to the application (`FastPath.take`)."""

    def __call__(
        self, cycle: RequestResponseCycle, tasks: set[Any], otherwise: Callable[[], None], *, alone: bool
    ) -> Begun | None:
        """Take a request."""


class GuardedConfig(Config):
    """uvicorn's configuration, with admission and a fast path.

    Args:
        app: the application (ASGI).
        admission: says whether a request may come in.
        fast_path: answers some requests without the application; None leaves all to it.
        settings: uvicorn's own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        admission: Admission,
        fast_path: TakeFastPath | None,
        **settings: Any,  # noqa: ANN401  (some fifty, each its own)
    ) -> None:
        super().__init__(app, http=GuardedProtocol, **settings)
        self.admission = admission
        self.fast_path = fast_path


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with a limit on heads, admission before the requests, and a fast path.

    Args:
        config: uvicorn's, with admission and the fast path.
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
        self._admission = config.admission
        self._fast_path = config.fast_path
        self._service = self.app
        self._begun: Begun | None = None  # by the fast path
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
        elif self._admission.may_read(len(self.tasks)) or self.is_answering or data.startswith(self._admission.first):
            self._read(data)
        else:
            self._unread = data
            self._admission.put_off(self.read_on)

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
        if len(self.tasks) < self._admission.max_requests or self._admission.lets_in(
            self.url, len(self.tasks), self._count_slow
        ):
            super().on_headers_complete()
        elif self._is_plain_get() and not self.is_answering:
            self._refuse()
        else:  # an answer before it comes first, or a body after it, or a page asks
            inside, self.app = self.app, self._admission.refuse
            super().on_headers_complete()
            self.app = inside
        if self._admission.is_closing and self.is_answering:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        """Begin to answer. A request behind which others wait is not `alone`: answering it inline would recurse."""
        ordinary = super()._start_asgi_task
        if self._fast_path is not None and app is self._service:
            self._begun = self._fast_path(cycle, self.tasks, partial(ordinary, cycle, app), alone=cycle is self.cycle)
            if self._begun is not None or cycle.response_complete:
                return
        ordinary(cycle, app)

    def connection_lost(self, error: Exception | None) -> None:
        """The client has gone, or was sent away: what is drawn for it is dropped."""
        super().connection_lost(error)
        if self._begun is not None:
            self._begun.cancel()

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

    def standing(self) -> "Standing | None":
        """What the connection waits for from its client; None while it waits for us."""
        if not self.is_answering:
            return Standing("idle" if self.is_idle else "head", self.requests, 0)
        waiting = self.transport.get_write_buffer_size()
        if waiting:
            return Standing("reading", self.requests, waiting)
        if self.cycle.more_body and not self.cycle.response_started:
            return Standing("body", self.requests, 0)
        return None

    @property
    def waits_for_client(self) -> bool:
        """Whether there is a request whose body has not come or whose answer is not read."""
        standing = self.standing()
        return standing is not None and standing.phase in {"body", "reading"}

    def _count_slow(self) -> int:
        return sum(isinstance(one, GuardedProtocol) and one.waits_for_client for one in self.connections)

    def _is_plain_get(self) -> bool:
        """Whether it is a GET without a body, and not of a page that wants headers of its own."""
        names = [name for name, _ in self.headers]
        return self.parser.get_method() == b"GET" and self._admission.needs_more.isdisjoint(names)

    def _refuse(self) -> None:
        """Answer at once: neither a task nor a scope is made for it."""
        kept = (
            self.parser.should_keep_alive()
            and self.parser.get_http_version() != "1.0"
            and not self._admission.is_closing
        )
        self.transport.write(self._admission.refusal(self.server_state.default_headers, kept=kept))
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


class Standing(NamedTuple):
    """What a connection waits for; while that stays the same, nothing moves.

    Attributes:
        phase: idle, head, body or reading.
        requests: heads that have been read.
        waiting_bytes: of the answer, that the client has not read.
    """

    phase: str
    requests: int
    waiting_bytes: int


def refuse(connection: HttpToolsProtocol, status: bytes) -> None:
    """Answer with a status and nothing else, and end the connection."""
    connection.transport.write(b"HTTP/1.1 " + status + b"\r\n" + _standing_headers(connection) + b"\r\n")
    connection.transport.close()


def _standing_headers(connection: HttpToolsProtocol) -> bytes:
    headers = [*connection.server_state.default_headers, (b"content-length", b"0"), (b"connection", b"close")]
    return b"".join(b"%b: %b\r\n" % header for header in headers)
