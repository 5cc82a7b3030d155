"""`python -m benchmarks.dissection`: what each part of a request costs where it is, found by leaving it out.

The service's own protocol, fast path and engine in this process, on one core, without a network: each client is a
transport that sends the next request when its answer is written. What is told is processor time a request, of the
event loop's thread and of the engine's. A part is left out by putting a result in its place that was made before.

Timed alone, again and again, as `benchmarks.anatomy` does, a part is two or three times as quick: caches and branch
predictors know it by heart. And without a network and its client beside it, figures here repeat within a percent.
"""

import argparse
import asyncio
import pkgutil
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
import uvloop
from fastapi import FastAPI
from uvicorn.server import ServerState

from app.main import create_app
from app.malloc import give_memory_back
from app.server.admission import Admission
from app.server.fast_path import FastPath
from app.server.protocol import GuardedConfig, GuardedProtocol
from app.settings import Settings
from benchmarks.load.options import add_model_options
from harness.cores import SERVER_CORE, pinned_to
from harness.report import describe_machine, table

IMAGES = {"one image": 1, "64 grid": 64}
PARTS = {
    "the whole": None,
    "what the query asks for": "app.api.sample_request.SampleRequests.parse",
    "random words": "app.api.sample_request.draw_words",
    "headers": "app.server.fast_path.FastPath._lines",
    "latents": "models.inference.input_table.InputTable.__call__",
    "G, its images as bytes too": "models.inference.sampler.Sampler.of_inputs",
    "its images as bytes": "models.inference.integer_generator.spent_as_uint8",
    "PNG": "app.api.sample_request.SampleJob.encode",
}
"""By name, the function that is left out."""


class _Client(asyncio.Transport):
    """Sends the next request when the answer is written, until there were as many as were asked for."""

    def __init__(self, protocol: GuardedProtocol, number: int, n: int, ended: Callable[[], None]) -> None:
        super().__init__({"peername": ("127.0.0.1", 2), "sockname": ("127.0.0.1", 1)})
        self._protocol = protocol
        self._seed = number * 10**6
        self._n = n
        self._ended = ended
        self._left = 0
        protocol.connection_made(self)

    def begin(self, requests: int) -> None:
        self._left = requests
        self._send()

    def _send(self) -> None:
        self._seed += 1
        query = b"n=%d&format=png&seed=%d" % (self._n, self._seed)
        self._protocol.data_received(b"GET /v1/samples?%b HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n" % query)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not bytes(data).startswith(b"HTTP/1.1 200 OK\r\n"):
            raise RuntimeError(f"a request failed: {bytes(data[:200])!r}")
        self._left -= 1
        if self._left:
            asyncio.get_running_loop().call_soon(self._send)
        else:
            self._ended()

    def is_closing(self) -> bool:
        return False


@dataclass
class _Clients:
    """Some that ask at once.

    Attributes:
        all: of them.
        ended: how many have had their answers.
    """

    all: list[_Client] = field(default_factory=list)
    ended: int = 0

    async def ask(self, requests: int) -> tuple[float, float]:
        """Have each ask so often: µs of the event loop and of the engine, a request."""
        clocks = [time.pthread_getcpuclockid(thread.ident or 0) for thread in threading.enumerate() if _works(thread)]
        before = [time.clock_gettime(clock) for clock in clocks]
        self.ended = 0
        for client in self.all:
            client.begin(requests)
        while self.ended < len(self.all):
            await asyncio.sleep(0.005)
        spent = [time.clock_gettime(clock) - begun for clock, begun in zip(clocks, before, strict=True)]
        loop, engine = (1e6 * seconds / (requests * len(self.all)) for seconds in spent)
        return loop, engine

    def end(self) -> None:
        """One of them has had its answers."""
        self.ended += 1


def _works(thread: threading.Thread) -> bool:
    """Whether it is the event loop's or the engine's; they are told in this order."""
    return thread is threading.main_thread() or thread.name == "engine"


def main() -> None:
    """Measure and print."""
    options = _parser().parse_args()
    give_memory_back()
    torch.set_num_threads(1)
    print(f"{describe_machine()}; {options.connections} clients, {options.rounds} rounds\n")
    with pinned_to(SERVER_CORE):
        for kind, n in IMAGES.items():
            print(f"{kind}\n\n{_told(uvloop.run(_measure(options, n)))}\n")


async def _measure(options: argparse.Namespace, n: int) -> dict[str, tuple[float, float]]:
    """µs of the event loop and of the engine, a request, by what was left out."""
    measured: dict[str, list[tuple[float, float]]] = defaultdict(list)
    app = create_app(Settings(models_dir=options.models_dir, default_model=options.model, log_level="warning"))
    requests = max(1, options.requests // n)
    async with app.router.lifespan_context(app), _asking(app, options.connections, n) as clients:
        await clients.ask(requests)
        for _ in range(options.rounds):
            for name, function in PARTS.items():
                with _left_out(function):
                    await clients.ask(1)  # makes the result that then stands in its place
                    measured[name].append(await clients.ask(requests))
    return {name: _medians(each) for name, each in measured.items()}


def _medians(each: list[tuple[float, float]]) -> tuple[float, float]:
    loop, engine = zip(*each, strict=True)
    return statistics.median(loop), statistics.median(engine)


@asynccontextmanager
async def _asking(app: FastAPI, number: int, n: int) -> AsyncIterator[_Clients]:
    """Clients of the service, on connections without a network."""
    admission = Admission(max_requests=number + 1, metrics=app.state.gan.metrics)
    config = GuardedConfig(
        app, admission=admission, fast_path=FastPath(app).take, log_config=None, access_log=False, ws="none"
    )
    config.load()
    clients, server = _Clients(), ServerState()
    clients.all = [_Client(GuardedProtocol(config, server, {}), k, n, clients.end) for k in range(number)]
    yield clients


def _left_out(function: str | None) -> AbstractContextManager[object]:
    """Meanwhile a function gives what it gave first, for as many rows."""
    if function is None:
        return nullcontext()
    real, known = pkgutil.resolve_name(function), dict[int, object]()

    def instead(*arguments: Any, **more: Any) -> object:  # noqa: ANN401
        rows = next((len(one) for one in arguments if hasattr(one, "shape")), 0)
        if rows not in known:
            known[rows] = real(*arguments, **more)
        return known[rows]

    return patch(function, instead)


def _told(measured: dict[str, tuple[float, float]]) -> str:
    whole = sum(measured["the whole"])
    rows = []
    for name, (loop, engine) in measured.items():
        less = "–" if name == "the whole" else f"{whole - loop - engine:.1f}"
        rows.append([name, f"{loop:.1f}", f"{engine:.1f}", f"{loop + engine:.1f}", less])
    return table(["left out", "event loop, µs", "engine, µs", "together, µs", "so it costs, µs"], rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dissection", description="What a request's parts cost.")
    add_model_options(parser)
    parser.add_argument("--connections", type=int, default=16, help="clients at once (default: 16)")
    parser.add_argument("--requests", type=int, default=400, help="of one image, of each client (default: 400)")
    return parser


if __name__ == "__main__":
    main()
