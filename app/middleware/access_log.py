"""What stands before everything else where requests are to be seen one by one: ids, a line of the log, a span.

Only where one of these is asked for: the service without them pays nothing.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import CLIENT_CLOSED_REQUEST
from app.telemetry.request_ids import RequestId, current, request_id_of

_log = logging.getLogger(__name__)


class Spans(Protocol):
    """Who records spans: `app.middleware.tracing`."""

    def begin(self, scope: Scope, request: RequestId) -> Callable[[int, BaseException | None], None]:
        """Begin the span of a request, whose ids are written into `request`.

        Returns:
            What ends it, with the status of the answer, and with what the request was ended by, if by an error.
        """

    def stop(self) -> None:
        """Send what has not been sent."""


class Observe:
    """Gives each request an id, which the answer names in X-Request-Id, and tells of it when it has been answered.

    Args:
        app: what answers.
        access_log: whether to write a line for each request.
        spans: where to record a span for each request, if at all.
    """

    def __init__(self, app: ASGIApp, *, access_log: bool, spans: Spans | None) -> None:
        self._app = app
        self._access_log = access_log
        self._spans = spans
        if access_log:
            _log.setLevel(logging.INFO)  # it was asked for, whatever else is to be logged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request = request_id_of(scope)
        end_span = None if self._spans is None else self._spans.begin(scope, request)
        current.set(request)  # for good: the task is this request's, and uvicorn may log in it after us
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
            if isinstance(raised, asyncio.CancelledError):  # by a server that does so when the client has gone
                status = CLIENT_CLOSED_REQUEST
            raise
        finally:
            if end_span is not None:
                end_span(status, error)
            if self._access_log:
                _tell(scope, status=status, sent=sent, seconds=time.perf_counter() - started)


def route_of(scope: Scope) -> str | None:
    """The pattern of the route that answered; None when none did."""
    route: str | None = getattr(scope.get("route"), "path", None)
    return route


def _tell(scope: Scope, *, status: int, sent: int, seconds: float) -> None:
    client = (scope.get("client") or ("unknown",))[0]
    raw: bytes | None = scope.get("raw_path")
    path = quote(scope["path"]) if raw is None else raw.partition(b"?")[0].decode("latin-1")
    milliseconds = round(seconds * 1000, 3)
    fields = {
        "method": scope["method"],
        "route": route_of(scope) or "other",
        "path": path,
        "status": status,
        "milliseconds": milliseconds,
        "bytes": sent,
        "client": client,
    }
    _log.info(
        "%s %s %d, %d bytes in %g ms to %s", scope["method"], path, status, sent, milliseconds, client,
        extra={"fields": fields},
    )  # fmt: skip
