"""`python -m benchmarks.anatomy [--svg FILE]`: where the time of a request goes, for one image and a grid of 64.

The whole is 1 / (requests/s) of our service under wrk, on its core. HTTP is the same for a bare ASGI callable in the
same uvicorn, with an answer of the same length. The other parts are timed alone in this process, called as the service
calls them, in the batches that 16 clients make. The rest of the whole is called waiting: turns of the event loop,
futures, switches between its thread and the engine's, and caches that each of them finds emptied by the other.
"""

import argparse
import asyncio
import logging
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.main import create_app
from app.media.png import encode_rows
from app.server.fast_path import FastPath
from app.settings import Settings
from benchmarks.load.options import add_load_options
from benchmarks.load.wrk import load, need_wrk
from benchmarks.services.specs import bare, hello, plain
from harness.cores import SERVER_CORE, pinned_to
from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.service_specs import ServiceSpec, ours
from models.grids import assemble_rows
from models.inference.sampler import Sampler
from models.inference.word_sampler import WordSampler
from models.latents import draw_words
from models.model_folder.metadata import Metadata
from models.model_folder.read import load_model

IMAGES = {"one image": 1, "64 grid": 64}
PARTS = ("HTTP", "parameters, headers", "random words", "G", "PNG", "waiting")
COLOURS = ("#6b7280", "#2563a8", "#5b9bd5", "#c2571a", "#e0a458", "#d1d5db")
REPETITIONS = 300


@dataclass(frozen=True)
class _PictureSteps:
    """The steps by which the service draws a picture, in this process.

    Attributes:
        metadata: the metadata of the model.
        draw: applies G to random words.
    """

    metadata: Metadata
    draw: WordSampler

    @classmethod
    def of(cls, folder: Path) -> "_PictureSteps":
        model = load_model(folder)
        return cls(model.metadata, WordSampler(Sampler.of_model(model), model.metadata.prior))

    def words(self, n: int) -> NDArray[np.uint64]:
        return draw_words(7, 0, n, z_dim=self.metadata.z_dim)

    def png(self, images: NDArray[np.uint8]) -> bytes:
        return encode_rows(assemble_rows(images, padding=0), channels=self.metadata.image_shape.channels)


def main() -> None:
    """Measure, print the table, and draw it."""
    options = _parser().parse_args()
    need_wrk()
    torch.set_num_threads(1)
    pictures = _PictureSteps.of(options.models_dir / options.model)
    lengths = [len(pictures.png(pictures.draw(pictures.words(n)))) for n in IMAGES.values()]
    mine, http = ours(options.models_dir, options.model), bare(one=lengths[0], grid=lengths[1])
    others = [hello(), plain(options.models_dir, options.model)]
    whole = _under_load([mine, http, *others], options)
    parts, rows = {}, []
    for kind, n in IMAGES.items():
        with pinned_to(SERVER_CORE):
            headers = _unmodified(options.models_dir, options.model, n)
            known = {"HTTP": whole[http.name, kind], "parameters, headers": headers}
            known |= _alone(pictures, n, options.connections)
        parts[kind] = known | {"waiting": max(0.0, whole[mine.name, kind] - sum(known.values()))}
        totals = [whole[service.name, kind] for service in (mine, *others)]
        rows.append([kind, *(f"{us:.0f}" for us in [*parts[kind].values(), *totals])])
    machine = f"{describe_machine()}; {options.connections} clients, {options.rounds} rounds of {options.seconds} s"
    print(f"{machine}; µs a request\n")
    print(table(["", *PARTS, "together", "FastAPI's hello", "plain service"], rows))
    if options.svg:
        _draw(parts, options.svg)


def _under_load(services: list[ServiceSpec], options: argparse.Namespace) -> dict[tuple[str, str], float]:
    """Measure the microseconds of a request, by the name of the service and the kind of request."""
    measured: dict[tuple[str, str], list[float]] = defaultdict(list)
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds} …", file=sys.stderr)
        for service in services:
            with started(service) as running:
                for kind, request in zip(IMAGES, (service.one, service.grid), strict=True):
                    done = load(running.port, request, connections=options.connections, seconds=options.seconds)
                    measured[service.name, kind].append(1e6 / done.rate)
    return {key: statistics.median(values) for key, values in measured.items()}


def _alone(pictures: _PictureSteps, n: int, clients: int) -> dict[str, float]:
    """Measure the microseconds of each step of drawing, timed alone, in batches as `clients` clients make them."""
    together = min(clients, max(1, pictures.draw.rows_at_once // n))  # requests in a batch
    words = pictures.words(n * together)
    images = pictures.draw(words[:n])
    return {
        "random words": _microseconds(lambda: pictures.words(n)),
        "G": _microseconds(lambda: pictures.draw(words)) / together,
        "PNG": _microseconds(lambda: pictures.png(images)),
    }


def _unmodified(models_dir: Path, model: str, n: int) -> float:
    """Measure the microseconds of a request that is answered by 304, without HTTP: all except HTTP and the picture."""
    app = create_app(Settings(models_dir=models_dir, default_model=model, log_level="warning"))
    sink = _Sink()

    async def measure() -> float:
        async with app.router.lifespan_context(app):
            fast_path = FastPath(app)
            times = []
            for seed in range(REPETITIONS):
                cycle = _cycle(f"n={n}&padding=0&format=png&seed={seed}", sink)
                began = time.perf_counter()
                fast_path.take(cycle, set(), sink.close, alone=True)
                times.append(time.perf_counter() - began)
        if not sink.written.startswith(b"HTTP/1.1 304 "):
            raise RuntimeError("a request was not answered by 304")
        return statistics.median(times) * 1e6

    return asyncio.run(measure())


class _Sink(asyncio.Transport):
    """A transport that keeps the last bytes that were written."""

    written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written = bytes(data)

    def close(self) -> None:
        raise RuntimeError("a request went the ordinary way")


def _cycle(query: str, sink: _Sink) -> RequestResponseCycle:
    """Return a request as uvicorn has read it, from a client that already has the answer."""
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/v1/samples",
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), (b"if-none-match", b"*")],
    }
    log = logging.getLogger(__name__)
    return RequestResponseCycle(
        scope=scope,
        transport=sink,
        flow=FlowControl(sink),
        logger=log,
        access_logger=log,
        access_log=False,
        default_headers=[],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=True,
        on_response=lambda: None,
    )


def _microseconds(call: Callable[[], object]) -> float:
    """Return the median time of many calls."""
    times = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def _draw(parts: dict[str, dict[str, float]], file: Path) -> None:
    """Draw a bar for each kind of request, as an SVG."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    for axes, (kind, known) in zip(figure.subplots(2, 1), parts.items(), strict=True):
        left = 0.0
        for part, colour in zip(PARTS, COLOURS, strict=True):
            axes.barh(0, known[part], left=left, color=colour, edgecolor="white", label=part)
            if known[part] > 0.04 * sum(known.values()):
                ink = "black" if part == "waiting" else "white"
                axes.text(left + known[part] / 2, 0, f"{known[part]:.0f}", ha="center", va="center", color=ink)
            left += known[part]
        axes.set_yticks([])
        axes.set_title(f"{kind}: {left:,.0f} µs", loc="left", fontsize=11)
        axes.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(PARTS), frameon=False
    )
    figure.savefig(file, metadata={"Date": None})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anatomy", description="Where a request's time goes.")
    add_load_options(parser, seconds=3)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw it")
    return parser


if __name__ == "__main__":
    main()
