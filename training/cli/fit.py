"""`training fit RECIPE`: start a new training run."""

import argparse
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from training.cli.arguments import (
    Commands,
    add_class_names,
    add_features,
    add_reading,
    add_set,
    add_strict,
    add_threads,
    at_least_1,
    data_name,
    not_empty,
    path,
    positive,
    seed,
)
from training.cli.inputs import how_to_resume, load_data, log_data_notes, reading_of, take_first
from training.cli.small_sets import advise_on_small_set
from training.cli.starting_model import add_init_from, load_start, with_networks_of
from training.commands import command
from training.errors import UsageError

if TYPE_CHECKING:
    from training.config import RunConfig
    from training.data.dataset import Dataset
    from training.gan.transfer import StartingModel
    from training.run.folder import RunFolder


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    from training.recipe import recipe_names

    parser = commands.add_parser(
        "fit",
        help="start a new training run",
        description="Train G and D with the settings of a recipe. Everything about the run goes into a new run folder: "
        "`resume` continues it after an interruption, `watch` shows it, and `export` makes a model folder from it.",
    )
    parser.set_defaults(run_command=run, how_to_continue=how_to_continue)
    add_strict(parser)
    parser.add_argument(
        "recipe", metavar="RECIPE", help=f"a recipe's name ({', '.join(recipe_names())}), or the path of a .toml file"
    )
    parser.add_argument(
        "--data",
        type=not_empty,
        default="mnist",
        help="the images to train on: mnist, stacked-mnist, a folder, a zip or a tar of images, an .npz or an IDX "
        "file, Parquet or webdataset shards such as 'DIR/shard-{000..009}.tar' (default: mnist)",
    )
    parser.add_argument(
        "--name", type=data_name, help="the data set's name in logs and cards (default: made of the path of --data)"
    )
    add_reading(parser, fit=True)
    add_class_names(parser)
    parser.add_argument("--out", metavar="DIR", type=path, help="the run folder to make (default: runs/RECIPE)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs", metavar="N", type=at_least_1, help="number of passes over the data (default: the recipe's)"
    )
    length.add_argument(
        "--minutes",
        type=positive,
        help="stop after this many minutes of training, or after the recipe's epochs if these end earlier (default: "
        "no limit of time)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=seed,
        default=0,
        help="seed of the weights, the latents and the order of the data, 0 to 2**53 - 1 (default: 0)",
    )
    add_set(
        parser,
        help_text="change settings of the recipe, such as epochs=3 or generator_optimiser.learning_rate=1e-4; may be "
        "repeated, and the last one of a setting counts (default: the recipe as it is)",
    )
    parser.add_argument(
        "--on-collapse",
        choices=["warn", "rollback"],
        default="warn",
        help="what to do when G collapses, D wins or loses, or a loss becomes NaN. warn: record an alarm and go on; a "
        "NaN ends the run. rollback: return to the best state, with another order of the data and half the learning "
        "rates; this needs metrics_every_epochs of at least 1 in the recipe (default: warn)",
    )
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda", "mps"],
        default="auto",
        help="where to compute; auto takes CUDA if there is a CUDA device, and the CPU otherwise; mps is the GPU of an "
        "Apple computer, which auto never takes (default: auto)",
    )
    add_features(parser)
    add_threads(parser)
    add_init_from(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print the resolved settings and what the run would cost, measured by a few steps, and write nothing",
    )


def run(options: argparse.Namespace) -> None:
    """Start a new training run; with `--dry-run`, only print its settings."""
    from training.gan.distributed import check_own_device, joined, own_number
    from training.run.folder import RunFolder
    from training.run.loop import train
    from training.run.writer import open_writer

    folder = RunFolder(_folder_of(options))
    if own_number() == 0:
        _check_folder(folder)  # before the data are loaded, which can take minutes
    config, dataset, start = _configure(options)
    check_own_device(config.device)
    advice = advise_on_small_set(config)
    if options.dry_run:
        if own_number() == 0:
            for note in advice:
                print(f"warning: {note}", file=sys.stderr)
            print(_describe(config, folder, dataset))
        return
    with joined(config.device) as processes, open_writer(config, folder, processes) as writer:
        writer.create(start)
        log_data_notes(dataset, writer)
        for note in advice:
            writer.say(f"warning: {note}")
        train(config, dataset, folder, writer, processes)
    if own_number() == 0:
        print(f"next: {command('export', folder.path, '--to', suggest_model_folder(folder.path))}")


def _check_folder(folder: "RunFolder") -> None:
    """Check that a new run may be written into a folder, and that no other process trains a run in it.

    Raises:
        RunError: another process trains a run in the folder, or the folder holds a run or other files.
        OSError: the folder cannot be made or read.
    """
    from training.run.lock import only_writer

    if folder.path.is_dir():
        with only_writer(folder.path):
            folder.check_new()
    else:
        folder.check_new()


def _folder_of(options: argparse.Namespace) -> Path:
    folder: Path = options.out or Path("runs") / Path(options.recipe).stem
    return folder


def how_to_continue(options: argparse.Namespace) -> str | None:
    """Return a text that says how to continue after an interruption; None if nothing can be continued."""
    folder = _folder_of(options)
    if (folder / "config.json").exists():
        return how_to_resume(folder, command("resume", folder))
    return None


def suggest_model_folder(run: Path) -> Path:
    """Suggest a folder for the model of a run: nothing exists there yet, and each run gets another name.

    In a checkout of the repository the folder is in `models/bundled`, where the commands and the service find it by its
    name.
    """
    from models import bundled_models_dir

    in_repository = bundled_models_dir() == Path.cwd() / "models" / "bundled"
    parent = Path("models", "bundled") if in_repository else Path("exported")
    parts = [part for part in run.parts if part not in {"..", run.anchor}]
    text = "-".join(parts[1:] if parts[:1] == ["runs"] and len(parts) > 1 else parts).lower()
    name = re.sub(r"[^a-z0-9._-]+", "-", text).strip("-._")[-60:].lstrip("-._") or "model"
    folder = parent / name
    number = 2
    while os.path.lexists(folder):
        folder = parent / f"{name}-{number}"
        number += 1
    return folder


def _configure(options: argparse.Namespace) -> "tuple[RunConfig, Dataset, StartingModel | None]":
    """Return the run's resolved configuration, the images to train on, and the model that it begins from."""
    from training.config import check_machine, check_size, resolve_config
    from training.evaluation.learned.choice import choose_features
    from training.gan.distributed import number_of_processes
    from training.recipe import load_recipe

    overrides = list(options.set)
    if options.epochs is not None:
        if given := [override for override in overrides if override.partition("=")[0].strip() == "epochs"]:
            raise UsageError(f"--epochs {options.epochs} and --set {given[-1]} set the same: leave one of them out")
        overrides.append(f"epochs={options.epochs}")
    recipe, start = load_recipe(options.recipe, overrides), None
    if options.init_from is not None:
        start = load_start(options.init_from)
        recipe = with_networks_of(start, recipe, recipe_name=options.recipe, overrides=overrides)
    processes = number_of_processes()
    check_machine(recipe, device=options.device, processes=processes, on_collapse=options.on_collapse)
    whole = load_data(options.data, recipe.image_side, strict=options.strict, reading=reading_of(options))
    check_size(recipe, whole, processes=processes)
    dataset = take_first(whole, recipe.train_images)
    config = resolve_config(
        recipe,
        dataset,
        recipe_name=options.recipe,
        overrides=tuple(overrides),
        data=options.data,
        seed=options.seed,
        minutes=options.minutes,
        device=options.device,
        threads=options.threads,
        on_collapse=options.on_collapse,
        processes=processes,
        init_from=None if start is None else start.reference,
        init_from_place=options.init_from,
        features=choose_features(options.features, dataset).kind,
        reading=reading_of(options),
    ).with_class_names(options.class_names)
    dataset = replace(dataset, class_names=config.class_names)
    return config, dataset, start


def _describe(config: "RunConfig", folder: "RunFolder", dataset: "Dataset") -> str:
    from training.cost import measure_cost

    steps = config.steps_per_epoch
    return (
        f"{config.model_dump_json(indent=2)}\n"
        f"{measure_cost(config, dataset).describe(config)}\n"
        f"would train {config.recipe.epochs} epochs of {steps:,} steps in {folder.path}; "
        "nothing was written (--dry-run)"
    )
