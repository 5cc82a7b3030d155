"""The advice for a small data set: what to expect of fewer than 1,000 training images, and what to do."""

import math
from typing import TYPE_CHECKING

from training.evaluation.few_images import FEW_IMAGES

if TYPE_CHECKING:
    from training.config import RunConfig

STEPS = 5000
"""The least number of G's steps that is worth a try; a few images make few steps in an epoch."""

EPOCHS_BETWEEN_GRIDS = 50
"""A run shows about this many grids; measuring and drawing after each short epoch would take most of the time."""


def advise_on_small_set(config: "RunConfig") -> tuple[str, ...]:
    """Return sentences for a person who trains on fewer than 1,000 images; () for more.

    Args:
        config: configuration of the run; what it sets already is not advised.
    """
    recipe = config.recipe
    if config.train_images >= FEW_IMAGES:
        return ()
    expectation = (
        f"there are only {config.train_images:,} training images and {config.held_out_images:,} held-out ones: figures "
        f"about fewer than {FEW_IMAGES:,} are rough, D soon knows the images by heart, and G is likely to draw copies "
        "of them (compare the samples with their nearest training images)"
    )
    notes = [expectation]
    settings = []
    if config.total_steps < STEPS:
        epochs = math.ceil(STEPS / config.steps_per_epoch)
        every = max(1, epochs // EPOCHS_BETWEEN_GRIDS)
        settings.append(f"epochs={epochs}")
        settings += [f"metrics_every_epochs={every}"] if recipe.metrics_every_epochs else []
        settings.append(f"grid_every_epochs={every}")
    if settings:
        start = ", and begin with a trained model of the same networks (`--init-from MODEL`) if there is one"
        notes.append(
            f"so few images make few steps: use `--set {' '.join(settings)}`{'' if config.init_from else start}"
        )
    if recipe.augmentation_target is None:
        names = ", ".join(f'"{name}"' for name in dict.fromkeys(("mirror", *recipe.augmentations)))
        notes.append(
            f"if G draws copies, `--set augmentation_target=0.5 'augmentations=[{names}]'` makes them rarer and the "
            "training slower (docs/training.md); leave mirror out for digits and letters"
        )
    return tuple(notes)
