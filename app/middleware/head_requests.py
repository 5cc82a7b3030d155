"""Answers HEAD requests like GET, without the body. Routes that draw images check `is_head`, and then draw nothing.

`app.main` installs it between `request_count.CountRequests`, which sees a request before it, and
`body_limit.LimitBodies`, which sees it after.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


def is_head(scope: Scope) -> bool:
    """Whether a request (ASGI) is a HEAD, so that only the headers of its answer are sent."""
    return "gan.is_head" in scope


class AnswerHead:
    """Passes a HEAD request on as GET, and sends the answer's status and headers without its body.

    Args:
        app: the ASGI application that this layer wraps.
    """

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

        asked = {**scope, "method": "GET", "gan.is_head": True}
        await self._app(asked, receive, without_body)
        scope["route"] = asked.get("route")  # `CountRequests` counts by the route
