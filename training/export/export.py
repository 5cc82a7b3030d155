"""From a run folder to a model folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from models.images import channels_first
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.latents import draw_latents
from models.model_folder.history import History, TrainingEvent
from models.model_folder.metadata import Metadata
from models.model_folder.write import write_model
from models.networks.encoder import Encoder
from models.networks.quantised import quantise
from training.config import RunConfig
from training.data.dataset import Dataset
from training.errors import RunError
from training.evaluation.evaluate import SAMPLES, Evaluation, evaluate
from training.export.card import write_card
from training.export.discriminator_finetuning import train_judge
from training.export.encoder import train_encoder
from training.gan.game import Game
from training.recipe import Recipe
from training.run.checkpoint import load_checkpoint, read_progress
from training.run.fixed_grid import draw_fixed_images, draw_grid
from training.run.folder import RunFolder
from training.run.progress import Progress

QUANTISING_SEED, QUANTISING_LATENTS = 1, 4096
"""The seed and the number of the latents that measure the range of G's activations."""

MNIST_LICENCE = "MIT (weights); MNIST: CC BY-SA 3.0, Yann LeCun and Corinna Cortes"


def export(
    folder: RunFolder,
    config: RunConfig,
    dataset: Dataset,
    to: Path,
    *,
    samples: int = SAMPLES,
    dtype: torch.dtype = torch.float32,
    state: Literal["best", "last"] = "best",
    afterwards: tuple[str, ...] = (),
    say: Callable[[str], None] = print,
) -> None:
    """Write the model folder `to` from a saved state of a run: G with its averaged weights, D, and their figures.

    The recipe may ask for three more steps. G gets weights of whole numbers (`models.networks.quantised`), D learns
    from pictures that are no real images (`training.export.discriminator_finetuning`), and an encoder is fitted to G
    (`training.export.encoder`). The last two take minutes each.

    model.safetensors depends on the run's seed, data and recipe alone, not on when or how often it was interrupted.

    Args:
        folder: the run.
        config: its configuration.
        dataset: all of its data; the held-out images judge the pair and calibrate D's score.
        to: the model folder to write; its name becomes the model's.
        samples: how many of G's images to judge.
        dtype: type of the weights in the file, float32 or float16. The rounded networks are the ones that are judged.
        state: "best" takes the state with the smallest Fréchet distance where the recipe had it measured, and the last
            one where not; "last" takes the last one.
        afterwards: the settings, as key=value, that the command line changed for the export; the card names them.
        say: receives a line for each tenth of D's further training and of the encoder's.

    Raises:
        RunError: nothing has been saved yet, or the data are not those that the run began with.
        NotFiniteError: a loss of the further training is NaN or infinite.
        ModelNameError: the name of the folder `to` cannot be a model's.
        ModelDestinationError: `to` holds something that is not a model folder: it is not replaced.
        OSError: the disk is full or cannot be written.
    """
    game, progress = _load_state(folder, config, dataset, state)
    recipe, epochs = config.recipe, len(progress.records)
    generator = _finish_generator(game.average.network, recipe, dtype)
    timeline = folder.timeline(last=epochs)
    timeline[epochs] = draw_grid(generator, config)  # by the exported G, even if the run drew no grid of this epoch
    discriminator = game.plain_discriminator()
    if recipe.judge_steps:
        drawn = folder.read_samples(side=config.image_shape.height, last=epochs)
        drawn[epochs] = channels_first(draw_fixed_images(generator, config))
        discriminator = train_judge(discriminator, generator, dataset, recipe, samples=drawn, seed=config.seed, say=say)
    _round_weights(discriminator, dtype)
    encoder = None
    if recipe.encoder_steps:
        sizes = Encoder.for_images(config.image_shape)
        encoder = train_encoder(
            generator, recipe, sizes=sizes, image_shape=config.image_shape, seed=config.seed, say=say
        )
    evaluation = evaluate(
        Sampler(generator, z_dim=recipe.z_dim, image_shape=config.image_shape),
        Scorer(discriminator, image_shape=config.image_shape),
        dataset,
        prior=recipe.prior,
        samples=samples,
    )
    metadata = _describe(config, progress, evaluation)
    write_model(
        to,
        metadata=metadata,
        generator=generator,
        discriminator=discriminator,
        encoder=encoder,
        history=History(epochs=tuple(progress.records), events=tuple(_read_events(folder, progress))),
        timeline=timeline,
        card=write_card(to.name, config, progress, metadata, dtype=dtype, afterwards=afterwards),
        dtype=dtype,
    )


def _load_state(
    folder: RunFolder, config: RunConfig, dataset: Dataset, state: Literal["best", "last"]
) -> tuple[Game, Progress]:
    """The game as a saved state of the run has it, on the CPU, and how far it had come."""
    saved = folder.best_file if state == "best" and folder.best_file.exists() else folder.checkpoint_file
    if not saved.exists():
        raise RunError(f"{folder.path} has no saved state yet: `resume {folder.path}` trains it")
    torch.set_num_threads(config.threads)
    trained_on = dataset.first(config.recipe.train_images)
    config.check_data(trained_on)
    game = Game.of(config, trained_on, device=torch.device("cpu"))
    progress = load_checkpoint(saved, game)
    return game, progress


def _finish_generator(generator: nn.Module, recipe: Recipe, dtype: torch.dtype) -> nn.Module:
    """G as the file will have it: with weights of whole numbers if the recipe says so, rounded to `dtype`."""
    if recipe.quantise:
        latents = draw_latents(QUANTISING_SEED, 0, QUANTISING_LATENTS, z_dim=recipe.z_dim, prior=recipe.prior)
        generator = quantise(generator, torch.from_numpy(latents))
    _round_weights(generator, dtype)
    return generator


def _round_weights(network: nn.Module, dtype: torch.dtype) -> None:
    """Round the weights to what `dtype` can hold, in place; they stay float32."""
    network.to(dtype).float()


def _describe(config: RunConfig, progress: Progress, evaluation: Evaluation) -> Metadata:
    recipe = config.recipe
    return Metadata(
        architecture=recipe.architecture,
        z_dim=recipe.z_dim,
        prior=recipe.prior,
        image_shape=config.image_shape,
        classes=config.classes,
        packing=recipe.packing,
        quantised=recipe.quantise,
        encoder=Encoder.for_images(config.image_shape) if recipe.encoder_steps else None,
        dataset=config.dataset,
        recipe=config.recipe_name,
        seed=config.seed,
        epochs=len(progress.records),
        images_seen=progress.images,
        git_commit=config.git_commit,
        calibration=evaluation.calibration,
        evaluation=evaluation.figures,
        licence=MNIST_LICENCE if config.data == "mnist" else "as the training images'",
    )


def _read_events(folder: RunFolder, progress: Progress) -> list[TrainingEvent]:
    """All that went wrong in the run, after the exported state too: it is why the run fell back to it, or did not."""
    last = read_progress(folder.checkpoint_file) if folder.checkpoint_file.exists() else progress
    return last.events
