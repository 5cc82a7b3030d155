"""`python -m benchmarks.serving`: requests/s and latency of one image and of a grid of 64, a new seed each request.

Our service is measured beside a plain service (`benchmarks.services.plain_service`), FastAPI's own hello, and constant
bytes, as many as our answers have. With `--rivals` there are more: a plain service with ONNX Runtime, the server
Granian, and the same G in other model servers (`benchmarks.rivals`), each with its own batching on. Server and client
(wrk) have a core each. Every second round goes through the services in the opposite order, and the table gives medians.
No service writes an access log. All but the rivals run in uvicorn with uvloop and httptools, in one process.
"""

import argparse
import statistics
import sys
import urllib.request
from collections import defaultdict
from pathlib import Path

from benchmarks.load.measured import Measured
from benchmarks.load.options import add_load_options
from benchmarks.load.wrk import need_wrk
from benchmarks.services.specs import HELLO, PLAIN, granian_bytes, hello, onnx, plain, rivals, starlette_bytes
from harness.pinned_services import started
from harness.process_tree import resident_mb
from harness.report import describe_machine, table
from harness.service_specs import RequestTemplate, ServiceSpec, ours

KINDS = ("one image", "64 grid")
NO_RIVALS = (
    "ONNX Runtime, Granian and other model servers are left out: --rivals names the Python of their environment, which "
    "`make bench` installs."
)


Results = dict[tuple[str, str, int], Measured]
"""What was measured, by service, kind of request and number of clients."""


def main() -> None:
    """Measure and print the tables."""
    options = _parser().parse_args()
    need_wrk()
    services, servers = _services(options)
    results: Results = defaultdict(Measured)
    starts_s: dict[str, list[float]] = defaultdict(list)
    resident: dict[str, list[float]] = defaultdict(list)
    for turn in range(options.rounds):
        for service in [*services, *servers][:: 1 if turn % 2 == 0 else -1]:
            print(f"round {turn + 1} of {options.rounds}: {service.name} …", file=sys.stderr)
            with started(service) as running:
                for kind, request in zip(KINDS, (service.one, service.grid), strict=True):
                    for connections in (options.connections, 1):
                        results[service.name, kind, connections].add_round(
                            running, request, connections=connections, seconds=options.seconds
                        )
                starts_s[service.name].append(running.start_s)
                resident[service.name].append(resident_mb(running.pid))
    print(
        f"{options.model}; {describe_machine()}; server and wrk on a core each, {options.rounds} rounds of "
        f"{options.seconds} s"
    )
    for kind in KINDS:
        print(f"\n{kind}\n\n{_kind_table([*services, *servers], results, kind, options.connections)}")
    print(f"\n{_rivals_table(servers, results, options.connections) if servers else NO_RIVALS}\n")
    footprints = [
        [name, f"{statistics.median(starts_s[name]):.1f}", f"{statistics.median(resident[name]):.0f}"]
        for name in (service.name for service in [*services, *servers])
    ]
    print(table(["service", "start to ready, s", "resident, MB"], footprints))


def _services(options: argparse.Namespace) -> tuple[list[ServiceSpec], list[ServiceSpec]]:
    """Return the services to measure, and the model servers among the rivals."""
    python, folder, model = options.rivals, options.models_dir, options.model
    mine = ours(folder, model)
    with started(mine) as running:
        one, grid = (_length(running.port, request) for request in (mine.one, mine.grid))
    services = [mine, plain(folder, model), hello(), starlette_bytes(one=one, grid=grid)]
    if python is None:
        return services, []
    services[2:2] = [onnx(python, folder, model)]
    return [*services, granian_bytes(python, one=one, grid=grid)], rivals(python, folder, model)


def _length(port: int, request: RequestTemplate) -> int:
    """Return the number of bytes with which a service answers a request."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{request.target.replace('SEED', '1')}") as answer:
        return len(answer.read())


def _kind_table(services: list[ServiceSpec], results: Results, kind: str, connections: int) -> str:
    rates = {service.name: results[service.name, kind, connections].middle.rate for service in services}
    rows = []
    for name, rate in rates.items():
        measured = results[name, kind, connections]
        many, lone = measured.middle, results[name, kind, 1].middle
        rows.append(
            [
                name,
                f"{rate:,.0f}",
                f"{rate / rates[PLAIN]:.2f}",
                f"{rate / rates[HELLO]:.3f}",
                f"{measured.processor_us:,.0f}",
                f"{many.p50_ms:.2f}",
                f"{many.p99_ms:.2f}",
                f"{lone.p50_ms:.2f}",
                str(many.errors + lone.errors),
            ]
        )
    heads = [
        "service",
        f"requests/s, {connections} clients",
        "× plain",
        "× hello",
        "processor µs",
        "p50, ms",
        "p99, ms",
    ]
    return table([*heads, "lone client p50, ms", "errors"], rows)


def _rivals_table(others: list[ServiceSpec], results: Results, connections: int) -> str:
    """Return our rate, and its ratio to the rate of the best other model server."""
    rows = []
    for kind in KINDS:
        rate = results["ours", kind, connections].middle.rate
        rates = {service.name: results[service.name, kind, connections].middle.rate for service in others}
        best = max(rates, key=lambda name: rates[name])
        rows.append([kind, f"{rate:,.0f}", best, f"{rates[best]:,.0f}", f"{rate / rates[best]:.2f}"])
    return table(["requests/s", "ours", "best model server", "its", "ours × it"], rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description="Measure requests/s and latency.")
    add_load_options(parser, seconds=3)
    parser.add_argument(
        "--rivals",
        type=Path,
        metavar="PYTHON",
        help="the interpreter of their environment (default: they are left out)",
    )
    return parser


if __name__ == "__main__":
    main()
