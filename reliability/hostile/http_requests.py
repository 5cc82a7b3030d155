"""Requests for `reliability.http_corpus`: bytes on a socket, and how they are sent.

Each case is a base request, what comes behind it, and how the bytes are cut. `reliability.hostile.http_judge` says what
the answers must be, so a case here states no expectation.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

HOST = b"Host: gan\r\n"
JSON = b'{"n": 1, "seed": 7}'
JSON_HEAD = b"POST /v1/samples HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /v1/samples?n=1&seed=7 HTTP/1.1\r\n" + HOST + b"\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
CHUNKS = b"5\r\n" + JSON[:5] + b"\r\n%x\r\n" % (len(JSON) - 5) + JSON[5:] + b"\r\n0\r\n"


@dataclass(frozen=True)
class RawRequest:
    """Bytes for one connection.

    Attributes:
        name: says what is special about the bytes.
        segments: the bytes, in parts that are sent one after the other, with a pause between them.
    """

    name: str
    segments: tuple[bytes, ...]

    @property
    def data(self) -> bytes:
        """All bytes of the case."""
        return b"".join(self.segments)


def get(
    *headers: bytes, target: bytes = b"/v1/samples?n=1&seed=7", version: bytes = b"1.1", host: bytes = HOST
) -> bytes:
    """A GET with these header lines."""
    return (
        b"GET " + target + b" HTTP/" + version + b"\r\n" + host + b"".join(one + b"\r\n" for one in headers) + b"\r\n"
    )


def post(*headers: bytes, body: bytes = JSON, length: bytes | None = None, version: bytes = b"1.1") -> bytes:
    """A POST of JSON with a Content-Length."""
    told = b"Content-Length: " + (b"%d" % len(body) if length is None else length)
    head = JSON_HEAD.replace(b"HTTP/1.1", b"HTTP/" + version)
    return head + b"".join(one + b"\r\n" for one in (*headers, told)) + b"\r\n" + body


BASES: dict[str, bytes] = {
    "GET": GET,
    "GET /healthz": HEALTH,
    "HEAD": GET.replace(b"GET", b"HEAD", 1),
    "HEAD of an archive": get(target=b"/v1/samples?n=1000&seed=7&format=npz").replace(b"GET", b"HEAD", 1),
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "DELETE": HEALTH.replace(b"GET", b"DELETE"),
    "unknown path": get(target=b"/nothing"),
    "absolute form": get(target=b"http://gan/healthz"),
    "absolute form without a path": get(target=b"http://gan"),
    "absolute form, a query and no path": get(target=b"http://gan?a=b"),
    "absolute form, upper case": get(target=b"HTTP://GAN/healthz"),
    "percent-encoded path": get(target=b"/%68ealthz"),
    "two Accept lines": get(b"Accept: text/html", b"Accept: image/png", target=b"/v1/samples?n=1&seed=7"),
    "two Accept lines, neither ours": get(b"Accept: text/html", b"Accept: text/css", target=b"/v1/samples?n=1&seed=7"),
    "If-None-Match *": get(b"If-None-Match: *"),
    'If-None-Match "a,*,b"': get(b'If-None-Match: "a,*,b"'),
    "If-None-Match in two lines": get(b'If-None-Match: "a"', b"If-None-Match: *"),
    "Expect": post(b"Expect: 100-continue"),
    "offer of h2c": get(
        b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"
    ),
    "offer of h2c with a body": post(
        b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"
    ),
    "offer of a web socket": get(
        b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    ),
    "offer of TLS with chunks": JSON_HEAD + b"Connection: upgrade\r\nUpgrade: TLS/1.0\r\n" + CHUNKED + CHUNKS + b"\r\n",
    "POST": post(),
    "POST, chunks": JSON_HEAD + CHUNKED + CHUNKS + b"\r\n",
    "POST, chunks in upper case": JSON_HEAD + CHUNKED + b"13\r\n".upper() + JSON + b"\r\n0\r\n\r\n",
    "POST, chunk extensions": JSON_HEAD + CHUNKED + b"13;a=b;c\r\n" + JSON + b"\r\n0;d\r\n\r\n",
    "trailer fields": JSON_HEAD + CHUNKED + CHUNKS + b"X-Sum: 1\r\n\r\n",
    "trailer Content-Type": JSON_HEAD + CHUNKED + CHUNKS + b"Content-Type: text/plain\r\n\r\n",
    "trailer Content-Length": JSON_HEAD + CHUNKED + CHUNKS + b"X-Length: 3\r\nIf-None-Match: *\r\n\r\n",
    "no host": get(host=b""),
    "two hosts": get(b"Host: gan"),
    "two other hosts": get(b"Host: other"),
    "empty host": get(host=b"Host:\r\n"),
    "host with a port": get(host=b"Host: gan:8000\r\n"),
    "host of IPv6": get(host=b"Host: [::1]:8000\r\n"),
    "host with a space": get(host=b"Host: gan gan\r\n"),
    "host with a path": get(host=b"Host: gan/path\r\n"),
    "HTTP/1.0": get(version=b"1.0"),
    "HTTP/1.0 without a host": get(version=b"1.0", host=b""),
    "HTTP/1.0, a zip": get(target=b"/v1/samples?n=3&seed=7&format=zip", version=b"1.0"),
    "HTTP/1.0, Expect": post(b"Expect: 100-continue", version=b"1.0"),
    "HTTP/1.0, two hosts": get(b"Host: gan", version=b"1.0"),
    "HTTP/2.0": get(version=b"2.0"),
    "HTTP/1.2": get(version=b"1.2"),
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "close": get(b"Connection: close"),
    "keep-alive": get(b"Connection: keep-alive"),
    "empty line before": b"\r\n" + GET,
    "header in upper case": get(b"ACCEPT: IMAGE/PNG"),
    "empty header": get(b"X-Empty:"),
    "header with tabs": get(b"X-Tab:\t a\tb \t"),
    "header beyond ASCII": get(b"X-Name: caf\xe9"),
    "folded header": get(b"X-Fold: a\r\n b"),
    "space before the colon": get(b"X-Space : a"),
    "no colon": get(b"X-Nothing"),
    "name with a bracket": get(b"X(a): b"),
    "empty name": get(b": a"),
    "NUL in a value": get(b"X-Nul: a\0b"),
    "CR in a value": get(b"X-Cr: a\rb"),
    "length twice, the same": post(b"Content-Length: 19"),
    "length twice": post(b"Content-Length: 18"),
    "length of a list": post(length=b"19, 19"),
    "length with a sign": post(length=b"+19"),
    "length below zero": post(length=b"-1"),
    "length in hex": post(length=b"0x13"),
    "length of no number": post(length=b"many"),
    "length and chunks": post(b"Transfer-Encoding: chunked"),
    "unknown coding": JSON_HEAD + b"Transfer-Encoding: cow\r\n\r\n",
    "chunked is not last": JSON_HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n",
    "chunk size of no number": JSON_HEAD + CHUNKED + b"zz\r\n" + JSON + b"\r\n0\r\n\r\n",
    "chunk size below zero": JSON_HEAD + CHUNKED + b"-13\r\n" + JSON + b"\r\n0\r\n\r\n",
    "chunk longer than told": JSON_HEAD + CHUNKED + b"3\r\n" + JSON + b"\r\n0\r\n\r\n",
    "method of a symbol": HEALTH.replace(b"GET", b"G T"),
    "method of nothing": HEALTH.replace(b"GET", b""),
    "target with a space": get(target=b"/a b"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "binary": bytes(range(256)),
}
"""Whole requests, right and wrong ones, by what is special."""

TAILS: dict[str, bytes] = {
    "": b"",
    "another behind it": HEALTH,
    "two behind it": GET + HEALTH,
    "garbage behind it": b"\x00garbage\r\n\r\n",
}


def cases() -> Iterator[RawRequest]:
    """All cases: each base with each tail, at once; and each base cut in pieces."""
    for (name, base), (behind, tail) in itertools.product(BASES.items(), TAILS.items()):
        yield RawRequest(f"{name}, {behind}" if behind else name, (base + tail,))
    for name, base in BASES.items():
        head, end, body = base.partition(b"\r\n\r\n")
        yield RawRequest(f"{name}, head and body apart", tuple(part for part in (head + end, body + HEALTH) if part))
        middle = len(base) // 2
        yield RawRequest(f"{name}, cut in the middle", (base[:middle], base[middle:]))
