"""Ways to train, as streams of steps: the recipes, and the write-up's loop."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.trainers.writeup_loop import MemoryLoader, WriteupLoop, object_loader
from models.latents import Prior
from training.config import resolve_config
from training.data.dataset import load_dataset
from training.data.mnist import read_mnist
from training.gan.distributed import ALONE, Processes
from training.gan.game import Game
from training.recipe import load_recipe
from training.run.loop import epoch_batches, play_step
from training.run.progress import Progress

WARM_UP_STEPS = 10
WRITEUP_OBJECTS = "the write-up's loop"
WRITEUP_MEMORY = "the same, images in memory"


@dataclass(frozen=True)
class Trainer:
    """A way to train.

    Attributes:
        name: the name in tables.
        steps: each step trains on a batch and yields the number of images in it.
        generator: returns the G to judge: the averaged one, if the recipe has it.
        z_dim: length of G's latents.
        prior: distribution of G's latents.
    """

    name: str
    steps: Iterator[int]
    generator: Callable[[], nn.Module]
    z_dim: int
    prior: Prior


def make_trainer(name: str, *, threads: int, overrides: Sequence[str] = (), processes: Processes = ALONE) -> Trainer:
    """Begin to train a recipe, or the write-up's loop in one of its two forms.

    The loop reads its images from objects, as in the write-up, or from one tensor in memory.

    Args:
        name: the recipe's name, or `WRITEUP_OBJECTS` or `WRITEUP_MEMORY`.
        threads: number of threads of each process.
        overrides: settings of the recipe, as `--set` takes them.
        processes: the processes that train the recipe together.
    """
    torch.set_num_threads(threads)
    if name in (WRITEUP_OBJECTS, WRITEUP_MEMORY):
        return _writeup(name)
    return _recipe(name, threads, overrides, processes)


def images_per_second(name: str, *, seconds: float, threads: int) -> float:
    """Measure the speed of `make_trainer(name, …)` over a number of seconds, after `WARM_UP_STEPS`."""
    steps = make_trainer(name, threads=threads).steps
    for _ in range(WARM_UP_STEPS):
        next(steps)
    images, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        images += next(steps)
    return images / elapsed


def _writeup(name: str) -> Trainer:
    torch.manual_seed(0)  # the write-up's loop draws from the global generator
    loop, images = WriteupLoop(), read_mnist()[0]
    loader: Iterable[torch.Tensor] = object_loader(images) if name == WRITEUP_OBJECTS else MemoryLoader(images)

    def steps() -> Iterator[int]:
        while True:
            for batch in loader:
                loop.step(batch)
                yield len(batch)

    return Trainer(name, steps(), lambda: loop.generator, z_dim=100, prior="normal")


def _recipe(name: str, threads: int, overrides: Sequence[str], processes: Processes) -> Trainer:
    recipe = load_recipe(name, list(overrides))
    dataset = load_dataset("mnist").first(recipe.train_images)
    config = resolve_config(
        recipe,
        dataset,
        recipe_name=name,
        overrides=tuple(overrides),
        data="mnist",
        seed=0,
        minutes=None,
        device="cpu",
        threads=threads,
        processes=processes.world,
    )
    game = Game.of(config, dataset, device=torch.device("cpu"), processes=processes)

    def steps() -> Iterator[int]:
        progress = Progress()
        while True:
            for batches in epoch_batches(config, progress.epoch, start=0):
                game.set_rates(step=progress.step, steps=config.total_steps, epoch=progress.epoch)
                play_step(game, dataset, batches, progress)
                yield len(batches[0])
            progress.epoch += 1

    return Trainer(name, steps(), lambda: game.average.network, config.recipe.z_dim, config.recipe.prior)
