"""The smallest service for Granian, a server written in Rust: an RSGI callable that answers N bytes to `/N`."""

from granian.rsgi import HTTPProtocol, Scope


async def app(scope: Scope, protocol: HTTPProtocol) -> None:
    """Answer the path `/N` with N bytes."""
    length = int(scope.path.strip("/") or 0)
    protocol.response_bytes(200, [("content-type", "image/png")], bytes(length))
