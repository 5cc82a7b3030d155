"""`training sample MODEL`: draw a model's images, as one grid or as a folder of any number of images."""

import argparse
from typing import TYPE_CHECKING

from models.errors import ClassError, LatentError
from training.cli.arguments import Commands, add_model, at_least_0, at_least_1, integer, path, seed, share
from training.cli.inputs import load_named_model
from training.cli.output_file import PNG, check_output_file
from training.errors import UsageError

if TYPE_CHECKING:
    from models.model_folder.loaded_model import LoadedModel

MAX_GRID_IMAGES = 4096
BULK_OPTIONS = ("format", "shard_images", "processes", "ray")
"""The options that may be given only with `--out DIR`."""


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "sample",
        help="draw images: a grid, or millions of files",
        description="Draw a model's images: one grid as a PNG (-o FILE), or any number of images in a folder of shards "
        "(--out DIR). If --out was interrupted, the same command continues it.",
    )
    parser.set_defaults(run_command=run, how_to_continue=how_to_continue)
    add_model(parser)
    parser.add_argument(
        "--n",
        type=at_least_1,
        default=64,
        help=f"number of images; at most {MAX_GRID_IMAGES} for one grid (default: 64)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=seed,
        default=0,
        help="seed of the latents, 0 to 2**53 - 1; the same seed and index always give the same image (default: 0)",
    )
    parser.add_argument(
        "--first",
        metavar="INDEX",
        type=at_least_0,
        default=0,
        help="index of the first image within the seed, from 0 (default: 0)",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--class",
        dest="class_",
        metavar="CLASS",
        help="the class to draw, by its name or its number from 0; for conditional models only (default: any class)",
    )
    kind.add_argument("--digit", metavar="N", type=integer, help="the class to draw, by its number from 0")
    parser.add_argument(
        "--truncation",
        metavar="FACTOR",
        type=share,
        default=1.0,
        help="multiply latents by this, above 0 and at most 1; smaller values give more typical, less varied images "
        "of the same class (default: 1)",
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=path,
        help="write one grid of all images to this PNG file (-o or --out is required)",
    )
    place.add_argument("--out", metavar="DIR", type=path, help="write the images as shards into this folder")
    _add_bulk_options(parser)


def _add_bulk_options(parser: argparse.ArgumentParser) -> None:
    from training.bulk.request import FORMATS, MAX_SHARD_IMAGES, SHARD_IMAGES

    bulk = parser.add_argument_group("options for --out DIR")
    bulk.add_argument(
        "--format",
        choices=FORMATS,
        help="format of each shard: an .npz file, a folder of PNG files, a Parquet file (needs pyarrow), or a "
        "WebDataset tar (default: npz)",
    )
    bulk.add_argument(
        "--shard-images",
        metavar="N",
        type=at_least_1,
        help=f"number of images in each shard, 1 to {MAX_SHARD_IMAGES:,} (default: {SHARD_IMAGES:,})",
    )
    bulk.add_argument(
        "--processes",
        metavar="N",
        type=at_least_1,
        help="number of processes, each of which writes one shard at a time (default: 1; with --ray: one per CPU of "
        "the cluster)",
    )
    bulk.add_argument(
        "--ray",
        action="store_true",
        help="write the shards with Ray Data on the cluster that the variable RAY_ADDRESS names, or on this machine if "
        "it is not set (default: without Ray)",
    )


def run(options: argparse.Namespace) -> None:
    """Draw one grid (`-o FILE`) or a folder of shards (`--out DIR`)."""
    _check_range(options)
    if options.out is None:
        _write_grid(options)
    else:
        _write_shards(options)


def how_to_continue(options: argparse.Namespace) -> str | None:
    """Return a text that says how to continue after an interruption; None if nothing can be continued."""
    if options.out is None:
        return None
    return f"the same command continues {options.out}: the shards that are there are complete"


def _check_range(options: argparse.Namespace) -> None:
    """Check the numbers of the images, before anything is loaded.

    Raises:
        UsageError: the number of images or an index is out of range.
    """
    from models.latents import INDEX_LIMIT
    from training.bulk.request import MAX_SHARD_IMAGES

    if options.first + options.n > INDEX_LIMIT:
        raise UsageError(
            f"--first {options.first} and --n {options.n} ask for images beyond the last index, 2**53 - 1: give "
            "smaller numbers"
        )
    if options.shard_images is not None and options.shard_images > MAX_SHARD_IMAGES:
        raise UsageError(f"--shard-images must be 1 to {MAX_SHARD_IMAGES:,}, not {options.shard_images:,}")


def _write_grid(options: argparse.Namespace) -> None:
    from models.files import write_atomically
    from models.grids import assemble_grid
    from models.inference.sampler import Sampler
    from training.pictures import encode_png

    _check_grid(options)
    model = load_named_model(options.model)
    label = _label_of(model, options)
    latents = model.draw_latents(options.seed, options.first, options.n, truncation=options.truncation, label=label)
    picture = assemble_grid(Sampler.of_model(model)(latents), padding=2)
    write_atomically(options.output, encode_png(picture))
    print(f"wrote {_describe_images(model, label, options)} to {options.output}")


def _check_grid(options: argparse.Namespace) -> None:
    """Refuse options that do not fit a grid, before the model is loaded.

    Raises:
        UsageError: an option needs `--out DIR`, there are too many images for one grid, or the file's name is that of
            another format.
        RunError: the file cannot be written.
    """
    given = [f"--{name.replace('_', '-')}" for name in BULK_OPTIONS if getattr(options, name)]
    if given:
        raise UsageError(
            f"{', '.join(given)} cannot be used with -o FILE: leave the option out, or write shards with --out DIR"
        )
    if options.n > MAX_GRID_IMAGES:
        raise UsageError(
            f"--n must be 1 to {MAX_GRID_IMAGES} for one grid, not {options.n}; --out DIR takes more images"
        )
    check_output_file("-o", options.output, PNG)


def _write_shards(options: argparse.Namespace) -> None:
    from training.bulk.request import SHARD_IMAGES, check_folder
    from training.bulk.run import sample_in_bulk

    check_folder(options.out)
    model = load_named_model(options.model)
    label = _label_of(model, options)
    done = sample_in_bulk(
        model,
        options.out,
        seed=options.seed,
        first=options.first,
        n=options.n,
        digit=label,
        truncation=options.truncation,
        format_name=options.format or "npz",
        shard_images=SHARD_IMAGES if options.shard_images is None else options.shard_images,
        processes=options.processes,
        ray=options.ray,
    )
    print(f"wrote {_describe_images(model, label, options)}: {done}")


def _describe_images(model: "LoadedModel", label: int | None, options: argparse.Namespace) -> str:
    asked = "" if label is None else f" (requested class: {model.metadata.class_names[label]})"
    return f"images {options.first} to {options.first + options.n - 1} of seed {options.seed}{asked}"


def _label_of(model: "LoadedModel", options: argparse.Namespace) -> int | None:
    """Return the number of the class that `--class` or `--digit` asks for; None stands for any class.

    Raises:
        LatentError: the model does not have this class.
    """
    from models.class_names import find_class

    asked, option = (options.digit, "--digit") if options.class_ is None else (options.class_, "--class")
    if asked is None:
        return None
    try:
        return find_class(asked, model.metadata.class_names)
    except ClassError as error:
        if error.classes:
            text = f"{option} must be one of {model.name}'s classes, {error.known}, not {error.shown}"
        else:
            text = (
                f"{model.name} is not conditional, so its class cannot be chosen ({option} {error.shown}): leave "
                f"{option} out"
            )
        raise LatentError(text) from error
