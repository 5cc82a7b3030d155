"""uvicorn's HTTP protocol, with a limit on request heads (request line and headers), admission, and a fast path."""

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from app.server.admission import Admission
from app.server.strict_http import BadHeadError, Refusal, StrictProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

_ACKED_AND_RECEIVED = struct.Struct("=QQ")
"""tcpi_bytes_acked and tcpi_bytes_received of Linux's tcp_info."""

MAX_HEAD_BYTES = 64 * 1024
"""The largest request line and headers together."""


class Begun(Protocol):
    """The work that a fast path has begun for a request."""

    def cancel(self) -> bool:
        """Drop the work, because the client has gone."""


class TakeFastPath(Protocol):
    """Answers a request at once, begins to answer it, or leaves it to the application (`FastPath.take`)."""

    def __call__(
        self, cycle: RequestResponseCycle, tasks: set[Any], otherwise: Callable[[], None], *, alone: bool
    ) -> Begun | None:
        """Answer a request, or begin to; None leaves the request to the application, unless it has been answered."""


class GuardedConfig(Config):
    """uvicorn's configuration, with admission and a fast path.

    Args:
        app: the application (ASGI).
        admission: the limit that decides whether a request may come in.
        fast_path: function that answers some requests without the application; None leaves all to the application.
        settings: uvicorn's own settings.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        admission: Admission,
        fast_path: TakeFastPath | None,
        **settings: Any,  # noqa: ANN401  (about fifty settings of different types)
    ) -> None:
        super().__init__(app, http=GuardedProtocol, **settings)
        self.admission = admission
        self.fast_path = fast_path


class GuardedProtocol(StrictProtocol):
    """uvicorn's HTTP, with a limit on heads, admission before the requests, and a fast path.

    Args:
        config: uvicorn's configuration with the admission and the fast path.
        server_state: uvicorn's state of the server, such as its connections.
        app_state: uvicorn's state of the application's lifespan.
        _loop: the event loop; None takes the running one.
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
        self._begun: Begun | None = None  # what the fast path has begun
        self._head_bytes = 0  # of a head that has not ended
        self._most_head_bytes = 0  # the head that is being read has no more, but bytes before it may be among them
        self._unread = b""
        self.requests = 0  # number of heads that have been read

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the client. Where the admission defers the request, they are kept and read later."""
        if self.is_broken:
            return
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
        """Read the bytes that were deferred."""
        data, self._unread = self._unread, b""
        if data and not self.transport.is_closing():
            self._read(data)

    def _read(self, data: bytes) -> None:
        if not self.in_body:  # a body counts as one even if nobody reads it, since its request has been answered
            self._head_bytes += len(data)
        self._most_head_bytes = len(data) + (self._most_head_bytes if self.in_head else 0)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES and not (self.is_broken or self.transport.is_closing()):
            self.refuse_the_rest(self._too_large())

    def _check_head(self, version: str) -> None:
        """Check a whole head. Its bytes are counted only if it may have too many."""
        if self._most_head_bytes > MAX_HEAD_BYTES:
            lines = sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers)
            if len(b"GET  HTTP/1.1\r\n") + len(self.url) + lines + len(b"\r\n") > MAX_HEAD_BYTES:
                raise self._too_large()
        super()._check_head(version)

    def _too_large(self) -> BadHeadError:
        """Return the error of a head that is too large: 414 if its target alone is, else 431."""
        most = f"{MAX_HEAD_BYTES:,} bytes"
        if len(self.url) > MAX_HEAD_BYTES:
            return BadHeadError(f"the URL has more than {most}; send a shorter one", HTTPStatus.REQUEST_URI_TOO_LONG)
        detail = f"the request's line and headers have more than {most} together; send fewer or shorter ones"
        return BadHeadError(detail, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def eof_received(self) -> bool:  # type: ignore[override]  # as in StrictProtocol
        """Handle the end of the client's sending side: the bytes that were deferred are read now."""
        self.read_on()
        return super().eof_received()

    def _begin_request(self) -> None:
        """Let a request in, or refuse it, as the admission decides."""
        self._head_bytes = 0
        self.requests += 1
        if len(self.tasks) < self._admission.max_requests or self._admission.lets_in(
            self.url, len(self.tasks), self._count_slow
        ):
            super()._begin_request()
        elif self._is_plain_get() and not self.is_answering:
            self._refuse()
        else:  # an earlier answer is not complete, a body follows, or a browser needs CORS headers
            inside, self.app = self.app, self._admission.refuse
            try:
                super()._begin_request()
            finally:
                self.app = inside
        if self._admission.is_closing and self.is_answering:
            self.cycle.keep_alive = False

    def _begin_answer(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        """Begin to answer. A request is not `alone` if others wait after it: answering it inline would recurse."""
        ordinary = super()._begin_answer
        if self._fast_path is not None and app is self._service:
            self._begun = self._fast_path(cycle, self.tasks, partial(ordinary, cycle, app), alone=cycle is self.cycle)
            if self._begun is not None or cycle.response_complete:
                return
        ordinary(cycle, app)

    def connection_lost(self, error: Exception | None) -> None:
        """Handle the end of the connection: drop what the fast path draws for it."""
        super().connection_lost(error)
        if self._begun is not None:
            self._begun.cancel()

    def on_message_complete(self) -> None:
        """Handle the end of a request: the next bytes belong to the head of another request."""
        self._head_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Handle the end of an answer. The sweeper ends idle connections: a timer for each request would cost 3 µs."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """Answer the requests that have arrived, then end the connection, because the service ends."""
        self.read_on()
        super().shutdown()

    def refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer a request that has not been read whole with a problem document, and end the connection."""
        self.transport.write(Refusal(status, detail).written(self.server_state.default_headers))
        self.end_gently()
        self.count_unreadable(status)

    def count_unreadable(self, status: int) -> None:
        """Count an answer with this status to a request that could not be read."""
        self._admission.count_unreadable(status)

    def standing(self) -> "Standing | None":
        """Return what the client has to send or read next, and the bytes moved so far; None if the service is to act.

        `Sweeper` compares the results of two times: a client that has moved too few bytes loses its connection.
        """
        if not self.is_answering:
            return Standing("idle" if self.is_idle else "head", self.requests, 0)
        if self.transport.get_write_buffer_size():
            return Standing("reading", self.requests, moved_bytes(self.transport))
        if self.cycle.more_body and not self.cycle.response_started:
            return Standing("body", self.requests, moved_bytes(self.transport))
        return None

    @property
    def waits_for_client(self) -> bool:
        """Whether the body of a request has not arrived yet, or the client has not read all of an answer."""
        standing = self.standing()
        return standing is not None and standing.phase in {"body", "reading"}

    def _count_slow(self) -> int:
        return sum(isinstance(one, GuardedProtocol) and one.waits_for_client for one in self.connections)

    def _is_plain_get(self) -> bool:
        """Whether the request is a GET without a body and without an Origin for which CORS headers are needed."""
        names = [name for name, _ in self.headers]
        return self.parser.get_method() == b"GET" and self._admission.needs_more.isdisjoint(names)

    def _refuse(self) -> None:
        """Refuse the request at once, without a task and without a scope."""
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
        """Whether at least one request has arrived, and everything that has arrived is answered."""
        return self.requests > 0 and not (
            self._head_bytes or self.in_head or self.in_body or self._unread or self.is_answering
        )


class Standing(NamedTuple):
    """What a connection's client has to do next, and how far it has come. The sweeper compares two of these.

    Attributes:
        phase: the next thing to do, one of "idle" (send a request), "head" (send the rest of a request line and
            headers), "body" (send the rest of a body) and "reading" (read the rest of an answer).
        requests: number of request heads that have been read on this connection.
        moved_bytes: bytes that the client has sent or received so far; 0 if `phase` is "idle" or "head".
    """

    phase: str
    requests: int
    moved_bytes: int


def moved_bytes(transport: asyncio.Transport) -> int:
    """Return the bytes that the other end of a connection has sent and acknowledged so far, as the kernel counts them.

    Our own buffer hides a client that is slow: the kernel takes megabytes before the client takes anything. Where the
    kernel does not count (it is not Linux, or the transport is not TCP), the emptier our buffer, the larger the result.
    """
    found = transport.get_extra_info("socket")
    try:
        return sum(_ACKED_AND_RECEIVED.unpack_from(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136), 120))
    except (AttributeError, OSError, struct.error):
        return -transport.get_write_buffer_size()
