"""What a server has to answer to bytes on a connection: h11 reads them, and a table says what our paths answer.

h11 (https://h11.readthedocs.io) is an independent implementation of RFC 9112. Where the RFC leaves a server the choice,
or h11 does not look, `JUDGED_BY_HAND` says what our service does, and why.
"""

import re
from typing import NamedTuple

import h11

from reliability.hostile.http_requests import RawRequest

BAD = 400


class RawAnswer(NamedTuple):
    """One answer that was read.

    Attributes:
        status: its status.
        headers: by name in lower case.
        body: its body, without framing.
    """

    status: int
    headers: dict[bytes, bytes]
    body: bytes


JUDGED_BY_HAND: dict[str, tuple[int, ...]] = {
    # RFC 9112, section 3.2: h11 takes any Host.
    "host with a space": (BAD,),
    "host with a path": (BAD,),
    "HTTP/1.0, two hosts": (BAD,),
    # RFC 9110, section 2.5: a server may refuse versions; h11 takes any.
    "HTTP/1.2": (BAD,),
    "HTTP/2.0": (BAD,),
    "preface of HTTP/2": (BAD,),
    # RFC 9112, section 5.2: a server may refuse a folded header; h11 reads the fold as a space.
    "folded header": (BAD,),
    # RFC 9112, section 6.3: a request with both framings may be refused, h11 reads the chunks.
    "length and chunks": (BAD,),
    "length of a list": (BAD,),
    "length twice, the same": (BAD,),
}
"""By the name of the base: the answers, where h11 is not the judge. Nothing behind such a request is answered."""


def expected(case: RawRequest) -> list[int]:
    """The statuses that must come, in order. The client ends its sending side behind the last byte."""
    for name, by_hand in JUDGED_BY_HAND.items():
        if case.name == name or case.name.startswith(f"{name}, "):
            return list(by_hand)
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(case.data.lstrip(b"\r\n"))  # RFC 9112, section 2.2: empty lines before are ignored
    statuses: list[int] = []
    while True:
        try:
            request, complete = _next_request(connection)
        except h11.RemoteProtocolError:
            return [*statuses, BAD]
        if request is None or not complete:  # nobody waits for the answer to a part of a request
            return statuses
        statuses.append(status_of(request))
        connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
        connection.send(h11.EndOfMessage())
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return statuses
        connection.start_next_cycle()


def _next_request(connection: h11.Connection) -> tuple[h11.Request | None, bool]:
    request = None
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request, True
        elif isinstance(event, h11.ConnectionClosed) or event in (h11.NEED_DATA, h11.PAUSED):
            return request, False


def status_of(request: h11.Request) -> int:
    """Return the status that our service must answer to a valid request."""
    path = re.sub(rb"(?i)^https?://[^/?]*", b"", request.target).partition(b"?")[0] or b"/"
    if path == b"/v1/samples":
        if request.method == b"POST":
            return 200
        tags = [value for name, value in request.headers if name == b"if-none-match"]
        if tags == [b"*"]:
            return 304
        accepts = [value for name, value in request.headers if name == b"accept"]
        return 406 if accepts and not any(b"image/png" in value.lower() for value in accepts) else 200
    known = {b"/healthz", b"/%68ealthz", b"/"}
    if path not in known:
        return 404
    return 200 if request.method in (b"GET", b"HEAD") else 405


def read_answers(data: bytes, methods: list[bytes]) -> list[RawAnswer]:
    """Return the answers on a connection, without interim ones (1xx).

    Args:
        data: all bytes that came, until the end of the connection.
        methods: the methods of the requests, in order; an answer to HEAD has no body.

    Raises:
        ValueError: the bytes are not whole answers.
    """
    answers: list[RawAnswer] = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        status_line, *lines = head.split(b"\r\n")
        found = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [A-Za-z' -]*", status_line)
        if not end or found is None:
            raise ValueError(f"no head of an answer: {head[:80]!r}")
        status = int(found[1])
        if status < 200:
            continue
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        method = methods[len(answers)] if len(answers) < len(methods) else b"GET"
        body, data = _body(headers, data, has_body=method != b"HEAD" and status not in (204, 304))
        answers.append(RawAnswer(status, headers, body))
    return answers


def _body(headers: dict[bytes, bytes], data: bytes, *, has_body: bool) -> tuple[bytes, bytes]:
    if not has_body:
        return b"", data
    if headers.get(b"transfer-encoding") == b"chunked":
        body = b""
        while True:
            size, end, data = data.partition(b"\r\n")
            length = int(size, 16)
            if not end or data[length : length + 2] != b"\r\n":
                raise ValueError(f"no chunk: {size[:40]!r}")
            body, data = body + data[:length], data[length + 2 :]
            if length == 0:
                return body, data
    if b"content-length" not in headers:
        return data, b""
    length = int(headers[b"content-length"])
    if len(data) < length:
        raise ValueError(f"{len(data)} bytes of a body of {length}")
    return data[:length], data[length:]
