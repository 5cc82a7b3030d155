"""The training loop: epochs, batches and steps, and the records of each epoch."""

from collections.abc import Iterator

import numpy as np
import torch

from models.device import resolve_device
from models.images import to_float
from training.config import RunConfig
from training.data.dataset import Dataset
from training.errors import NotFiniteError
from training.gan.discriminator_loss import LabelledImages
from training.gan.distributed import ALONE, Processes
from training.gan.game import Game
from training.run.alarm_response import ROLLBACK_RATE, respond_to_alarms, roll_back, will_roll_back
from training.run.alarms import best_record, new_alarms
from training.run.checkpoint import load_checkpoint, state_of
from training.run.extension import has_ended
from training.run.folder import RunFolder
from training.run.interruption import Interruption
from training.run.monitor import open_monitor
from training.run.progress import Progress
from training.run.run import Run
from training.run.starting_model import begin_from_model
from training.run.writer import RunWriter

EARLY_EPOCHS = 10
"""The last epoch, at most, up to which each epoch has a grid: G changes fastest at the beginning."""


def train(
    config: RunConfig, dataset: Dataset, folder: RunFolder, writer: RunWriter, processes: Processes = ALONE
) -> None:
    """Train from the saved state in the run folder, or from the start, until the run's epochs or its minutes end.

    All `processes` train, and all read the folder. Only the first one writes into it, through `writer`.

    Raises:
        NotFiniteError: a loss became NaN or infinite, and the run cannot go back to its best state. The last saved
            state is unchanged.
        DeviceError: this machine does not have the device on which the run began.
        RunError: the data or settings differ from those with which the run began, or the saved state does not fit or is
            missing although there are records.
        RecipeError: this number of processes cannot share a batch evenly.
        ProcessesError: another process has ended, or has other settings or another state.
        OSError: the disk is full or cannot be written. The last saved state is unchanged.
        KeyboardInterrupt: Ctrl-C came (`Terminated`: SIGTERM), and the state is saved; a second Ctrl-C saves nothing.
    """
    torch.set_num_threads(config.threads)
    config.check_data(dataset)
    config.recipe.check_processes(processes.world, begun=folder.checkpoint_file.exists())
    recipe, device = config.recipe, resolve_device(config.device)
    labelled = config.data_of_the_game(dataset, say=writer.say)
    data = labelled.to(device)

    # --- Load the state -------------------------------------------------------------------------
    game = Game.of(config, labelled, device=device, processes=processes)
    begun = folder.checkpoint_file.exists()
    progress = saved_state(game, config, folder) if begun else first_state(game, config, folder, writer)
    processes.check_same("the same settings", config.model_dump_json(exclude={"data_path"}))  # each machine has its own
    processes.check_same("the same state to begin with", state_of(game))
    if not begun:
        writer.write_grid(0, game)
    writer.rewrite(progress)
    has_monitor = processes.first and recipe.metrics_every_epochs and not progress.finished
    monitor = open_monitor(config, dataset, folder, say=writer.say) if has_monitor else None
    run = Run(config, folder, writer, game, monitor, progress, interruption=Interruption(says=processes.first))
    writer.start(progress, total_steps=config.total_steps)
    if run.monitor is not None:
        writer.say(f"samples are compared with real images in these features: {run.monitor.features}")
    if processes.world != config.processes:
        writer.say(
            f"this run began with {config.processes} process(es) and continues with {processes.world}: sums are "
            "rounded differently, so the result will differ slightly from that of an uninterrupted run"
        )

    if run.monitor is not None and run.monitor.warning:
        writer.say(f"warning: {run.monitor.warning}")
    if progress.finished:
        writer.say(
            f"{reason_for_the_end(config, progress)}; nothing is left to train. To train longer, give `resume` the new "
            "length of the whole run: `--epochs N` or `--minutes M`"
        )

    # --- Train ----------------------------------------------------------------------------------
    progress.continue_with(processes.world, began_with=config.processes)
    with run.interruption:
        while not run.progress.finished:
            try:
                play_epoch(run, data)
                close_epoch(run)
            except NotFiniteError as error:
                roll_back(run, {"not-finite": str(error)})

    # --- The end --------------------------------------------------------------------------------
    if (
        not folder.curves_file.exists()
    ):  # the run was killed after it saved its last state, but before it drew the curves
        writer.write_curves(run.progress.records)
    writer.finish(run.progress)


def first_state(game: Game, config: RunConfig, folder: RunFolder, writer: RunWriter) -> Progress:
    """Return the progress before the first step; the game gets the weights of the model that the run begins from."""
    folder.check_no_records()
    begin_from_model(game, config, folder, say=writer.say)
    return Progress()


def saved_state(game: Game, config: RunConfig, folder: RunFolder) -> Progress:
    """Put the game into the last saved state, and return its progress. It may have been extended since."""
    progress = load_checkpoint(folder.checkpoint_file, game, config)
    if config.extensions:
        progress.finished = progress.finished and has_ended(config, progress)
    return progress


def reason_for_the_end(config: RunConfig, progress: Progress) -> str:
    """Say why a finished run has ended."""
    done, epochs, minutes = len(progress.records), config.planned_epochs, config.planned_minutes
    if done < epochs and minutes is None:
        return f"this run ended after {done} epochs, and its config.json was changed later to {epochs}"
    if done < epochs and minutes is not None:
        return f"this run ended after epoch {done} of {epochs}, because its `--minutes {minutes:g}` were over"
    return f"this run has trained all its {epochs} epochs"


def play_epoch(run: Run, data: Dataset) -> None:
    """Train the rest of the current epoch; stop earlier if the run's minutes are over."""
    config, progress = run.config, run.progress
    started_s = run.clock_s() - progress.seconds
    is_over = False
    for batches in epoch_batches(config, progress.epoch, start=progress.position, rollbacks=progress.rollbacks):
        factor = ROLLBACK_RATE**progress.rollbacks
        run.game.set_rates(step=progress.step, steps=config.total_steps, epoch=progress.epoch, factor=factor)
        play_step(run.game, data, batches, progress)
        now_s = run.clock_s()
        progress.seconds = now_s - started_s
        run.writer.step(progress)
        is_over = config.planned_minutes is not None and progress.seconds >= 60 * config.planned_minutes
        if is_over:
            break
        run.save_if_due(now_s)
    run.save_before_the_first_record()
    progress.finished = is_over


def close_epoch(run: Run) -> None:
    """Record an epoch: write its figures and its picture, save its state if it is the best, and respond to alarms."""
    recipe, writer, game, epoch = run.config.recipe, run.writer, run.game, run.progress.epoch
    game.processes.check_same(f"the same state after epoch {epoch}", state_of(game))
    try:
        metrics = measured(run)
    except KeyboardInterrupt:  # measuring takes long and changes nothing: `resume` measures this epoch again
        run.save()
        raise
    adapted = {} if game.augmentation is None else game.augmentation.figures
    run.progress.end_epoch(last=run.config.planned_epochs, metrics=metrics | adapted)
    records = run.progress.records
    alarms = new_alarms(records, loss=recipe.loss, since=run.progress.went_back_to)
    goes_back = bool(alarms) and will_roll_back(run)  # to an earlier state, so this one is not kept as the best
    is_best = best_record(records) is records[-1] and not goes_back
    is_due = run.progress.finished or is_grid_due(epoch, every=recipe.grid_every_epochs)
    writer.write_stats(records)
    if is_best or is_due:
        writer.write_grid(epoch, game)
    if is_best:
        writer.save_best(game, run.progress)
    if is_due:
        writer.write_curves(records)
    writer.epoch(records[-1])
    if alarms:
        respond_to_alarms(run, alarms, goes_back=goes_back)
    if run.progress.finished:
        run.save()
    else:
        run.save_if_due(run.clock_s())


def is_grid_due(epoch: int, *, every: int) -> bool:
    """Return whether a grid and the curves are drawn after an epoch: every `every` epochs, and after the first ones.

    Drawing takes longer than training in the short epochs of a small set, so it follows the setting also there.
    """
    return epoch <= min(every, EARLY_EPOCHS) or epoch % every == 0


def epoch_batches(config: RunConfig, epoch: int, *, start: int, rollbacks: int = 0) -> Iterator[list[torch.Tensor]]:
    """Yield the batches of one epoch, from G's step `start` on: for each step, k tensors of `batch_size` image indices.

    As in algorithm 1 of the 2014 paper, each of the k D steps before a G step has its own batch. The j-th D step takes
    its batches from the j-th random order of the data. The orders depend only on the seed, the epoch and the number of
    rollbacks. The last, smaller batch is dropped.
    """
    size = config.recipe.batch_size
    again = [rollbacks] if rollbacks else []
    orders = [
        torch.from_numpy(np.random.default_rng([config.seed, epoch, k, *again]).permutation(config.train_images))
        for k in range(config.recipe.d_steps)
    ]
    for position in range(start, config.steps_per_epoch):
        yield [order[position * size : (position + 1) * size] for order in orders]


def play_step(game: Game, data: Dataset, batches: list[torch.Tensor], progress: Progress) -> None:
    """Make k steps of D and one step of G, update G's EMA, and add the figures to the epoch's sums."""
    sums, step = progress.sums, progress.step
    *first, last = [real_batch(data, game.part.of(batch), conditional=game.classes > 0) for batch in batches]
    try:
        for real in first:
            sums.add_discriminator_step(game.discriminator_step(real, step=step))
        if game.recipe.updates == "simultaneous":
            seen, loss_g = game.simultaneous_step(last, step=step)
        else:
            seen = game.discriminator_step(last, step=step)
            loss_g = game.generator_step(last)
        sums.add_discriminator_step(seen)
        sums.add_generator_step(loss_g)
    except NotFiniteError as error:
        raise NotFiniteError(f"epoch {progress.epoch}, step {progress.step + 1}: {error}") from error
    progress.images += len(batches[-1])
    progress.step += 1
    progress.position += 1
    game.average.update(game.generator, batch_images=len(batches[-1]), images_seen=progress.images)


def real_batch(data: Dataset, batch: torch.Tensor, *, conditional: bool) -> LabelledImages:
    """Return the images at the indices `batch` [B] as [B, C, H, W] float32 in [−1, 1]; with labels if `conditional`."""
    batch = batch.to(data.images.device)
    images = to_float(data.images[batch])
    return LabelledImages(images, data.labels[batch] if conditional and data.labels is not None else None)


def measured(run: Run) -> dict[str, float]:
    """Measure G's samples in every `metrics_every_epochs`-th epoch and in the last one; return {} in the others."""
    epoch, recipe = run.progress.epoch, run.config.recipe
    if not recipe.metrics_every_epochs:
        return {}
    is_due = epoch % recipe.metrics_every_epochs == 0 or run.progress.finished or epoch == run.config.planned_epochs
    if not is_due:
        return {}
    # Only the first process has a monitor; the others wait for its figures.

    def measure() -> dict[str, float]:
        with run.interruption.at_once():
            return run.monitor.measure(run.game) if run.monitor else {}

    return run.game.processes.figures_of_first(measure)
