"""Write the model card: how a model was made, how good it is, and what its limits are."""

import shlex

import torch

from models.model_folder.metadata import Metadata
from models.networks.build import build_networks
from training.config import RunConfig
from training.evaluation.evaluate import SAMPLE_SEED
from training.evaluation.table import format_markdown, group_figures
from training.provenance import describe_machine
from training.run.progress import Progress

_TEMPLATE = """\
# {name}

{description}. Trained on {dataset}; recipe `{recipe}`, seed {seed}.

## How it was made

    python -m training fit {recipe} --data {data} --seed {seed} --threads {threads}{overrides}
    python -m training export RUN --to {name}{half}{afterwards}

| | |
|---|---|
| networks | {architecture}: G {generator_weights}{width_of_weights}, D {discriminator_weights} |
| latents | {z_dim} coordinates, {prior} prior, variance 1 |
| images | {height} × {width}, {colours} |
| trained on | {train_images:,} images; {held_out_images:,} held out{skipped} |
| trained for | {epochs} epochs of the recipe's {recipe_epochs}, {images_seen:,} images, {minutes:.0f} minutes |
| on | {machine}, {threads} thread(s), {arithmetic}, torch {torch_version} |
| code | commit {git_commit} |

## Figures

Of the first 10,000 images of seed {sample_seed}, and of D, on the held-out images; beside each the same figure with
real training images in the samples' place. To make them again, with the share of each digit, and a page of pictures:

    python -m training evaluate {name} --data {data} --html report.html

{figures}

A Parzen log-likelihood says little: smooth samples score above real images. It is given because the paper gives it.

## Limits

- It draws images like those it was trained on, and nothing else; {choice}.
- Some images are none that a person would take for real; precision counts them, but as a classifier sees them.
{scope_of_d}
- Pixels are the same bits for the same latent on one machine; another processor may differ by a grey level.

## Licence

{licence}.
"""

_SCOPE_OF_D = """\
- D learnt to tell real images from this G's. On anything else, such as letters, noise or a blank page, its score means
  little: it may praise what it has never seen. Read it as "how real beside G's", not as "is this a digit"."""

_SCOPE_OF_A_JUDGE = """\
- D went on alone after the game, {steps:,} steps against what G drew in earlier epochs and pictures that are no real
  images, such as letters, noise and halves of images. The AUROCs above say how well it knows such pictures; of others
  nothing is known."""


def write_card(
    name: str,
    config: RunConfig,
    progress: Progress,
    metadata: Metadata,
    *,
    dtype: torch.dtype,
    afterwards: tuple[str, ...] = (),
) -> str:
    """The card as Markdown.

    Args:
        name: the model's name.
        config: configuration of the run.
        progress: how far the run had come in the exported state.
        metadata: the model's metadata.
        dtype: type of the weights in the file.
        afterwards: the settings, as key=value, that the export changed.
    """
    architecture, shape = metadata.architecture, metadata.image_shape
    generator, discriminator = build_networks(
        architecture, z_dim=metadata.z_dim, image_shape=shape, classes=metadata.classes, packing=metadata.packing
    )
    return _TEMPLATE.format(
        name=name,
        description=config.recipe.description,
        dataset=config.dataset,
        recipe=config.recipe_name,
        data=shlex.quote(config.data),
        seed=config.seed,
        overrides=_overrides(config),
        afterwards="".join(f" --set {shlex.quote(override)}" for override in afterwards),
        choice="which digit is what can be asked for"
        if metadata.classes
        else "nobody chooses which image a latent gives",
        recipe_epochs=config.recipe.epochs,
        half=" --half" if dtype == torch.float16 else "",
        architecture=architecture.name,
        generator_weights=_millions(sum(p.numel() for p in generator.parameters())),
        width_of_weights=" of 8 bits" if metadata.quantised else "",
        discriminator_weights=_millions(sum(p.numel() for p in discriminator.parameters())),
        z_dim=metadata.z_dim,
        prior=metadata.prior,
        height=shape.height,
        width=shape.width,
        colours="grey" if shape.channels == 1 else "RGB",
        train_images=config.train_images,
        held_out_images=config.held_out_images,
        skipped=f"; {config.skipped_images:,} could not be read" if config.skipped_images else "",
        epochs=metadata.epochs,
        images_seen=metadata.images_seen,
        minutes=progress.seconds / 60,
        machine=describe_machine(),
        threads=config.threads,
        arithmetic=config.recipe.precision,
        torch_version=config.torch_version,
        git_commit=config.git_commit,
        sample_seed=SAMPLE_SEED,
        licence=metadata.licence,
        figures=format_markdown(group_figures(metadata.evaluation, details=False)),
        scope_of_d=_SCOPE_OF_A_JUDGE.format(steps=config.recipe.judge_steps)
        if config.recipe.judge_steps
        else _SCOPE_OF_D,
    )


def _overrides(config: RunConfig) -> str:
    """The options that the run was given, as the card's command repeats them."""
    minutes = "" if config.minutes is None else f" --minutes {config.minutes:g}"
    collapse = "" if config.on_collapse == "warn" else f" --on-collapse {config.on_collapse}"
    return minutes + collapse + "".join(f" --set {shlex.quote(override)}" for override in config.overrides)


def _millions(weights: int) -> str:
    return f"{weights / 1e6:.2f} million weights"
