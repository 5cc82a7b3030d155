"""`python -m benchmarks.against_writeup`: a recipe in a twentieth of the time that the write-up's own settings take.

First the write-up's loop, its images in memory (the quicker of its two forms), for its full 200 epochs, timed. Then the
recipe for as many whole epochs as fit into a twentieth of that time, by its speed in the first seconds, with its
learning rates falling over just these. Both judged alike: 10,000 samples against the test images.
"""

import argparse

import torch

from benchmarks.trainers.judging import FIGURES, IMAGES_AN_EPOCH, judge, rounded, train_and_judge
from benchmarks.trainers.trainer import WRITEUP_MEMORY, make_trainer
from benchmarks.training import measure
from harness.report import describe_machine, table
from training.data.dataset import load_dataset

WRITEUP_EPOCHS = 200
MARGIN = 0.95
"""Of the time; a rate measured over seconds is not the rate of minutes."""


def main() -> None:
    """Train both, judge both, print the table."""
    options = _parser().parse_args()
    dataset = load_dataset("mnist")
    writeup = make_trainer(WRITEUP_MEMORY, threads=options.threads)
    trials = [train_and_judge(writeup, int(options.writeup_epochs * IMAGES_AN_EPOCH), dataset, samples=options.samples)]
    budget = trials[0].seconds / options.times
    rate = measure(options.recipe, seconds=options.rate_s, threads=options.threads)
    epochs = max(1, int(MARGIN * budget * rate / IMAGES_AN_EPOCH))
    ours = make_trainer(options.recipe, threads=options.threads, overrides=[f"epochs={epochs}"])
    trials.append(train_and_judge(ours, epochs * IMAGES_AN_EPOCH, dataset, samples=options.samples))
    real = judge(dataset.images[40_000:50_000][: options.samples], dataset)
    print(f"{describe_machine()}; {options.threads} threads; 1/{options.times:g} of the time is {budget:,.0f} s\n")
    cells = [[trial.name, f"{trial.epochs:.0f}", f"{trial.seconds:,.0f}", *rounded(trial.figures)] for trial in trials]
    cells.append(["real training images", "", "", *rounded(real)])
    print(table(["", "epochs", "seconds", *FIGURES], cells))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.against_writeup", description="A recipe in a part of the write-up's time."
    )
    parser.add_argument("recipe", nargs="?", default="mlp", help="default: mlp")
    parser.add_argument("--writeup-epochs", type=float, default=WRITEUP_EPOCHS, help="default: its own 200")
    parser.add_argument("--times", type=float, default=20, help="the recipe has a so-manieth of the time (default: 20)")
    parser.add_argument("--rate-s", type=float, default=10, help="of measuring the recipe's speed, s (default: 10)")
    parser.add_argument("--samples", type=int, default=10_000, help="of each G to judge (default: 10,000)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: one a core")
    return parser


if __name__ == "__main__":
    main()
