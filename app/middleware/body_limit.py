"""Refuses a request body that is too large, and bodies that arrive while too many bytes are held in memory already.

`app.main` installs it nearest to the routes: a request passes `request_count.CountRequests`, then
`head_requests.AnswerHead`, then this layer. Nothing is buffered: a message goes through a function call.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import Problem
from app.telemetry.metrics import Metrics

BODIES_AT_ONCE = 8
"""The bytes of this many bodies of the largest size may be held at once; a request that adds to them gets 429."""


class LimitBodies:
    """Limits the bytes of one body, and the bytes held for all requests that are not yet answered.

    Args:
        app: the ASGI application that this layer wraps.
        max_bytes: the largest body. A larger one is refused with 413: at once if Content-Length says so, otherwise
            when the bytes received exceed the limit.
        metrics: the metrics that count the requests refused with 429, because `BODIES_AT_ONCE` × `max_bytes` are held.
    """

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
    """Return the problem (413) of a body that is larger than the limit."""
    return Problem(413, f"the body has more than {max_bytes:,} bytes (GAN_MAX_BODY_BYTES); send a smaller one")


def too_many_bodies() -> Problem:
    """Return the problem (429) of a body that arrives while those of all requests under way have too many bytes."""
    return Problem(
        429, "the request bodies under way have too many bytes together; try again in 1 s", headers={"Retry-After": "1"}
    )
