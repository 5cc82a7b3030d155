"""What every request passes through: counting, a limit on bodies, and HEAD answered as GET without its body.

Plain ASGI: a message goes through a function call, nothing is buffered.
"""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import CLIENT_CLOSED_REQUEST, Problem
from app.telemetry.metrics import Metrics, method_of


class CountRequests:
    """Counts each request by its route's pattern, method and status, and times it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def count(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, count)
        except asyncio.CancelledError:  # by a server, such as Ray Serve's, that does so when the client has gone
            status = CLIENT_CLOSED_REQUEST
            raise
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count_request(route, method_of(scope), status, seconds=time.perf_counter() - started)


BODIES_AT_ONCE = 8
"""As many times the largest body may be held at once; beyond them, 429."""


class LimitBodies:
    """Refuses a body once it is known to be larger than `max_bytes`, by its own word or by counting; and what comes
    while as many bytes as may are held for requests that are not yet answered."""

    def __init__(self, app: ASGIApp, *, max_bytes: int, metrics: Metrics) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        claimed = dict(scope["headers"]).get(b"content-length", b"0")
        if claimed.isdigit() and int(claimed[:20]) > self._max_bytes:
            await body_too_large(self._max_bytes).response()(scope, receive, send)
            return
        seen = 0

        async def count() -> Message:
            nonlocal seen
            message = await receive()
            more = len(message.get("body", b""))
            seen += more
            self._held += more
            if seen > self._max_bytes:
                raise body_too_large(self._max_bytes)
            if self._held > self._max_bytes * BODIES_AT_ONCE:
                self._metrics.shed.labels("bodies").inc()
                raise too_many_bodies()
            return message

        try:
            await self._app(scope, count, send)
        finally:
            self._held -= seen


def body_too_large(max_bytes: int) -> Problem:
    """The problem of a body beyond the limit."""
    return Problem(413, f"the body has more than {max_bytes:,} bytes (GAN_MAX_BODY_BYTES)")


def too_many_bodies() -> Problem:
    """The problem of a body that comes while too many are held."""
    return Problem(429, "too much is sent at once; try again in 1 s", headers={"Retry-After": "1"})


class AnswerHead:
    """Answers HEAD as GET, with the headers and without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        asked = {**scope, "method": "GET"}
        await self._app(asked, receive, without_body)
        scope["route"] = asked.get("route")  # for who counts
