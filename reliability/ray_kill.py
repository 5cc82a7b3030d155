"""`kill -9` of replicas under load: `python -m reliability.ray_kill --kills 20`, with the extra `ray`.

Two replicas run on a local Ray, behind each of Serve's ingresses, and each client asks for a picture until it has it.
One replica's process is killed; when Serve has started another in its place, the next one is killed, and so on. No
picture may be lost, and each must have the bytes that `python -m app` gives for its seed.
"""

import argparse
import itertools
import os
import signal
import statistics
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from harness.pinned_services import PinnedService, started
from harness.process_tree import tree_of
from harness.report import describe_machine, table
from harness.service_specs import RAY_INGRESSES, on_ray, ours
from models import bundled_models_dir

REPLICAS = 2
TITLE = b"ray::ServeReplica"
"""The start of the title that Ray gives to a replica's process."""

MODEL = "mnist-mlp"

SEEDS = 500
"""Number of different pictures whose bytes are compared."""

RETRY_S = 0.1
TRIES = 300
"""Largest number of requests for one picture; after the last one it is lost."""

BACK_TIMEOUT_S = 180.0
LOOK_S = 0.2
SETTLE_S = 1.0
"""Seconds of load before each kill, and after the last one."""


@dataclass
class PictureResult:
    """One picture: the failed requests for it, by status or error, the seconds until it came, and what was wrong."""

    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0
    lost: bool = False
    wrong: bool = False


@dataclass
class ReplicaKills:
    """The result of a trial.

    Attributes:
        pictures: each picture that was asked for.
        back_s: for each kill, the seconds until there were as many replicas as before.
    """

    pictures: list[PictureResult]
    back_s: list[float]

    def failed(self) -> Counter[str]:
        """Failed requests, by kind."""
        return Counter(failure for picture in self.pictures for failure in picture.failures)


def main() -> int:
    """Run the trial and print its table. Return 1 if something was wrong, otherwise 0."""
    parser = argparse.ArgumentParser(description="Kill replicas under load with kill -9.")
    parser.add_argument("--kills", type=int, default=20, help="kills behind each ingress (default: 20)")
    parser.add_argument("--clients", type=int, default=8, help="clients at once (default: 8)")
    options = parser.parse_args()
    with started(ours(bundled_models_dir(), MODEL)) as alone:
        expected = {seed: fetch(alone.port, MODEL, seed) for seed in range(SEEDS)}
    outcomes = {}
    for ingress in RAY_INGRESSES:
        print(f"{ingress} …", file=sys.stderr)
        with started(on_ray(bundled_models_dir(), MODEL, ingress=ingress, replicas=REPLICAS)) as running:
            outcomes[ingress] = trial(running, MODEL, expected, kills=options.kills, clients=options.clients)
    print(f"{describe_machine()}; {REPLICAS} replicas on one core, {options.clients} clients on another\n")
    print(report(outcomes))
    bad = [one for outcome in outcomes.values() for one in outcome.pictures if one.lost or one.wrong]
    return 1 if bad or any(len(outcome.back_s) < options.kills for outcome in outcomes.values()) else 0


def trial(running: PinnedService, model: str, expected: dict[int, bytes], *, kills: int, clients: int) -> ReplicaKills:
    """Kill one replica after the other under load.

    Args:
        running: the service on Ray.
        model: the model that draws.
        expected: the pictures by seed.
        kills: the number of kills.
        clients: the number of clients at once, each of which asks for one picture after the other.
    """
    stop = threading.Event()
    results: list[list[PictureResult]] = [[] for _ in range(clients)]
    threads = [
        threading.Thread(target=_ask_on, args=(running.port, model, expected, own, k, clients, stop))
        for k, own in enumerate(results)
    ]
    for thread in threads:
        thread.start()
    back_s = []
    try:
        for _ in range(kills):
            time.sleep(SETTLE_S)
            began = time.perf_counter()
            before = kill_one(running.pid)
            while not (back := _is_back(running, before)) and time.perf_counter() - began < BACK_TIMEOUT_S:
                time.sleep(LOOK_S)
            if not back:
                break
            back_s.append(time.perf_counter() - began)
        time.sleep(SETTLE_S)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return ReplicaKills([one for own in results for one in own], back_s)


def fetch(port: int, model: str, seed: int) -> bytes:
    """Get a picture by one request.

    Raises:
        urllib.error.HTTPError: the service answers with another status than 200.
        OSError, HTTPException: there was no whole answer.
    """
    url = f"http://127.0.0.1:{port}/v1/samples?model={model}&n=16&format=png&seed={seed}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        content: bytes = answer.read()
    return content


def replicas(pid: int) -> set[int]:
    """Return the process numbers of a service's replicas."""
    return {member.pid for member in tree_of(pid) if _title(member.pid).startswith(TITLE)}


def kill_one(pid: int) -> set[int]:
    """Kill a replica of a service. Return the process numbers of all replicas that there were."""
    there = replicas(pid)
    os.kill(min(there), signal.SIGKILL)
    return there


def report(outcomes: dict[str, ReplicaKills]) -> str:
    """Return a table with a column for each ingress."""
    columns = {name: _figures(outcome) for name, outcome in outcomes.items()}
    kinds = sorted({kind for outcome in outcomes.values() for kind in outcome.failed()})
    rows = [[what, *(column[what] for column in columns.values())] for what in next(iter(columns.values()))]
    rows += [
        [f"requests that failed: {kind}", *(str(outcome.failed()[kind]) for outcome in outcomes.values())]
        for kind in kinds
    ]
    return table(["", *columns], rows)


def _figures(outcome: ReplicaKills) -> dict[str, str]:
    pictures, back = outcome.pictures, outcome.back_s
    again = [one for one in pictures if one.failures]
    return {
        "replicas killed": str(len(back)),
        "pictures asked for": f"{len(pictures):,}",
        "there at the first request": f"{len(pictures) - len(again):,}",
        "there after more requests": f"{sum(not one.lost for one in again):,}",
        "lost": str(sum(one.lost for one in pictures)),
        "with other bytes": str(sum(one.wrong for one in pictures)),
        "most requests for one": str(max(len(one.failures) for one in pictures) + 1),
        "longest wait for one, s": f"{max(one.seconds for one in pictures):.2f}",
        "another replica ready after, s, median": f"{statistics.median(back):.1f}" if back else "–",
        "another replica ready after, s, at most": f"{max(back):.1f}" if back else "–",
    }


def _ask_on(
    port: int,
    model: str,
    expected: dict[int, bytes],
    own: list[PictureResult],
    first: int,
    step: int,
    stop: threading.Event,
) -> None:
    """Be one client: ask for picture `first`, for the one `step` after it, and so on, until `stop` is set."""
    seeds = list(expected)
    for k in itertools.count(first, step):
        if stop.is_set():
            return
        seed = seeds[k % len(seeds)]
        own.append(_ask(port, model, seed, expected[seed]))


def _ask(port: int, model: str, seed: int, expected: bytes) -> PictureResult:
    """Ask for a picture until it comes, at most `TRIES` times."""
    asked, began = PictureResult(), time.perf_counter()
    for _ in range(TRIES):
        try:
            asked.wrong = fetch(port, model, seed) != expected
            break
        except urllib.error.HTTPError as error:
            asked.failures.append(str(error.code))
        except (OSError, HTTPException) as error:
            asked.failures.append(type(error).__name__)
        time.sleep(RETRY_S)
    else:
        asked.lost = True
    asked.seconds = time.perf_counter() - began
    return asked


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _is_back(running: PinnedService, before: set[int]) -> bool:
    """Return whether as many replicas as before report their metrics, with a new one among them."""
    if len(replicas(running.pid) - before) == 0:
        return False
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/metrics", timeout=10) as answer:
            lines: list[str] = answer.read().decode().splitlines()
    except (OSError, HTTPException):
        return False
    return len([line for line in lines if line.startswith("process_start_time_seconds{")]) == len(before)


if __name__ == "__main__":
    sys.exit(main())
