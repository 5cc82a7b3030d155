"""What every request passes through: counting, a limit on bodies, and HEAD answered as GET without its body.

Plain ASGI: a message goes through a function call, nothing is buffered.
"""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.metrics import Metrics
from app.problems import Problem


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
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
            self._metrics.count_request(route, method, status, seconds=time.perf_counter() - started)


class LimitBodies:
    """Refuses a body once it is known to be larger than `max_bytes`, by its own word or by counting."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

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
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise body_too_large(self._max_bytes)
            return message

        await self._app(scope, count, send)


def body_too_large(max_bytes: int) -> Problem:
    """The problem of a body beyond the limit."""
    return Problem(413, f"the body has more than {max_bytes:,} bytes (GAN_MAX_BODY_BYTES)")


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

        await self._app({**scope, "method": "GET"}, receive, without_body)
