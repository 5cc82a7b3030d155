"""The shortcut gives the ordinary way's answers, byte for byte, and leaves to it all that is not plainly right."""

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

from app.api.sample_request import Plan
from app.api.schemas import SamplesQuery
from app.api.state import State
from app.inference.engine import StoppedError
from app.main import create_app, has_entrance
from app.server.admission import Gate
from app.server.fast_path import MAX_PLAN_CHARACTERS, MAX_PLANS, Shortcut
from app.server.protocol import GuardedConfig, GuardedProtocol
from app.settings import Settings
from tests.app.api.test_express import requests

COMMON = [(b"date", b"today"), (b"x-content-type-options", b"nosniff")]
COUNTED = 'gan_http_requests_total{{method="GET",route="/v1/samples",status="{}"}}'
QUICK = [
    "n=1&seed=7",
    "seed=7",
    "n=64&padding=0&format=png&seed=9",
    "n=5&columns=2&first=3&seed=1",
    "n=1",
    "model=conv",
]


@dataclass
class Served:
    """A service on a socket in this process.

    Attributes:
        port: of it.
        state: of the service.
        server: what uvicorn knows of it.
        reload: reads the models again.
        ordinary: the paths of the requests that went the ordinary way.
    """

    port: int
    state: State
    server: ServerState
    reload: Callable[[], Awaitable[object]]
    ordinary: list[str] = field(default_factory=list)

    async def ask(self, data: bytes) -> bytes:
        """All that comes back for these bytes, whose last request ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer

    def metrics(self) -> str:
        """What has been counted."""
        self.state.metrics.settle()
        return self.state.metrics.text().decode()

    def count(self, line: str) -> float:
        """A number of it; 0 where there is no such line yet."""
        lines = self.metrics().splitlines()
        return sum(float(found.split()[-1]) for found in lines if found.startswith(f"{line} "))


@asynccontextmanager
async def served(models_dir: Path, *, shortcut: bool = True, **settings: Any) -> AsyncIterator[Served]:
    application = create_app(Settings(models_dir=models_dir, **settings))

    async def service(scope: Scope, receive: Receive, send: Send) -> None:
        here.ordinary.append(scope["path"])
        await application(scope, receive, send)

    async with application.router.lifespan_context(application):
        state = application.state.gan
        gate = Gate(max_requests=settings.get("max_requests", 256), metrics=state.metrics)
        taken = Shortcut(application) if shortcut else None
        config = GuardedConfig(service, gate=gate, shortcut=taken, log_config=None, access_log=False, ws="none")
        config.load()
        server_state = ServerState()
        server_state.default_headers = COMMON
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: GuardedProtocol(config, server_state, {}), "127.0.0.1", 0)
        here = Served(server.sockets[0].getsockname()[1], state, server_state, application.state.reloader.reload)
        try:
            yield here
        finally:
            server.close()


def get(query: str, *headers: str, last: bool = True) -> bytes:
    """A request for samples."""
    lines = [f"GET /v1/samples?{query} HTTP/1.1", "Host: gan", *headers, *(["Connection: close"] if last else [])]
    return "\r\n".join([*lines, "", ""]).encode()


def cases() -> list[bytes]:
    """Right and wrong ones, without those whose seed is drawn."""
    asked = [get(query, *(f"{name}: {value}" for name, value in headers.items())) for query, headers in requests()]
    return asked + [get(query) for query in QUICK if "seed" in query]


def test_the_same_bytes(models_dir: Path) -> None:
    async def answers(*, shortcut: bool) -> tuple[list[bytes], int]:
        async with served(models_dir, shortcut=shortcut) as here:
            return [await here.ask(data) for data in cases()], len(here.ordinary)

    (short, others), (long, all_of_them) = (asyncio.run(answers(shortcut=shortcut)) for shortcut in (True, False))
    for asked, one, other in zip(cases(), short, long, strict=True):
        assert one == other, asked
    assert all_of_them == sum(not answer.startswith(b"HTTP/1.1 400 ") for answer in long)  # uvicorn's own
    pictures = sum(b"200 OK" in answer and b"image/png" in answer for answer in long)
    assert pictures > 40
    assert others < all_of_them - pictures / 2
    assert {answer.split()[1] for answer in short} >= {b"200", b"304", b"404", b"406", b"422"}


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
    """A request that has the plan of one before, and those that only look as if they might."""

    async def answers(*, shortcut: bool) -> list[bytes]:
        async with served(models_dir, shortcut=shortcut) as here:
            asked = [
                get(query, *more) for one in LIKE_EACH_OTHER for query in one for more in ([], ["Accept: image/*"])
            ]
            return [await here.ask(data) for data in asked]

    short, long = (asyncio.run(answers(shortcut=shortcut)) for shortcut in (True, False))
    assert short == long
    assert {answer.split()[1] for answer in short} == {b"200", b"422"}


def test_a_plan_is_made_once(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    plan_of = Plan.of

    def counted(state: State, asked: SamplesQuery, *arguments: Any, **more: Any) -> Plan:
        made.append(asked.seed)
        return plan_of(state, asked, *arguments, **more)

    monkeypatch.setattr(Plan, "of", counted)

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


def test_what_goes_it(models_dir: Path) -> None:
    async def ask() -> None:
        async with served(models_dir) as here:
            for query in QUICK:
                assert (await here.ask(get(query))).startswith(b"HTTP/1.1 200 OK\r\ndate: today\r\n")
                assert (await here.ask(get(query, "If-None-Match: *"))).startswith(b"HTTP/1.1 304 Not Modified\r\n")
            assert here.ordinary == []
            assert here.server.tasks == set()
            assert here.count(COUNTED.format(200)) == here.count(COUNTED.format(304)) == len(QUICK)

    asyncio.run(ask())


def test_what_does_not(models_dir: Path) -> None:
    asked = [
        get("n=1&seed=7&format=json"),
        get("n=1&seed=7&format=npz"),
        get("n=65&seed=7&scale=2"),
        get("n=1&seed=7&truncation=0.5"),
        get("model=digits&digit=3&n=1&seed=7"),
        get("n=1&seed=7&model=nothing"),
        get("n=1&seed=7", "Content-Length: 0"),
        get("n=1&seed=7", "Content-Length: 2") + b"{}",
        get("n=1&seed=7", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n\r\n",
        get("n=1&seed=7", "Expect: 100-continue"),
        get("n=1&seed=7").replace(b"GET", b"HEAD"),
        get("n=1&seed=7").replace(b"/v1/samples", b"/v2/samples"),
    ]

    async def ask() -> None:
        async with served(models_dir) as here:
            for count, data in enumerate(asked, start=1):
                assert (await here.ask(data)).startswith((b"HTTP/1.1 200", b"HTTP/1.1 404")), data
                assert len(here.ordinary) == count, data

    asyncio.run(ask())


def test_one_after_the_other(models_dir: Path) -> None:
    """Requests that do not wait for the answers before them: those come in order, whichever way each goes."""
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
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def held(here: Served) -> AsyncIterator[None]:
    """Meanwhile the engine has something else to do."""
    free = threading.Event()

    def wait(rows: Any) -> Any:
        assert free.wait(30)
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

    monkeypatch.setattr("app.api.sample_request.Job.lines", fails)

    async def ask() -> None:
        async with served(models_dir) as here:
            assert (await here.ask(get("n=1&seed=1"))).startswith(b"HTTP/1.1 200 OK\r\n")
            assert here.ordinary == ["/v1/samples"]

    asyncio.run(ask())


@pytest.mark.parametrize(
    "place",
    ["app.api.sample_request.encode_rows", "app.api.sample_request.Plan.of", "app.api.sample_request.Job.words"],
)
def test_a_fault_is_told_on_the_ordinary_way(models_dir: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def fails(*arguments: Any, **more: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(place, fails)

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


@pytest.mark.parametrize(
    ("settings", "stands"),
    [
        ({}, False),
        ({"api_keys": ["0123456789abcdef"]}, True),
        ({"cors_origins": ["https://a.example"]}, True),
        ({"access_log": True}, True),
        ({"otel": True}, True),
    ],
)
def test_nothing_that_stands_before_the_service_is_passed_by(settings: dict[str, Any], stands: bool) -> None:
    assert has_entrance(Settings(**settings)) == stands
