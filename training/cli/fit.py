"""`training fit RECIPE`: train a recipe from its start."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from training.cli.arguments import Commands, add_set, add_strict, add_threads, positive, seed
from training.cli.inputs import load_data, log_skipped

if TYPE_CHECKING:
    from training.config import RunConfig
    from training.data.dataset import Dataset
    from training.run.folder import RunFolder


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    from training.recipe import recipe_names

    parser = commands.add_parser("fit", help="train a recipe", description="Train a recipe into a new run folder.")
    parser.set_defaults(run_command=run)
    add_strict(parser)
    parser.add_argument("recipe", metavar="RECIPE", help=f"{', '.join(recipe_names())}, or the path of a .toml")
    parser.add_argument(
        "--data", default="mnist", help="mnist, a folder of images, an .npz or an IDX file (default: mnist)"
    )
    parser.add_argument("--out", type=Path, help="the run folder (default: runs/RECIPE)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, help="passes over the data (default: the recipe's)")
    length.add_argument("--minutes", type=positive, help="stop after this many minutes of training")
    parser.add_argument("--seed", type=seed, default=0, help="of weights, latents and the data's order (default: 0)")
    add_set(parser, help_text="change settings of the recipe")
    parser.add_argument(
        "--on-collapse",
        choices=["warn", "rollback"],
        default="warn",
        help="when G collapses, D wins or a loss is NaN: say so, or go back to the best state with another order of "
        "the data and half the learning rates (default: warn)",
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto")
    add_threads(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def run(options: argparse.Namespace) -> None:
    """Train a recipe from its start, or only say what would be done (`--dry-run`)."""
    from training.gan.distributed import joined, own_number
    from training.run.folder import RunFolder
    from training.run.loop import train
    from training.run.writer import open_writer

    name = Path(options.recipe).stem
    config, dataset = _configure(options, name)
    folder = RunFolder(options.out or Path("runs") / name)
    if options.dry_run:
        if own_number() == 0:
            print(_describe(config, folder))
        return
    with joined(config.device) as processes, open_writer(config, folder, processes) as writer:
        writer.create()
        log_skipped(dataset, writer)
        train(config, dataset, folder, writer, processes)
    if own_number() == 0:
        print(f"next: python -m training export {folder.path} --to models/{name}")


def _configure(options: argparse.Namespace, name: str) -> "tuple[RunConfig, Dataset]":
    """The run's configuration, with nothing left open, and the images to train on."""
    from training.config import resolve_config
    from training.gan.distributed import number_of_processes
    from training.recipe import load_recipe

    overrides = list(options.set)
    if options.epochs is not None:
        overrides.append(f"epochs={options.epochs}")
    recipe = load_recipe(options.recipe, overrides)
    dataset = load_data(options.data, recipe.image_side, strict=options.strict).first(recipe.train_images)
    config = resolve_config(
        recipe,
        dataset,
        recipe_name=name,
        overrides=tuple(overrides),
        data=options.data,
        seed=options.seed,
        minutes=options.minutes,
        device=options.device,
        threads=options.threads,
        on_collapse=options.on_collapse,
        processes=number_of_processes(),
    )
    return config, dataset


def _describe(config: "RunConfig", folder: "RunFolder") -> str:
    steps = config.steps_per_epoch
    return (
        f"{config.model_dump_json(indent=2)}\n"
        f"would train {config.recipe.epochs} epochs of {steps:,} steps in {folder.path}; "
        "nothing was written (--dry-run)"
    )
