"""A response whose body and headers are known when it is made."""

from collections.abc import Mapping

from starlette.responses import Response


class WholeResponse(Response):
    """A response of known bytes. Only Content-Length and Content-Type are added to the headers.

    It sends what Starlette's `Response` would send. That class also searches the headers for what is missing and
    converts the body, which takes several times as long.

    Args:
        body: the bytes to send.
        headers: all other headers, by name.
        status_code: the status.
        media_type: the Content-Type; None for an answer without a body, such as a 304, which gets neither header.
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


class HeadResponse(WholeResponse):
    """The answer to a HEAD: the headers of GET's answer. It has no length if only drawing the body would give it.

    Args:
        headers: the headers by name, with Content-Length if it is known.
        media_type: the Content-Type of GET's answer.
    """

    def __init__(self, headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(b"", {**headers, "content-type": media_type})
