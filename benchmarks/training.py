"""`python -m benchmarks.training`: images/s of each recipe beside the write-up's own loop.

Each figure is the median over alternating rounds. Each measurement runs in a new process with the same number of
threads, and its first steps are not counted. Each real image of a pass over the data counts once, however often D steps
on it.
"""

import argparse
import statistics
import subprocess
import sys

import torch

from benchmarks.trainers.trainer import WRITEUP_MEMORY, WRITEUP_OBJECTS, images_per_second
from harness.report import describe_machine, table
from training.recipe import recipe_names


def main() -> None:
    """Measure and print the table."""
    options = _parser().parse_args()
    if options.measure:
        print(images_per_second(options.measure, seconds=options.seconds, threads=options.threads))
        return
    names = [WRITEUP_OBJECTS, WRITEUP_MEMORY, *(options.recipes or recipe_names())]
    rates: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(options.rounds):
        for name in names:
            print(f"round {turn + 1} of {options.rounds}: {name} …", file=sys.stderr)
            rates[name].append(_measure_apart(name, options.seconds, options.threads))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    rows = [
        [
            name,
            f"{medians[name]:,.0f}",
            f"{min(rates[name]):,.0f} – {max(rates[name]):,.0f}",
            f"{medians[name] / medians[WRITEUP_OBJECTS]:.2f}",
            f"{medians[name] / medians[WRITEUP_MEMORY]:.2f}",
        ]
        for name in names
    ]
    print(f"{describe_machine()}; {options.threads} threads, {options.rounds} rounds of {options.seconds:g} s\n")
    print(table(["recipe", "images/s", "lowest – highest", "× the write-up's", "× in memory"], rows))


def _measure_apart(name: str, seconds: float, threads: int) -> float:
    command = [sys.executable, "-m", "benchmarks.training", "--measure", name]
    command += ["--seconds", str(seconds), "--threads", str(threads)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training", description="Measure images/s of each recipe."
    )
    parser.add_argument("recipes", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=float, default=3, help="seconds of each measurement (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: one for each core")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
