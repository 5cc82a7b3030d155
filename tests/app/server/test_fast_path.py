"""The fast path gives the same answers as the ordinary path, byte for byte, and leaves all other requests to it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from app.api.sample_request import MAX_PLAN_CHARACTERS, MAX_PLANS, SamplePlan, SampleRequests
from app.api.schemas.samples import SamplesQuery
from app.api.state import State
from app.inference.engine import StoppedError
from app.main import create_app
from app.server.admission import Admission
from app.server.fast_path import Fallback, FastPath
from app.server.protocol import GuardedConfig, GuardedProtocol
from app.server.uvicorn_server import trusted_proxies
from app.settings import Settings
from app.telemetry.families import FALLBACK_REASONS
from tests.app.api.test_sample_request import requests

COMMON = [(b"date", b"today"), (b"x-content-type-options", b"nosniff")]
COUNTED = 'gan_http_requests_total{{method="GET",route="/v1/samples",status="{}"}}'
QUICK = [
    "n=1&seed=7",
    "seed=7",
    "n=64&padding=0&format=png&seed=9",
    "n=5&columns=2&first=3&seed=1",
    "n=1",
    "model=conv",
    "n=1&seed=7&format=json",
    "n=3&format=json&truncation=0.5",
    "n=1&seed=7&truncation=0.5",
    "model=digits&digit=3&n=4&seed=7",
    "model=digits&digit=3&n=1&seed=7&format=json",
]


@dataclass
class Served:
    """A service on a socket in this process.

    Attributes:
        port: the port of the socket.
        state: of the service.
        server: uvicorn's state of the server.
        reload: reads the models again.
        fast_path: the service's fast path, even if it is not used.
        ordinary: the paths of the requests that took the ordinary path.
    """

    port: int
    state: State
    server: ServerState
    reload: Callable[[], Awaitable[object]]
    fast_path: FastPath
    ordinary: list[str] = field(default_factory=list)

    async def ask(self, data: bytes) -> bytes:
        """Send bytes whose last request ends the connection, and return everything that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 120)
        writer.close()
        return answer

    def metrics(self) -> str:
        """Return the metrics so far, as text."""
        self.state.metrics.settle()
        return self.state.metrics.text().decode()

    def count(self, line: str) -> float:
        """Return the sum of a metric's lines; 0 if there are none yet."""
        lines = self.metrics().splitlines()
        return sum(float(found.split()[-1]) for found in lines if found.startswith(f"{line} "))


@asynccontextmanager
async def served(
    models_dir: Path, *, fast: bool = True, proxied: bool = False, **settings: Any
) -> AsyncIterator[Served]:
    application = create_app(Settings(models_dir=models_dir, **settings))

    async def service(scope: Scope, receive: Receive, send: Send) -> None:
        here.ordinary.append(scope["path"])
        await application(scope, receive, send)

    async with application.router.lifespan_context(application):
        state = application.state.gan
        admission = Admission(max_requests=settings.get("max_requests", 256), metrics=state.metrics)
        proxy = trusted_proxies if proxied else None
        fast_path = FastPath(application, proxy=proxy)
        config = GuardedConfig(
            service,
            admission=admission,
            fast_path=fast_path.take if fast else None,
            log_config=None,
            access_log=False,
            ws="none",
            proxy_headers=proxied,
        )
        config.load()
        server_state = ServerState()
        server_state.default_headers = COMMON
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: GuardedProtocol(config, server_state, {}), "127.0.0.1", 0)
        here = Served(
            server.sockets[0].getsockname()[1], state, server_state, application.state.reloader.reload, fast_path
        )
        try:
            yield here
        finally:
            server.close()


def get(query: str, *headers: str, last: bool = True) -> bytes:
    """Make the bytes of a GET /v1/samples."""
    lines = [f"GET /v1/samples?{query} HTTP/1.1", "Host: gan", *headers, *(["Connection: close"] if last else [])]
    return "\r\n".join([*lines, "", ""]).encode()


def cases() -> list[bytes]:
    """Make valid and invalid requests, without those whose seed is drawn."""
    asked = [get(query, *(f"{name}: {value}" for name, value in headers.items())) for query, headers in requests()]
    return asked + [get(query) for query in QUICK if "seed" in query]


KEY = "0123456789abcdef"
ORIGIN = "https://a.example"
BEHIND: dict[str, tuple[dict[str, Any], list[list[str]]]] = {
    "nothing": ({}, [[]]),
    "keys": ({"api_keys": [KEY, "another"]}, [[f"Authorization: Bearer {KEY}"], [], ["Authorization: Bearer no"]]),
    "cors": ({"cors_origins": [ORIGIN]}, [[f"Origin: {ORIGIN}"], [], ["Origin: https://b.example"]]),
    "cors for all": ({"cors_origins": ["*"]}, [[f"Origin: {ORIGIN}"], []]),
    "the access log": ({"access_log": True}, [["X-Request-Id: r-1"], [f"Traceparent: 00-{'a' * 32}-{'b' * 16}-01"]]),
    "all of them": (
        {"api_keys": [KEY], "cors_origins": [ORIGIN, "https://b.example"], "access_log": True},
        [
            [f"Authorization: Bearer {KEY}", f"Origin: {ORIGIN}", "X-Request-Id: r-1"],
            [f"Origin: {ORIGIN}", "X-Request-Id: r-2"],
        ],
    ),
}
"""By name: the layers before the service, and the headers that requests have."""


@pytest.mark.parametrize("name", BEHIND)
def test_the_same_bytes(models_dir: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    settings, sent = BEHIND[name]
    step = 1 if name == "nothing" else 17  # each case is asked with each of the headers, on both paths
    chosen = [*cases()[::step], get("n=1&seed=7", "If-None-Match: *")]
    asked = [data.replace(b"\r\n\r\n", lines(more)) for data in chosen for more in sent]

    async def answers(*, fast: bool) -> tuple[list[bytes], int]:
        async with served(models_dir, fast=fast, **settings) as here:
            return [await here.ask(data) for data in asked], len(here.ordinary)

    (short, others), said = asyncio.run(answers(fast=True)), logged(caplog)
    caplog.clear()
    (long, all_of_them), said_at_length = asyncio.run(answers(fast=False)), logged(caplog)
    for data, one, other in zip(asked, short, long, strict=True):
        assert one == other, data
    assert said == said_at_length
    assert len(said) == (all_of_them if settings.get("access_log") else 0)
    assert all_of_them == sum(not answer.startswith(b"HTTP/1.1 400 ") for answer in long)  # uvicorn's own
    pictures = sum(b"200 OK" in answer and b"image/png" in answer for answer in long)
    assert pictures > 5
    assert others < all_of_them - pictures / 2
    assert {answer.split()[1] for answer in short} >= {b"200", b"304", b"422"}


def lines(headers: list[str]) -> bytes:
    """Make further header lines and the end of a head."""
    return "".join(f"\r\n{line}" for line in [*headers, "", ""]).encode()


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    """Return the fields of the access log, without those that differ in every run."""
    found = []
    for record in caplog.records:
        if record.name == "app.middleware.access_log":
            fields = dict(record.fields)  # type: ignore[attr-defined]
            del fields["milliseconds"]
            found.append(fields | {"request": vars(record)["request"].text})
    return found


LIKE_EACH_OTHER = [
    [f"n=1&seed={seed}" for seed in (7, 8, "007", 0, 999999999999999)],
    [f"seed={seed}&n=4&padding=1" for seed in (1, 2)],
    [f"n=2&seed={seed}&format=png&model=conv" for seed in (3, 4)],
    [f"model=digits&digit=3&n=1&seed={seed}" for seed in (3, 4)],
    [f"n=1&truncation=0.5&seed={seed}" for seed in (3, 4)],
    [f"n=1&format=json&seed={seed}" for seed in (3, 4)],
    ["n=1&seed=7", "n=1&seed=7&seed=8", "n=1&seed=7&seed=7", "n=1&seed=", "n=1&seed=7&", "&n=1&seed=7", "n=1seed=7"],
    ["n=1&seed=7", "n=1&seed=-7", "n=1&seed=+7", "n=1&seed=7.0", "n=1&seed=%37", "n=1&seed=7%20", "n=1&seed=%D9%A7"],
    ["n=1&seed=7", "n=1&xseed=7", "n=1&SEED=7", "n=1&se%65d=7", f"n=1&seed={2**53 - 1}", f"n=1&seed={2**53}"],
    ["seed=7", "seed=8&", "seed=seed=7", "seed=7seed=7", "n=1&first=9007199254740991&seed=7", "n=1&first=0&seed=7"],
]


def test_the_same_bytes_where_only_the_seed_is_another(models_dir: Path) -> None:
    """Some requests share the plan of an earlier one; others only look as if they did."""

    async def answers(*, fast: bool) -> list[bytes]:
        async with served(models_dir, fast=fast) as here:
            asked = [
                get(query, *more) for one in LIKE_EACH_OTHER for query in one for more in ([], ["Accept: image/*"])
            ]
            return [await here.ask(data) for data in asked]

    short, long = (asyncio.run(answers(fast=fast)) for fast in (True, False))
    assert short == long
    assert {answer.split()[1] for answer in short} == {b"200", b"422"}


def test_a_plan_is_made_once(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    plan = SampleRequests._plan

    def counted(self: SampleRequests, asked: SamplesQuery, *arguments: Any, **more: Any) -> SamplePlan:
        made.append(asked.seed)
        return plan(self, asked, *arguments, **more)

    monkeypatch.setattr(SampleRequests, "_plan", counted)

    async def ask() -> None:
        async with served(models_dir) as here:
            first = await here.ask(get("n=1&seed=1"))
            assert await here.ask(get("n=1&seed=2")) != first
            assert made == [1]
            assert await here.ask(get("n=1&seed=2", "Accept: image/png")) == await here.ask(get("n=1&seed=2"))
            assert made == [1, 2]
            await here.reload()
            assert await here.ask(get("n=1&seed=1")) == first
            assert made == [1, 2, 1]
            for seed in range(MAX_PLANS + 1):
                await here.ask(get(f"n=1&first={seed}&seed=5"))
            await here.ask(get("n=1&seed=6"))  # not among the last ones
            assert made[-1] == 6
            await here.ask(get("n=1&seed=7", f"Accept: image/png,{'a/b,' * MAX_PLAN_CHARACTERS}"))
            await here.ask(get("n=1&seed=8", f"Accept: image/png,{'a/b,' * MAX_PLAN_CHARACTERS}"))
            assert made[-2:] == [7, 8]  # too long to be kept

    asyncio.run(ask())


def test_heads_are_kept_for_other_requests_alone(models_dir: Path) -> None:
    """Heads are not kept for a drawn seed or an overlong Origin, nor after a reload of the models."""
    origin = b"https://" + b"a" * 300

    async def ask() -> None:
        async with served(models_dir, cors_origins=["*"]) as here:
            await here.ask(get("n=1"))
            await here.ask(get("n=1&seed=7", f"Origin: {origin.decode()}"))
            assert here.fast_path._heads == {}
            await here.ask(get("n=1&seed=7", "Origin: https://a"))
            await here.ask(get("n=1&seed=8", "Origin: https://a"))
            assert len(here.fast_path._heads) == 1
            await here.reload()
            await here.ask(get("n=1"))
            assert here.fast_path._heads == {}

    asyncio.run(ask())


def test_what_goes_it(models_dir: Path) -> None:
    async def ask() -> None:
        async with served(models_dir) as here:
            for query in QUICK:
                assert (await here.ask(get(query))).startswith(b"HTTP/1.1 200 OK\r\ndate: today\r\n")
                known = b"304 Not Modified" if "seed=" in query else b"200 OK"  # nobody knows the images of a new seed
                assert (await here.ask(get(query, "If-None-Match: *"))).startswith(b"HTTP/1.1 %b\r\n" % known)
            assert here.ordinary == []
            assert here.server.tasks == set()
            seeded = sum("seed=" in query for query in QUICK)
            assert here.count(COUNTED.format(304)) == seeded
            assert here.count(COUNTED.format(200)) == 2 * len(QUICK) - seeded

    asyncio.run(ask())


LEFT: dict[str, tuple[Fallback | None, bytes]] = {
    "an archive": (Fallback.LARGE, get("n=1&seed=7&format=npz")),
    "a large grid": (Fallback.LARGE, get("n=65&seed=7&scale=2")),
    "much JSON": (Fallback.LARGE, get("n=300&seed=7&format=json")),
    "no such model": (Fallback.PROBLEM, get("n=1&seed=7&model=nothing")),
    "no images": (Fallback.PROBLEM, get("n=0")),
    "an empty body": (Fallback.BODY, get("n=1&seed=7", "Content-Length: 0")),
    "a body": (Fallback.BODY, get("n=1&seed=7", "Content-Length: 2") + b"{}"),
    "chunks": (Fallback.BODY, get("n=1&seed=7", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n"),
    "a question": (Fallback.BODY, get("n=1&seed=7", "Expect: 100-continue")),
    "HEAD": (None, get("n=1&seed=7").replace(b"GET", b"HEAD")),
    "another path": (None, get("n=1&seed=7").replace(b"/v1/samples", b"/v2/samples")),
}
FALLBACKS = 'gan_fast_path_fallbacks_total{{reason="{}"}}'


def test_what_does_not(models_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each is counted by its reason, and the first of each reason is logged."""
    caplog.set_level("INFO")

    async def ask() -> None:
        async with served(models_dir) as here:
            expected = dict.fromkeys(Fallback, 0)
            for _ in range(2):
                for name, (reason, data) in LEFT.items():
                    before = len(here.ordinary)
                    assert (await here.ask(data)).startswith((b"HTTP/1.1 200", b"HTTP/1.1 404", b"HTTP/1.1 422")), name
                    assert len(here.ordinary) == before + 1, name
                    if reason is not None:
                        expected[reason] += 1
            assert {reason: here.count(FALLBACKS.format(reason)) for reason in Fallback} == expected

    asyncio.run(ask())
    told = [record.getMessage() for record in caplog.records if record.name == "app.server.fast_path"]
    assert len(told) == len({reason for reason, _ in LEFT.values() if reason is not None})
    assert any("(large: its answer is an archive, or too large" in message for message in told)


def test_metrics_show_every_reason_from_the_start() -> None:
    assert set(FALLBACK_REASONS) == set(Fallback)


def test_who_has_no_key_is_refused_on_the_ordinary_way(models_dir: Path) -> None:
    async def ask() -> None:
        async with served(models_dir, api_keys=[KEY]) as here:
            assert (await here.ask(get("n=1&seed=7"))).startswith(b"HTTP/1.1 401 ")
            assert here.count(FALLBACKS.format("key")) == 1
            assert (await here.ask(get("n=1&seed=7", f"Authorization: Bearer {KEY}"))).startswith(b"HTTP/1.1 200 ")
            assert len(here.ordinary) == 1

    asyncio.run(ask())


def test_a_trace_has_the_same_spans(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a span for the request, and within it one for its waiting, its inference and its encoding."""
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from app.middleware.tracing import Tracing

    async def spans(*, fast: bool) -> list[tuple[str, Any]]:
        exporter = InMemorySpanExporter()
        monkeypatch.setattr("app.main._spans", lambda _settings: Tracing(exporter))
        async with served(models_dir, fast=fast, otel=True) as here:
            for query in ("n=1&seed=7", "n=1&seed=7&format=json", "n=0"):
                await here.ask(get(query, f"Traceparent: 00-{'a' * 32}-{'b' * 16}-01"))
            await here.ask(get("n=1&seed=7", "If-None-Match: *"))
            assert len(here.ordinary) == (1 if fast else 4)
        return [(span.name, dict(span.attributes or {})) for span in exporter.get_finished_spans()]

    short, long = (asyncio.run(spans(fast=fast)) for fast in (True, False))
    assert short == long
    assert [name for name, _ in short][:4] == ["queue", "inference", "encode", "GET /v1/samples"]


def test_the_client_behind_a_proxy_is_logged(
    models_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")

    async def ask() -> None:
        async with served(models_dir, proxied=True, access_log=True) as here:
            await here.ask(get("n=1&seed=7", "X-Forwarded-For: 192.0.2.7"))
            await here.ask(get("n=1&seed=7&format=npz", "X-Forwarded-For: 192.0.2.8"))
            assert len(here.ordinary) == 1

    asyncio.run(ask())
    assert [fields["client"] for fields in logged(caplog)] == ["192.0.2.7", "192.0.2.8"]


def test_one_after_the_other(models_dir: Path) -> None:
    """Pipelined requests are answered in order, whichever path each takes."""
    queries = ["n=1&seed=1", "n=2&seed=2&format=json", "n=0", "n=3&seed=3", "n=1&seed=4", "n=500&seed=5&format=zip"]
    queries += ["n=1&seed=6"]

    async def ask() -> None:
        async with served(models_dir) as here:
            alone = b"".join([await here.ask(get(query)) for query in queries])
            together = await here.ask(b"".join(get(query, last=False) for query in queries[:-1]) + get(queries[-1]))
            assert together == alone.replace(b"connection: close\r\n", b"", len(queries) - 1)

    asyncio.run(ask())


def test_very_many_one_after_the_other(models_dir: Path) -> None:
    many = 2000
    known = get("n=1&seed=1", "If-None-Match: *", last=False)

    async def ask() -> None:
        async with served(models_dir) as here:
            answer = await here.ask(get("n=1&seed=7", last=False) + known * many + get("n=1&seed=8"))
            assert answer.count(b"HTTP/1.1 304 Not Modified\r\n") == many
            assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2

    asyncio.run(ask())


def test_a_connection_of_http_1_0_ends(models_dir: Path) -> None:
    async def ask() -> None:
        async with served(models_dir) as here:
            answer = await here.ask(get("n=1&seed=7", last=False).replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert b"\r\nconnection: close\r\n" in answer
            assert here.ordinary == []

    asyncio.run(ask())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not holds():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def held(here: Served) -> AsyncIterator[None]:
    """Keep the engine busy with another job in this block."""
    free = threading.Event()

    def wait(rows: Any) -> Any:
        assert free.wait(120)
        return rows

    engine = here.state.engine
    holding = asyncio.create_task(engine.run(wait, np.zeros((1, 1), dtype=np.float32)))
    await until(lambda: engine.running_call is not None)
    try:
        yield
    finally:
        free.set()
        with suppress(StoppedError):
            await holding


def test_for_who_has_gone_nothing_is_drawn(models_dir: Path) -> None:
    async def ask() -> None:
        async with served(models_dir) as here:
            async with held(here):
                _, writer = await asyncio.open_connection("127.0.0.1", here.port)
                writer.write(get("n=1&seed=7"))
                await until(lambda: len(here.server.tasks) == 1)
                writer.close()
                await until(lambda: not here.server.tasks)
            await here.state.engine.run(np.copy, np.zeros((1, 1), dtype=np.float32))  # behind what was dropped
            assert here.count(COUNTED.format(499)) == 1
            assert here.count("gan_engine_waiting_rows") == 0
            assert "gan_images_generated_total{" not in here.metrics()
            assert here.ordinary == []

    asyncio.run(ask())


def test_a_full_queue_is_told_once(models_dir: Path) -> None:
    async def ask() -> None:
        async with served(models_dir, max_queue_images=1) as here, held(here):
            first = asyncio.create_task(here.ask(get("n=1&seed=1")))
            await until(lambda: len(here.server.tasks) == 1)
            refused = await here.ask(get("n=1&seed=2"))
            assert refused.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
            assert b"retry-after: 1\r\n" in refused
            assert here.count('gan_requests_shed_total{cause="images"}') == 1
            assert here.count(COUNTED.format(429)) == 1
        assert (await first).startswith(b"HTTP/1.1 200 OK\r\n")

    asyncio.run(ask())


def test_the_gate_counts_it(models_dir: Path) -> None:
    async def ask() -> None:
        async with served(models_dir, max_requests=1) as here:
            async with held(here):
                first = asyncio.create_task(here.ask(get("n=1&seed=1")))
                await until(lambda: len(here.server.tasks) == 1)
                assert (await here.ask(get("n=1&seed=2"))).startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
                assert here.count('gan_requests_shed_total{cause="requests"}') == 1
            assert (await first).startswith(b"HTTP/1.1 200 OK\r\n")
            assert (await here.ask(get("n=1&seed=2"))).startswith(b"HTTP/1.1 200 OK\r\n")

    asyncio.run(ask())


def test_a_fault_of_its_own_goes_the_ordinary_way(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("app.server.fast_path.FastPath._lines", fails)

    async def ask() -> None:
        async with served(models_dir) as here:
            assert (await here.ask(get("n=1&seed=1"))).startswith(b"HTTP/1.1 200 OK\r\n")
            assert here.ordinary == ["/v1/samples"]

    asyncio.run(ask())


@pytest.mark.parametrize(
    "place",
    [
        "encode_rows",
        "SampleRequests._plan",
        "draw_words",
    ],
)
def test_a_fault_is_told_on_the_ordinary_way(models_dir: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def fails(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(f"app.api.sample_request.{place}", fails)

    async def ask() -> None:
        async with served(models_dir) as here:
            answer = await here.ask(get("n=1&seed=1"))
            assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
            assert b"urn:gan:problem:internal" in answer
            assert b"secret" not in answer
            assert here.ordinary == ["/v1/samples"]
            assert here.count(COUNTED.format(500)) == 1

    asyncio.run(ask())


def test_a_dead_engine_is_told_on_the_ordinary_way(models_dir: Path) -> None:
    async def ask() -> None:
        async with served(models_dir) as here:
            async with held(here):
                waiting = asyncio.create_task(here.ask(get("n=1&seed=1")))
                await until(lambda: len(here.server.tasks) == 1)
                here.state.engine.give_up("it hangs")
                assert (await waiting).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert here.ordinary == ["/v1/samples"]

    asyncio.run(ask())
