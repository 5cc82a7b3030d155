"""`python -m benchmarks.against_writeup`: a recipe in a twentieth of the time that the write-up's own settings take.

First the write-up's loop, its images in memory (the quicker of its two forms), for its full 200 epochs, timed. Then the
recipe for as many whole epochs as fit into a twentieth of that time, by its speed in the first seconds, with its
learning rates falling over just these. Both judged alike: 10,000 samples against the test images.
"""

import argparse
import itertools
import sys
import time
from dataclasses import dataclass

import torch

from benchmarks.contestants import WRITEUP_MEMORY, Contestant, contestant
from benchmarks.report import describe_machine, table
from models.images import ImageShape, channels_first
from models.latents import draw_latents
from models.sampler import Sampler
from training.data.dataset import Dataset, load_dataset
from training.features import extract
from training.metrics import frechet_distance, precision_recall_density_coverage

WRITEUP_EPOCHS = 200
IMAGES_AN_EPOCH = 60_000
SAMPLE_SEED = 1
WARM_UP_STEPS = 20
FIGURES = ("frechet", "precision", "recall", "coverage")


def main() -> None:
    """Train both, judge both, print the table."""
    options = _parser().parse_args()
    dataset = load_dataset("mnist")
    writeup = contestant(WRITEUP_MEMORY, threads=options.threads)
    rows = [run(writeup, int(options.writeup_epochs * IMAGES_AN_EPOCH), dataset, options.samples)]
    budget = rows[0].seconds / options.times
    rate = measure_rate(options.recipe, threads=options.threads)
    epochs = max(1, int(0.97 * budget * rate / IMAGES_AN_EPOCH))
    ours = contestant(options.recipe, threads=options.threads, overrides=[f"epochs={epochs}"])
    rows.append(run(ours, epochs * IMAGES_AN_EPOCH, dataset, options.samples))
    real = judge(dataset.images[40_000:50_000][: options.samples], dataset)
    print(f"{describe_machine()}; {options.threads} threads; a 1/{options.times:g} of the time is {budget:,.0f} s\n")
    cells = [[row.name, f"{row.epochs:.0f}", f"{row.seconds:,.0f}", *_rounded(row.figures)] for row in rows]
    cells.append(["real training images", "", "", *_rounded(real)])
    print(table(["", "epochs", "seconds", *FIGURES], cells))


@dataclass(frozen=True)
class Result:
    """What a contestant came to, in so many epochs and seconds of training."""

    name: str
    epochs: float
    seconds: float
    figures: dict[str, float]


def run(trainee: Contestant, images: int, dataset: Dataset, samples: int) -> Result:
    """Train on so many images, then judge; judging is not counted."""
    trained, seconds = 0, 0.0
    while trained < images:
        started = time.perf_counter()
        trained += sum(itertools.islice(trainee.steps, 500))
        seconds += time.perf_counter() - started
        print(f"{trainee.name}: {trained / IMAGES_AN_EPOCH:.1f} epochs, {seconds:.0f} s", file=sys.stderr)
    sampler = Sampler(trainee.generator(), z_dim=trainee.z_dim, image_shape=ImageShape())
    latents = draw_latents(SAMPLE_SEED, 0, samples, z_dim=trainee.z_dim, prior=trainee.prior)
    figures = judge(channels_first(sampler(latents)), dataset)
    return Result(name=trainee.name, epochs=trained / IMAGES_AN_EPOCH, seconds=seconds, figures=figures)


def measure_rate(recipe: str, *, threads: int) -> float:
    """Images/s of a recipe over about ten seconds, its first steps not counted."""
    steps = contestant(recipe, threads=threads).steps
    for _ in range(WARM_UP_STEPS):
        next(steps)
    images, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < 10:
        images += next(steps)
    return images / elapsed


def judge(images: torch.Tensor, dataset: Dataset) -> dict[str, float]:
    """The figures of [N, 1, 28, 28] uint8 against the test images."""
    seen, test = extract(images, digits=1).values, extract(dataset.held_out, digits=1).values
    return {"frechet": frechet_distance(test, seen)} | precision_recall_density_coverage(test, seen)


def _rounded(figures: dict[str, float]) -> list[str]:
    return [f"{figures[name]:.2f}" for name in FIGURES]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.against_writeup", description="A recipe in a part of the write-up's time."
    )
    parser.add_argument("recipe", nargs="?", default="mlp", help="default: mlp")
    parser.add_argument("--writeup-epochs", type=float, default=WRITEUP_EPOCHS, help="default: its own 200")
    parser.add_argument("--times", type=float, default=20, help="the recipe has a so-manieth of the time (default: 20)")
    parser.add_argument("--samples", type=int, default=10_000, help="of each G to judge (default: 10,000)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: one a core")
    return parser


if __name__ == "__main__":
    main()
