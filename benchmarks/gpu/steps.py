"""Steps of a recipe's game on a device: the first losses, the speed, and the memory."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle

import httpx
import torch
from torch.nn import functional

from models.device import DeviceName, release_memory
from models.errors import ModelFolderError
from models.networks.conditional import ballots_of, labels_of
from training.config import RunConfig, resolve_config
from training.cost import most_memory, wait_for
from training.data.dataset import Dataset, load_dataset
from training.errors import TrainingError
from training.gan.discriminator_loss import LabelledImages, logits_of
from training.gan.game import Game, draw
from training.gan.losses import LOSSES
from training.recipe import load_recipe
from training.run.loop import epoch_batches, play_step, real_batch
from training.run.progress import Progress

WARM_UP_STEPS = 3

FAILURES = (RuntimeError, ValueError, OSError, TrainingError, ModelFolderError, httpx.HTTPError)
"""The errors after which the check goes on with the next recipe, way or model, and tells them."""


def in_one_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message, at most 120 characters."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"[:120]


@dataclass(frozen=True)
class Speed:
    """The speed of some steps.

    Attributes:
        images_per_s: real images of G's steps a second.
        memory_bytes: the most memory during these steps, of the tensors on a GPU; on a CPU, the most of the process so
            far. None if unknown.
    """

    images_per_s: float
    memory_bytes: int | None

    @property
    def memory(self) -> str:
        """The memory in MiB, for a table."""
        return "–" if self.memory_bytes is None else f"{self.memory_bytes / 2**20:,.0f}"


def data_for(recipe_name: str, *, images: int, side: int) -> Dataset:
    """Return the first `images` digits of MNIST: grey with 28 pixels a side, or RGB with `side` for other recipes.

    Recipes for photographs and for stacked digits get RGB images, because they are made for them.
    """
    digits = load_dataset("mnist").first(images)
    if not recipe_name.startswith(("photos", "stacked")):
        return digits
    few = digits.as_rgb()
    larger, held_out = (
        functional.interpolate(x.float(), size=(side, side), mode="bilinear").round().to(torch.uint8)
        for x in (few.images, few.held_out[:images])
    )
    labels = None if few.held_out_labels is None else few.held_out_labels[:images]
    shape = few.shape.model_copy(update={"height": side, "width": side})
    return replace(few, images=larger, held_out=held_out, held_out_labels=labels, shape=shape, digits=0)


def configure(
    recipe_name: str, dataset: Dataset, *, device: DeviceName, overrides: Sequence[str] = ()
) -> tuple[RunConfig, Dataset]:
    """Return the settings of a run of a recipe, and the data as its game uses them.

    Raises:
        DeviceError: the device is not available.
        RecipeError: the recipe does not fit the data.
    """
    config = resolve_config(
        load_recipe(recipe_name, list(overrides)),
        dataset,
        recipe_name=recipe_name,
        overrides=tuple(overrides),
        data="mnist",
        seed=0,
        minutes=None,
        device=device,
        threads=None,
    )
    return config, config.data_of_the_game(dataset, say=lambda _line: None)


def first_losses(config: RunConfig, dataset: Dataset, *, device: torch.device) -> tuple[float, float]:
    """Return D's and G's loss of a run's first batch, before any step, on a device.

    The weights and latents are drawn on the CPU. The networks are in evaluation mode, and there is neither augmentation
    nor a penalty, so no random number comes from the device and the losses of two devices can be compared.
    """
    game, recipe = Game.of(config, dataset, device=device), config.recipe
    game.generator.eval()
    game.discriminator.eval()
    with torch.no_grad():
        z = draw(recipe.prior, recipe.batch_size, recipe.z_dim, rng=torch.Generator().manual_seed(0)).to(device)
        labels = labels_of(z, head_starts=ballots_of(game.generator).head_starts) if game.classes else None
        fake = LabelledImages(game.generator(z), labels)
        batch = torch.arange(recipe.batch_size)
        real = real_batch(dataset.to(device), batch, conditional=game.classes > 0)
        real_logits, fake_logits = (
            logits_of(game.discriminator, images, recipe=recipe, rng=game.rng, augmentation=0.0)
            for images in (real, fake)
        )
        losses = LOSSES[recipe.loss]
        of_d, of_g = losses.discriminator(real_logits, fake_logits), losses.generator(real_logits, fake_logits)
    return float(of_d), float(of_g)


def measure_speed(
    config: RunConfig,
    dataset: Dataset,
    *,
    device: torch.device,
    seconds: float,
    prepare: Callable[[Game], None] = lambda _game: None,
) -> Speed:
    """Measure the steps of a run's game over a number of seconds, after `WARM_UP_STEPS`; at least one step is timed.

    Args:
        config: the settings of the run.
        dataset: the data as the game uses them, on the CPU.
        device: the device to measure.
        seconds: the least time of the timed steps.
        prepare: changes the game before its first step.

    Raises:
        NotFiniteError: a loss is NaN or infinite.
    """
    gc.collect()
    release_memory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    torch.set_num_threads(config.threads)
    game, data, progress = Game.of(config, dataset, device=device), dataset.to(device), Progress()
    prepare(game)
    batches = cycle(epoch_batches(config, 1, start=0))
    game.set_rates(step=0, steps=config.total_steps, epoch=1)
    for _ in range(WARM_UP_STEPS):
        play_step(game, data, next(batches), progress)
    wait_for(device)
    began_s, images = time.perf_counter(), 0
    while not images or time.perf_counter() - began_s < seconds:
        play_step(game, data, next(batches), progress)
        images += config.recipe.batch_size
    wait_for(device)
    return Speed(images / (time.perf_counter() - began_s), most_memory(device))
