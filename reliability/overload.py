"""Ten times what the service can answer: `python -m reliability.overload --seconds 20`.

First 16 clients measure the rate that the service can answer. Then requests come at ten times that rate, on up to 1,000
connections, whether they are answered or not. Then the 16 clients come back. This is done for one image, a grid of 64
and a grid of 1,000, with a new seed in each request, and once more for one image with a new connection for each
request. Meanwhile /healthz and /readyz are asked for every 50 ms, on a kept connection and on new ones. Every answer
must be 200 or a 429 with Retry-After, 99 % of the probes must be answered within 100 ms, and the full rate must be back
within a second. With a connection for each request the probes wait in the kernel's queue of new connections like all
others: their limit is not checked there.
"""

import argparse
import multiprocessing
import statistics
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.cores import CLIENT_CORE, pinned_to
from harness.percentiles import percentile
from harness.pinned_services import started
from harness.process_tree import resident_mb
from harness.report import describe_machine, table
from harness.service_specs import ours
from models import bundled_models_dir
from reliability.load.flood import WINDOW_S, FloodResult, closed_loop, open_loop
from reliability.load.probes import Probes

KINDS = {
    "one image": "/v1/samples?n=1&format=png&seed=SEED",
    "64 grid": "/v1/samples?n=64&padding=0&format=png&seed=SEED",
    "1,000 grid": "/v1/samples?n=1000&format=png&seed=SEED",
}
CLOSED_S = 3.0
PROBE_LIMIT_MS = 100.0
BACK_LIMIT_S = 1.0
BACK_SHARE = 0.8
"""Share of the earlier rate that counts as the full rate; the rate on a shared machine is not exact."""


@dataclass
class OverloadResult:
    """The result of one kind of load."""

    name: str
    fresh: bool
    capacity: float
    flood: FloodResult
    seconds: float
    back_s: float
    memory_mb: tuple[float, float]
    backlog: tuple[int, int]
    probes: Probes

    def wrong(self) -> list[str]:
        """Return a line for each thing that was wrong."""
        said = []
        if self.flood.others() or self.flood.broken + self.flood.refused + self.flood.missing:
            said.append(f"answers {dict(self.flood.answers)}, {self.flood.broken} broken, {self.flood.missing} missing")
        if self.back_s > BACK_LIMIT_S:
            said.append(f"the full rate was back after {self.back_s:.1f} s")
        for probe in self.probes.all:
            if any(status != 200 for *_, status in probe.seen):
                said.append(f"{probe.name}: some answers were not 200")
            if not self.fresh and percentile(probe.sorted_ms(), 0.99) > PROBE_LIMIT_MS:
                said.append(f"{probe.name}: p99 {percentile(probe.sorted_ms(), 0.99):.0f} ms")
        return [f"{self.name}: {what}" for what in said]


def main() -> int:
    """Run the trial and print its tables. Return 1 if something was wrong, otherwise 0."""
    parser = argparse.ArgumentParser(description="Send ten times the load that the service can answer.")
    parser.add_argument("--seconds", type=float, default=20, help="seconds of each overload (default: 20)")
    parser.add_argument(
        "--times", type=float, default=10, help="rate, as a multiple of what the service can answer (default: 10)"
    )
    parser.add_argument("--connections", type=int, default=1000, help="largest number of connections (default: 1000)")
    parser.add_argument("--model", default="mnist-mlp", help="the model that draws (default: mnist-mlp, the fastest)")
    options = parser.parse_args()
    with (
        pinned_to(CLIENT_CORE),
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        started(ours(bundled_models_dir(), options.model)) as running,
    ):
        trials = [
            run(pool, running.port, running.pid, name, options, fresh=fresh)
            for name, fresh in [*((kind, False) for kind in KINDS), ("one image", True)]
        ]
    print(
        f"{describe_machine()}; {options.model}, {options.times:g} times the rate for {options.seconds:g} s, ", end=""
    )
    print(f"up to {options.connections:,} connections\n")
    print_tables(trials)
    wrong = [what for trial in trials for what in trial.wrong()]
    print("\n".join(["", *wrong]) if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def run(pool: Executor, port: int, pid: int, kind: str, options: argparse.Namespace, *, fresh: bool) -> OverloadResult:
    """Measure one kind of load: the rate before, the overload, and the rate after."""
    name = f"{kind}, a connection each" if fresh else kind
    print(f"{name} …", file=sys.stderr)
    target = KINDS[kind]
    before = pool.submit(closed_loop, port, target, seconds=CLOSED_S).result()
    capacity = before.rate(CLOSED_S)
    memory, backlog = resident_mb(pid), overflows()
    with Probes(port) as probes:
        flood = pool.submit(
            open_loop,
            port,
            target,
            rate=options.times * capacity,
            seconds=options.seconds,
            connections=options.connections,
            fresh=fresh,
        ).result()
    after = pool.submit(closed_loop, port, target, seconds=CLOSED_S).result()
    dropped = tuple(now - then for now, then in zip(overflows(), backlog, strict=True))
    return OverloadResult(
        name,
        fresh,
        capacity,
        flood,
        options.seconds,
        back_after_s(after, before),
        (memory, resident_mb(pid)),
        (dropped[0], dropped[1]),
        probes,
    )


def back_after_s(after: FloodResult, before: FloodResult) -> float:
    """Return the seconds until a half second begins that has `BACK_SHARE` of the median rate before."""
    span = 5
    spans = range(round(CLOSED_S / WINDOW_S) - span + 1)
    was, now = ([sum(outcome.windows[k + j] for j in range(span)) for k in spans] for outcome in (before, after))
    wanted = BACK_SHARE * statistics.median(was)
    return next((k * WINDOW_S for k in spans if now[k] >= wanted), CLOSED_S)


def overflows() -> tuple[int, int]:
    """Return how many connections the kernel has refused because its queue was full, and for any reason."""
    path = Path("/proc/net/netstat")
    if not path.exists():
        return 0, 0
    names, values = (line.split() for line in path.read_text(encoding="ascii").splitlines()[:2])
    told = dict(zip(names, values, strict=True))
    return int(told["ListenOverflows"]), int(told["ListenDrops"])


def print_tables(trials: list[OverloadResult]) -> None:
    """Print a table of the loads and one of the probes."""
    rows = [
        [
            trial.name,
            f"{trial.capacity:,.0f}",
            f"{trial.flood.due / trial.seconds:,.0f}",
            f"{trial.flood.sent / trial.seconds:,.0f}",
            f"{trial.flood.answers[200] / trial.seconds:,.0f}",
            f"{trial.flood.retry_after / trial.seconds:,.0f}",
            str(trial.flood.others()),
            str(trial.flood.broken + trial.flood.refused + trial.flood.missing),
            str(trial.backlog[0]),
            f"{trial.back_s:.1f}",
            f"{trial.memory_mb[0]:.0f}, {trial.memory_mb[1]:.0f}",
        ]
        for trial in trials
    ]
    heads = ["requests/s", "16 clients", "due", "sent", "200", "429, Retry-After", "other answers", "broken off"]
    print(table([*heads, "turned away by the kernel", "rate back after, s", "MB before, after"], rows))
    print()
    rows = [
        [trial.name, what, *(f"{percentile(ms, share):,.0f}" for share in (0.5, 0.99, 1))]
        for trial in trials
        for what, ms in [("200s", trial.flood.accepted_ms), ("429s", trial.flood.refused_ms)]
        + [(probe.name, probe.sorted_ms()) for probe in trial.probes.all]
    ]
    print(table(["latency, ms", "of", "p50", "p99", "max"], [[a, b, *rest] for a, b, *rest in rows]))


if __name__ == "__main__":
    sys.exit(main())
