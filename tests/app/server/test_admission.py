"""Admission: which requests are refused while many are under way, how they are refused, and which still come in."""

import asyncio
import http.client
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.server.admission import MAX_READ, Admission
from app.telemetry.metrics import Metrics
from harness.service import Service
from harness.tiny_models import make_tiny_model_folder
from tests.app.checks import assert_problem
from tests.app.server.test_protocol import connect, rest
from tests.services import running

SLOW = (
    b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 99\r\n\r\n"
)
BUSY = "/v1/samples?n=100000&format=zip&seed=1"
SMALL = "/v1/samples?n=1"


def gate(max_requests: int = 2) -> Admission:
    return Admission(metrics=Metrics(), root_path="/gan", max_requests=max_requests)


@pytest.mark.parametrize(
    ("requests", "slow", "url", "comes_in"),
    [
        (2, 0, b"/v1/samples", False),
        (2, 1, b"/v1/samples", True),
        (3, 1, b"/v1/samples", False),
        (9, 0, b"/healthz", True),
        (9, 0, b"/readyz?x=1", True),
        (9, 0, b"/gan/readyz", True),
        (9, 0, b"/readyzz", False),
        (9, 0, b"/metrics", False),
    ],
)
def test_who_comes_in(requests: int, slow: int, url: bytes, comes_in: bool) -> None:
    assert gate().lets_in(url, requests, lambda: slow) == comes_in


def test_a_pass_of_the_event_loop_reads_so_many() -> None:
    async def passes() -> list[int]:
        at = gate()
        counts = []
        for _ in range(2):
            counts.append(sum(at.may_read(0) for _ in range(MAX_READ + 10)))
            await asyncio.sleep(0)
        return counts

    assert asyncio.run(passes()) == [MAX_READ, MAX_READ]


def test_what_was_put_off_is_read_in_order_and_before_others() -> None:
    async def read() -> list[int]:
        at = gate()
        seen: list[int] = []
        for k in range(1000):
            at.put_off(lambda k=k: seen.append(k))  # type: ignore[misc]
        assert not at.may_read(0)
        while len(seen) < 1000:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert at.may_read(0)
        return seen

    assert asyncio.run(read()) == list(range(1000))


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with room for one request."""
    folder = tmp_path_factory.mktemp("narrow")
    make_tiny_model_folder(folder / "models" / "mnist-conv")
    with running(folder, models_dir=folder / "models", max_requests=1) as started:
        yield started


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> httpx.Response:
    connection.request(method, path, body)
    answer = connection.getresponse()
    return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


def test_a_service_that_is_full(narrow: Service) -> None:
    """It refuses any method with a problem and keeps the connection; health checks are not refused."""
    host, port = narrow.url.removeprefix("http://").split(":")
    with httpx.stream("GET", narrow.url + BUSY, timeout=60) as answer:
        taker = answer.iter_raw(65536)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        refused = 0
        asked = [("GET", SMALL, None), ("POST", "/v1/samples", b"{}"), ("GET", "/nothing", None), ("GET", SMALL, b"x")]
        while asked:  # until each has been refused: at a count, the archive may be waiting for this client
            for _ in range(3):
                next(taker)  # so that it does not count as slow
            method, path, body = asked[0]
            got = ask(connection, method, path, body)
            if got.status_code == 429:
                asked.pop(0)
                refused += 1
                assert_problem(got, 429, text="too many requests wait")
                assert got.headers["retry-after"] == "1"
                assert got.headers["cache-control"] == "no-store"
                assert "date" in got.headers
            assert ask(connection, "GET", "/healthz").status_code == 200
            assert ask(connection, "GET", "/readyz").status_code == 200
        connection.close()
    while narrow.client.get("/metrics").status_code == 429:  # until the archive has ended
        time.sleep(0.05)
    assert narrow.metric("gan_requests_shed_total") >= refused


@pytest.mark.parametrize("origins", ["https://a.example", pytest.param("*", marks=pytest.mark.slow)])
def test_a_page_may_read_that_it_is_refused(models_dir: Path, tmp_path: Path, origins: str) -> None:
    """Without the CORS headers, its browser would report a network failure."""
    page = {"Origin": "https://a.example"}
    preflight = page | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    with (
        running(tmp_path, models_dir=models_dir, max_requests=1, cors_origins=origins) as service,
        httpx.stream("GET", service.url + BUSY, timeout=60) as answer,
    ):
        taker, refused = answer.iter_raw(65536), 0
        while refused < 3:
            next(taker)
            got = service.client.get(SMALL, headers=page)
            assert got.headers["access-control-allow-origin"] in {"https://a.example", "*"}
            assert "Retry-After" in got.headers["access-control-expose-headers"]
            assert service.client.options("/v1/score", headers=preflight).status_code == 200
            refused += got.status_code == 429
        other = service.client.get(SMALL, headers={"Origin": "https://b.example"})
        assert ("access-control-allow-origin" in other.headers) == (origins == "*")


def test_slow_clients_keep_nobody_out(narrow: Service) -> None:
    slow = [connect(narrow) for _ in range(5)]
    try:
        for connection in slow:
            connection.sendall(SLOW)
        answers = [httpx.get(narrow.url + SMALL, timeout=60) for _ in range(20)]
        assert answers[-1].status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_old_clients_are_answered_and_left(narrow: Service) -> None:
    """With HTTP/1.0 the connection ends with the answer, whether the request is refused or not."""
    with httpx.stream("GET", narrow.url + BUSY, timeout=60) as answer:
        next(answer.iter_raw(65536))
        with connect(narrow) as connection:
            connection.sendall(b"GET /v1/samples?n=1 HTTP/1.0\r\nHost: x\r\n\r\n")
            assert rest(connection)[:12] in {b"HTTP/1.1 429", b"HTTP/1.1 200"}


def test_requests_behind_each_other_are_answered_in_order(narrow: Service) -> None:
    with connect(narrow) as connection:
        connection.settimeout(60)
        ends = b" HTTP/1.1\r\nHost: x\r\n"
        asked = [b"GET /v1/samples?n=1&seed=%d" % seed + ends + b"\r\n" for seed in range(5)]
        connection.sendall(b"".join(asked) + b"GET /healthz" + ends + b"Connection: close\r\n\r\n")
        received = rest(connection)
    assert received.count(b"HTTP/1.1 ") == 6
    assert received.endswith(b'{"status":"alive"}')


def test_a_hundred_connections_at_once(narrow: Service) -> None:
    connections = [connect(narrow) for _ in range(100)]
    for connection in connections:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert all(rest(connection).startswith(b"HTTP/1.1 200") for connection in connections)
    for connection in connections:
        connection.close()
