"""`python -m benchmarks.against_writeup`: a recipe in a twentieth of the time that the write-up's own settings take.

First the write-up's loop trains for its full 200 epochs, with its images in memory (the quicker of its two forms), and
is timed. Then the recipe trains for as many whole epochs as fit into a twentieth of that time, judged by its speed in
the first seconds; its learning rates fall over these epochs. Both are judged in the same way: 10,000 samples against
the test images. With `--estimate`, the time of the 200 epochs is computed from the loop's speed in a minute, and its
row has no figures.
"""

import argparse

import torch

from benchmarks.trainers.judging import FIGURES, IMAGES_AN_EPOCH, TrainingResult, judge, rounded, train_and_judge
from benchmarks.trainers.trainer import WRITEUP_MEMORY, images_per_second, make_trainer
from harness.report import describe_machine, table
from training.data.dataset import load_dataset

WRITEUP_EPOCHS = 200
MARGIN = 0.95
"""Share of the time that is planned for: the speed over minutes may be lower than the speed over seconds."""


def main() -> None:
    """Train both, judge both, print the table."""
    options = _parser().parse_args()
    dataset = load_dataset("mnist")
    images = int(options.writeup_epochs * IMAGES_AN_EPOCH)
    trials = [
        _estimated(images, options)
        if options.estimate
        else train_and_judge(
            make_trainer(WRITEUP_MEMORY, threads=options.threads), images, dataset, samples=options.samples
        )
    ]
    budget = trials[0].seconds / options.times
    rate = images_per_second(options.recipe, seconds=options.rate_s, threads=options.threads)
    epochs = max(1, int(MARGIN * budget * rate / IMAGES_AN_EPOCH))
    ours = make_trainer(options.recipe, threads=options.threads, overrides=[f"epochs={epochs}"])
    trials.append(train_and_judge(ours, epochs * IMAGES_AN_EPOCH, dataset, samples=options.samples))
    real = judge(dataset.images[40_000:50_000][: options.samples], dataset)
    print(f"{describe_machine()}; {options.threads} threads; 1/{options.times:g} of the time is {budget:,.0f} s\n")
    cells = [[trial.name, f"{trial.epochs:.0f}", f"{trial.seconds:,.0f}", *rounded(trial.figures)] for trial in trials]
    cells.append(["real training images", "", "", *rounded(real)])
    print(table(["", "epochs", "seconds", *FIGURES], cells))


def _estimated(images: int, options: argparse.Namespace) -> TrainingResult:
    """Return the write-up's row with the time that its loop would take for so many images, and without figures."""
    seconds = images / images_per_second(WRITEUP_MEMORY, seconds=6 * options.rate_s, threads=options.threads)
    unknown = dict.fromkeys(FIGURES, float("nan"))
    return TrainingResult(f"{WRITEUP_MEMORY} (estimated)", images / IMAGES_AN_EPOCH, seconds, float("nan"), unknown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.against_writeup", description="Train a recipe in a part of the write-up's time."
    )
    parser.add_argument("recipe", nargs="?", default="mlp", help="the recipe to train (default: mlp)")
    parser.add_argument("--writeup-epochs", type=float, default=WRITEUP_EPOCHS, help="its epochs (default: 200)")
    parser.add_argument(
        "--times", type=float, default=20, help="the recipe has 1/TIMES of the write-up's time (default: 20)"
    )
    parser.add_argument(
        "--rate-s", type=float, default=10, help="seconds for measuring the recipe's speed (default: 10)"
    )
    parser.add_argument(
        "--estimate", action="store_true", help="measure the speed of the write-up's loop in place of its 200 epochs"
    )
    parser.add_argument("--samples", type=int, default=10_000, help="number of samples of each G (default: 10,000)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: one for each core")
    return parser


if __name__ == "__main__":
    main()
