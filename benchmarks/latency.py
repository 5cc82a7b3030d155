"""`python -m benchmarks.latency`: latency of our service at 10, 50 and 90 % of the requests/s that it can answer.

In each round wrk finds the top rate; then `benchmarks.load.open_loop` sends evenly spaced requests at shares of it.
Latency counts from the moment at which a request was due. If `achieved` is below `asked`, the service or the client was
too slow; `python -m benchmarks.load.open_loop` against a faster service shows the client's own limit.
"""

import argparse
import statistics
import sys
from collections import defaultdict

from benchmarks.load.constant_rate import send_at_rate
from benchmarks.load.open_loop import OpenLoopResult
from benchmarks.load.options import add_load_options
from benchmarks.load.wrk import load, need_wrk
from harness.pinned_services import started
from harness.report import describe_machine, table
from harness.service_specs import ours

SHARES = (0.1, 0.5, 0.9)


def main() -> None:
    """Measure and print the tables."""
    options = _parser().parse_args()
    need_wrk()
    service = ours(options.models_dir, options.model)
    kinds = {"one image": service.one, "64 grid": service.grid}
    tops: dict[str, list[float]] = defaultdict(list)
    outcomes: dict[tuple[str, float], list[OpenLoopResult]] = defaultdict(list)
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds} …", file=sys.stderr)
        with started(service) as running:
            for kind, request in kinds.items():
                top = load(running.port, request, connections=options.connections, seconds=options.seconds).rate
                tops[kind].append(top)
                for share in SHARES:
                    outcomes[kind, share].append(
                        send_at_rate(running.port, request, rate=share * top, seconds=options.seconds)
                    )
    print(f"{describe_machine()}; service and client on a core each, {options.rounds} rounds of {options.seconds} s")
    for kind in kinds:
        print(f"\n{kind}: at most {statistics.median(tops[kind]):,.0f} requests/s, {options.connections} clients\n")
        rows = [[f"{share:.0%}", *_figures(outcomes[kind, share])] for share in SHARES]
        print(table(["share", "asked, requests/s", "achieved", "p50, ms", "p99, ms", "errors"], rows))


def _figures(outcomes: list[OpenLoopResult]) -> list[str]:
    """Return the cells of a row: medians, and the sum of the errors."""
    asked = statistics.median(outcome.asked for outcome in outcomes)
    achieved = statistics.median(outcome.achieved for outcome in outcomes)
    p50_ms = statistics.median(outcome.p50_ms for outcome in outcomes)
    p99_ms = statistics.median(outcome.p99_ms for outcome in outcomes)
    errors = sum(outcome.errors for outcome in outcomes)
    return [f"{asked:,.0f}", f"{achieved:,.0f}", f"{p50_ms:.2f}", f"{p99_ms:.2f}", str(errors)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.latency", description="Measure latency at constant rates."
    )
    add_load_options(parser, seconds=5)
    return parser


if __name__ == "__main__":
    main()
