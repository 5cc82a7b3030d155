"""`training sample MODEL`: draw one grid of a model's images, or a folder of any number of them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import ClassError, LatentError
from training.cli.arguments import Commands, add_model, at_least_1, check_output
from training.cli.inputs import load_named_model
from training.errors import BulkError

if TYPE_CHECKING:
    from models.model_folder.loaded_model import LoadedModel

MAX_GRID_IMAGES = 4096
BULK_OPTIONS = ("format", "shard_images", "processes", "ray")
"""The options that only `--out DIR` takes."""


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "sample",
        help="draw a grid, or millions",
        description="Draw a grid of a model's images, or any number of them into a folder of shards: the same command "
        "goes on with one that was stopped.",
    )
    parser.set_defaults(run_command=run)
    add_model(parser)
    parser.add_argument("--n", type=int, default=64, help="images (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--first", type=int, default=0, help="index of the first image (default: 0)")
    parser.add_argument("--digit", type=int, help="the class to draw; conditional models only (default: any)")
    parser.add_argument(
        "--truncation", type=float, default=1.0, help="scale latents by this, above 0 and at most 1 (default: 1)"
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("-o", "--output", type=Path, help="the PNG to write: one grid")
    place.add_argument("--out", metavar="DIR", type=Path, help="the folder to write shards into")
    _add_bulk_options(parser)


def _add_bulk_options(parser: argparse.ArgumentParser) -> None:
    from training.bulk.request import FORMATS, SHARD_IMAGES

    bulk = parser.add_argument_group("options of --out DIR")
    bulk.add_argument("--format", choices=FORMATS, help="of the shards (default: npz)")
    bulk.add_argument("--shard-images", metavar="N", type=int, help=f"images in each shard (default: {SHARD_IMAGES:,})")
    bulk.add_argument(
        "--processes",
        metavar="N",
        type=at_least_1,
        help="write this many shards at once (default: 1; with --ray one a processor of the cluster)",
    )
    bulk.add_argument(
        "--ray", action="store_true", help="write by Ray Data: RAY_ADDRESS names the cluster (default: this machine)"
    )


def run(options: argparse.Namespace) -> None:
    """Draw one grid (`-o FILE`) or a folder of shards (`--out DIR`)."""
    if options.out is None:
        _write_grid(options)
    else:
        _write_shards(options)


def _write_grid(options: argparse.Namespace) -> None:
    from models.files import write_atomically
    from models.grids import assemble_grid
    from models.inference.sampler import Sampler
    from training.pictures import encode_png

    _check_grid(options)
    model = load_named_model(options.model)
    _check_digit(model, options.digit)
    latents = model.draw_latents(
        options.seed, options.first, options.n, truncation=options.truncation, label=options.digit
    )
    picture = assemble_grid(Sampler.of_model(model)(latents), padding=2)
    write_atomically(options.output, encode_png(picture))
    print(f"wrote {_describe_images(options)} to {options.output}")


def _check_grid(options: argparse.Namespace) -> None:
    """Refuse what a grid does not take, before the model is loaded."""
    given = [f"--{name.replace('_', '-')}" for name in BULK_OPTIONS if getattr(options, name)]
    if given:
        raise BulkError(f"{', '.join(given)}: of a folder of samples (--out DIR), not of one picture (-o FILE)")
    if not 1 <= options.n <= MAX_GRID_IMAGES:
        raise LatentError(f"n must be 1 to {MAX_GRID_IMAGES}, not {options.n}; --out DIR takes any number")
    check_output("-o", options.output)


def _write_shards(options: argparse.Namespace) -> None:
    from training.bulk.request import SHARD_IMAGES
    from training.bulk.run import sample_in_bulk

    model = load_named_model(options.model)
    _check_digit(model, options.digit)
    done = sample_in_bulk(
        model,
        options.out,
        seed=options.seed,
        first=options.first,
        n=options.n,
        digit=options.digit,
        truncation=options.truncation,
        format_name=options.format or "npz",
        shard_images=SHARD_IMAGES if options.shard_images is None else options.shard_images,
        processes=options.processes,
        ray=options.ray,
    )
    print(f"wrote {_describe_images(options)}: {done}")


def _describe_images(options: argparse.Namespace) -> str:
    asked = "" if options.digit is None else f", asked for digit {options.digit},"
    return f"images {options.first} to {options.first + options.n - 1} of seed {options.seed}{asked}"


def _check_digit(model: "LoadedModel", digit: int | None) -> None:
    """Refuse a digit that the model cannot be asked for; None asks for none.

    Raises:
        LatentError: the model has no such class.
    """
    from models.networks.conditional import check_class

    try:
        check_class(digit, classes=model.metadata.classes)
    except ClassError as error:
        if error.classes:
            text = f"--digit must be one of {model.name}'s classes, 0 to {error.classes - 1}, not {digit}"
        else:
            text = f"{model.name} is not conditional: it draws whatever digit a latent gives; leave --digit out"
        raise LatentError(text) from error
