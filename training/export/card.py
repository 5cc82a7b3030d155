"""Write the model card: how a model was made, how good it is, and what its limits are."""

import shlex
import textwrap
from typing import Literal

import torch

from models.model_folder.metadata import Metadata
from models.networks.build import build_networks
from training.config import Extension, FeatureKind, RunConfig
from training.data.dataset import EMBEDDED
from training.evaluation.evaluate import SAMPLE_SEED
from training.evaluation.features import explain
from training.evaluation.few_images import warn_of_few_images
from training.evaluation.learned.choice import kind_of
from training.evaluation.table import format_markdown, group_figures
from training.provenance import describe_machine
from training.run.progress import Progress

_TEMPLATE = """\
# {name}

The model was trained on {dataset} with the recipe `{recipe}` and the seed {seed}. {about_the_recipe}

{game}

## How it was made

    python -m {launch}training fit {quoted_recipe} --data {data} --seed {seed} --threads {threads}{overrides}{resumed}
    python -m training export RUN --to {name}{state}{half}{afterwards}
{continued}
| | |
|---|---|
| kind | {kind} |
| networks | {architecture}: G {generator_weights}{width_of_weights}, D {discriminator_weights} |
| latents | {z_dim} coordinates, {prior} prior, variance 1 |
| images | {height} × {width}, {colours}{tones} |
| trained on | {train_images:,} images; {held_out_images:,} held out{skipped}{classes} |
{began}| trained for | {epochs} of {planned}, {images_seen:,} images, {minutes} |
| trained with | {device}, {processes} process(es) of {threads} thread(s), {arithmetic}, torch {torch_version} |
| exported on | {machine} |
| code | commit {git_commit} |

{figures}

## Limits

- The model only draws images like those on which it was trained; {choice}.
- A person would not take every sample for a real image. Precision estimates the share of realistic samples, but
  by computed features, not by a person's judgement.
{scope_of_d}
- On one machine the same latent always gives the same pixels. On another processor a pixel may differ by one grey
  level.

## Licence

{licence}.
"""

_FIGURES = """\
## Figures

The samples are the first 10,000 images of seed {sample_seed}. They, and D, are evaluated on the held-out images. The
column "real images" gives the same figure for real training images in place of the samples. The following command
computes the figures again{shares} and writes a page with pictures:

    python -m training evaluate {name} --data {data}{train_images_option}{features_option} --html report.html

{about_features}{warning}{figures}

{about_the_judge}\
The Parzen log-likelihood says little about quality, because smooth samples score higher than real images. It is given
because the 2014 paper gives it."""

_ABOUT_THE_JUDGE = """\
The judge is the D of this folder. It was trained on alone after the game, so it is not the D that played it, and theory
has no optimum for its values. The values of the game's own D are in `history.json`.

"""

_CONTINUED = """
`resume` continued the training with another number of processes, by which sums are rounded differently, so these
commands make a slightly different model.
"""

MAX_NAMED = 20
"""The number of classes that the card names; the others are only counted."""

_SCOPE_OF_D = """\
- D learned to tell real images from the images of this G. For other pictures, such as letters, noise or a blank page,
  its score means little and may be high. The score says how real an image looks compared with G's images; it does not
  say whether the image shows a digit."""

_SCOPE_OF_A_JUDGE = """\
- After the training of G and D, D was trained alone for {steps:,} more steps. Its fakes were images that G drew in
  earlier epochs, and pictures that are not real images, such as letters, noise and halves of images.{varied} The AUROCs
  above say how well D recognises such pictures. How well it recognises others was not measured."""

_VARIED = """ Of its real images, {share:.0%}
were varied digits: real digits as other pens, hands and scanners would have drawn them."""


def write_card(
    name: str,
    config: RunConfig,
    progress: Progress,
    metadata: Metadata,
    *,
    dtype: torch.dtype,
    variations: float = 0.0,
    state: Literal["best", "last"] = "best",
    afterwards: tuple[str, ...] = (),
    data: str | None = None,
) -> str:
    """Return the card as Markdown.

    Args:
        name: the model's name.
        config: configuration of the run.
        progress: the progress of the run in the exported state.
        metadata: the model's metadata.
        dtype: type of the weights in the file.
        variations: the share of varied digits among the real images with which D was fine-tuned.
        state: which saved state was asked for.
        afterwards: the settings that the export changed, as key=value.
        data: the place of the data; None: as the run was started.
    """
    architecture, shape = metadata.architecture, metadata.image_shape
    generator, discriminator = build_networks(
        architecture, z_dim=metadata.z_dim, image_shape=shape, classes=metadata.ballots, packing=metadata.packing
    )
    return _TEMPLATE.format(
        name=name,
        about_the_recipe=_about_the_recipe(config),
        game=config.game,
        dataset=config.dataset,
        recipe=config.recipe_name,
        quoted_recipe=shlex.quote(config.recipe_name),
        launch=f"torch.distributed.run --nproc-per-node {config.processes} -m " if config.processes > 1 else "",
        kind=f"class-conditional, {metadata.classes} classes" if metadata.classes else "without classes",
        device={"cpu": "CPU", "cuda": "GPU (CUDA)", "mps": "GPU (Apple, mps)"}[config.device],
        processes=", then ".join(map(str, progress.processes or [config.processes])),
        continued=_CONTINUED if progress.processes not in ([], [config.processes]) else "",
        data=shlex.quote(config.data if data is None else data),
        seed=config.seed,
        overrides=_overrides(config),
        state=" --state last" if state == "last" else "",
        afterwards="".join(f" --set {shlex.quote(override)}" for override in afterwards) + _renamed(config),
        choice="the class of an image can be chosen"
        if metadata.classes
        else "the kind of image that a latent gives cannot be chosen",
        planned=_planned(config, metadata.epochs),
        began="" if metadata.init_from is None else f"| began with | the weights of `{metadata.init_from}` |\n",
        resumed=_resumed(config, metadata.epochs),
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
        tones="; grey levels matched with the training images (tone curve)" if metadata.tone_curve else "",
        train_images=config.train_images,
        held_out_images=config.held_out_images,
        skipped=f"; {config.skipped_images:,} could not be read" if config.skipped_images else "",
        classes=_classes(config),
        epochs=metadata.epochs,
        images_seen=metadata.images_seen,
        minutes=_minutes(progress.seconds),
        machine=describe_machine(),
        threads=config.threads,
        arithmetic=config.recipe.precision,
        torch_version=config.torch_version,
        git_commit=config.git_commit,
        licence=metadata.licence,
        figures=describe_figures(
            name,
            metadata,
            data=config.data if data is None else data,
            train_images=config.recipe.train_images,
            held_out_images=config.held_out_images,
        ),
        scope_of_d=describe_judge(config.recipe.judge_steps, variations) if config.recipe.judge_steps else _SCOPE_OF_D,
    )


def describe_figures(
    name: str, metadata: Metadata, *, data: str, train_images: int | None, held_out_images: int
) -> str:
    """Return the card's section "Figures".

    Args:
        name: the model's name.
        metadata: the model's metadata, with its figures, its game, and whether its D is a judge.
        data: the place of the data, for the command that computes the figures again.
        train_images: the number of training images that the model was trained on; None: all.
        held_out_images: the number of held-out images; the section warns if they are few.
    """
    figures, judge = metadata.evaluation, bool(metadata.judge)
    warning = warn_of_few_images(held_out_images, which="held-out")
    return _FIGURES.format(
        name=name,
        data=shlex.quote(data),
        train_images_option=f" --train-images {train_images}" if train_images else "",
        features_option=_features_option(kind_of(figures), data),
        about_features=f"{textwrap.fill(about, 116)}\n\n" if (about := explain(figures)) else "",
        sample_seed=SAMPLE_SEED,
        shares=", adds the share of each digit," if "share_0" in figures else "",
        warning="" if warning is None else textwrap.fill(f"**Warning:** {warning}.", 116) + "\n\n",
        figures=format_markdown(group_figures(figures, details=False, judge=judge, optimum=metadata.optimum)),
        about_the_judge=_ABOUT_THE_JUDGE if judge else "",
    )


def describe_judge(steps: int, variations: float) -> str:
    """Return the point of the section "Limits" about a D that was fine-tuned.

    Args:
        steps: the number of steps of the fine-tuning.
        variations: the share of its real images that were variations of digits.
    """
    return textwrap.fill(
        _SCOPE_OF_A_JUDGE.format(steps=steps, varied=_VARIED.format(share=variations) if variations else ""),
        116,
        subsequent_indent="  ",
        break_on_hyphens=False,
    )


def _about_the_recipe(config: RunConfig) -> str:
    """Return the recipe's description of itself, and the settings that were changed, which may contradict it."""
    changed = f" Changed for this run: `{'`, `'.join(config.overrides)}`." if config.overrides else ""
    return f"About this recipe: {config.recipe.description.rstrip('.')}.{changed}"


def _classes(config: RunConfig) -> str:
    """Return the number and the names of the classes of a person's own data, for the table's cell."""
    if config.data == "mnist" or not (config.classes and config.class_names):
        return ""
    names = [name.replace("|", "\\|") if name.isprintable() else ascii(name) for name in config.class_names]
    more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
    return f"; {len(names):,} classes: {', '.join(names[:MAX_NAMED])}{more}"


def _overrides(config: RunConfig) -> str:
    """Return the options of the `fit` command that the run was started with, for the command in the card."""
    minutes = "" if config.minutes is None else f" --minutes {config.minutes:g}"
    begins = "" if config.init_from_place is None else f" --init-from {shlex.quote(config.init_from_place)}"
    collapse = "" if config.on_collapse == "warn" else f" --on-collapse {config.on_collapse}"
    fit = "" if config.picture_fit is None else f" --fit {config.picture_fit}"
    labels = "" if config.labels_path is None else f" --labels {shlex.quote(config.labels_path)}"
    options = fit + labels + minutes + begins + collapse + _features_option(config.features, config.data)
    return options + "".join(f" --set {shlex.quote(override)}" for override in config.overrides)


def _renamed(config: RunConfig) -> str:
    """Return the option of `export` that gives the classes other names than the data, with a space before it."""
    return f" --class-names {shlex.quote(','.join(config.class_names))}" if config.classes_renamed else ""


def _extensions(config: RunConfig, epochs: int) -> list[Extension]:
    """Return the extensions of a run that led to its state after this many epochs."""
    return [extension for extension in config.extensions if extension.after_epoch < epochs]


def _planned(config: RunConfig, epochs: int) -> str:
    """Return how many epochs were planned when this many were done, and since when, for the table's cell."""
    plan = f"the recipe's {config.recipe.epochs} epochs"
    for extension in _extensions(config, epochs):
        plan = f"{extension.epochs} epochs (after epoch {extension.after_epoch}, extended from {plan})"
    return plan


def _resumed(config: RunConfig, epochs: int) -> str:
    """Return the `resume` commands that extended the run, each on a line of its own and with when it was given."""
    return "".join(
        f"\n    python -m training resume RUN {extension.asked}    # after step {extension.after_step:,}"
        for extension in _extensions(config, epochs)
    )


def _features_option(kind: FeatureKind, data: str) -> str:
    """Return the option that names the features, with a space before it; none for data that have only one kind."""
    return "" if data in EMBEDDED else f" --features {'wavelets' if kind == 'built-in' else kind}"


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


def _millions(weights: int) -> str:
    return f"{weights / 1e6:.2f} million weights"
