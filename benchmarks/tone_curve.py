"""`python -m benchmarks.tone_curve`: what a tone curve changes in a model's images, with and without it.

For each model the curve is found anew, as `training export` finds it.
"""

import argparse

import numpy as np
import torch
from numpy.typing import NDArray

from harness.report import describe_machine, table
from models import bundled_models_dir
from models.images import channels_first
from models.inference.sampler import Sampler
from models.latents import draw_latents
from models.model_folder.read import load_model
from training.data.dataset import Dataset, load_dataset
from training.evaluation.features import extract
from training.evaluation.full.two_sample_test import ImageSet, two_sample_test
from training.evaluation.metrics import frechet_distance
from training.evaluation.parallel import run_in_parts
from training.export.tone_matching import find_tone_curve

SEED = 1234
MODELS = ("mnist-conv", "mnist-mlp", "mnist-goodfellow2014-labels")


def main() -> None:
    """Print a table with two rows for each model."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    data = load_dataset("mnist")
    rows = []
    for name in options.models:
        model = load_model(bundled_models_dir() / name)
        sampler, prior = Sampler.of_model(model), model.metadata.prior
        sampler.tone_curve = None
        latents = draw_latents(SEED, 0, options.images * 4 // 3, z_dim=model.metadata.z_dim, prior=prior)
        images = run_in_parts(sampler, latents)
        curve = find_tone_curve(sampler, data.images, prior=prior)
        rows += [
            [name, "no", *_figures(images, data, told_apart=options.images)],
            [name, "yes", *_figures(curve(images), data, told_apart=options.images)],
        ]
    print(f"{describe_machine()}; {options.threads} thread(s), {options.images:,} images of each kind to learn from\n")
    print(table(["model", "tone curve", "two-sample accuracy", "AUROC", "Fréchet", "black pixels"], rows))
    print(f"\nblack pixels of real images: {float((data.images == 0).float().mean()):.3f}")


def _figures(images: NDArray[np.uint8], data: Dataset, *, told_apart: int) -> list[str]:
    order = torch.from_numpy(np.random.default_rng(SEED).permutation(len(data.images)))[: len(images)]
    fake, real = channels_first(images), data.images[order]
    result = two_sample_test(
        ImageSet(real[:told_apart], real[told_apart:]), ImageSet(fake[:told_apart], fake[told_apart:])
    )
    held_out, seen = (extract(part, digits=1).values for part in (data.held_out, fake[:10_000]))
    return [
        f"{result.accuracy:.3f}",
        f"{result.auroc:.3f}",
        f"{frechet_distance(held_out, seen):.2f}",
        f"{(images == 0).mean():.3f}",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tone_curve", description="Compare a model's images with and without a tone curve."
    )
    parser.add_argument("models", metavar="MODEL", nargs="*", default=MODELS, help="bundled models of MNIST")
    parser.add_argument(
        "--images", metavar="N", type=int, default=15_000, help="images of each kind to learn from (default: 15,000)"
    )
    parser.add_argument("--threads", metavar="N", type=int, default=1, help="threads of PyTorch (default: 1)")
    return parser


if __name__ == "__main__":
    main()
