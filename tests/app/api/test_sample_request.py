"""Requests for samples are parsed as FastAPI would parse them, and counted; faults are reported."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import pytest
import torch
from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from numpy.testing import assert_array_equal

from app.api import caching, sample_request
from app.api.sample_request import SampleRequests, _validated
from app.api.schemas.samples import SamplesQuery
from app.api.strict_route import StrictRoute, given_in
from app.inference.catalog import load_catalog
from app.main import create_app
from app.settings import Settings

VALUES: dict[str, list[str]] = {
    "n": ["1", "2", "65", "0", "-1", "x", "", "1.0", "1e1", "%31", "+1", " 1", "٣", "4097", "100001", "true"],
    "seed": ["0", "7", "9007199254740991", "9007199254740992", "-1", "nan", "7.5", "07", "1_0"],
    "first": ["0", "3", "9007199254740991", "9007199254740992"],
    "columns": ["1", "3", "4097", "0", ""],
    "padding": ["0", "5", "65", "None"],
    "scale": ["1", "3", "17"],
    "truncation": ["0.5", "1", "0", "nan", "inf", "1e-300", "1.5"],
    "digit": ["3", "10", "null", ""],
    "model": ["conv", "digits", "digits%40", "nothing", "truncated", "conv@000000000000", "%FF", "a+b", "x" * 101],
    "format": ["png", "json", "npz", "zip", "gif", "PNG", ""],
    "more": ["1"],
}
ACCEPT = ["*/*", "application/json", "image/png;q=0.5, application/zip", "text/html", ""]
RAW = [
    "",
    "&",
    "n",
    "n=1&n=2",
    "seed=7&&n=1",
    "seed=7&n=1&",
    "=1",
    "seed=7;n=1",
    "seed=7&n=1#x",
    "%6E=1&seed=7",
    "n=1%00&seed=7",
]


@asynccontextmanager
async def served(models_dir: Path) -> AsyncIterator[httpx.AsyncClient]:
    application = create_app(Settings(models_dir=models_dir, root_path="/gan"))
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://gan") as client:
            yield client


def requests() -> list[tuple[str, dict[str, str]]]:
    """(query, headers) of requests with one parameter at a time, then with several at random. None lacks a seed."""
    rng = np.random.default_rng(5)
    queries = [
        f"seed=7&n=2&{name}={value}" for name, values in VALUES.items() for value in values if name not in {"n", "seed"}
    ]
    queries += [f"seed=7&n={value}" for value in VALUES["n"]] + [f"n=2&seed={value}" for value in VALUES["seed"]]
    for _ in range(400):
        chosen = rng.choice(list(VALUES)[1:], rng.integers(1, 6), replace=False)
        pairs = [f"{name}={rng.choice(VALUES[name])}" for name in chosen if name != "seed"]
        queries.append("&".join([f"n={rng.integers(1, 4)}", f"seed={rng.integers(0, 100)}", *pairs]))
    cases: list[tuple[str, dict[str, str]]] = [(query, {}) for query in queries]
    cases += [("seed=7&n=2", {"Accept": accept}) for accept in ACCEPT]
    cases += [("seed=7&n=2", {"If-None-Match": tag}) for tag in ('"no"', 'W/"no", *', "*", "x" * 4097)]
    return cases


async def asked(client: httpx.AsyncClient, path: str, headers: dict[str, str], **more: Any) -> tuple[int, Any, bytes]:
    response = await client.request(more.pop("method", "GET"), path, headers={"Accept": "", **headers}, **more)
    return response.status_code, sorted(response.headers.multi_items()), response.content


def fastapi_says(cases: list[tuple[bytes, str | None]]) -> list[object]:
    """The parameters that FastAPI parses from queries and If-None-Match headers, or the errors that it finds.

    The reference has the rule for names of all other routes.
    """
    reference = FastAPI()
    reference.router.route_class = StrictRoute
    found: list[object] = []

    @reference.get("/")
    async def route(query: Annotated[SamplesQuery, Query()], if_none_match: caching.IfNoneMatch = None) -> None:
        found.append((query, query.model_fields_set))

    @reference.exception_handler(RequestValidationError)
    async def tell(_request: Request, error: RequestValidationError) -> Response:
        found.append([{**mistake, "ctx": str(mistake.get("ctx"))} for mistake in error.errors()])
        return Response()

    async def ask() -> None:
        for query, tag in cases:
            headers = [] if tag is None else [(b"if-none-match", tag.encode())]
            scope = {"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": headers}
            await reference(scope | {"root_path": "", "http_version": "1.1"}, no_message, no_answer)

    asyncio.run(ask())
    return found


async def no_message() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def no_answer(message: object) -> None:
    pass


def we_say(query: bytes, tag: str | None) -> object:
    try:
        asked = _validated(given_in(query), tag)
    except RequestValidationError as error:
        return [{**mistake, "ctx": str(mistake.get("ctx"))} for mistake in error.errors()]
    return asked, asked.model_fields_set


def test_parameters_are_read_as_fastapi_reads_them() -> None:
    queries = [query.encode("latin-1", "replace") for query, _ in requests()] + [query.encode() for query in RAW]
    queries += [b"n=x&more=1&more=2&seed=-1", b"n=2&n=x", b"n=x&n=2", b"first=9007199254740991&n=2", b"\xff=1&n=1"]
    cases: list[tuple[bytes, str | None]] = [(query, None) for query in queries]
    cases += [(query, tag) for query in (b"n=1", b"n=0") for tag in ("*", "x" * 4096, "x" * 4097)]
    ours = [we_say(query, tag) for query, tag in cases]
    for case, one, other in zip(cases, ours, fastapi_says(cases), strict=True):
        assert one == other, case
    assert sum(isinstance(one, list) for one in ours) > 100
    assert sum(isinstance(one, tuple) for one in ours) > 50


def scope_of(query: bytes, *headers: tuple[bytes, bytes], root_path: str = "") -> dict[str, Any]:
    return {"query_string": query, "headers": list(headers), "root_path": root_path}


def parser(models_dir: Path) -> SampleRequests:
    return SampleRequests(load_catalog(models_dir, default="conv", device=torch.device("cpu")))


def test_a_request_is_parsed_once(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second caller, such as the route after the fast path, gets the same job, with the same drawn seed."""
    requests_for_samples, scope = parser(models_dir), scope_of(b"n=1")
    job = requests_for_samples.parse(scope)
    monkeypatch.setattr(sample_request, "_validated", None)
    assert requests_for_samples.parse(scope) is job


def test_requests_that_differ_in_their_seed_share_a_plan(models_dir: Path) -> None:
    parse = parser(models_dir).parse
    first, second = parse(scope_of(b"n=2&seed=7&scale=2")), parse(scope_of(b"n=2&seed=8&scale=2"))
    assert first.plan is second.plan
    assert (first.seed, second.seed) == (7, 8)
    assert first.headers()["etag"] != second.headers()["etag"]
    assert parse(scope_of(b"n=2&seed=7&scale=3")).plan is not first.plan
    assert parse(scope_of(b"n=2&seed=7&scale=2", (b"accept", b"image/png"))).plan is not first.plan
    assert parse(scope_of(b"n=2&seed=7&scale=2", root_path="/gan")).plan is not first.plan


@pytest.mark.parametrize("repeated", [b"seed=5&seed=5", b"seed=5&s%65ed=5", b"s%65ed=5&seed=5", b"seed=5&n=1&n=1"])
def test_a_repeated_parameter_is_nobody_elses_plan(models_dir: Path, repeated: bytes) -> None:
    """It is refused, whatever the requests before it were."""
    parse = parser(models_dir).parse
    for query in (b"seed=5", b"n=1&seed=5", b"seed=5&n=1"):
        assert parse(scope_of(query)).seed == 5
    for query in (repeated, repeated.replace(b"=5", b"=6", 1)):
        with pytest.raises(RequestValidationError, match="it is given 2 times; give it once"):
            parse(scope_of(query))


def test_an_overlong_tag_is_a_mistake_of_a_known_query_too(models_dir: Path) -> None:
    parse = parser(models_dir).parse
    parse(scope_of(b"n=2&seed=7"))
    with pytest.raises(RequestValidationError):
        parse(scope_of(b"n=2&seed=7", (b"if-none-match", b"x" * 4097)))


@pytest.mark.parametrize(
    "query", [b"n=3&seed=7&model=digits", b"n=3&seed=7&model=digits&digit=2", b"n=2&truncation=.5"]
)
def test_what_g_is_given_stands_for_the_latents_that_are_told(models_dir: Path, query: bytes) -> None:
    """Random words give the same pixels as the latents in the JSON answer to the same request."""
    parse = parser(models_dir).parse
    picture, listed = parse(scope_of(query + b"&format=png")), parse(scope_of(query + b"&format=json"))
    listed.seed = picture.seed
    assert_array_equal(picture.network(picture.rows()), listed.network(listed.rows()))
    assert_array_equal(listed.rows(), listed.latents(0, listed.plan.n))


async def counts(models_dir: Path) -> list[str]:
    """What the service has counted after right and wrong requests."""
    queries = ["n=1&seed=1", "n=1&seed=2", "n=0", "model=nothing", "n=5000", "n=2&seed=1&format=json"]
    async with served(models_dir) as client:
        for query in queries:
            await client.get(f"/gan/v1/samples?{query}")
        for headers in ({"Accept": "text/html"}, {"If-None-Match": "*"}):
            await client.get("/gan/v1/samples?seed=1", headers=headers)
        await client.head("/gan/v1/samples?seed=1")
        lines = (await client.get("/gan/metrics")).text.splitlines()
    return [line for line in lines if line.startswith(("gan_http_requests_total", "gan_http_request_seconds_count"))]


def test_what_is_counted(models_dir: Path) -> None:
    short = asyncio.run(counts(models_dir))
    assert 'gan_http_requests_total{method="GET",route="/v1/samples",status="200"} 3.0' in short
    assert 'gan_http_requests_total{method="GET",route="/v1/samples",status="304"} 1.0' in short
    assert 'gan_http_requests_total{method="HEAD",route="/v1/samples",status="200"} 1.0' in short
    assert 'gan_http_request_seconds_count{route="/v1/samples"} 9.0' in short


async def faulty(models_dir: Path) -> tuple[int, Any, bytes, list[str]]:
    """The answer to a request that meets a fault, and the lines of the metrics. The fault itself is raised again."""
    application = create_app(Settings(models_dir=models_dir))
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application, raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://gan") as client:
            with pytest.raises(RuntimeError, match="a secret"):
                await client.get("/v1/samples?n=1&seed=7")
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gan") as client:
            answer = await asked(client, "/v1/samples?n=1&seed=7", {"X-Request-Id": "a-fault"})
            lines = (await client.get("/metrics")).text.splitlines()
    return *answer, [line for line in lines if line.startswith("gan_http_requests_total")]


def test_a_fault_is_told_under_an_id(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("app.api.routes.samples._answer", fails)
    status, headers, body, lines = asyncio.run(faulty(models_dir))
    messages = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "unexpected error at GET /v1/samples" in messages
    assert ("x-request-id", "a-fault") in headers
    assert json.loads(body)["instance"] == "urn:gan:request:a-fault"
    assert status == 500
    assert b"urn:gan:problem:internal" in body
    assert b"secret" not in body
    assert 'gan_http_requests_total{method="GET",route="/v1/samples",status="500"} 2.0' in lines
