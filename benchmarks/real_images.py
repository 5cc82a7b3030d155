"""`python -m benchmarks.real_images`: the figures of real images, by the training images that are chosen for them.

`evaluate` takes one slice of the training images in place of G's samples. In MNIST's files the images of one writer
follow each other, so a slice has fewer writers than as many random images. The table has three slices and four random
draws.
"""

import argparse

import torch

from benchmarks.trainers.judging import FIGURES, judge
from harness.report import describe_machine, table
from training.data.dataset import Dataset, load_dataset
from training.evaluation.neighbours import find_nearest
from training.evaluation.parzen import VALIDATION_IMAGES, estimate

WIDTH_IMAGES = 50_000
"""The images after these choose the width of the Parzen windows, so none of them is drawn."""


def main() -> None:
    """Print the table."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    data, n = load_dataset("mnist"), options.images
    choices = {f"{start:,} to {start + n - 1:,}": torch.arange(start, start + n) for start in (40_000, 20_000, 0)}
    for seed in range(4):
        rng = torch.Generator().manual_seed(seed)
        choices[f"random, seed {seed}"] = torch.randperm(WIDTH_IMAGES, generator=rng)[:n]
    rows = [[name, *_figures(rows, data)] for name, rows in choices.items()]
    print(f"{describe_machine()}; {options.threads} thread(s)\n")
    print(table(["training images", *FIGURES, "nearest training image", "Parzen log-likelihood"], rows))


def _figures(rows: torch.Tensor, data: Dataset) -> list[str]:
    images = data.images[rows]
    others = torch.ones(len(data.images), dtype=torch.bool)
    others[rows] = False
    figures = judge(images, data)
    nearest = find_nearest(images, data.images[others]).distances.mean()
    validation = data.images[WIDTH_IMAGES : WIDTH_IMAGES + VALIDATION_IMAGES]
    parzen = estimate(images, validation, data.held_out)
    return [f"{figures[name]:.3f}" for name in FIGURES] + [f"{nearest:.1f}", f"{parzen.mean:.1f}"]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_images", description="Judge slices and random draws of real images."
    )
    parser.add_argument("--images", type=int, default=10_000, help="number of images in each choice (default: 10,000)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: one for each core")
    return parser


if __name__ == "__main__":
    main()
