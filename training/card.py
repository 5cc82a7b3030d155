"""The model card: what a person wants to know before using a model."""

import platform
import shlex

import torch

from models.metadata import Metadata
from models.networks import build_networks
from training.checkpoint import Progress
from training.config import RunConfig
from training.evaluate import SAMPLE_SEED

_TEMPLATE = """\
# {name}

{description}. Trained on {dataset}; recipe `{recipe}`, seed {seed}.

## How it was made

    python -m training fit {recipe} --data {data} --seed {seed} --threads {threads}{overrides}
    python -m training export RUN --to {name}{half}

| | |
|---|---|
| networks | {architecture}: G {generator_weights}, D {discriminator_weights} |
| latents | {z_dim} coordinates, {prior} prior, variance 1 |
| images | {height} × {width}, {colours} |
| trained on | {train_images:,} images; {held_out_images:,} held out |
| trained for | {epochs} epochs, {images_seen:,} images, {minutes:.0f} minutes |
| on | {machine}, {threads} thread(s), {arithmetic}, torch {torch_version} |
| code | commit {git_commit} |

## Figures

Of the first 10,000 images of seed {sample_seed}, and of D, on the held-out images. To make them again:

    python -m training evaluate {name} --data {data}

| figure | this model | for comparison |
|---|---|---|
| Parzen log-likelihood (Goodfellow et al. 2014), nats | {parzen_ll:.1f} ± {parzen_ll_standard_error:.1f} | \
real training images: {parzen_ll_real:.1f} ± {parzen_ll_standard_error_real:.1f}; the paper's: 225 ± 2 on MNIST |
| V(G, D) | {value:.3f} | −log 4 = −1.386 at the optimum |
| mean D(x), held-out images | {d_held_out:.3f} | 0.5 at the optimum |
| mean D(G(z)) | {d_fake:.3f} | 0.5 at the optimum |
| AUROC of D, real against G's images | {auroc:.3f} | 0.5 at the optimum |

A Parzen log-likelihood says little: smooth samples score above real images. It is given because the paper gives it.

## Limits

- It draws images like those it was trained on, and nothing else; nobody chooses which image a latent gives.
- Some images are no digit that a person would read; no figure above counts them.
- D learnt to tell real images from this G's. On anything else, such as letters, noise or a blank page, its score means
  little: it may praise what it has never seen. Read it as "how real beside G's", not as "is this a digit".
- Pixels are the same bits for the same latent on one machine; another processor may differ by a grey level.

## Licence

{licence}.
"""


def write_card(name: str, config: RunConfig, progress: Progress, metadata: Metadata, *, dtype: torch.dtype) -> str:
    """The card as Markdown."""
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
        half=" --half" if dtype == torch.float16 else "",
        architecture=architecture.name,
        generator_weights=_millions(sum(p.numel() for p in generator.parameters())),
        discriminator_weights=_millions(sum(p.numel() for p in discriminator.parameters())),
        z_dim=metadata.z_dim,
        prior=metadata.prior,
        height=shape.height,
        width=shape.width,
        colours="grey" if shape.channels == 1 else "RGB",
        train_images=config.train_images,
        held_out_images=config.held_out_images,
        epochs=metadata.epochs,
        images_seen=metadata.images_seen,
        minutes=progress.seconds / 60,
        machine=_machine(),
        threads=config.threads,
        arithmetic=config.recipe.precision,
        torch_version=config.torch_version,
        git_commit=config.git_commit,
        sample_seed=SAMPLE_SEED,
        licence=metadata.licence,
        **metadata.evaluation,
    )


def _overrides(config: RunConfig) -> str:
    """What the command line said beside the recipe, to be written in the command."""
    minutes = "" if config.minutes is None else f" --minutes {config.minutes:g}"
    collapse = "" if config.on_collapse == "warn" else f" --on-collapse {config.on_collapse}"
    return minutes + collapse + "".join(f" --set {shlex.quote(override)}" for override in config.overrides)


def _millions(weights: int) -> str:
    return f"{weights / 1e6:.2f} million weights"


def _machine() -> str:
    """The processor's name, where the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return f"{names[0]} ({len(names)} cores)" if names else platform.processor() or platform.machine()
