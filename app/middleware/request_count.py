"""Counts requests and measures how long they take.

`app.main` installs it around `head_requests.AnswerHead`: it is the outermost of the three layers that every request
passes, so it also counts what `body_limit.LimitBodies` refuses, and a HEAD as a HEAD.
"""

import asyncio
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.problems import CLIENT_CLOSED_REQUEST
from app.telemetry.metrics import Metrics, method_of


class CountRequests:
    """Counts each request by the route's pattern, the method and the status, and measures its duration in seconds.

    Args:
        app: the ASGI application that this layer wraps.
        metrics: the metrics that count the requests.
    """

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
        except asyncio.CancelledError:  # a server, such as Ray Serve's, cancels when the client has gone
            status = CLIENT_CLOSED_REQUEST
            raise
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.count_request(route, method_of(scope), status, seconds=time.perf_counter() - started)
