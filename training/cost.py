"""What a run will cost: the sizes of the networks, and the speed and memory that a few steps show on this machine."""

import sys
import time
from dataclasses import dataclass, replace

import torch

from models.device import resolve_device
from training.config import RunConfig
from training.data.dataset import Dataset
from training.gan.game import Game
from training.run.loop import play_step
from training.run.progress import Progress

ENOUGH_S = 10.0
"""No further step is timed after so many seconds, even if the penalties' interval is not over."""


@dataclass(frozen=True)
class Cost:
    """What a run will cost.

    Attributes:
        generator_weights: number of G's trained weights.
        discriminator_weights: number of D's trained weights.
        steps: number of timed steps.
        images_per_s: real images of G's steps a second, in these steps.
        memory_bytes: the most memory so far, of the process on a CPU, or of its tensors on a GPU; None if unknown.
        on_gpu: whether the steps were taken on a GPU.
    """

    generator_weights: int
    discriminator_weights: int
    steps: int
    images_per_s: float
    memory_bytes: int | None
    on_gpu: bool

    def describe(self, config: RunConfig) -> str:
        """Return three lines for a person: weights; speed and memory; the time of the whole run."""
        images = config.total_steps * config.recipe.batch_size
        hours = images / self.images_per_s / 3600
        length = f"{hours:.1f} hours" if hours >= 2 else f"{60 * hours:.0f} minutes"
        if config.minutes is not None and config.minutes < 60 * hours:
            length = f"{length}, but ends after {config.minutes:g} minutes (--minutes), before the rates have fallen"
        memory = "memory unknown"
        if self.memory_bytes is not None:
            memory = f"{self.memory_bytes / 2**20:,.0f} MiB of {'the GPU' if self.on_gpu else 'memory'}"
        return (
            f"G has {self.generator_weights:,} weights, and D {self.discriminator_weights:,}\n"
            f"{self.steps} step(s) of one process on this machine: {self.images_per_s:,.0f} images/s, {memory}\n"
            f"estimate: the run shows {images:,} images and takes {length}; figures, grids and saved states take more"
        )


def measure_cost(config: RunConfig, dataset: Dataset) -> Cost:
    """Take a few steps of a run's game, on the run's device and threads, and return what they cost. Nothing is kept.

    The first step is not timed. As many others are timed as the penalties' interval has, so that their share is right,
    but no more after `ENOUGH_S`. Classes count as equally frequent, clusters are not searched for, and the augmentation
    is not adapted: this hardly changes the cost.
    """
    torch.set_num_threads(config.threads)
    device = resolve_device(config.device)
    game = Game.without_data(config, device=device)
    if config.recipe.clusters:
        dataset = replace(dataset, labels=torch.arange(len(dataset.images)) % config.recipe.clusters)
    data, progress = dataset.to(device), Progress()
    batches = [torch.arange(config.recipe.batch_size)] * config.recipe.d_steps
    play_step(game, data, batches, progress)
    wait_for(device)
    began_s, steps = time.perf_counter(), 0
    while not steps or (steps < config.recipe.penalty_interval and time.perf_counter() - began_s < ENOUGH_S):
        play_step(game, data, batches, progress)
        wait_for(device)
        steps += 1
    seconds = time.perf_counter() - began_s
    return Cost(
        generator_weights=sum(weight.numel() for weight in game.generator.parameters()),
        discriminator_weights=sum(weight.numel() for weight in game.discriminator.parameters()),
        steps=steps,
        images_per_s=steps * config.recipe.batch_size / seconds,
        memory_bytes=most_memory(device),
        on_gpu=device.type != "cpu",
    )


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has finished its work; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    if device.type == "mps":
        torch.mps.synchronize()


def most_memory(device: torch.device) -> int | None:
    """Return the most bytes so far: of the tensors on a CUDA GPU, or of the whole process on a CPU. None: unknown.

    PyTorch does not keep the most of mps: there it is what Metal's driver holds now, with PyTorch's cache.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    if device.type == "mps":
        return torch.mps.driver_allocated_memory()
    try:
        import resource  # noqa: PLC0415  (Unix only)
    except ImportError:
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024  # Linux counts in KiB
