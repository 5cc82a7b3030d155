"""`python -m benchmarks.ray_serve`: our engine in a replica of Ray Serve, and `@serve.batch` in its place.

One replica, behind each of Serve's ingresses, and `python -m app` beside them; the same routes, networks and PNGs in
all. Server and client (wrk) have a core each; rounds go through the services forwards and backwards in turn; medians
are given. Needs the extra `ray`: the environment of `make test-ray` has it.
"""

import argparse
import sys
from collections import defaultdict

from benchmarks.load.wrk import Load, load, middle, need_wrk
from harness.pinned_services import RAY_INGRESSES, add_load_options, on_ray, ours, started
from harness.process_tree import resident_mb
from harness.ray_service import BATCHINGS
from harness.report import describe_machine, table

KINDS = ("one image", "64 grid")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ray_serve", description="Batching on Ray Serve.")
    add_load_options(parser, seconds=3)
    options = parser.parse_args()
    need_wrk()
    services = [ours(options.models_dir, options.model)]
    services += [
        on_ray(options.models_dir, options.model, ingress=ingress, batching=batching)
        for ingress in RAY_INGRESSES
        for batching in BATCHINGS
    ]
    loads: dict[tuple[str, str, int], list[Load]] = defaultdict(list)
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
        rows = []
        for service in services:
            many, lone = (middle(loads[service.name, kind, count]) for count in (options.connections, 1))
            figures = [f"{many.rate:,.0f}", f"{many.p50_ms:.2f}", f"{many.p99_ms:.2f}", f"{lone.p50_ms:.2f}"]
            rows.append([service.name, *figures, str(many.errors + lone.errors)])
        heads = [kind, f"requests/s, {options.connections} clients", "p50, ms", "p99, ms", "lone client p50, ms"]
        print(f"\n{table([*heads, 'errors'], rows)}")
    footprints = [[service.name, f"{resident[service.name]:.0f}"] for service in services]
    print(f"\n{table(['with all that it started', 'resident, MB'], footprints)}")


if __name__ == "__main__":
    main()
