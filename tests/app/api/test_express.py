"""The short way for samples gives the long way's answers, byte for byte, to right and wrong requests alike."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import numpy as np
import pytest

import app.api.express
from app.main import create_app
from app.settings import Settings

Case: TypeAlias = tuple[str, dict[str, str], dict[str, Any]]  # path, headers, what else the request has

pytestmark = pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")

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
    """(query, headers) of each: one parameter at a time, then several at random; a seed is always given or wrong."""
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
    cases += [("seed=7&n=2", {"If-None-Match": tag}) for tag in ("*", '"no"', 'W/"no", *', "x" * 4097)]
    return cases


async def asked(client: httpx.AsyncClient, path: str, headers: dict[str, str], **more: Any) -> tuple[int, Any, bytes]:
    response = await client.request(more.pop("method", "GET"), path, headers={"Accept": "", **headers}, **more)
    return response.status_code, sorted(response.headers.multi_items()), response.content


async def both(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, cases: list[Case]
) -> tuple[list[Any], list[Any], int]:
    """The answers by the short way and by the long one, and how many took the short one."""
    taken = 0
    answer = app.api.express._answer

    async def counted(*arguments: Any) -> None:
        nonlocal taken
        taken += 1
        await answer(*arguments)

    monkeypatch.setattr(app.api.express, "_answer", counted)
    async with served(models_dir) as client:
        short = [await asked(client, path, headers, **more) for path, headers, more in cases]
    monkeypatch.setattr("app.main.Express", lambda inner: inner)
    count = taken
    async with served(models_dir) as client:
        long = [await asked(client, path, headers, **more) for path, headers, more in cases]
    assert taken == count  # the long way is not the short one
    return short, long, taken


def test_the_same_answers(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[Case] = [(f"/gan/v1/samples?{query}", headers, {}) for query, headers in requests()]
    short, long, taken = asyncio.run(both(models_dir, monkeypatch, cases))
    for case, one, other in zip(cases, short, long, strict=True):
        assert one == other, case
    statuses = [status for status, _, _ in short]
    assert {200, 304, 404, 406, 422} <= set(statuses)
    assert 500 not in statuses
    assert taken >= statuses.count(200) + statuses.count(304) > 50  # whatever was right went the short way


def test_other_requests_are_not_touched(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases: list[Case] = [
        *[(f"/gan/v1/samples?{query}", {}, {}) for query in RAW if "seed" in query],
        ("/gan/v1/samples?seed=7&n=1", {}, {"method": "HEAD"}),
        ("/gan/v1/samples?seed=7&n=1", {}, {"method": "OPTIONS"}),
        ("/gan/v1/samples", {}, {"method": "POST", "json": {"n": 1, "seed": 7}}),
        ("/v1/samples?seed=7&n=1", {}, {}),
        ("/x/v1/samples?seed=7&n=1", {}, {}),
        ("/gan/gan/v1/samples?seed=7&n=1", {}, {}),
        ("/gan/v1/samples/?seed=7&n=1", {}, {}),
        ("/gan//v1/samples?seed=7&n=1", {}, {}),
    ]
    short, long, _ = asyncio.run(both(models_dir, monkeypatch, cases))
    for case, one, other in zip(cases, short, long, strict=True):
        assert one == other, case


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


def test_the_same_counts(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = asyncio.run(counts(models_dir))
    monkeypatch.setattr("app.main.Express", lambda inner: inner)
    assert short == asyncio.run(counts(models_dir))
    assert 'gan_http_requests_total{method="GET",route="/v1/samples",status="200"} 3.0' in short
    assert 'gan_http_requests_total{method="GET",route="/v1/samples",status="304"} 1.0' in short
    assert 'gan_http_requests_total{method="HEAD",route="/v1/samples",status="200"} 1.0' in short
    assert 'gan_http_request_seconds_count{route="/v1/samples"} 9.0' in short


async def faulty(models_dir: Path) -> tuple[int, Any, bytes, list[str]]:
    """The answer to a request that meets a fault, and what was counted; the fault itself is raised once more."""
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


def test_the_same_faults(models_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def fails(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("app.api.routes.samples.answer", fails)
    short = asyncio.run(faulty(models_dir))
    messages = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "unexpected error at GET /v1/samples" in messages
    caplog.clear()
    monkeypatch.setattr("app.main.Express", lambda inner: inner)
    assert short == asyncio.run(faulty(models_dir))
    assert messages == [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    status, headers, body, lines = short
    assert ("x-request-id", "a-fault") in headers
    assert json.loads(body)["instance"] == "urn:gan:request:a-fault"
    assert status == 500
    assert b"urn:gan:problem:internal" in body
    assert b"secret" not in body
    assert 'gan_http_requests_total{method="GET",route="/v1/samples",status="500"} 2.0' in lines
