"""`python -m benchmarks.serving`: requests/s and latency of one image and of a grid of 64, a new seed each request.

Our service is measured beside a plain service (`benchmarks.services.plain_service`), beside FastAPI's own hello and,
with `--rivals`, beside the same G in other model servers (`benchmarks.rivals`), each with its own batching on. Server
and client (wrk) have a core each. Every second round goes through the services in the opposite order, and the table
gives medians. No service writes an access log. Ours, the plain service and hello run in uvicorn with uvloop and
httptools, in one process.
"""

import argparse
import statistics
import sys
from collections import defaultdict
from pathlib import Path

from benchmarks.load.options import add_load_options
from benchmarks.load.wrk import LoadResult, load, middle, need_wrk
from benchmarks.services.specs import HELLO, PLAIN, hello, plain, rivals
from harness.pinned_services import started
from harness.process_tree import resident_mb
from harness.report import describe_machine, table
from harness.service_specs import ServiceSpec, ours

KINDS = ("one image", "64 grid")
NO_RIVALS = (
    "Other model servers are left out: --rivals names the Python of their environment, which `make bench` installs."
)

Loads = dict[tuple[str, str, int], list[LoadResult]]
"""The loads of all rounds, by service, kind of request and number of clients."""


def main() -> None:
    """Measure and print the tables."""
    options = _parser().parse_args()
    need_wrk()
    services = [
        ours(options.models_dir, options.model),
        plain(options.models_dir, options.model),
        hello(),
        *(rivals(options.rivals, options.models_dir, options.model) if options.rivals else []),
    ]
    loads: Loads = defaultdict(list)
    starts_s: dict[str, list[float]] = defaultdict(list)
    resident: dict[str, list[float]] = defaultdict(list)
    for turn in range(options.rounds):
        for service in services[:: 1 if turn % 2 == 0 else -1]:
            print(f"round {turn + 1} of {options.rounds}: {service.name} …", file=sys.stderr)
            with started(service) as running:
                for kind, request in zip(KINDS, (service.one, service.grid), strict=True):
                    for connections in (options.connections, 1):
                        done = load(running.port, request, connections=connections, seconds=options.seconds)
                        loads[service.name, kind, connections].append(done)
                starts_s[service.name].append(running.start_s)
                resident[service.name].append(resident_mb(running.pid))
    print(f"{describe_machine()}; server and wrk on a core each, {options.rounds} rounds of {options.seconds} s")
    for kind in KINDS:
        print(f"\n{kind}\n\n{_kind_table(services, loads, kind, options.connections)}")
    print(f"\n{_rivals_table(services[3:], loads, options.connections) if options.rivals else NO_RIVALS}\n")
    footprints = [
        [name, f"{statistics.median(starts_s[name]):.1f}", f"{statistics.median(resident[name]):.0f}"]
        for name in (service.name for service in services)
    ]
    print(table(["service", "start to ready, s", "resident, MB"], footprints))


def _kind_table(services: list[ServiceSpec], loads: Loads, kind: str, connections: int) -> str:
    rates = {service.name: middle(loads[service.name, kind, connections]).rate for service in services}
    rows = []
    for name, rate in rates.items():
        many, lone = middle(loads[name, kind, connections]), middle(loads[name, kind, 1])
        rows.append(
            [
                name,
                f"{rate:,.0f}",
                f"{rate / rates[PLAIN]:.2f}",
                f"{rate / rates[HELLO]:.3f}",
                f"{many.p50_ms:.2f}",
                f"{many.p99_ms:.2f}",
                f"{lone.p50_ms:.2f}",
                str(many.errors + lone.errors),
            ]
        )
    heads = ["service", f"requests/s, {connections} clients", "× plain", "× hello", "p50, ms", "p99, ms"]
    return table([*heads, "lone client p50, ms", "errors"], rows)


def _rivals_table(others: list[ServiceSpec], loads: Loads, connections: int) -> str:
    """Return our rate, and its ratio to the rate of the best other model server."""
    rows = []
    for kind in KINDS:
        rate = middle(loads["ours", kind, connections]).rate
        rates = {service.name: middle(loads[service.name, kind, connections]).rate for service in others}
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
