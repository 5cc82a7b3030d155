"""`python -m benchmarks.planted_faults`: the figures of `evaluate --full` for samples that have a known fault.

The samples of a perfect G are other real digits. Each row plants one fault in them. The figures that should see the
fault are in bold; the tests assert that they do.
"""

import argparse

import numpy as np
import torch

from harness.planted_faults import FAULTS, spoil
from harness.report import describe_machine, table
from models.images import ImageShape, channels_first
from training.data.dataset import Dataset
from training.data.mnist import read_mnist, read_mnist_labels
from training.evaluation.full.accuracy_score import Labelled
from training.evaluation.full.full_evaluation import judge_samples
from training.evaluation.full.plan import FullPlan
from training.evaluation.progress import EvaluationProgress

HEADS = {
    "accuracy_score": "accuracy score",
    "two_sample_auroc": "two-sample AUROC",
    "clipped_density": "clipped density",
    "clipped_coverage": "clipped coverage",
    "class_frechet_mean": "class Fréchet, mean",
    "class_frechet_worst": "class Fréchet, worst",
    "copy_share": "copies, by ratio",
    "copy_likelihood_share": "copies, by likelihood",
}
SEEN_BY = {
    "copier": ("copy_share", "copy_likelihood_share"),
    "one class": ("accuracy_score", "two_sample_auroc", "clipped_coverage", "class_frechet_worst"),
    "blurred": ("two_sample_auroc", "clipped_density", "clipped_coverage", "class_frechet_mean"),
    "noisy": ("two_sample_auroc", "clipped_density", "clipped_coverage", "class_frechet_mean"),
    "shifted": ("accuracy_score", "two_sample_auroc", "clipped_density", "clipped_coverage", "class_frechet_mean"),
}
"""The figures that should see each fault."""


def main() -> None:
    """Print the table."""
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    samples = options.samples
    data, perfect = digits(trained=5 * samples // 2, held_out=3 * samples // 4, samples=samples)
    plan = FullPlan(
        classifier_images=samples,
        told_apart=samples * 5 // 8,
        tested=samples * 3 // 8,
        compared=samples,
        steps=options.steps,
    )
    figures = {fault: figures_of(spoil(perfect, data, fault), data, plan) for fault in FAULTS}
    real = {name: figures["perfect"][f"{name}_real"] for name in HEADS}
    rows = [["real training images", *(_cell(real, name, bold=False) for name in HEADS)]]
    rows += [
        [words, *(_cell(figures[fault], name, bold=name in SEEN_BY.get(fault, ())) for name in HEADS)]
        for fault, words in FAULTS.items()
    ]
    print(f"{describe_machine()}; {options.threads} thread(s)\n")
    print(table(["the samples are", *HEADS.values()], rows))


def digits(*, trained: int, held_out: int, samples: int) -> tuple[Dataset, Labelled]:
    """Return a small data set of digits, and other real digits: the samples of a perfect G."""
    order = np.random.default_rng(0).permutation(60_000)  # images of one writer follow each other
    images = channels_first(read_mnist()[0][order])
    labels = torch.from_numpy(read_mnist_labels()[0][order].astype("int64"))
    kept, perfect = slice(trained, trained + held_out), slice(trained + held_out, trained + held_out + samples)
    data = Dataset(
        "digits",
        images[:trained],
        images[kept],
        ImageShape(height=28, width=28),
        labels[:trained],
        digits=1,
        class_names=tuple("0123456789"),
        held_out_labels=labels[kept],
    )
    return data, Labelled(images[perfect], labels[perfect])


def figures_of(samples: Labelled, data: Dataset, plan: FullPlan) -> dict[str, float]:
    """Return the figures of samples in place of those of a G."""
    progress = EvaluationProgress(plan.costs(pixels=784, trained=len(data.images)), say=None)
    return judge_samples(samples.images, samples.labels, data, plan, progress).figures


def _cell(figures: dict[str, float], name: str, *, bold: bool) -> str:
    digits_after = 0 if name.startswith("class") else 2
    text = f"{figures[name]:,.{digits_after}f}"
    p = name.replace("_share", "_p")
    if p != name and p in figures:
        text += " (p < 0.001)" if figures[p] < 0.001 else f" (p = {figures[p]:.2g})"
    return f"**{text}**" if bold else text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.planted_faults", description="Plant faults in real digits, and print the figures."
    )
    parser.add_argument("--samples", type=int, default=4000, help="number of samples (default: 4,000)")
    parser.add_argument("--steps", type=int, default=120, help="steps of each training (default: 120)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: one for each core")
    return parser


if __name__ == "__main__":
    main()
