"""The end of processes under load: `python -m reliability.shutdown --tries 5`.

16 clients send requests to a real service, each its next one when it has the answer. Then the service gets SIGTERM,
with GAN_SHUTDOWN_GRACE_S=1: /readyz must say 503 while connections are still accepted, no request may fail, and the
process must end. The same is done with two workers. Then one of two workers is killed by SIGKILL: only requests on its
own connections may fail, at most one on each, and there must be two workers again.
"""

import argparse
import multiprocessing
import os
import signal
import statistics
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass

from harness.cores import CLIENT_CORE, pinned_to
from harness.pinned_services import started
from harness.process_tree import tree_of
from harness.report import describe_machine, table
from harness.service_specs import ServiceSpec, ours
from models import bundled_models_dir
from reliability.load.flood import FloodResult, closed_loop
from reliability.load.probes import Probes
from reliability.load.waiting import listeners, wait_for

CLIENTS = 16
GRACE_S = 1
LOAD_BEFORE_S = 1.0
LOAD_S = 4.0
TARGET = "/v1/samples?n=1&format=png&seed=SEED"


@dataclass
class ShutdownResult:
    """The end of one process.

    Attributes:
        load: the requests of the clients.
        ready_ms: ms from the signal to the first 503 of /readyz; NaN if there was none.
        took_s: seconds until the process had ended, or until there were as many workers as before.
        wrong: a line for each thing that was wrong.
    """

    load: FloodResult
    ready_ms: float
    took_s: float
    wrong: list[str]


def main() -> int:
    """Run the trial and print its table. Return 1 if something was wrong, otherwise 0."""
    parser = argparse.ArgumentParser(description="End processes under load, and see that no request fails.")
    parser.add_argument("--tries", type=int, default=5, help="tries of each end (default: 5)")
    options = parser.parse_args()
    rows, wrong = [], []
    with (
        pinned_to(CLIENT_CORE),
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        for name, workers, grace_s, end in [
            ("SIGTERM, 1 process", 1, GRACE_S, terminate),
            ("SIGTERM, 1 process, no grace", 1, 0, terminate),
            ("SIGTERM, 2 workers", 2, GRACE_S, terminate),
            ("SIGKILL of 1 of 2 workers", 2, GRACE_S, kill_one),
        ]:
            print(f"{name} …", file=sys.stderr)
            tries = [end(pool, workers, grace_s) for _ in range(options.tries)]
            rows.append(row(name, tries))
            wrong += [f"{name}: {what}" for one in tries for what in one.wrong]
    print(f"{describe_machine()}; {CLIENTS} clients, GAN_SHUTDOWN_GRACE_S={GRACE_S}\n")
    heads = [
        "end",
        "tries",
        "requests",
        "failed",
        "503 of /readyz after, ms",
        "ended, or 2 again, after, s",
        "as wanted",
    ]
    print(table(heads, rows))
    print("\n".join(["", *wrong]) if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


def row(name: str, tries: list[ShutdownResult]) -> list[str]:
    """Return a row of the table: sums and medians."""
    return [
        name,
        str(len(tries)),
        f"{sum(one.load.sent for one in tries):,}",
        str(sum(one.load.broken + one.load.missing for one in tries)),
        f"{statistics.median(one.ready_ms for one in tries):.0f}".replace("nan", "–"),
        f"{statistics.median(one.took_s for one in tries):.1f}",
        str(sum(not one.wrong for one in tries)),
    ]


def terminate(pool: Executor, workers: int, grace_s: int) -> ShutdownResult:
    """Send SIGTERM to the service under load."""
    with started(service(workers, grace_s)) as running:
        load = pool.submit(closed_loop, running.port, TARGET, seconds=LOAD_S, connections=CLIENTS)
        with Probes(running.port) as probes:
            time.sleep(LOAD_BEFORE_S)
            told = time.perf_counter()
            os.kill(running.pid, signal.SIGTERM)
            os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)
            took_s = time.perf_counter() - told
        outcome = load.result()
    seen = [one for probe in probes.all for one in probe.seen]
    after = [moment + ms / 1000 for moment, ms, status in seen if status == 503 and moment > told]
    wrong = failures(outcome, allowed=0)
    if grace_s and not after:
        wrong.append("/readyz never said 503")
    return ShutdownResult(outcome, (min(after) - told) * 1000 if after else float("nan"), took_s, wrong)


def kill_one(pool: Executor, workers: int, grace_s: int) -> ShutdownResult:
    """Send SIGKILL to one of the workers under load."""
    with started(service(workers, grace_s)) as running:
        load = pool.submit(closed_loop, running.port, TARGET, seconds=LOAD_S, connections=CLIENTS)
        time.sleep(LOAD_BEFORE_S)
        victim = tree_of(running.pid)[1].pid  # the first process after the parent
        told = time.perf_counter()
        os.kill(victim, signal.SIGKILL)
        gone = wait_for(lambda: listeners(running.port) < workers)
        back = wait_for(lambda: listeners(running.port) == workers)
        took_s = time.perf_counter() - told
        outcome = load.result()
    wrong = failures(outcome, allowed=CLIENTS)
    if not gone or not back:
        wrong.append("the killed worker did not end" if not gone else "the worker was not replaced")
    return ShutdownResult(outcome, float("nan"), took_s, wrong)


def failures(outcome: FloodResult, *, allowed: int) -> list[str]:
    """Return what is wrong with a load of which `allowed` requests may fail."""
    failed, others = outcome.broken + outcome.missing, outcome.others()
    if failed <= allowed and not others:
        return []
    return [f"{failed} requests failed, {others} answers were neither 200 nor 429: {dict(outcome.answers)}"]


def service(workers: int, grace_s: int) -> ServiceSpec:
    """Describe our service with this number of workers and this grace after SIGTERM."""
    return ours(bundled_models_dir(), "mnist-mlp").with_settings(workers=workers, shutdown_grace_s=grace_s)


if __name__ == "__main__":
    sys.exit(main())
