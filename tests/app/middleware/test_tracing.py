"""OpenTelemetry: spans in memory, and spans and logs of a real service of two workers with a test's collector."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import ValidationError

from app.settings import Settings
from harness.service import Service
from tests.app.middleware.test_access_log import TRACE, TRACEPARENT, play
from tests.app.server.test_supervisor import wait_until
from tests.services import running

CALLER = 0x00F067AA0BA902B7


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The exporter of the services in this process."""
    made = InMemorySpanExporter()
    monkeypatch.setattr("app.middleware.tracing.OTLPSpanExporter", lambda: made)
    return made


def by_kind(exporter: InMemorySpanExporter) -> tuple[list[ReadableSpan], list[ReadableSpan]]:
    """Return the spans of requests, and the spans within them."""
    spans = exporter.get_finished_spans()
    servers = [span for span in spans if span.kind == SpanKind.SERVER]
    return servers, [span for span in spans if span.kind != SpanKind.SERVER]


def test_a_span_continues_its_callers_trace(models_dir: Path, exporter: InMemorySpanExporter) -> None:
    async def scenario(client: httpx.AsyncClient) -> None:
        headers = {"traceparent": TRACEPARENT, "tracestate": "a=1,b=2"}
        await client.get("/v1/samples?n=1&seed=7", headers=headers)

    play(models_dir, scenario, otel=True)
    (server,), stages = by_kind(exporter)
    assert server.name == "GET /v1/samples"
    assert dict(server.attributes or {}) == {
        "http.request.method": "GET",
        "http.route": "/v1/samples",
        "http.response.status_code": 200,
        "url.path": "/v1/samples",
        "url.scheme": "http",
    }
    assert server.context is not None
    assert f"{server.context.trace_id:032x}" == TRACE
    assert dict(server.context.trace_state) == {"a": "1", "b": "2"}
    assert server.parent is not None
    assert (server.parent.span_id, server.parent.is_remote) == (CALLER, True)
    assert server.status.status_code == StatusCode.UNSET
    assert server.resource.attributes["service.name"] == "gan-service"
    assert [stage.name for stage in stages] == ["queue", "inference", "encode"]
    times = [server.start_time]
    for stage in stages:
        assert stage.parent is not None
        assert stage.parent.span_id == server.context.span_id
        times += [stage.start_time, stage.end_time]
    times.append(server.end_time)
    assert [time for time in times if time is not None] == times
    slack_ns = 2_000_000  # two clocks are read one after the other
    for earlier, later in pairwise(times):
        assert (earlier or 0) <= (later or 0) + slack_ns


def test_spans_of_other_requests(
    models_dir: Path, exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any, **more: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("app.api.routes.models._summary", fails)

    async def scenario(client: httpx.AsyncClient) -> None:
        await client.get("/v1/models/conv", headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-00"})  # unrecorded
        await client.get("/nothing", headers={"traceparent": "nonsense"})
        await client.get("/v1/models/nope")
        await client.get("/v1/models")
        await client.request("BREW", "/")
        await client.get("/v1/samples?n=600&seed=7&format=npz")

    play(models_dir, scenario, otel=True)
    servers, stages = by_kind(exporter)
    told = [(span.name, (span.attributes or {})["http.response.status_code"]) for span in servers]
    assert told == [
        ("GET", 404),
        ("GET /v1/models/{name}", 404),
        ("GET /v1/models", 500),
        ("HTTP /", 405),
        ("GET /v1/samples", 200),
    ]
    assert [span.status.status_code == StatusCode.ERROR for span in servers] == [False, False, True, False, False]
    assert (servers[2].attributes or {})["error.type"] == "RuntimeError"
    assert servers[0].parent is None
    assert [stage.name for stage in stages] == ["queue", "inference"] * 2  # the first 512 images, then the rest


class Collector(NamedTuple):
    """Receives what is exported by OTLP over HTTP."""

    url: str
    got: list[ExportTraceServiceRequest]

    def spans(self) -> list[Any]:
        return [
            span for one in self.got for resource in one.resource_spans for scope in resource.scope_spans
            for span in scope.spans
        ]  # fmt: skip


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    got: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                got.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Collector(f"http://127.0.0.1:{server.server_port}", got)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def observed(models_dir: Path, collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two workers with traces, the access log and JSON lines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        patch.setenv("OTEL_SERVICE_NAME", "mine")
        with running(
            tmp_path_factory.mktemp("observed"),
            models_dir=models_dir,
            workers=2,
            otel=True,
            access_log=True,
            log_format="json",
            log_level="warning",
        ) as started:
            yield started


def test_a_collector_gets_them(observed: Service, collector: Collector) -> None:
    answer = observed.client.get("/v1/samples?n=1&seed=7", headers={"traceparent": TRACEPARENT})
    assert answer.headers["x-request-id"] == TRACE
    wait_until(lambda: any(span.name == "GET /v1/samples" for span in collector.spans()), "the span has come")
    (span,) = [span for span in collector.spans() if span.name == "GET /v1/samples"]
    assert (span.trace_id.hex(), int.from_bytes(span.parent_span_id, "big")) == (TRACE, CALLER)
    names = {
        attribute.value.string_value
        for one in collector.got
        for resource in one.resource_spans
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }
    assert names == {"mine"}

    def told() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in observed.log.read_text().splitlines()]
        return [line for line in lines if line.get("trace_id") == TRACE]

    wait_until(lambda: len(told()) == 1, "the line is written")
    (line,) = told()
    assert (line["span_id"], line["status"], line["route"]) == (span.span_id.hex(), 200, "/v1/samples")
    assert line["worker"] in (0, 1)
    assert line["bytes"] == len(answer.content)


def test_all_that_is_logged_is_json(observed: Service) -> None:
    observed.client.get("/nothing")
    lines = [json.loads(line) for line in observed.log.read_text().splitlines()]
    broken = [line for line in lines if "model folder empty is left out" in line["message"]]
    assert sorted(line["worker"] for line in broken) == [0, 1]
    assert len({line["pid"] for line in broken}) == 2


def test_each_worker_tells_of_its_process(observed: Service) -> None:
    lines = observed.client.get("/metrics").text.splitlines()
    told = dict(line.rsplit(" ", 1) for line in lines if line.startswith("process_"))
    for worker in "01":
        assert float(told[f'process_resident_memory_bytes{{worker="{worker}"}}']) > 10e6
        assert float(told[f'process_cpu_seconds_total{{worker="{worker}"}}']) > 0


@pytest.mark.slow
def test_without_a_collector_all_else_goes_on(
    tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with running(tmp_path, models_dir=models_dir, otel=True) as service:
        assert service.client.get("/v1/samples?n=1&seed=7").status_code == 200
        service.process.terminate()
        service.process.wait(timeout=120)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    for stand_in in (missing, lambda _: None):
        monkeypatch.setattr("app.settings.find_spec", stand_in)
        with pytest.raises(ValidationError, match=r"the extra otel is not installed: pip install '\.\[app,otel\]'"):
            Settings(otel=True)
        assert not Settings().otel
