"""`python -m benchmarks.anatomy [--svg FILE]`: where the time of a request goes, of one image and of a grid of 64.

The whole is 1 / (requests/s) of our service under wrk, on its core. HTTP is the same of a bare ASGI callable in the
same uvicorn with an answer as long. The other parts are timed alone in this process, as the service calls them, in the
batch that 16 clients make. What is left of the whole is called waiting: the event loop's turns, futures, the switches
between its thread and the engine's, and caches that each of them finds emptied by the other.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from starlette.types import Message, Scope

from app.main import create_app
from app.png import encode_png
from app.settings import Settings
from benchmarks.contenders import Request, add_load_options, bare, hello, ours, plain, started
from benchmarks.cores import SERVER_CORE, pinned_to
from benchmarks.report import describe_machine, table
from benchmarks.wrk import load, need_wrk
from models.folder import load_model
from models.grids import assemble_grid, default_columns
from models.latents import draw_words, latents_of_words
from models.sampler import Sampler

IMAGES = {"one image": 1, "64 grid": 64}
PARTS = ("HTTP", "parameters, headers", "latents", "G", "PNG", "waiting")
COLOURS = ("#6b7280", "#2563a8", "#5b9bd5", "#c2571a", "#e0a458", "#d1d5db")
REPETITIONS = 300


def main() -> None:
    """Measure, print the table, and draw it."""
    options = _parser().parse_args()
    need_wrk()
    wholes, https, others = _under_load(options)
    with pinned_to(SERVER_CORE):
        alone = {kind: _alone(options.models_dir, options.model, n, options.connections) for kind, n in IMAGES.items()}
    parts = {}
    for kind in IMAGES:
        known = {"HTTP": https[kind], **alone[kind]}
        parts[kind] = known | {"waiting": max(0.0, wholes[kind] - sum(known.values()))}
    rows = [
        [
            kind,
            *(f"{parts[kind][part]:.0f}" for part in PARTS),
            f"{wholes[kind]:.0f}",
            *(f"{x:.0f}" for x in others[kind]),
        ]
        for kind in IMAGES
    ]
    machine = f"{describe_machine()}; {options.connections} clients, {options.rounds} rounds of {options.seconds} s"
    print(f"{machine}; µs a request\n")
    print(table(["", *PARTS, "together", "FastAPI's hello", "plain service"], rows))
    if options.svg:
        _draw(parts, options.svg)


def _under_load(
    options: argparse.Namespace,
) -> tuple[dict[str, float], dict[str, float], dict[str, tuple[float, float]]]:
    """µs a request: ours, bare HTTP with answers as long, and (hello, plain), each by kind of request."""
    mine, theirs = ours(options.models_dir, options.model), plain(options.models_dir, options.model)
    measured: dict[tuple[str, str], list[float]] = defaultdict(list)
    lengths = {kind: len(_picture(options.models_dir, options.model, n)) for kind, n in IMAGES.items()}
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds} …", file=sys.stderr)
        for service in (mine, bare(), hello(), theirs):
            with started(service) as running:
                for kind, request in zip(IMAGES, (service.one, service.grid), strict=True):
                    asked = Request(f"/{lengths[kind]}?seed=SEED") if service.name == bare().name else request
                    done = load(running.port, asked, connections=options.connections, seconds=options.seconds)
                    measured[service.name, kind].append(1e6 / done.rate)
    middle = {key: statistics.median(values) for key, values in measured.items()}
    return (
        {kind: middle[mine.name, kind] for kind in IMAGES},
        {kind: middle[bare().name, kind] for kind in IMAGES},
        {kind: (middle[hello().name, kind], middle[theirs.name, kind]) for kind in IMAGES},
    )


def _alone(models_dir: Path, model: str, n: int, clients: int) -> dict[str, float]:
    """µs a request of what the service does, each part by itself, in batches as `clients` make them."""
    torch.set_num_threads(1)
    loaded = load_model(models_dir / model)
    metadata = loaded.metadata
    sampler = Sampler(loaded.generator, z_dim=metadata.z_dim, image_shape=metadata.image_shape)
    together = min(clients, max(1, 64 // n))  # requests in a batch
    words = draw_words(7, 0, n * together, z_dim=metadata.z_dim)
    latents = latents_of_words(words, prior=metadata.prior)
    images = sampler(latents[:n])
    columns = default_columns(n)
    return {
        "parameters, headers": _unmodified(models_dir, model, n),
        "latents": _microseconds(lambda: draw_words(7, 0, n, z_dim=metadata.z_dim))
        + _microseconds(lambda: latents_of_words(words, prior=metadata.prior)) / together,
        "G": _microseconds(lambda: sampler(latents)) / together,
        "PNG": _microseconds(lambda: encode_png(assemble_grid(images, columns=columns, padding=0))),
    }


def _unmodified(models_dir: Path, model: str, n: int) -> float:
    """µs of a request that is answered by 304: all but the picture."""
    app = create_app(Settings(models_dir=models_dir, default_model=model, log_level="warning"))
    sent: list[Message] = []

    async def receive() -> Message:
        raise RuntimeError("nobody watches so short a request")

    async def send(message: Message) -> None:
        sent.append(message)

    async def measure() -> float:
        async with app.router.lifespan_context(app):
            scope: Scope = {
                "type": "http",
                "method": "GET",
                "path": "/v1/samples",
                "root_path": "",
                "query_string": f"n={n}&padding=0&format=png&seed=7".encode(),
                "headers": [(b"host", b"localhost"), (b"if-none-match", b"*")],
            }
            times = []
            for _ in range(REPETITIONS):
                began = time.perf_counter()
                await app(dict(scope), receive, send)
                times.append(time.perf_counter() - began)
        if {message["status"] for message in sent if message["type"] == "http.response.start"} != {304}:
            raise RuntimeError("a request was not answered by 304")
        return statistics.median(times) * 1e6

    return asyncio.run(measure())


def _picture(models_dir: Path, model: str, n: int) -> bytes:
    loaded = load_model(models_dir / model)
    metadata = loaded.metadata
    sampler = Sampler(loaded.generator, z_dim=metadata.z_dim, image_shape=metadata.image_shape)
    images = sampler(latents_of_words(draw_words(7, 0, n, z_dim=metadata.z_dim), prior=metadata.prior))
    return encode_png(assemble_grid(images, columns=default_columns(n), padding=0))


def _microseconds(call: Callable[[], object]) -> float:
    """The median of many."""
    times = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def _draw(parts: dict[str, dict[str, float]], file: Path) -> None:
    """A bar for each kind of request, as an SVG."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    FigureCanvasSVG(figure)
    for axes, (kind, known) in zip(figure.subplots(2, 1), parts.items(), strict=True):
        left = 0.0
        for part, colour in zip(PARTS, COLOURS, strict=True):
            axes.barh(0, known[part], left=left, color=colour, edgecolor="white", label=part)
            if known[part] > 0.04 * sum(known.values()):
                dark = part == "waiting"
                axes.text(
                    left + known[part] / 2,
                    0,
                    f"{known[part]:.0f}",
                    ha="center",
                    va="center",
                    color="black" if dark else "white",
                )
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
