"""Connections of clients that are slow, silent or send without end are ended, and other clients do not notice."""

import errno
import http.client
import json
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.server.protocol import MAX_HEAD_BYTES
from harness.repository import ROOT
from harness.service import Service
from reliability.hostile.http_judge import read_answers
from tests.services import running

HURRY = """
import sys
sys.path.insert(0, {root!r})
from app.server import sweeper
sweeper.SWEEP_S = 0.05
sweeper._LIMITS_S.update(idle=1.2, head=1.5, body=1.5, reading=1.5)
"""
IDLE = 1000


@pytest.fixture(scope="module")
def hasty(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with short timeouts, which are still longer than a test's client pauses on a busy machine."""
    folder = tmp_path_factory.mktemp("hasty")
    (folder / "code").mkdir()
    (folder / "code" / "sitecustomize.py").write_text(HURRY.format(root=str(ROOT)))
    with running(folder, models_dir=models_dir, python_path=folder / "code") as started:
        yield started


def connect(service: Service) -> socket.socket:
    host, port = service.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=120)


def rest(connection: socket.socket) -> bytes:
    """Return everything that comes until the other side ends the connection."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_a_head_without_end(service: Service) -> None:
    with connect(service) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ")
        try:
            for _ in range(3 * MAX_HEAD_BYTES // 1024):
                connection.sendall(b"a" * 1024)
        except (ConnectionResetError, BrokenPipeError):
            pass
        ended = rest(connection)  # nothing, if the connection was reset
        assert ended == b"" or ended.startswith(b"HTTP/1.1 431 ")
    assert service.client.get("/healthz").status_code == 200


def test_a_head_of_just_the_size(service: Service) -> None:
    long = "a" * (MAX_HEAD_BYTES - 1000)
    assert service.client.get("/healthz", headers={"X-Long": long}).status_code == 200


def test_a_body_is_not_a_head(service: Service) -> None:
    answer = service.client.post("/v1/score", files={"files": b"x" * (3 * MAX_HEAD_BYTES)})
    assert answer.status_code == 415


def test_silence(hasty: Service) -> None:
    with connect(hasty) as connection:
        assert rest(connection).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_a_head_that_never_ends(hasty: Service) -> None:
    with connect(hasty) as connection:
        connection.settimeout(0.1)
        began = time.monotonic()
        answer = b""
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        while not answer:
            assert time.monotonic() - began < 120
            try:
                connection.sendall(b"X: y\r\n")
                answer = connection.recv(1000)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def ask(connection: socket.socket, path: str) -> None:
    """Send one request and read its answer."""
    client = http.client.HTTPConnection("x")
    client.sock = connection
    client.request("GET", path)
    answer = client.getresponse()
    assert answer.status == 200
    answer.read()


@pytest.mark.parametrize("path", ["/healthz", "/v1/samples?n=1&seed=7"])
def test_nothing_more(hasty: Service, path: str) -> None:
    """A connection is closed without an answer once it is idle, but not between two quick requests."""
    with connect(hasty) as connection:
        for _ in range(8):
            ask(connection, path)
            time.sleep(0.2)  # altogether longer than a connection may be idle
        assert rest(connection) == b""


def test_a_second_head_that_never_ends(hasty: Service) -> None:
    with connect(hasty) as connection:
        ask(connection, "/healthz")
        connection.sendall(b"GET /healthz HTTP/1.1\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_never_comes(hasty: Service) -> None:
    with connect(hasty) as connection:
        head = b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        connection.sendall(head + b"Content-Length: 1000\r\n\r\n--b\r\n")
        assert rest(connection).startswith(b"HTTP/1.1 408 ")
    assert "Traceback" not in hasty.log.read_text()
    assert 'route="/v1/score",status="499"' in hasty.client.get("/metrics").text


def test_an_answer_that_nobody_reads(hasty: Service) -> None:
    with connect(hasty) as connection:
        connection.sendall(b"GET /v1/samples?n=100000&format=npz&seed=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(100)
        drawn = -1.0
        while drawn != hasty.metric("gan_images_generated_total"):  # until it no longer draws
            drawn = hasty.metric("gan_images_generated_total")
            time.sleep(1)
        received = len(rest(connection))
    assert received < 60_000_000  # the whole answer has 79 MB
    assert "Traceback" not in hasty.log.read_text()


def test_one_who_reads_nothing_sees_the_end(hasty: Service) -> None:
    """The connection is reset. A close after unread bytes would never arrive, and the kernel would keep the bytes."""
    with connect(hasty) as connection:
        connection.sendall(b"GET /v1/samples?n=100000&format=npz&seed=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        poll = select.poll()
        poll.register(connection, select.POLLRDHUP)
        assert poll.poll(120_000)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


def test_one_who_reads_slowly_gets_all(hasty: Service) -> None:
    with connect(hasty) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.sendall(b"GET /v1/samples?n=2000&format=npz&seed=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        received = b""
        while part := connection.recv(65536):
            received += part
            time.sleep(0.02)
    head, _, body = received.partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}\r\n".encode() in head
    assert received.count(b"PK\x03\x04") == 2


def test_many_idle_connections(hasty: Service) -> None:
    idle = [connect(hasty) for _ in range(IDLE)]
    try:
        for _ in range(20):
            assert httpx.get(f"{hasty.url}/healthz", timeout=120).status_code == 200
        assert all(rest(connection).startswith(b"HTTP/1.1 408 ") for connection in idle)
    finally:
        for connection in idle:
            connection.close()


def count_of(service: Service, status: int) -> float:
    """Return how many requests that were not routed have been answered with this status."""
    wanted = f'gan_http_requests_total{{method="other",route="other",status="{status}"}} '
    lines = service.client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (400, b"nonsense\r\n\r\n"),
        (400, b"GET /healthz HTTP/1.1\r\n\r\n"),
        (400, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nnonsense\r\n\r\n"),
        (408, b"GET /healthz HTTP/1.1\r\nHost: x\r\n"),
        (414, b"GET /healthz?" + b"a" * (MAX_HEAD_BYTES + 1)),
        (414, b"GET /healthz?" + b"a" * (MAX_HEAD_BYTES + 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n"),
        (431, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (MAX_HEAD_BYTES + 1)),
        (431, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * (MAX_HEAD_BYTES + 1) + b"\r\n\r\n"),
    ],
    ids=[
        "no-http",
        "no-host",
        "behind-a-request",
        "slow-head",
        "long-target",
        "whole-long-target",
        "long-head",
        "whole",
    ],
)
def test_what_cannot_be_read_is_counted(hasty: Service, status: int, sent: bytes) -> None:
    before = count_of(hasty, status)
    with connect(hasty) as connection:
        connection.sendall(sent)
        head, _, body = rest(connection).rpartition(b"\r\n\r\n")
    assert b"content-type: application/problem+json\r\n" in head
    assert json.loads(body)["status"] == status
    assert count_of(hasty, status) == before + 1


HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
SLOW = b"GET /v1/samples?n=3000&seed=7&format=npz HTTP/1.1\r\nHost: x\r\n\r\n"


def head_of(size: int, *, target: bytes = b"/healthz") -> bytes:
    """Return a head of exactly `size` bytes."""
    start = b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: "
    return start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 431)])
@pytest.mark.parametrize("before", [b"", HEALTH, HEALTH * 900, SLOW], ids=["first", "second", "late", "behind-slow"])
@pytest.mark.parametrize("cut", [None, -1, -40_000])
def test_a_head_at_the_limit(service: Service, more: int, status: int, before: bytes, cut: int | None) -> None:
    """However its bytes arrive, and whatever is answered before it."""
    sent = before + head_of(MAX_HEAD_BYTES + more)
    with connect(service) as connection:
        connection.sendall(sent[:cut])
        if cut is not None:
            time.sleep(0.1)  # so that the rest is read by itself
            connection.sendall(sent[cut:])
        answers = read_answers(rest(connection), [])
    assert [answer.status for answer in answers] == [200] * before.count(b"GET") + [status]


def test_a_head_without_end_behind_a_request(service: Service) -> None:
    """Its bytes were kept without limit as long as the request before it was answered."""
    with connect(service) as connection:
        connection.sendall(SLOW + b"GET /healthz HTTP/1.1\r\nX-Long: ")
        connection.sendall(b"a" * 8 * MAX_HEAD_BYTES)  # more than the server reads at once
        first, second = read_answers(rest(connection), [])
    assert (first.status, second.status) == (200, 431)
