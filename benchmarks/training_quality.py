"""`python -m benchmarks.training_quality`: how long each recipe trains until its samples reach a given quality.

Quality is the 2014 paper's Parzen log-likelihood of 10,000 samples of G (of the averaged G, if the recipe has one),
because it is the paper's own figure and needs no other network. It favours smooth samples and says little about
variety: read the times as a hint. The time of judging is not counted.
"""

import argparse
import sys
import time

import torch

from benchmarks.trainers.trainer import WRITEUP_MEMORY, Trainer, make_trainer
from harness.report import describe_machine, table
from models.images import ImageShape, channels_first
from models.inference.sampler import Sampler
from models.latents import draw_latents
from training.data.dataset import Dataset, load_dataset
from training.evaluation.parzen import VALIDATION_IMAGES, estimate
from training.recipe import recipe_names

SAMPLE_SEED = 1


def main() -> None:
    """Train, judge and print the table."""
    options = _parser().parse_args()
    dataset = load_dataset("mnist")
    names = options.recipes or [WRITEUP_MEMORY, *recipe_names()]
    rows = [run(make_trainer(name, threads=options.threads), dataset, options) for name in names]
    real = dataset.images[40_000:50_000][: options.samples]
    best = judge(real, dataset)
    print(f"{describe_machine()}; {options.threads} threads")
    print(f"to a Parzen log-likelihood of {options.target:g} nats; {len(real):,} real training images: {best:.1f}\n")
    print(table(["recipe", "seconds to it", "images to it", "last figure", "trained for, s"], rows))


def run(trainee: Trainer, dataset: Dataset, options: argparse.Namespace) -> list[str]:
    """Train until the quality is reached or the time is up, and return a row of the table."""
    trained, images, figure = 0.0, 0, float("nan")
    while trained < 60 * options.minutes:
        started = time.perf_counter()
        while (elapsed := time.perf_counter() - started) < options.every_s:
            images += next(trainee.steps)
        trained += elapsed
        figure = judge(samples(trainee, options.samples), dataset)
        print(f"{trainee.name}: {trained:.0f} s, {images:,} images, {figure:.1f} nats", file=sys.stderr)
        if figure >= options.target:
            return [trainee.name, f"{trained:,.0f}", f"{images:,}", f"{figure:.1f}", f"{trained:,.0f}"]
    return [trainee.name, "not reached", "", f"{figure:.1f}", f"{trained:,.0f}"]


def judge(images: torch.Tensor, dataset: Dataset) -> float:
    """Return the Parzen log-likelihood, in nats, of the test images under samples [N, C, H, W] uint8."""
    validation = dataset.images[50_000 : 50_000 + VALIDATION_IMAGES]
    return estimate(images, validation, dataset.held_out).mean


def samples(trainee: Trainer, n: int) -> torch.Tensor:
    """Draw n samples of G, [n, C, H, W] uint8."""
    sampler = Sampler(trainee.generator(), z_dim=trainee.z_dim, image_shape=ImageShape())
    latents = draw_latents(SAMPLE_SEED, 0, n, z_dim=trainee.z_dim, prior=trainee.prior)
    return channels_first(sampler(latents))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training_quality", description="Measure the time to a given quality."
    )
    parser.add_argument("recipes", nargs="*", help="default: the write-up's loop and all recipes")
    parser.add_argument("--target", type=float, default=200, help="nats (default: 200)")
    parser.add_argument("--minutes", type=float, default=10, help="longest training of each, in minutes (default: 10)")
    parser.add_argument(
        "--every-s", type=float, default=15, help="seconds of training between judgements (default: 15)"
    )
    parser.add_argument("--samples", type=int, default=10_000, help="number of samples of G to judge (default: 10,000)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: one for each core")
    return parser


if __name__ == "__main__":
    main()
