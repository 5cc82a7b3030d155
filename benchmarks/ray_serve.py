"""`python -m benchmarks.ray_serve`: our engine in a replica of Ray Serve, and `@serve.batch` in its place.

One replica is measured behind each of Serve's ingresses, and `python -m app` beside them. All have the same routes,
networks and PNGs. Server and client (wrk) have a core each. Every second round goes through the services in the
opposite order, and the tables give medians. The command needs the extra `ray`: the environment of `make test-ray` has
it.
"""

import argparse
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from benchmarks.load.options import add_load_options
from benchmarks.load.wrk import LoadResult, load, middle, need_wrk
from harness.pinned_services import started
from harness.process_tree import resident_mb
from harness.report import describe_machine, table
from harness.service_specs import RAY_INGRESSES, ServiceSpec, on_ray, ours

KINDS = ("one image", "64 grid")
BATCHINGS = {"engine": None, "serve.batch": "benchmarks.services.ray_batch:BatchReplica"}
"""The name in the tables, and the class of the replica; None stands for the class of `app.ray`."""

Loads = dict[tuple[str, str, int], list[LoadResult]]
"""The loads of all rounds, by service, kind of request and number of clients."""


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ray_serve", description="Compare batching on Ray Serve."
    )
    add_load_options(parser, seconds=3)
    options = parser.parse_args()
    need_wrk()
    services = _services(options.models_dir, options.model)
    loads: Loads = defaultdict(list)
    resident: dict[str, float] = {}
    for turn in range(options.rounds):
        for service in services[:: 1 if turn % 2 == 0 else -1]:
            print(f"round {turn + 1} of {options.rounds}: {service.name} …", file=sys.stderr)
            with started(service) as running:
                for kind, request in zip(KINDS, (service.one, service.grid), strict=True):
                    for connections in (options.connections, 1):
                        done = load(running.port, request, connections=connections, seconds=options.seconds)
                        loads[service.name, kind, connections].append(done)
                resident[service.name] = resident_mb(running.pid)
    print(f"{describe_machine()}; server and wrk on a core each, {options.rounds} rounds of {options.seconds} s")
    for kind in KINDS:
        print(f"\n{_kind_table(services, loads, kind, options.connections)}")
    footprints = [[service.name, f"{resident[service.name]:.0f}"] for service in services]
    print(f"\n{table(['with all that it started', 'resident, MB'], footprints)}")


def _services(models_dir: Path, model: str) -> list[ServiceSpec]:
    services = [ours(models_dir, model)]
    for ingress in RAY_INGRESSES:
        for batching, replica in BATCHINGS.items():
            spec = on_ray(models_dir, model, ingress=ingress, replica=replica)
            services.append(replace(spec, name=f"{spec.name}, {batching}"))
    return services


def _kind_table(services: list[ServiceSpec], loads: Loads, kind: str, connections: int) -> str:
    rows = []
    for service in services:
        many, lone = (middle(loads[service.name, kind, count]) for count in (connections, 1))
        figures = [f"{many.rate:,.0f}", f"{many.p50_ms:.2f}", f"{many.p99_ms:.2f}", f"{lone.p50_ms:.2f}"]
        rows.append([service.name, *figures, str(many.errors + lone.errors)])
    heads = [kind, f"requests/s, {connections} clients", "p50, ms", "p99, ms", "lone client p50, ms"]
    return table([*heads, "errors"], rows)


if __name__ == "__main__":
    main()
