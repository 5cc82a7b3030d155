"""`python -m benchmarks.queueing`: simulate the service as a queue, compare with the service, and plan from it.

In each turn the event loop reads the requests that wait, the engine draws their images in one call, and the event loop
answers: on one core, one after the other. So the service is modelled as a server that takes all waiting requests, at
most as many as fit in one call, and needs F + V·b seconds for b of them. F and V are fitted to the rates that 1 to 32
clients reach; each client sends its next request when it has the answer. The simulation gives the latencies of random
arrivals at shares of the top rate, and requests at the same rates are sent to the service. The simulation does not
contain the kernel's queues, pauses, or other work on the machine.

The last table is arithmetic: the number of cores, each with its own service at `USED` of the top rate, for a number of
images a second, and the traffic on the network.
"""

import argparse
import math
import random
import statistics
import sys
import urllib.request
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from benchmarks.load.constant_rate import send_at_rate
from benchmarks.load.options import add_load_options
from benchmarks.load.wrk import load, need_wrk
from harness.percentiles import percentile
from harness.pinned_services import PinnedService, started
from harness.report import describe_machine, table
from harness.service_specs import RequestTemplate, ours
from models.inference.sampler import Sampler
from models.model_folder.read import load_model

CLIENTS = (1, 2, 4, 8, 16, 32)
SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9)
IMAGES = {"one image": 1, "64 grid": 64}
HEADS = ["share of that", "requests/s", "p50, ms", "simulated", "p99, ms", "simulated"]
ARRIVALS = 100_000
USED = 0.7
"""Share of the top rate that a plan uses."""

PLANS = (10**3, 10**5, 10**7)
"""Images a second to plan for."""


@dataclass(frozen=True)
class TurnCosts:
    """The time of one turn of the service.

    Attributes:
        turn_s: F, for the turn itself.
        request_s: V, for each request in it.
        most: the largest number of requests in one turn.
    """

    turn_s: float
    request_s: float
    most: int

    def of(self, requests: int) -> float:
        """Return the seconds of a turn with `requests` requests."""
        return self.turn_s + self.request_s * requests

    @property
    def top_rate(self) -> float:
        """Requests/s when every turn is full."""
        return self.most / self.of(self.most)


def fit(rates: dict[int, float], most: int) -> TurnCosts:
    """Fit a line to the seconds of a turn over the number of its requests.

    Args:
        rates: requests/s by the number of clients. Each client sends its next request when it has the answer, so
            all of them are in each turn.
        most: the largest number of requests in one turn; if it is 1, there is no line, and F is 0.
    """
    if most == 1:
        return TurnCosts(0.0, 1 / max(rates.values()), 1)
    clients = np.array([count for count in rates if count <= most])
    seconds = clients / np.array([rates[count] for count in clients])
    request_s, turn_s = np.polyfit(clients, seconds, 1, w=1 / seconds)  # relative errors count, not absolute ones
    return TurnCosts(max(0.0, float(turn_s)), float(request_s), most)


def simulate(costs: TurnCosts, arrivals: Sequence[float]) -> list[float]:
    """Return the latencies, in seconds, of requests that arrive at these times, in ascending order.

    A bulk queue (Bailey, "On queueing processes with bulk service", 1954), first come, first served.
    """
    latencies: list[float] = []
    now = 0.0
    while len(latencies) < len(arrivals):
        first = len(latencies)
        now = max(now, arrivals[first])
        taken = arrivals[first : min(bisect_right(arrivals, now), first + costs.most)]
        now += costs.of(len(taken))
        latencies += [now - came for came in taken]
    return latencies


def random_arrivals(rate: float, count: int, seed: int = 0) -> list[float]:
    """Return the times, in seconds, of the first `count` events of a Poisson process."""
    rng = random.Random(seed)  # noqa: S311  (not a secret)
    return list(accumulate(rng.expovariate(rate) for _ in range(count)))


def main() -> None:
    """Measure, simulate, compare, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.queueing", description="Simulate the service as a queue, and compare."
    )
    add_load_options(parser, seconds=4)
    options = parser.parse_args()
    need_wrk()
    service = ours(options.models_dir, options.model)
    rows_at_once = _rows_at_once(options.models_dir / options.model)
    seen: dict[str, list[tuple[TurnCosts, list[list[float]]]]] = {kind: [] for kind in IMAGES}
    lengths: dict[str, int] = {}
    for turn in range(options.rounds):
        print(f"round {turn + 1} of {options.rounds} …", file=sys.stderr)
        with started(service) as running:
            for kind, request in zip(IMAGES, (service.one, service.grid), strict=True):
                lengths[kind] = _length(running, request)
                seen[kind].append(_measure(running, request, IMAGES[kind], options.seconds, rows_at_once))
    print(f"{describe_machine()}; {options.model}, {options.rounds} rounds of {options.seconds} s each")
    plans = []
    for kind, rounds in seen.items():
        costs = _middle([costs for costs, _ in rounds])
        turn_us, request_us = round(costs.turn_s * 1e6), round(costs.request_s * 1e6)
        print(f"\n{kind}: a turn takes {turn_us:,} µs, and {request_us:,} µs for each of at most {costs.most} requests")
        print(f"in it; at most {costs.top_rate:,.0f} requests/s\n")
        print(table(HEADS, [_row(k, rounds) for k in range(len(SHARES))]))
        plans.append([plan(images / IMAGES[kind], costs, lengths[kind]) for images in PLANS])
    print(f"\nat {USED:.0%} of the top rate\n")
    heads = ["images/s", *(f"{kind}: {what}" for kind in IMAGES for what in ("cores", "Gbit/s"))]
    print(table(heads, [[f"{n:,}", *of_one, *of_grid] for n, of_one, of_grid in zip(PLANS, *plans, strict=True)]))


def _rows_at_once(folder: Path) -> int:
    """Return the largest number of images in one call of the engine."""
    return Sampler.of_model(load_model(folder)).rows_at_once


def plan(rate: float, costs: TurnCosts, length: int) -> list[str]:
    """Return the cells of a plan: cores and Gbit/s for `rate` requests/s with answers of `length` bytes."""
    return [f"{math.ceil(rate / (USED * costs.top_rate)):,}", f"{rate * length * 8 / 1e9:,.2f}"]


def _length(running: PinnedService, request: RequestTemplate) -> int:
    """Return the length of an answer in bytes, with its head."""
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}{request.target.replace('SEED', '1')}") as answer:
        return len(answer.read()) + len(str(answer.headers))


def _measure(
    running: PinnedService, request: RequestTemplate, images: int, seconds: int, rows_at_once: int
) -> tuple[TurnCosts, list[list[float]]]:
    """Return the costs, and for each share the rate, p50 and p99, measured and simulated, in ms."""
    rates = {count: load(running.port, request, connections=count, seconds=seconds).rate for count in CLIENTS}
    costs = fit(rates, max(1, rows_at_once // images))
    rows = []
    for share in SHARES:
        rate = share * costs.top_rate
        real = send_at_rate(running.port, request, rate=rate, seconds=seconds, poisson=True)
        imagined = sorted(simulate(costs, random_arrivals(rate, ARRIVALS)))
        both = [(real.p50_ms, percentile(imagined, 0.5) * 1000), (real.p99_ms, percentile(imagined, 0.99) * 1000)]
        rows.append([rate, *both[0], *both[1]])
    return costs, rows


def _middle(rounds: Sequence[TurnCosts]) -> TurnCosts:
    """Return the median of each cost."""
    turn_s, request_s = (statistics.median(getattr(one, name) for one in rounds) for name in ("turn_s", "request_s"))
    return TurnCosts(turn_s, request_s, rounds[0].most)


def _row(k: int, rounds: list[tuple[TurnCosts, list[list[float]]]]) -> list[str]:
    rate, *figures = (statistics.median(rows[k][column] for _, rows in rounds) for column in range(5))
    return [f"{SHARES[k]:.0%}", f"{rate:,.0f}", *(f"{figure:.2f}" for figure in figures)]


if __name__ == "__main__":
    main()
