"""Errors have one shape, whatever is asked; and nothing that a client sends is a fault of ours."""

import random
import re
from urllib.parse import quote

import httpx
import pytest

from harness.service import Service
from tests.app.checks import assert_problem

PATHS = [
    "/",
    "/v1",
    "/v1/samples",
    "/v1/interpolations",
    "/v1/score",
    "/v1/models",
    "/v1/models/mnist-conv",
    "/v1/models/nope",
    "/v1/models/mnist-conv/history",
    "/v1/models/mnist-conv/timeline",
    "/v1/models/mnist-conv/timeline/0.png",
    "/v1/models/mnist-conv/timeline/x.png",
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/static/page.css",
    "/static/../main.py",
    "/static/%2e%2e/main.py",
    "/nothing",
    "//",
    "/v1/samples/",
    "/v1/models/..%2f..%2fetc",
    "/\u00e4",
    "/v1/models/%ff",
]
VALUES = [
    "",
    "0",
    "1",
    "-1",
    "64",
    "1e9",
    "nan",
    "inf",
    "x",
    "7" * 400,
    "\x00",
    "%",
    "ü",
    "[]",
    "{}",
    "null",
    "true",
    "png",
    "json",
    "gif",
    "1,2",
    "*",
]
NAMES = [
    "n",
    "seed",
    "first",
    "model",
    "columns",
    "padding",
    "scale",
    "truncation",
    "digit",
    "seeds",
    "steps",
    "mode",
    "loop",
    "duration_ms",
    "format",
    "preprocess",
    "explain",
    "files",
    "zz",
]
BODIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"NaN",
    b'{"n":1}',
    b'{"latents":[[1]]}',
    b'{"latents":[[' + b"0," * 15 + b"0]]}",
    b"\xff\x00",
    b"[" * 2000,
    b"--x\r\n\r\n--x--",
    b'{"latents":{"a":1}}',
    b'{"n":' + b"1" * 5000 + b"}",
    b'{"seed":1e999}',
    b'"\\ud800"',
]
TYPES = [
    "application/json",
    "multipart/form-data; boundary=x",
    "text/plain",
    "",
    "application/json; charset=utf-16",
    "\\",
]


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/samples/1", "/v1/models/mnist-conv/nothing", "/static/nothing.js", "/docs/x"]
)
def test_unknown_path(client: httpx.Client, path: str) -> None:
    assert_problem(client.get(path), 404, text=path)


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/v1/samples"), ("GET", "/v1/score"), ("POST", "/healthz"), ("DELETE", "/")]
)
def test_unknown_method(client: httpx.Client, method: str, path: str) -> None:
    problem = client.request(method, path)
    assert_problem(problem, 405, text=method)
    assert problem.headers["allow"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/samples", "GET, HEAD, POST"),  # two routes
        ("OPTIONS", "/v1/samples", "GET, HEAD, POST"),
        ("DELETE", "/v1/score", "POST"),
        ("POST", "/v1/models/mnist-conv/timeline/0.png", "GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/static/icon.svg", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/gan"])
def test_every_method_of_a_path_is_named(
    client: httpx.Client, prefixed_service: Service, method: str, path: str, allowed: str, prefix: str
) -> None:
    answer = (prefixed_service.client if prefix else client).request(method, prefix + path)
    assert_problem(answer, 405)
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("body", [b"x", b'{"n":1', b"{'n':1}", b"\x1f\x8b\x08"])
def test_a_body_that_is_no_json_is_named(client: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    problem = assert_problem(client.post("/v1/samples", content=body, headers=headers), 422, parameter="body")
    (error,) = problem["errors"]
    assert re.fullmatch(r"the body is not JSON: .+ at line 1 column \d+", error["detail"])
    assert error["value"] is None


def test_errors_are_not_cached(client: httpx.Client) -> None:
    assert client.get("/v1/samples?n=0").headers["cache-control"] == "no-store"


def test_all_bad_parameters_are_named_at_once(client: httpx.Client) -> None:
    problem = assert_problem(client.get("/v1/samples?n=0&scale=99&zz=1"), 422)
    assert {error["parameter"] for error in problem["errors"]} == {"n", "scale", "zz"}
    assert {error["value"] for error in problem["errors"]} == {"0", "99", "1"}


def test_long_values_are_cut(client: httpx.Client) -> None:
    problem = assert_problem(client.get(f"/v1/samples?format={'x' * 5000}"), 422, parameter="format")
    assert len(problem["errors"][0]["value"]) == 200


def test_no_path_of_the_machine_in_any_error(service: Service, models_dir: object) -> None:
    for path in ("/v1/models", "/readyz", "/v1/samples?model=truncated", "/v1/samples?model=empty"):
        assert str(models_dir) not in service.client.get(path).text


def test_seeded_nonsense_is_never_a_server_error(service: Service) -> None:
    """600 requests put together at random from hostile parts: each is answered below 500 and in time."""
    rng = random.Random(2014)
    for _ in range(600):
        method = rng.choice(["GET", "GET", "POST", "POST", "HEAD", "PUT", "OPTIONS"])
        query = "&".join(f"{rng.choice(NAMES)}={rng.choice(VALUES)}" for _ in range(rng.randrange(4)))
        target = quote(f"{rng.choice(PATHS)}?{query}", safe="/?&=%{}[]*:.")
        url = httpx.URL(service.url).copy_with(raw_path=target.encode())
        headers = {
            "Content-Type": rng.choice(TYPES),
            "Accept": rng.choice(["*/*", "application/json", "x;q=a", "image/png"]),
        }
        body = rng.choice(BODIES) if method in ("POST", "PUT") else b""
        response = service.client.request(method, url, content=body, headers=headers)
        assert response.status_code < 500, (method, url, body[:80], headers, response.text[:300])
        if response.status_code >= 400 and method != "HEAD" and b"Invalid HTTP" not in response.content:
            assert_problem(response, response.status_code)
    assert service.client.get("/readyz").json()["ready"]
    assert "Traceback" not in service.log.read_text()
