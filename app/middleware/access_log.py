"""The outermost layer: it gives each request an id, and records a line of the access log, a trace span, or both.

It is installed only if a setting asks for the access log or for spans, so a service without them does no work for it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import CLIENT_CLOSED_REQUEST
from app.telemetry.access_record import LOGGER, AccessLine
from app.telemetry.line_handler import handle_together
from app.telemetry.request_ids import RequestId, current, request_id_of

_log = logging.getLogger(LOGGER)


class Spans(Protocol):
    """Records spans (`app.middleware.tracing`)."""

    def begin(self, scope: Scope, request: RequestId) -> Callable[[Scope, int, BaseException | None], None]:
        """Begin the span of a request, and write the span's ids into `request`.

        Returns:
            A function that ends the span. Its arguments are the request's scope, the answer's status, and the error
            that ended the request or None. It keeps no reference to the scope (see `Observation`).
        """

    def stop(self) -> None:
        """Send the spans that have not been sent."""


class _Lines:
    """Collects the access log's lines of one pass of the event loop, and writes them together at its end.

    Made directly one after the other, they take a third of the time, since their code and data are in the processor's
    caches.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Scope, RequestId, int, int, float, float]] = []

    def add(self, scope: Scope, request: RequestId, status: int, sent: int, seconds: float) -> None:
        """Add the line of a request whose answer ends now, to be written after this pass of the event loop."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append((scope, request, status, sent, seconds, time.time()))

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        handle_together(_log, [_line_of(*line) for line in waiting])


class Observation:
    """One observed request: when it ends, a line of the access log, a trace span, or both record it.

    The scope refers to the observation, and the observation does not refer to the scope. Otherwise each request would
    leave a reference cycle, which only a garbage collection can free; that took 3 µs for each request.

    Args:
        scope: the request's scope (ASGI).
        lines: the access log, which gets a line when the request ends, or None.
        spans: the recorder of a span for the request, or None.
        began: the time when the request arrived, by `time.perf_counter`.

    Attributes:
        request: the request's ids.
        is_traced: whether a span is recorded. If so, it shows the stages of the request's work.
    """

    __slots__ = ("_end_span", "_lines", "_started", "is_traced", "request")

    def __init__(self, scope: Scope, lines: _Lines | None, spans: Spans | None, began: float) -> None:
        self._started = began
        self._lines = lines
        self.request = request_id_of(scope)
        self.is_traced = spans is not None
        self._end_span = None if spans is None else spans.begin(scope, self.request)

    def end(self, scope: Scope, status: int, sent: int, error: BaseException | None = None) -> None:
        """Record that the request has ended: end its span, and write its line in the access log.

        Args:
            scope: the request's scope (ASGI).
            status: the answer's status.
            sent: the number of bytes of the answer's body.
            error: the error that ended the request, if there was one.
        """
        if self._end_span is not None:
            self._end_span(scope, status, error)
        if self._lines is not None:
            self._lines.add(scope, self.request, status, sent, time.perf_counter() - self._started)


class Observer:
    """Observes requests: it gives each an id, and records it when it has been answered.

    Args:
        access_log: whether to write a line for each request.
        spans: the recorder of a span for each request, or None.
    """

    def __init__(self, *, access_log: bool, spans: Spans | None) -> None:
        self._lines = _Lines() if access_log else None
        self._spans = spans
        if access_log:
            _log.setLevel(logging.INFO)  # the access log was asked for, so GAN_LOG_LEVEL does not apply to it

    def begin(self, scope: Scope, began: float | None = None) -> Observation:
        """Observe the request of a scope. The scope keeps the observation, so that each request is observed once.

        Args:
            scope: the request's scope (ASGI).
            began: the time when the request arrived, by `time.perf_counter`; None takes the time now.
        """
        known: Observation | None = scope.get("gan.observation")
        if known is None:
            known = Observation(scope, self._lines, self._spans, time.perf_counter() if began is None else began)
            scope["gan.observation"] = known
        return known


class Observe:
    """A layer that has each request observed, and sends the request's id in the answer's X-Request-Id.

    Args:
        app: the ASGI application that this layer wraps.
        observer: the object that observes the requests.
    """

    def __init__(self, app: ASGIApp, *, observer: Observer) -> None:
        self._app = app
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        observation = self._observer.begin(scope)
        request = observation.request
        current.set(request)  # never reset: the task serves only this request, and uvicorn may log in it later
        status, sent = 500, 0
        error: BaseException | None = None

        async def note(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [pair for pair in message.get("headers", ()) if pair[0] != b"x-request-id"]
                message = {**message, "headers": [*headers, (b"x-request-id", request.text.encode())]}
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, note)
        except BaseException as raised:
            error = raised
            if isinstance(raised, asyncio.CancelledError):  # some servers cancel the task when the client has gone
                status = CLIENT_CLOSED_REQUEST
            raise
        finally:
            observation.end(scope, status, sent, error)


def route_of(scope: Scope) -> str | None:
    """Return the pattern of the route that answered, or None if no route did."""
    route: str | None = getattr(scope.get("route"), "path", None)
    return route


def _line_of(scope: Scope, request: RequestId, status: int, sent: int, seconds: float, ended: float) -> AccessLine:
    client = (scope.get("client") or ("unknown",))[0]
    raw: bytes | None = scope.get("raw_path")
    path = quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
    milliseconds = round(seconds * 1000, 3)
    route = route_of(scope) or "other"
    return AccessLine(request, ended, scope["method"], route, path, status, sent, milliseconds, client)
