"""uvicorn's HTTP protocol, with rules of RFC 9110 and RFC 9112 that uvicorn does not follow.

These rules are added: bytes that are not HTTP get a 400 after the answers to the requests before them; a client that
ends its sending side still gets its answers; an offer to upgrade is declined, and the request's body is read; trailer
fields do not become headers; a request needs one valid Host; a transfer coding other than chunked is refused; HTTP/1.0
clients get neither chunks nor 100 Continue.
"""

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.problems import Problem
from app.request_headers import join_repeated

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

LINGER_S = 1.0
"""Seconds for which bytes of a client that was refused are still taken, and thrown away, before the connection ends.

The kernel resets a closed connection when more bytes arrive, and the client may then lose the answer.
"""

PROBE_S = 0.5
"""Seconds between two probes whether a client that has ended its sending side still waits for its answer."""

_HOST = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE = re.compile(rb"(?i)https?://([^/?#]+)(.*)", re.DOTALL)
_FRAMING = {b"content-length", b"transfer-encoding"}


class StrictProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, made as strict as RFC 9112 demands. Its arguments are uvicorn's.

    Attributes:
        in_head: whether a part of a request's head (request line and headers) has arrived, but not all of it.
        in_body: whether a request's head has arrived, but not all of its body.
        is_broken: whether no further bytes are read.
        running: the request that is being answered, or the last one that was; later requests may wait after it.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:  # noqa: ANN401  (uvicorn's)
        super().__init__(*arguments, **more)
        self.in_head = False
        self.in_body = False
        self.running: RequestResponseCycle | None = None
        self._hosts = 0
        self._host = b""
        self._codings = b""
        self._good_host: bytes | None = None
        self._repeats_head = False
        self.is_broken = False
        self._is_refused = False

    @property
    def is_answering(self) -> bool:
        """Whether there is a request that has not been answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        """Handle bytes from the client."""
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Pass bytes to the HTTP parser. After bytes that are not HTTP, nothing more is read."""
        if self.is_broken:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__
            self.refuse_the_rest(cause if isinstance(cause, BadHeadError) else BadHeadError(str(error)))

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own; uvicorn always closes
        """Handle the end of the client's sending side: complete requests are answered, and then the connection ends.

        Returns:
            Whether the connection stays open for answers.
        """
        if not self.is_answering:
            return False
        if self.in_body:  # the last request will never be complete
            if not self.pipeline:
                return False
            refusal: Any = Refusal(400, "the request is not complete: its body ended early")
            self.pipeline[0] = (self.cycle, refusal)
            self.count_unreadable(400)
        self.cycle.keep_alive = False
        self.is_broken = True
        self.loop.call_later(PROBE_S, self._probe)
        return True

    def _probe(self) -> None:
        """Find out whether a client has gone: only its reaction to bytes that we send can show this.

        We send 100 Continue, an interim response that a client of HTTP/1.1 ignores (RFC 9110, section 15.2).
        """
        running = self.running
        if self.transport.is_closing() or not self.is_answering or running is None:
            return
        if not running.response_started and running.scope["http_version"] == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.loop.call_later(PROBE_S, self._probe)

    def on_message_begin(self) -> None:
        """Handle the first byte of a request."""
        if self._repeats_head:
            return
        self.in_head = True
        self._hosts = 0
        self._codings = b""
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Handle a part of the request's target."""
        if not self._repeats_head:
            self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Handle a header that the parser has read. Trailer fields are dropped (RFC 9110, section 6.5.1)."""
        if self.in_body or self._repeats_head:
            return
        name = name.lower()
        if name == b"host":
            self._hosts += 1
            self._host = value
        elif name == b"transfer-encoding":
            self._codings += b"," + value
        elif name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Handle the end of a head.

        Raises:
            BadHeadError: the head is not valid; the parser hands it to `data_received`.
        """
        if self._repeats_head:
            self._repeats_head = False
            return
        version = self.parser.get_http_version()
        self._check_head(version)
        if not self.url.startswith(b"/"):
            self.url = _origin_form(self.url)
        if len(dict(self.headers)) < len(self.headers):
            self.headers[:] = join_repeated(self.headers)
        self.in_head, self.in_body = False, True
        before = self.cycle
        try:
            self._begin_request()
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError) as error:
            self.in_body = False
            raise BadHeadError(f"the target {self.url[:100]!r} is not valid; send a path, percent-encoded") from error
        if version == "1.0" and self.cycle is not before:
            _speak_http_1_0(self.cycle)

    def count_unreadable(self, status: int) -> None:
        """Count an answer with this status to a request that could not be read. This class itself counts nothing."""

    def _begin_request(self) -> None:
        """Begin the request whose head has been read."""
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        self.running = cycle
        self._begin_answer(cycle, app)

    def _begin_answer(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        """Start the task that answers a request."""
        cycle.transport = cast("asyncio.Transport", _AnswerTransport(self))
        super()._start_asgi_task(cycle, app)

    def on_message_complete(self) -> None:
        """Handle the end of a request: the next bytes belong to the head of another request."""
        if self.parser.should_upgrade():  # the parser has skipped the body: `_decline_upgrade` reads it
            return
        self.in_body = False
        if self.cycle is not None:  # there is none as long as all requests of a connection were refused
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the end of the connection: inform the request that is being answered, and drop the later ones."""
        self.pipeline.clear()
        if self.running is not None and not self.running.response_complete:
            self.running.disconnected = True
            self.running.message_event.set()
        super().connection_lost(exc)

    def _check_head(self, version: str) -> None:
        if self._codings:
            _check_codings(self._codings, version)
        if self._hosts == 1 and self._host == self._good_host and version == "1.1":
            return
        if version not in ("1.0", "1.1"):
            raise BadHeadError(f"HTTP/{version} is not spoken here; send HTTP/1.1 or HTTP/1.0")
        if self._hosts > 1:
            raise BadHeadError(f"{self._hosts} Host headers came with one request; send one")
        if self._hosts == 0:
            if version == "1.1":
                raise BadHeadError("a request of HTTP/1.1 needs a Host header; send one")
            return
        if not _HOST.fullmatch(self._host):
            raise BadHeadError(f"Host: {self._host[:100]!r} is not a host with an optional port")
        self._good_host = self._host

    def _decline_upgrade(self, rest: bytes) -> None:
        """Continue in HTTP/1.1 after a head that offered another protocol.

        The parser does not read a body after such a head. So a new parser gets a head with the same body length but
        without the offer.

        Args:
            rest: the bytes after the head.
        """
        framing = [b"%b: %b\r\n" % header for header in self.headers if header[0] in _FRAMING]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._repeats_head = True
        self._feed(b"".join([b"POST / HTTP/1.1\r\n", *framing, b"\r\n"]))
        if rest:
            self._feed(rest)

    def refuse_the_rest(self, error: "BadHeadError") -> None:
        """Refuse bytes that cannot be read as requests, after all answers that are due, and end the connection."""
        self.is_broken = self._is_refused = True
        refusal: Any = Refusal(error.status, str(error))
        if not self.is_answering:
            if not self.in_body:  # else they are the rest of a request that has been answered
                self.transport.write(refusal.written(self.server_state.default_headers))
                self.count_unreadable(error.status)
            self.end_gently()
        elif not self.in_body:  # they are the head of another request, which waits for its turn
            self.cycle = self._cycle_without_request()
            self.pipeline.appendleft((self.cycle, refusal))
            self.count_unreadable(error.status)
        elif self.pipeline:
            self.cycle.keep_alive = False
            self.pipeline[0] = (self.cycle, refusal)
            self.count_unreadable(error.status)
        else:  # its body is being waited for
            if not self.cycle.response_started:
                self.transport.write(refusal.written(self.server_state.default_headers))
            self.end_gently()

    def end(self) -> None:
        """End the connection after its last answer: gently, if the client may still be sending."""
        if self.in_body or self._is_refused:
            self.end_gently()
        else:
            self.transport.close()

    def end_gently(self) -> None:
        """End the connection once the client has had time to read the answer. What it still sends is thrown away."""
        if self.transport.is_closing():
            return
        self.is_broken = True
        self.pipeline.clear()
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _cycle_without_request(self) -> RequestResponseCycle:
        return RequestResponseCycle(
            scope={**self.cycle.scope, "method": "GET", "headers": []},
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )


class _AnswerTransport:
    """The transport of one answer. It is the connection's, but its end leaves the client time to read the answer."""

    def __init__(self, protocol: StrictProtocol) -> None:
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing
        self.abort = protocol.transport.abort
        self.close = protocol.end


class BadHeadError(Exception):
    """A request cannot be read: its head is not valid by RFC 9112, or beyond what the service takes.

    Args:
        detail: a text that says what is wrong.
        status: the status of the answer.
    """

    def __init__(self, detail: str, status: int = 400) -> None:
        super().__init__(f"the request is not valid HTTP: {detail}" if status == 400 else detail)
        self.status = status


class Refusal:
    """An ASGI application that answers with a problem document.

    Args:
        status: the status of the answer.
        detail: a text that says what is wrong, and what to do.
    """

    def __init__(self, status: int, detail: str) -> None:
        self._response = Problem(status, detail).response()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._response(scope, receive, send)

    def written(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the whole answer as bytes. It says that the connection ends.

        Args:
            headers: the headers that every answer has.
        """
        lines = [*headers, *self._response.raw_headers, (b"connection", b"close")]
        head = b"".join(b"%b: %b\r\n" % line for line in lines)
        return b"".join((STATUS_LINE[self._response.status_code], head, b"\r\n", bytes(self._response.body)))


def _check_codings(codings: bytes, version: str) -> None:
    """Refuse a body that would be misread (RFC 9112, section 6.1). The parser ignores all codings but the last one.

    Args:
        codings: the values of all Transfer-Encoding headers, with commas between them.
        version: the request's version of HTTP.

    Raises:
        BadHeadError: 400 if the last coding is not chunked, or with HTTP/1.0; 501 for other codings before it.
    """
    if version == "1.0":
        raise BadHeadError("Transfer-Encoding came with HTTP/1.0, which does not have it; send Content-Length")
    names = [name for coding in codings.split(b",") if (name := coding.strip(b" \t").lower())]
    sent = b", ".join(names)[:100].decode("latin-1")
    if names[-1:] != [b"chunked"]:
        raise BadHeadError(
            f"the last coding of Transfer-Encoding is not chunked, but it has {sent!r}; send Content-Length"
        )
    if len(names) > 1:
        detail = (
            f"Transfer-Encoding: {sent} is not supported; send the body uncompressed, with the coding chunked alone"
        )
        raise BadHeadError(detail, HTTPStatus.NOT_IMPLEMENTED)


def _origin_form(target: bytes) -> bytes:
    """Return the path and query of a target that does not begin with a slash (RFC 9112, section 3.2).

    Raises:
        BadHeadError: the target is neither `*` nor the URL of a service.
    """
    if target == b"*":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not _HOST.fullmatch(absolute[1]):
        raise BadHeadError(f"the target {target[:100]!r} is neither a path nor a URL of HTTP; send a path")
    return absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]


def _speak_http_1_0(cycle: RequestResponseCycle) -> None:
    """Change a request's `send` so that its answer follows HTTP/1.0: without 100 Continue, and without chunks.

    An answer whose length is unknown ends when the connection ends.

    Args:
        cycle: uvicorn's object for the request; changed in place.
    """
    cycle.waiting_for_100_continue = False
    send, has_length = cycle.send, True

    async def send_without_chunks(message: Any) -> None:  # noqa: ANN401  (uvicorn's own type of a message)
        nonlocal has_length
        if message["type"] == "http.response.start":
            has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            if not has_length:
                cycle.chunked_encoding = False
        elif not has_length:
            cycle.expected_content_length = len(message.get("body", b""))
        await send(message)

    vars(cycle)["send"] = send_without_chunks
