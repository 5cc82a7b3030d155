"""Ways to train, as streams of steps: the recipes, and the write-up's loop."""

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
from training.run.checkpoint import Progress
from training.run.loop import epoch_batches, play_step

WRITEUP_OBJECTS = "the write-up's loop"
WRITEUP_MEMORY = "the same, images in memory"


@dataclass(frozen=True)
class Contestant:
    """A way to train.

    Attributes:
        name: what the tables call it.
        steps: each step trains on a batch and yields the number of its images.
        generator: the G to judge: its average, where the recipe keeps one.
        z_dim: width of its latents.
        prior: their distribution.
    """

    name: str
    steps: Iterator[int]
    generator: Callable[[], nn.Module]
    z_dim: int
    prior: Prior


def contestant(name: str, *, threads: int, overrides: Sequence[str] = (), processes: Processes = ALONE) -> Contestant:
    """A recipe by its name, with settings laid over it, or a form of the write-up's loop; from its start.

    `processes` play a recipe together, with so many threads each.
    """
    torch.set_num_threads(threads)
    if name in (WRITEUP_OBJECTS, WRITEUP_MEMORY):
        return _writeup(name)
    return _recipe(name, threads, overrides, processes)


def _writeup(name: str) -> Contestant:
    torch.manual_seed(0)  # the write-up's loop draws from the global generator
    loop, images = WriteupLoop(), read_mnist()[0]
    loader: Iterable[torch.Tensor] = object_loader(images) if name == WRITEUP_OBJECTS else MemoryLoader(images)

    def steps() -> Iterator[int]:
        while True:
            for batch in loader:
                loop.step(batch)
                yield len(batch)

    return Contestant(name, steps(), lambda: loop.generator, z_dim=100, prior="normal")


def _recipe(name: str, threads: int, overrides: Sequence[str], processes: Processes) -> Contestant:
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

    return Contestant(name, steps(), lambda: game.average.network, config.recipe.z_dim, config.recipe.prior)
