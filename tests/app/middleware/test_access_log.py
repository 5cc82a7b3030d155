"""The access log, request ids and faults, observed in this process."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.inference.engine import Engine
from app.main import create_app
from app.settings import Settings
from tests.app.checks import assert_problem

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


@asynccontextmanager
async def served(models_dir: Path, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    application = create_app(Settings(models_dir=models_dir, **settings))
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gan") as client:
            yield client


def play(models_dir: Path, scenario: Callable[[httpx.AsyncClient], Coroutine[Any, Any, None]], **settings: Any) -> None:
    async def whole() -> None:
        async with served(models_dir, **settings) as client:
            await scenario(client)

    asyncio.run(whole())


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.fields for record in caplog.records if record.name == "app.middleware.access_log"]  # type: ignore[attr-defined]


def test_each_request_has_its_line(models_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked = [
        ("GET", "/v1/samples?n=1&seed=7", "/v1/samples", 200),
        ("GET", "/v1/samples?n=0", "/v1/samples", 422),
        ("HEAD", "/v1/samples?n=1&seed=7", "/v1/samples", 200),
        ("GET", "/v1/models/conv", "/v1/models/{name}", 200),
        ("GET", "/a%0Ab?secret=1", "other", 404),
        ("DELETE", "/v1/models", "/v1/models", 405),
    ]

    async def scenario(client: httpx.AsyncClient) -> None:
        for method, target, _, status in asked:
            response = await client.request(method, target)
            assert response.status_code == status
            assert len(response.headers["x-request-id"]) == 32
            await asyncio.sleep(0)  # lines are written at the end of a pass of the event loop
            found = lines(caplog)[-1]
            assert found["bytes"] == (0 if method == "HEAD" else len(response.content))
            assert found["milliseconds"] > 0
            assert found["client"] == "127.0.0.1"

    play(models_dir, scenario, access_log=True)
    found = [(line["method"], line["path"], line["route"], line["status"]) for line in lines(caplog)]
    assert found == [(method, target.split("?")[0], route, status) for method, target, route, status in asked]


def test_a_line_for_who_is_not_let_in(models_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert_problem(await client.get("/v1/samples"), 401)
        key = {"Authorization": "Bearer a"}
        text = (await client.get("/metrics", headers=key)).text
        assert 'gan_http_requests_total{method="GET",route="other",status="401"} 1.0' in text

    play(models_dir, scenario, access_log=True, api_keys="a")
    assert [line["status"] for line in lines(caplog)] == [401, 200]


def test_ids_are_the_clients_own(models_dir: Path) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        for path in ("/v1/samples?n=1&seed=7", "/healthz", "/nothing"):
            given = await client.get(path, headers={"X-Request-Id": "its-own", "traceparent": TRACEPARENT})
            assert given.headers.get_list("x-request-id") == ["its-own"]
            traced = await client.get(path, headers={"X-Request-Id": "not an id", "traceparent": TRACEPARENT})
            assert traced.headers.get_list("x-request-id") == [TRACE]

    play(models_dir, scenario, access_log=True)


def test_nothing_of_it_unless_it_is_asked_for(models_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        assert "x-request-id" not in (await client.get("/v1/samples?n=1&seed=7")).headers

    play(models_dir, scenario)
    assert lines(caplog) == []


@pytest.mark.parametrize("access_log", [False, True])
@pytest.mark.parametrize("path", ["/v1/samples?n=1&seed=7", "/v1/models"])
def test_a_fault_has_an_id(
    models_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, path: str, access_log: bool
) -> None:
    """The id is in the answer and in the log, on the fast path and on the ordinary one."""

    def fails(*arguments: Any, **more: Any) -> None:
        raise OSError(2, "No such file", "/a/secret/path")

    monkeypatch.setattr("app.inference.catalog.Catalog.find", fails)
    monkeypatch.setattr("app.api.routes.models._summary", fails)

    async def scenario(client: httpx.AsyncClient) -> None:
        for headers in ({}, {"X-Request-Id": "its-own"}):
            answer = await client.get(path, headers=headers)
            known = assert_problem(answer, 500)["instance"].removeprefix("urn:gan:request:")
            assert known == headers.get("X-Request-Id", known)
            assert answer.headers.get_list("x-request-id") == [known]
            assert "secret" not in answer.text
            (record,) = [one for one in caplog.records if one.name == "app.problems"]
            assert record.request.text == known  # type: ignore[attr-defined]
            caplog.clear()

    play(models_dir, scenario, access_log=access_log)


def test_a_request_that_the_server_cancels_is_that_of_a_client_who_has_gone(
    models_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray Serve cancels so. It is not counted as a fault, on the fast path or on the ordinary one."""

    async def scenario(client: httpx.AsyncClient) -> None:
        begun = asyncio.Event()

        async def never(*_: Any, **__: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(Engine, "run", never)
        for target in ("/v1/samples?n=1&seed=7", "/v1/interpolations?seeds=1,2&steps=2"):
            begun.clear()
            task = asyncio.create_task(client.get(target))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert lines(caplog)[-1]["status"] == 499
        counted = [
            line
            for line in (await client.get("/metrics")).text.splitlines()
            if "requests_total" in line and '"499"' in line
        ]
        assert [line.rpartition(" ")[2] for line in counted] == ["1.0", "1.0"]

    play(models_dir, scenario, access_log=True)


class WeakScope(dict[str, Any]):
    """A scope that can be referred to weakly."""


@pytest.mark.parametrize("names", [["access_log"], ["otel"], ["access_log", "otel"]], ids=" ".join)
def test_a_request_leaves_nothing_for_the_garbage_collector(
    models_dir: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scope is freed by its last reference, since collections of a cycle for each request cost much time."""
    monkeypatch.setattr("app.middleware.tracing.OTLPSpanExporter", InMemorySpanExporter)
    settings: dict[str, Any] = dict.fromkeys(names, True)
    entrance = create_app(Settings(models_dir=models_dir, **settings)).state.entrance

    async def observed() -> weakref.ref[WeakScope]:
        scope = WeakScope(type="http", method="GET", path="/", headers=[])
        entrance.observer.begin(scope).end(scope, 200, 0)
        return weakref.ref(scope)

    async def whole() -> WeakScope | None:
        found = await observed()
        await asyncio.sleep(0)  # lines are written at the end of a pass of the event loop
        return found()

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(whole()) is None
    finally:
        gc.enable()
