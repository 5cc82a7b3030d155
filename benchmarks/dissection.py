"""`python -m benchmarks.dissection`: what each part of a request costs in its place, measured by leaving it out.

The service's own protocol, fast path and engine run in this process, on one core, without a network: each client is a
transport that sends the next request when its answer is written. The tables give the processor time of one request, in
the event loop's thread and in the engine's. A part is left out by returning a result that it gave before.

A part that is timed alone, as `benchmarks.anatomy` does, is two or three times as fast, because caches and branch
predictors have seen it just before. Without a network and a client's process, the figures here repeat within a percent.
"""

import argparse
import asyncio
import pkgutil
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager
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
WHOLE = "the whole"
PARTS = {
    "what the query asks for": "app.api.sample_request.SampleRequests.parse",
    "random words": "app.api.sample_request.draw_words",
    "headers": "app.server.fast_path.FastPath._lines",
    "latents": "models.inference.input_table.InputTable.__call__",
    "G, its images as bytes too": "models.inference.sampler.Sampler.of_inputs",
    "its images as bytes": "models.inference.integer_generator.to_uint8_in_place",
    "PNG": "app.api.sample_request.SampleJob.encode",
}
"""The function that is left out, by the name of the part: the dotted name under which its caller looks it up."""


class _Client(asyncio.Transport):
    """A client without a network: it sends its next request when the answer to the last one is written."""

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
    """Clients that ask at the same time.

    Attributes:
        all: the clients.
        ended: how many of them have all their answers.
    """

    all: list[_Client] = field(default_factory=list)
    ended: int = 0

    async def ask(self, requests: int) -> tuple[float, float]:
        """Let each client send `requests` requests; return processor time of event loop and engine, µs a request."""
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
        """Count a client that has all its answers."""
        self.ended += 1


def _works(thread: threading.Thread) -> bool:
    """Return whether a thread is the event loop's or the engine's. `threading.enumerate` lists the loop's first."""
    return thread is threading.main_thread() or thread.name == "engine"


def main() -> None:
    """Measure and print."""
    options = _parser().parse_args()
    if missing := unknown_names(PARTS.values()):
        sys.exit(f"error: PARTS in {__file__} names functions that do not exist: {', '.join(missing)}")
    give_memory_back()
    torch.set_num_threads(1)
    print(f"{describe_machine()}; {options.connections} clients, {options.rounds} rounds\n")
    with pinned_to(SERVER_CORE):
        for kind, n in IMAGES.items():
            print(f"{kind}\n\n{_told(uvloop.run(_measure(options, n)))}\n")


def unknown_names(names: Iterable[str]) -> list[str]:
    """Return the dotted names that do not exist."""
    unknown = []
    for name in names:
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            unknown.append(name)
    return unknown


async def _measure(options: argparse.Namespace, n: int) -> dict[str, tuple[float, float]]:
    """Measure processor time of the event loop and the engine, µs a request, by the part that was left out."""
    measured: dict[str, list[tuple[float, float]]] = defaultdict(list)
    app = create_app(Settings(models_dir=options.models_dir, default_model=options.model, log_level="warning"))
    requests = max(1, options.requests // n)
    async with app.router.lifespan_context(app), _asking(app, options.connections, n) as clients:
        await clients.ask(requests)
        for _ in range(options.rounds):
            measured[WHOLE].append(await clients.ask(requests))
            for name, function in PARTS.items():
                with _left_out(function):
                    await clients.ask(1)  # stores the results that `_left_out` returns from now on
                    measured[name].append(await clients.ask(requests))
    return {name: _medians(each) for name, each in measured.items()}


def _medians(each: list[tuple[float, float]]) -> tuple[float, float]:
    loop, engine = zip(*each, strict=True)
    return statistics.median(loop), statistics.median(engine)


@asynccontextmanager
async def _asking(app: FastAPI, number: int, n: int) -> AsyncIterator[_Clients]:
    """Connect clients to the service without a network."""
    admission = Admission(max_requests=number + 1, metrics=app.state.gan.metrics)
    config = GuardedConfig(
        app, admission=admission, fast_path=FastPath(app).take, log_config=None, access_log=False, ws="none"
    )
    config.load()
    clients, server = _Clients(), ServerState()
    clients.all = [_Client(GuardedProtocol(config, server, {}), k, n, clients.end) for k in range(number)]
    yield clients


def _left_out(function: str) -> AbstractContextManager[object]:
    """Within this context, replace a function: for each number of rows it returns the first result again."""
    real, known = pkgutil.resolve_name(function), dict[int, object]()

    def instead(*arguments: Any, **more: Any) -> object:  # noqa: ANN401
        rows = next((len(one) for one in arguments if hasattr(one, "shape")), 0)
        if rows not in known:
            known[rows] = real(*arguments, **more)
        return known[rows]

    return patch(function, instead)


def _told(measured: dict[str, tuple[float, float]]) -> str:
    whole = sum(measured[WHOLE])
    rows = []
    for name, (loop, engine) in measured.items():
        less = "–" if name == WHOLE else f"{whole - loop - engine:.1f}"
        rows.append([name, f"{loop:.1f}", f"{engine:.1f}", f"{loop + engine:.1f}", less])
    return table(["left out", "event loop, µs", "engine, µs", "together, µs", "so it costs, µs"], rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dissection", description="Measure what a request's parts cost."
    )
    add_model_options(parser)
    parser.add_argument("--connections", type=int, default=16, help="clients at once (default: 16)")
    parser.add_argument(
        "--requests", type=int, default=400, help="requests of each client for one image (default: 400)"
    )
    return parser


if __name__ == "__main__":
    main()
