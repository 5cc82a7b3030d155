"""One request to a service, and its answer in a form that can be compared."""

import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection

HOST = "127.0.0.1"
TIMEOUT_S = 120
NAMED_HOST = "gan.test"
"""The Host header of every request: answers must not depend on the service's port."""

DRAWN = "the-seed-is-drawn"
"""The X-Request-Id of requests whose answers are random."""

KEY, ADMIN_KEY = "correct-horse", "battery-staple"
FRIEND, STRANGER = "https://friend.example", "https://stranger.example"
"""Origins of pages that may and may not read the answers."""

GIVEN_IDS = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
"""Ids that look random but are not, because cases send them."""

_RANDOM_ID = re.compile(r"[0-9a-f]{32}")
_VOLATILE = re.compile(rb"(?im)^(date|last-modified): [^\r\n]*(\r\netag: [^\r\n]*)?")
_RANDOM_ID_LINE = re.compile(rb"(?im)^(x-request-id): ([0-9a-f]{32})\r?$")

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Case:
    """A request.

    Attributes:
        target: the path and the query.
        method: the HTTP method.
        headers: headers besides Host and Content-Length.
        body: the body; empty if there is none.
        note: a note that distinguishes cases of the same target.
        is_drawn: whether the answer differs each time, as with a seed that the service draws. Then only its status and
            the names of its headers are compared.
        raw: all bytes to send, in place of everything else.
    """

    target: str = ""
    method: str = "GET"
    headers: Headers = ()
    body: bytes = b""
    note: str = ""
    is_drawn: bool = False
    raw: bytes = b""

    @property
    def name(self) -> str:
        """The name in tables and errors."""
        shown = [f"{name}: {value[:80]}" for name, value in self.headers]
        return "; ".join([f"{self.method} {self.target[:300]}", *shown, *([self.note] if self.note else [])])


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        compared: the status, the headers and the body, without what is volatile.
        etag: the ETag header, if there is one.
        is_file: whether the ETag is made from the time of a file.
    """

    compared: bytes
    etag: str = ""
    is_file: bool = False

    def without(self, tag: str) -> bytes:
        """Return what is compared, without an ETag that is made from the time of a file: a checkout sets that time."""
        return self.compared.replace(tag.encode(), b"TIME")


def ask(port: int, case: Case, more: Headers = (), prefix: str = "") -> Answer:
    """Send a request on a connection of its own.

    Args:
        port: the port of the service.
        case: the request.
        more: headers that are added unless the case has them.
        prefix: a prefix of the target.
    """
    if case.raw:
        return Answer(hide_volatile_lines(exchange(port, case.raw)))
    connection = HTTPConnection(HOST, port, timeout=TIMEOUT_S)
    try:
        connection.putrequest(case.method, prefix + case.target, skip_host=True, skip_accept_encoding=True)
        for name, value in _all_headers(case, more):
            connection.putheader(name, value)
        connection.endheaders(case.body or None)
        response = connection.getresponse()
        headers, body = response.getheaders(), response.read()
        first = f"HTTP/{response.version / 10} {response.status} {response.reason}"
    finally:
        connection.close()
    etag, is_file = response.headers.get("etag", ""), "last-modified" in response.headers
    answer = Answer(_compared(first, headers, body, is_drawn=case.is_drawn), etag, is_file)
    return Answer(answer.without(etag), etag, is_file) if is_file else answer


def exchange(port: int, data: bytes) -> bytes:
    """Send bytes, and read until the service ends the connection."""
    with socket.create_connection((HOST, port), timeout=TIMEOUT_S) as connection:
        connection.sendall(data)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def hide_volatile_lines(answers: bytes) -> bytes:
    """Replace the dates and random ids in answers that came from a socket."""
    answers = _VOLATILE.sub(rb"\1: TIME", answers)
    return _RANDOM_ID_LINE.sub(lambda line: line[0] if line[2].decode() in GIVEN_IDS else b"x-request-id: ID", answers)


def hide_random_id(text: str) -> str:
    """Return "ID" in place of a random id; an id that a case has sent stays."""
    return "ID" if _RANDOM_ID.fullmatch(text) and text not in GIVEN_IDS else text


def _all_headers(case: Case, more: Headers) -> list[tuple[str, str]]:
    own = {name.lower() for name, _ in case.headers}
    headers = [("Host", NAMED_HOST), *case.headers, *(pair for pair in more if pair[0].lower() not in own)]
    if case.is_drawn and "x-request-id" not in own:
        headers.append(("X-Request-Id", DRAWN))
    if (case.body or case.method == "POST") and not own & {"content-length", "transfer-encoding"}:
        headers.append(("Content-Length", str(len(case.body))))
    return [(name, value) for name, value in headers if value]


def _compared(first: str, headers: Iterable[tuple[str, str]], body: bytes, *, is_drawn: bool) -> bytes:
    headers = list(headers)
    if is_drawn:
        return "\n".join([first, *(name for name, _ in headers)]).encode()
    lines = [f"{name}: {_shown(name.lower(), value)}" for name, value in headers]
    return "\n".join([first, *lines, "", ""]).encode() + body


def _shown(name: str, value: str) -> str:
    if name in {"date", "last-modified"}:
        return "TIME"
    return hide_random_id(value) if name == "x-request-id" else value
