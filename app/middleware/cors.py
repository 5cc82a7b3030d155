"""CORS: lets pages of other origins read the answers, including the refusals of `app.server.admission`."""

from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

EXPOSED = [
    *("Allow", "Content-Disposition", "Content-Location", "ETag", "Retry-After", "WWW-Authenticate"),
    *("X-Model", "X-Request-Id", "X-Seed"),
]
"""The headers of answers that pages may read, besides those that browsers always let them read (Content-Type, …)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def as_browsers_send(origin: str) -> str:
    """Return an origin in the form of the header Origin: in lower case, without a slash and without a usual port.

    `*` and `null` stay as they are.

    Raises:
        ValueError: `origin` is not an origin, so no browser would ever send it.
    """
    if origin in {"*", "null"}:
        return origin
    try:
        parts = urlsplit(origin)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError:
        scheme, host, port = "", "", None
    is_origin = scheme and host and host.isascii() and not set("*@ ") & set(parts.netloc)
    if not is_origin or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError(
            f"an origin has a scheme, a host and perhaps a port, as in https://a.example:8443, not {origin!r}"
        )
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port in {None, _DEFAULT_PORTS.get(scheme)} else f":{port}")


class Cors(CORSMiddleware):
    """Starlette's CORS middleware, which can also return the headers that it would send.

    Args:
        app: the ASGI application that this layer wraps.
        origins: the origins whose pages may read the answers; `*` stands for all.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        allowed = ["Authorization", "Content-Type", "If-None-Match", "Traceparent", "Tracestate", "X-Request-Id"]
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=allowed,
            expose_headers=EXPOSED,
        )

    def rewritten(self, headers: list[tuple[bytes, bytes]], *, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        """Return the headers of an answer as this middleware sends them.

        Args:
            headers: the headers as the service sends them.
            origin: the request's Origin header, or None.
        """
        sent: list[Message] = []

        async def keep(message: Message) -> None:
            sent.append(message)

        request = Headers(raw=[] if origin is None else [(b"origin", origin)])
        sending = self.send({"type": "http.response.start", "headers": list(headers)}, keep, request)
        with suppress(StopIteration):
            sending.send(None)  # it awaits only `keep`, which ends at once
        found: list[tuple[bytes, bytes]] = sent[0]["headers"]
        return found


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Do nothing. This is the application that a `Cors` wraps if it only returns headers."""
