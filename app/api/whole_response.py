"""An answer that is known as a whole before its first byte is sent."""

from collections.abc import Mapping

from starlette.responses import Response


class WholeResponse(Response):
    """Bytes under headers that are complete but for length and type.

    Starlette's own looks for what is missing, in the headers and in the content: the answer is the same, and takes
    several times as long.

    Args:
        body: what is sent.
        headers: by name.
        status_code: a 304 has no body, and says nothing of its length.
        media_type: of the body.
    """

    def __init__(
        self, body: bytes, headers: Mapping[str, str], *, status_code: int = 200, media_type: str | None = None
    ) -> None:
        self.body = body
        self.status_code = status_code
        self.background = None
        self.raw_headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        if media_type is not None:
            self.raw_headers.append((b"content-length", b"%d" % len(body)))
            self.raw_headers.append((b"content-type", media_type.encode()))
