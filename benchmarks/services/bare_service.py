"""The smallest service for uvicorn: an ASGI callable that answers with as many bytes as the path says."""

from starlette.types import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the path `/N` with N bytes."""
    del receive
    if scope["type"] != "http":
        return
    body = bytes(int(scope["path"].strip("/") or 0))
    headers = [(b"content-type", b"image/png"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
