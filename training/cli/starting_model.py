"""`fit --init-from MODEL`: load the model that a run begins from, and give the recipe its networks."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.cli.arguments import not_empty
from training.cli.inputs import load_named_model
from training.errors import RecipeError

if TYPE_CHECKING:
    from training.gan.transfer import StartingModel
    from training.recipe import Recipe

LATENTS = ("z_dim", "prior")
"""The settings besides the architecture that are the model's, unless `--set` changes them."""


def add_init_from(parser: argparse.ArgumentParser) -> None:
    """Add `--init-from MODEL`. `options.init_from` is a text for `load_start`, or None."""
    parser.add_argument(
        "--init-from",
        metavar="MODEL",
        type=not_empty,
        help="begin with the weights of a model: the name of a bundled model, the path of a model folder, or a run "
        "folder (its best state). The architecture, z_dim and prior become the model's. Layers that do not fit the "
        "images or their classes begin anew, and the log names them (default: random weights)",
    )


def load_start(name_or_path: str) -> "StartingModel":
    """Load a model folder by its path or by the name of a bundled model, or the best saved state of a run folder.

    Raises:
        ModelFolderError: the model does not exist, or is damaged.
        RunError: the run has no saved state yet, or is damaged.
    """
    from models.model_folder.format import WEIGHTS_FILE
    from training.run.folder import RunFolder
    from training.run.starting_model import start_of_model, start_of_run

    folder = RunFolder(Path(name_or_path))
    if folder.config_file.exists() and not (folder.path / WEIGHTS_FILE).exists():
        return start_of_run(folder)
    return start_of_model(load_named_model(name_or_path))


def with_networks_of(start: "StartingModel", recipe: "Recipe", *, recipe_name: str, overrides: list[str]) -> "Recipe":
    """Return a recipe with the networks of the model that the run begins from, and print what this changes.

    The settings of `--set` stay, as far as networks of the same layers and sizes can have them.

    Raises:
        RecipeError: the recipe is for another kind of networks, or `--set` asks for other sizes; or a setting of the
            recipe does not fit the model's latents.
    """
    from training.gan.distributed import own_number
    from training.gan.transfer import same_networks
    from training.recipe import validate_recipe

    settings = recipe.settings()
    theirs, ours = (architecture.model_dump(mode="json") for architecture in (start.architecture, recipe.architecture))
    if ours["name"] != theirs["name"]:
        raise RecipeError(
            f"the model {start.reference} has networks of the architecture {theirs['name']!r}, and the recipe "
            f"{recipe_name!r} has {ours['name']!r}: use {_recipes_of(theirs['name'])}"
        )
    given = {override.partition("=")[0].strip() for override in overrides}
    kept = {name: ours[name] for name in theirs if "architecture" in given or f"architecture.{name}" in given}
    latents = {name: getattr(start, name) for name in LATENTS if name not in given}
    changed = validate_recipe(settings | latents | {"architecture": theirs | kept}, source=f"with {start.reference}")
    if not same_networks(changed.architecture, start.architecture, start):
        other = {name: value for name, value in kept.items() if value != theirs[name]}
        raise RecipeError(
            f"`--set` asks for other networks than those of {start.reference}: "
            + "; ".join(
                f"architecture.{name} is {value}, and the model's is {theirs[name]}" for name, value in other.items()
            )
            + ": leave this out of --set"
        )
    if own_number() == 0:
        for line in _changes(start.reference, settings, changed.settings()):
            print(line, file=sys.stderr)
    return changed


def _recipes_of(architecture: str) -> str:
    from training.recipe import load_recipe, recipe_names

    names = [name for name in recipe_names() if load_recipe(name).architecture.name == architecture]
    return f"one of the recipes {', '.join(names)}" if names else "a recipe with these networks"


def _changes(reference: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return a line with the settings that are the model's and not the recipe's; none if there are no such."""
    pairs = [(name, before[name], after[name]) for name in LATENTS]
    pairs += [
        (f"architecture.{name}", before["architecture"][name], value) for name, value in after["architecture"].items()
    ]
    changes = [f"{name}={now} (the recipe: {old})" for name, old, now in pairs if old != now]
    return [f"the networks are those of {reference}: {', '.join(changes)}"] if changes else []
