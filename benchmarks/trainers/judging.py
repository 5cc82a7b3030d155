"""Train for a number of images, measure the time, and judge the samples."""

import itertools
import math
import sys
import time
from dataclasses import dataclass

import torch

from benchmarks.trainers.trainer import Trainer
from models.images import ImageShape, channels_first
from models.inference.sampler import Sampler
from models.latents import draw_latents
from training.data.dataset import Dataset
from training.evaluation.features import extract
from training.evaluation.metrics import frechet_distance, precision_recall_density_coverage, share_ratios

IMAGES_AN_EPOCH = 60_000
SAMPLE_SEED = 1
FIGURES = ("frechet", "precision", "recall", "coverage", "smallest_share")


@dataclass(frozen=True)
class TrainingResult:
    """A training that has ended, and the judgement of its samples.

    Attributes:
        name: the trainer's name.
        epochs: passes over the data.
        seconds: time of training by the clock, without the judging.
        cpu_seconds: processor time of training in all threads.
        figures: figures of G's samples, by name.
    """

    name: str
    epochs: float
    seconds: float
    cpu_seconds: float
    figures: dict[str, float]


def train_and_judge(trainee: Trainer, images: int, dataset: Dataset, *, samples: int) -> TrainingResult:
    """Train on at least `images` images, then judge `samples` of G's samples."""
    trained, started, cpu_started = 0, time.perf_counter(), time.process_time()
    for step in itertools.count(1):
        trained += next(trainee.steps)
        seconds = time.perf_counter() - started
        if step % 500 == 0:
            print(f"{trainee.name}: {trained / IMAGES_AN_EPOCH:.1f} epochs, {seconds:.0f} s", file=sys.stderr)
        if trained >= images:
            break
    cpu_seconds = time.process_time() - cpu_started
    sampler = Sampler(trainee.generator(), z_dim=trainee.z_dim, image_shape=ImageShape())
    latents = draw_latents(SAMPLE_SEED, 0, samples, z_dim=trainee.z_dim, prior=trainee.prior)
    figures = judge(channels_first(sampler(latents)), dataset)
    return TrainingResult(trainee.name, trained / IMAGES_AN_EPOCH, seconds, cpu_seconds, figures)


def judge(images: torch.Tensor, dataset: Dataset) -> dict[str, float]:
    """Return the figures of images [N, 1, 28, 28] uint8 against the test images; see `training.evaluation.metrics`."""
    seen, test = extract(images, digits=1), extract(dataset.held_out, digits=1)
    figures = {"frechet": frechet_distance(test.values, seen.values)}
    figures |= precision_recall_density_coverage(test.values, seen.values)
    if seen.labels is not None and test.labels is not None:
        figures["smallest_share"] = min(share_ratios(test.labels, seen.labels, classes=10))
    return figures


def rounded(figures: dict[str, float]) -> list[str]:
    """Return the cells of a table, in the order of `FIGURES`; – for NaN."""
    return ["–" if math.isnan(figures[name]) else f"{figures[name]:.2f}" for name in FIGURES]
