"""`python -m benchmarks.processes`: how much a second thread or a second process speeds up a recipe.

Each recipe trains with the same batch size on one thread, on two threads, and as two processes of one thread each,
which `torch.distributed.run` starts. Each figure is the median over alternating rounds. Each measurement runs in new
processes, and its first steps are not counted. Each real image counts once, in whichever process it is. Processor time
per image hardly depends on other work on the machine; images/s do.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from benchmarks.trainers.trainer import make_trainer
from harness.report import describe_machine, table
from training.gan.distributed import Processes, joined

RECIPES = ("mlp", "conv", "goodfellow2014")
WARM_UP_STEPS = 10


class ProcessLayout(NamedTuple):
    """A number of processes, and the threads of each."""

    processes: int
    threads: int


WAYS = (ProcessLayout(1, 1), ProcessLayout(1, 2), ProcessLayout(2, 1))


class Throughput(NamedTuple):
    """The speed of all processes together.

    Attributes:
        rate: images/s.
        processor_ms: processor time an image, in all threads of all processes, ms.
        averaging: share of the first process's time spent in averaging, which includes waiting for the other process.
    """

    rate: float
    processor_ms: float
    averaging: float


@dataclass(frozen=True)
class TimedProcesses(Processes):
    """Processes that measure how long averaging takes."""

    seconds: list[float] = field(default_factory=list)

    def average(self, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Average as `Processes.average` does, and measure the time."""
        started = time.perf_counter()
        means = super().average(tensors)
        self.seconds.append(time.perf_counter() - started)
        return means


def main() -> None:
    """Measure and print the table."""
    options = _parser().parse_args()
    if options.measure:
        with joined("cpu") as processes:
            measured = measure(options.measure, processes, seconds=options.seconds, threads=options.threads)
        if processes.first:
            print(json.dumps(measured))
        return
    recipes = options.recipes or RECIPES
    seen: dict[tuple[str, ProcessLayout], list[Throughput]] = {(recipe, way): [] for recipe in recipes for way in WAYS}
    for turn in range(options.rounds):
        for (recipe, way), so_far in seen.items():
            print(f"round {turn + 1} of {options.rounds}: {recipe}, {way} …", file=sys.stderr)
            so_far.append(_measure_apart(recipe, way, options.seconds))
    print(f"{describe_machine()}; {options.rounds} rounds of {options.seconds:g} s\n")
    gains = ["× 1 thread", "lowest – highest", "averaging", "processor"]
    heads = ["recipe", "1 thread", "2 threads", "2 processes", *gains]
    print(table(heads, [_row(recipe, [seen[recipe, way] for way in WAYS]) for recipe in recipes]))


def measure(recipe: str, processes: Processes, *, seconds: float, threads: int) -> Throughput:
    """Train a recipe for a number of seconds, with these processes and this number of threads in each."""
    timed = TimedProcesses(processes.rank, processes.world)
    steps = make_trainer(recipe, threads=threads, processes=timed).steps
    for _ in range(WARM_UP_STEPS):
        next(steps)
    timed.seconds.clear()
    images, started, used_s = 0, time.perf_counter(), time.process_time()
    # As in the training loop, all processes use the first one's clock, so that they stop at the same step.
    while (elapsed := processes.number_of_first(time.perf_counter() - started)) < seconds:
        images += next(steps)
    averaging = sum(timed.seconds) / elapsed
    (used,) = processes.average([torch.tensor(time.process_time() - used_s)])
    return Throughput(images / elapsed, 1000 * float(used) * processes.world / images, averaging)


def _row(recipe: str, measured: list[list[Throughput]]) -> list[str]:
    medians = [statistics.median(each.rate for each in of) for of in measured]
    one, _, two = measured
    gains = sorted(ours.rate / theirs.rate for ours, theirs in zip(two, one, strict=True))
    return [
        recipe,
        *(f"{median:,.0f}" for median in medians),
        f"{medians[2] / medians[0]:.2f}",
        f"{gains[0]:.2f} – {gains[-1]:.2f}",
        f"{statistics.median(each.averaging for each in two):.0%}",
        f"× {min(each.processor_ms for each in two) / min(each.processor_ms for each in one):.2f}",
    ]


def _measure_apart(recipe: str, way: ProcessLayout, seconds: float) -> Throughput:
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(way.processes), "-m"]
    command = [sys.executable, "-m", *(launcher if way.processes > 1 else []), "benchmarks.processes"]
    command += ["--measure", recipe, "--seconds", str(seconds), "--threads", str(way.threads)]
    return Throughput(*json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.processes", description="Measure images/s of two processes."
    )
    parser.add_argument("recipes", nargs="*", help=f"default: {' '.join(RECIPES)}")
    parser.add_argument("--seconds", type=float, default=5, help="seconds of each measurement (default: 5)")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
