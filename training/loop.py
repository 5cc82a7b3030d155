"""The training loop: epochs, batches, and what is kept of them."""

import time
from collections.abc import Iterator

import numpy as np
import torch

from models.device import resolve_device
from models.grids import assemble_grid
from models.history import EpochRecord
from models.latents import draw_latents
from models.sampler import Sampler
from training.checkpoint import EpochSums, Progress, load_checkpoint, save_checkpoint
from training.config import RunConfig
from training.curves import draw_curves
from training.data.dataset import Dataset
from training.errors import NotFiniteError, RunError
from training.game import Game
from training.pictures import encode_png
from training.reporter import Reporter
from training.run_folder import RunFolder

GRID_SEED = 0
GRID_IMAGES = 64


def train(config: RunConfig, dataset: Dataset, folder: RunFolder, reporter: Reporter) -> None:
    """Play the game from where the run folder stands to the end of its recipe, or of its minutes.

    Raises:
        NotFiniteError: a loss became NaN or infinite; the last saved state stays as it is.
        DeviceError: the run began on a device that is not here.
        RunError: the data are not those that the run began with, or the saved state does not fit.
        OSError: the disk is full or cannot be written; the last saved state stays as it is.
    """
    torch.set_num_threads(config.threads)
    if dataset.fingerprint() != config.data_sha256:
        raise RunError(f"the images of {config.data!r} are not those that the run began with; it cannot be resumed")
    recipe, device = config.recipe, resolve_device(config.device)
    images = dataset.images.to(device)

    # --- Where the run stands -------------------------------------------------------------------
    game = Game(recipe, shape=config.image_shape, pixel_means=dataset.pixel_means(), seed=config.seed, device=device)
    if folder.checkpoint_file.exists():
        progress = load_checkpoint(folder.checkpoint_file, game)
    else:
        progress = Progress()
        folder.write_grid(0, draw_grid(game, config))
    folder.drop_grids_after(progress.epoch - 1)
    folder.write_stats(progress.records)
    total_steps = recipe.epochs * config.steps_per_epoch
    started = time.monotonic() - progress.seconds
    saved = time.monotonic()
    reporter.start(progress, total_steps=total_steps)

    # --- The game -------------------------------------------------------------------------------
    while not progress.finished:
        for batches in epoch_batches(config, progress.epoch, start=progress.position):
            game.set_rates(step=progress.step, steps=total_steps, epoch=progress.epoch)
            play_step(game, images, batches, progress)
            progress.seconds = time.monotonic() - started
            reporter.step(progress)
            if config.minutes is not None and progress.seconds >= 60 * config.minutes:
                progress.finished = True
                break
            if time.monotonic() - saved >= recipe.checkpoint_interval_s:
                save_checkpoint(folder.checkpoint_file, game, progress)
                saved = time.monotonic()

        # --- The end of an epoch ----------------------------------------------------------------
        epoch = progress.epoch
        end_epoch(progress, last=recipe.epochs)
        folder.write_stats(progress.records)
        if progress.finished or epoch <= recipe.grid_every_epochs or epoch % recipe.grid_every_epochs == 0:
            folder.write_grid(epoch, draw_grid(game, config))
            folder.write_curves(draw_curves(progress.records, title=curves_title(config)))
        if progress.finished or time.monotonic() - saved >= recipe.checkpoint_interval_s:
            save_checkpoint(folder.checkpoint_file, game, progress)
            saved = time.monotonic()
        reporter.epoch(progress.records[-1])

    if not folder.curves_file.exists():  # a run resumed at its end, after a kill before its last picture
        folder.write_curves(draw_curves(progress.records, title=curves_title(config)))
    reporter.finish(progress)


def epoch_batches(config: RunConfig, epoch: int, *, start: int) -> Iterator[list[torch.Tensor]]:
    """The index batches of one epoch from G's step `start` on: k batches of `batch_size` images, one for each D step.

    Each of the k D steps between two of G's has its own minibatch, as algorithm 1 has it, from its own order of the
    data. The orders follow from the seed and the epoch alone. The last, smaller batch is dropped.
    """
    size = config.recipe.batch_size
    orders = [
        torch.from_numpy(np.random.default_rng([config.seed, epoch, k]).permutation(config.train_images))
        for k in range(config.recipe.d_steps)
    ]
    for position in range(start, config.steps_per_epoch):
        yield [order[position * size : (position + 1) * size] for order in orders]


def play_step(game: Game, images: torch.Tensor, batches: list[torch.Tensor], progress: Progress) -> None:
    """k steps of D, one of G, and G's average moved; the sums of the epoch grow by what they saw."""
    sums = progress.sums
    try:
        if game.recipe.updates == "simultaneous":
            *first, last = batches
            for batch in first:
                sums.add_discriminator_step(game.discriminator_step(real_batch(images, batch)))
            seen, loss_g = game.simultaneous_step(real_batch(images, last))
            sums.add_discriminator_step(seen)
        else:
            for batch in batches:
                sums.add_discriminator_step(game.discriminator_step(real_batch(images, batch)))
            loss_g = game.generator_step(len(batches[0]))
        sums.add_generator_step(loss_g)
    except NotFiniteError as error:
        raise NotFiniteError(f"epoch {progress.epoch}, step {progress.step + 1}: {error}") from error
    progress.images += len(batches[0])
    progress.step += 1
    progress.position += 1
    game.average.update(game.generator, batch_images=len(batches[0]), images_seen=progress.images)


def real_batch(images: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    """Images [N, C, H, W] uint8 at the indices `batch` → [B, C, H, W] float32 in [−1, 1]: the loop's edge."""
    return images[batch.to(images.device)].to(torch.float32).div_(127.5).sub_(1)


def end_epoch(progress: Progress, *, last: int) -> None:
    """Turn the epoch's sums into its record and begin the next, or finish after the last."""
    sums = progress.sums
    loss_d = sums.loss_d / sums.discriminator_steps
    progress.records.append(
        EpochRecord(
            epoch=progress.epoch,
            images=progress.images,
            seconds=round(progress.seconds, 3),
            loss_d=loss_d,
            loss_g=sums.loss_g / sums.generator_steps,
            d_real=sums.d_real / sums.discriminator_steps,
            d_fake=sums.d_fake / sums.discriminator_steps,
            value=-2 * loss_d,
        )
    )
    progress.finished = progress.finished or progress.epoch >= last
    progress.epoch += 1
    progress.position = 0
    progress.sums = EpochSums()


def draw_grid(game: Game, config: RunConfig) -> bytes:
    """PNG of G's average at 64 fixed latents: those of `/v1/samples?seed=0`."""
    latents = draw_latents(GRID_SEED, 0, GRID_IMAGES, z_dim=config.recipe.z_dim, prior=config.recipe.prior)
    sampler = Sampler(
        game.average.network, z_dim=config.recipe.z_dim, image_shape=config.image_shape, device=game.device
    )
    return encode_png(assemble_grid(sampler(latents), padding=2))


def curves_title(config: RunConfig) -> str:
    """What the picture of the curves is headed by."""
    return f"{config.recipe_name} on {config.dataset}, seed {config.seed}"
