"""Requests as bytes on a socket: several in a row, old versions, broken heads."""

from reliability.unchanged.drawings import SAMPLES
from reliability.unchanged.http_cases import FRIEND, KEY, STRANGER, Case


def bytes_on_a_socket() -> list[Case]:
    """Return all cases. The last request of each case ends the connection."""

    def head(target: str, *lines: str, version: str = "1.1", method: str = "GET") -> bytes:
        standing = ("Host: gan.test", f"Authorization: Bearer {KEY}")
        return "\r\n".join([f"{method} {target} HTTP/{version}", *standing, *lines, "", ""]).encode("latin-1")

    one, other, bad = f"{SAMPLES}?n=1&seed=7", f"{SAMPLES}?n=2&seed=8", f"{SAMPLES}?n=0"
    close, body = "Connection: close", "Content-Length: 19"
    post = head(SAMPLES, "Content-Type: application/json", body, method="POST") + b'{"n": 2, "seed": 7}'
    last = head("/healthz", close)
    sent = {
        "closed": head(one, close),
        "pipelined samples": head(one) + head(other) + head(one, close),
        "pipelined kinds": head(one) + post + head(bad) + head("/healthz") + head(f"{other}&format=json") + last,
        "pipelined with HEAD": head(one, method="HEAD") + head("/", method="HEAD") + last,
        # They share a connection: with one each, the moment at which the client leaves would decide what is drawn.
        "HEAD of archives": head(f"{one}&format=npz", method="HEAD") + head(f"{one}&format=zip", method="HEAD") + last,
        "twenty in a row": b"".join(head(f"{SAMPLES}?n=1&seed={seed}") for seed in range(20)) + last,
        "a key missing in a row": head(one) + b"GET /v1/models HTTP/1.1\r\nHost: gan.test\r\n\r\n" + last,
        "pipelined origins": head(one, f"Origin: {FRIEND}") + head(one) + head(one, f"Origin: {STRANGER}", close),
        "pipelined ids": head(one, "X-Request-Id: first") + head(bad, "X-Request-Id: second") + last,
        "HTTP/1.0": head(one, version="1.0"),
        "HTTP/1.0 kept": head(one, "Connection: keep-alive", version="1.0") + head(other, version="1.0"),
        "HTTP/1.0 JSON": head(f"{one}&format=json", version="1.0"),
        "HTTP/1.0 archive": head(f"{one}&format=npz", version="1.0"),
        "HTTP/1.0 refused": head(bad, version="1.0"),
        "a whole address": head(f"http://gan.test{one}", close),
        "a body with GET": head(one, body, close) + b'{"n": 2, "seed": 7}',
        "chunks": head(SAMPLES, "Content-Type: application/json", "Transfer-Encoding: chunked", close, method="POST")
        + b'9\r\n{"n": 2, \r\nA\r\n"seed": 7}\r\n0\r\n\r\n',
        "an expected body": head(SAMPLES, "Expect: 100-continue", body, close, method="POST") + b'{"n": 2, "seed": 7}',
        "a claimed body beyond the limit": head(SAMPLES, "Content-Length: 99999999", close, method="POST"),
        "no HTTP": b"no HTTP\r\n\r\n",
        "no host": b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        "a space in the target": head("/v1/samples?n=1 &seed=7", close),
        "a byte beyond ASCII": head("/v1/samples?n=1&seed=7&model=\xff", close),
        "a head beyond the limit": head(one, "X-Long: " + "y" * 70_000, close),
        "many headers": head(one, *(f"X-{k}: y" for k in range(300)), close),
        "an upgrade": head(one, "Upgrade: websocket", "Connection: Upgrade, close", "Sec-WebSocket-Version: 13"),
    }
    return [Case(method="RAW", target=name, raw=data) for name, data in sent.items()]
