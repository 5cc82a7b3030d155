"""Every answer has each security header once, whichever part of the service makes it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.server.uvicorn_server import SECURITY_HEADERS
from harness.service import Service
from tests.app.server.test_protocol import connect, rest
from tests.services import running


@pytest.fixture(scope="module")
def guarded(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(
        tmp_path_factory.mktemp("headers"),
        models_dir=models_dir,
        api_keys="a-key",
        cors_origins="https://a.example",
        max_body_bytes=2048,
    ) as started:
        yield started


def check(headers: httpx.Headers) -> None:
    for name, value in SECURITY_HEADERS:
        assert headers.get_list(name) == [value]
    assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/samples?n=1&seed=7", 200),  # the fast path
        ("HEAD", "/v1/samples?n=1&seed=7", 200),
        ("GET", "/v1/samples?n=0", 422),
        ("GET", "/v1/samples?model=nope", 404),
        ("GET", "/v1/samples?n=300&seed=7&format=npz", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/v1/models/mnist-conv/timeline/0.png", 200),
        ("DELETE", "/v1/models", 405),
        ("GET", "/nothing", 404),
        ("GET", "/", 200),
        ("GET", "/docs", 200),
        ("GET", "/redoc", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/static/icon.svg", 200),
        ("GET", "/static/nothing", 404),
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
        ("POST", "/admin/reload", 404),
    ],
)
def test_an_answer(guarded: Service, method: str, path: str, status: int) -> None:
    answer = guarded.client.request(method, path, headers={"Authorization": "Bearer a-key"})
    assert answer.status_code == status
    check(answer.headers)
    if path in ("/", "/docs", "/redoc"):
        assert "default-src" in answer.headers["content-security-policy"]


def test_answers_before_the_service(guarded: Service) -> None:
    key = {"Authorization": "Bearer a-key"}
    refused = guarded.client.get("/v1/models")
    preflight = guarded.client.options(
        "/v1/score", headers={"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}
    )
    large = guarded.client.post("/v1/samples", content=b"x" * 4096, headers=key)
    whole = guarded.client.get("/v1/samples?n=1&seed=7", headers=key)
    same = guarded.client.get("/v1/samples?n=1&seed=7", headers=key | {"If-None-Match": whole.headers["etag"]})
    answers = [refused, preflight, large, same]
    assert [answer.status_code for answer in answers] == [401, 200, 413, 304]
    for answer in answers:
        check(answer.headers)


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"nonsense\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 70_000, 431)],
)
def test_answers_of_the_server_itself(guarded: Service, sent: bytes, status: int) -> None:
    with connect(guarded) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        head = rest(connection).partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0].startswith(f"HTTP/1.1 {status} ")
    check(httpx.Headers([(name, value) for name, _, value in (line.partition(": ") for line in head[1:])]))
