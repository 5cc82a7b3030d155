"""Export a run: write a model folder from a run folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from models.class_names import shortened
from models.images import channels_first
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.model_folder.history import History, TrainingEvent
from models.model_folder.metadata import Metadata, format_version_for
from models.model_folder.write import write_model
from models.networks.encoder import Encoder
from models.tone_curve import ToneCurve
from training.config import RunConfig
from training.data.dataset import EMBEDDED, Dataset
from training.evaluation.evaluate import SAMPLES, Evaluation, evaluate
from training.evaluation.learned.network import LearnedFeatures
from training.evaluation.learned.obtain import obtain_features
from training.export.card import write_card
from training.export.discriminator_finetuning import JudgePlan, train_judge
from training.export.encoder import train_encoder
from training.export.quantising import in_whole_numbers
from training.export.tone_matching import find_tone_curve, with_tone_curve
from training.gan.game import Game
from training.recipe import Recipe
from training.run.checkpoint import load_checkpoint, read_progress
from training.run.fixed_grid import draw_final_grid, draw_fixed_images
from training.run.folder import RunFolder
from training.run.progress import Progress

MAX_NAME = 200
"""The limit of the metadata on the names of data sets and recipes. Longer names of files are cut."""

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
    data: str | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Write the model folder `to` from a saved state of a run. It holds G with its EMA weights, D, and their figures.

    The recipe may ask for four more steps. G gets 8-bit integer weights (`models.networks.quantised`), its images get
    the grey levels of real ones (`training.export.tone_matching`), D is fine-tuned on pictures that are not real images
    (`training.export.discriminator_finetuning`), and an encoder is fitted to G (`training.export.encoder`). The last
    two take minutes each.

    model.safetensors depends only on the run's seed, data and recipe, and not on when or how often it was interrupted.

    Args:
        folder: the run folder.
        config: configuration of the run.
        dataset: all data of the run, also if it trained on some of them (`train_images`). G and D are evaluated, and
            D's score is calibrated, on its held-out images.
        to: the model folder to write; its name becomes the model's name.
        samples: number of G's images to evaluate.
        dtype: type of the weights in the file, float32 or float16. The rounded networks are evaluated.
        state: the saved state to export. "best" takes the state with the smallest Fréchet distance if the recipe
            measures it, and the last state otherwise; "last" takes the last state.
        afterwards: the settings that the command line changed for the export, as key=value; the card names them.
        data: the place of the data, for the commands in the card; None: as the run was started.
        say: function that receives a line as each stage begins, and after each tenth of D's fine-tuning and of the
            encoder's training.

    Raises:
        RunError: the run has no saved state yet, or the data differ from those with which it began.
        DataError: the file of the network for features is damaged.
        NotFiniteError: a loss of the fine-tuning, of the encoder or of that network is NaN or infinite.
        ModelNameError: the name of the folder `to` cannot be the name of a model.
        ModelDestinationError: `to` exists and is not a model folder, so it is not replaced.
        OSError: the disk is full or cannot be written.
    """
    trained_on = dataset.first(config.recipe.train_images)
    game, progress = _load_state(folder, config, trained_on, state, say)
    extractor = obtain_features(config.features, trained_on, file=folder.features_file, say=say)
    recipe, epochs = config.recipe, len(progress.records)
    generator = _finish_generator(game.average.network, recipe, dtype)
    sampler = Sampler(generator, z_dim=recipe.z_dim, image_shape=config.image_shape)
    if recipe.tone_curve:
        sampler.tone_curve = find_tone_curve(sampler, trained_on.images, prior=recipe.prior)
    timeline = folder.timeline(last=epochs)
    if 0 not in timeline:
        first = min(timeline, default=epochs)
        say(f"warning: {folder.grids} has no picture of epoch 0: the model's timeline will begin with epoch {first}")
    timeline[epochs] = draw_final_grid(sampler, recipe.prior)  # also if the run drew no grid of this epoch
    discriminator = game.plain_discriminator()
    plan = JudgePlan.of_recipe(recipe, trained_on)
    if recipe.judge_steps:
        drawn = folder.read_samples(side=config.image_shape.height, last=epochs)
        drawn[epochs] = channels_first(draw_fixed_images(generator, config))
        say(f"fine-tuning D, {recipe.judge_steps:,} steps")
        discriminator = train_judge(
            discriminator,
            with_tone_curve(generator, sampler.tone_curve),
            trained_on,
            plan,
            samples=drawn,
            seed=config.seed,
            say=say,
        )
    _round_weights(discriminator, dtype)
    encoder = None
    if recipe.encoder_steps:
        say(f"training an encoder, {recipe.encoder_steps:,} steps")
        sizes = Encoder.for_images(config.image_shape)
        encoder = train_encoder(
            generator, recipe, sizes=sizes, image_shape=config.image_shape, seed=config.seed, say=say
        )
    say(f"evaluating G and D: {samples:,} samples, {len(dataset.held_out):,} held-out images")
    evaluation = evaluate(
        sampler,
        Scorer(discriminator, image_shape=config.image_shape),
        dataset,
        prior=recipe.prior,
        samples=samples,
        train_images=recipe.train_images,
        extractor=extractor,
    )
    own_data = None if config.data in EMBEDDED else dataset.fingerprint()
    metadata = _describe(config, progress, evaluation, sampler.tone_curve, data_sha256=own_data)
    write_model(
        to,
        metadata=metadata,
        generator=generator,
        discriminator=discriminator,
        encoder=encoder,
        features=extractor.to_bytes() if isinstance(extractor, LearnedFeatures) else None,
        history=History(epochs=tuple(progress.records), events=tuple(_read_events(folder, progress))),
        timeline=timeline,
        card=write_card(
            to.name,
            config,
            progress,
            metadata,
            dtype=dtype,
            state=state,
            variations=plan.variations,
            afterwards=afterwards,
            data=data,
        ),
        dtype=dtype,
    )


def _load_state(
    folder: RunFolder,
    config: RunConfig,
    trained_on: Dataset,
    state: Literal["best", "last"],
    say: Callable[[str], None],
) -> tuple[Game, Progress]:
    """Load a saved state of the run: the game, on the CPU, and its progress."""
    saved = folder.saved_state(state)
    torch.set_num_threads(config.threads)
    config.check_data(trained_on)
    game = Game.of(config, config.data_of_the_game(trained_on, say=say), device=torch.device("cpu"))
    progress = load_checkpoint(saved, game, config)
    return game, progress


def _finish_generator(generator: nn.Module, recipe: Recipe, dtype: torch.dtype) -> nn.Module:
    """Return G as it is written: with 8-bit integer weights if the recipe says so, and rounded to `dtype`."""
    if recipe.quantise:
        generator = in_whole_numbers(generator, z_dim=recipe.z_dim, prior=recipe.prior)
    _round_weights(generator, dtype)
    return generator


def _round_weights(network: nn.Module, dtype: torch.dtype) -> None:
    """Round the weights in place to values that `dtype` can represent; their type stays float32."""
    network.to(dtype).float()


def _describe(
    config: RunConfig,
    progress: Progress,
    evaluation: Evaluation,
    tone_curve: ToneCurve | None,
    *,
    data_sha256: str | None,
) -> Metadata:
    recipe, levels = config.recipe, None if tone_curve is None else tone_curve.levels
    names = shortened(config.class_names) if config.classes else ()
    return Metadata(
        format_version=format_version_for(
            evaluation.calibration, data_sha256, recipe.rules, levels, names, config.init_from
        ),
        architecture=recipe.architecture,
        z_dim=recipe.z_dim,
        prior=recipe.prior,
        image_shape=config.image_shape,
        classes=config.classes,
        class_names=names,
        packing=recipe.packing,
        quantised=recipe.quantise,
        tone_curve=levels,
        encoder=Encoder.for_images(config.image_shape) if recipe.encoder_steps else None,
        dataset=config.dataset[:MAX_NAME],
        data_sha256=data_sha256,
        recipe=config.recipe_title[:MAX_NAME],
        rules=recipe.rules,
        judge=recipe.judge_steps > 0,
        init_from=config.init_from,
        seed=config.seed,
        epochs=len(progress.records),
        images_seen=progress.images,
        git_commit=config.git_commit,
        calibration=evaluation.calibration,
        evaluation=evaluation.figures,
        licence=MNIST_LICENCE if config.data == "mnist" else "same as the training images",
    )


def _read_events(folder: RunFolder, progress: Progress) -> list[TrainingEvent]:
    """Return all alarms of the run, also those after the exported state: they may explain why that state was chosen."""
    last = read_progress(folder.checkpoint_file) if folder.checkpoint_file.exists() else progress
    return last.events
