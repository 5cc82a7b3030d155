"""`training judge MODEL --to DIR`: train the D of an exported model further, and write a new model folder."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from training.cli.arguments import (
    Commands,
    add_model,
    add_reading,
    add_strict,
    add_threads,
    add_train_images,
    at_least_0,
    not_empty,
    path,
    seed,
    share_or_none,
)
from training.cli.inputs import (
    check_train_images,
    is_training_data,
    load_model_data,
    load_named_model,
    reading_of,
    whose_images,
)
from training.errors import RunError, UsageError

if TYPE_CHECKING:
    from models.model_folder.loaded_model import LoadedModel
    from training.data.dataset import Dataset

STEPS = 6000
VARIATIONS = 0.5


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "judge",
        help="train D of an exported model further",
        description="Train D of a model folder alone, as `export` does: it learns to tell real images from pictures "
        "that are neither real nor drawn by G. D of MNIST also learns that digits of other pens, hands and scanners "
        "are real. The new folder has the same G, bit for bit, unless --quantise or --tone-curve changes it.",
    )
    parser.set_defaults(run_command=run)
    add_strict(parser)
    add_model(parser)
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=path,
        required=True,
        help="the model folder to write (required); its name becomes the model's name. A model folder is replaced; any "
        "other folder must be new or empty",
    )
    parser.add_argument(
        "--data",
        type=not_empty,
        help="the images that the model was trained on: mnist, stacked-mnist, or a path as for `fit` (default: "
        "the embedded data set; required if the model was trained on other data)",
    )
    add_reading(parser, fit=True)
    add_train_images(parser)
    parser.add_argument(
        "--steps",
        metavar="N",
        type=at_least_0,
        default=STEPS,
        help=f"number of training steps; 0, together with --quantise or --tone-curve, changes D in nothing but its "
        f"balance (default: {STEPS})",
    )
    parser.add_argument(
        "--variations",
        metavar="SHARE",
        type=share_or_none,
        help="share of the real images, 0 to 1, that are varied as other pens, hands and scanners would draw them; for "
        f"mnist only (default: {VARIATIONS} for mnist)",
    )
    parser.add_argument(
        "--quantise",
        action="store_true",
        help="also round G's weights and activations to 8 bits, which makes it several times as fast (default: they "
        "stay as they are)",
    )
    parser.add_argument(
        "--tone-curve",
        action="store_true",
        help="also give G's images the grey levels of the training images (default: they stay as they are)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=seed,
        help="seed of all random numbers, 0 to 2**53 - 1 (default: the seed of the model's training)",
    )
    add_threads(parser)


def run(options: argparse.Namespace) -> None:
    """Fine-tune D of a model folder, evaluate the pair anew, and write the new folder."""
    from models.lock import only_writer_of_model
    from models.model_folder.destination import check_destination

    if not (options.steps or options.quantise or options.tone_curve):
        raise UsageError("--steps 0 leaves nothing to do: give a number of steps, --quantise or --tone-curve")
    replaces = check_destination(options.to)
    with only_writer_of_model(options.to):
        _judge(options, replaces=replaces)


def _judge(options: argparse.Namespace, *, replaces: bool) -> None:
    import torch

    from models.device import resolve_device
    from models.model_folder.read import load_model
    from models.networks.residual import Residual
    from training.config import is_bfloat16_quick
    from training.export.discriminator_finetuning import JudgePlan
    from training.export.judge import judge, read_earlier_samples

    model = load_named_model(options.model)
    if options.quantise and model.metadata.quantised:
        raise UsageError(f"--quantise: G of {model.reference} has 8-bit weights already; leave the option out")
    if options.quantise and isinstance(model.metadata.architecture, Residual):
        raise UsageError(
            f"--quantise: G of {model.reference} is a residual network, for which there is no 8-bit arithmetic: leave "
            "the option out"
        )
    earlier = read_earlier_samples(model)
    dataset = load_model_data(model, options.data, strict=options.strict, reading=reading_of(options))
    _check_data(options, model, dataset)
    check_train_images(options.train_images, model, dataset)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    if replaces:
        print(f"{options.to} is a model folder already: it will be replaced", flush=True)
    plan = JudgePlan(
        steps=options.steps,
        variations=_variations(options.variations, dataset),
        prior=model.metadata.prior,
        z_dim=model.metadata.z_dim,
        bfloat16=is_bfloat16_quick(resolve_device("cpu")),
    )
    judge(
        model,
        dataset,
        options.to,
        plan,
        earlier=earlier,
        data=options.data or model.metadata.dataset,
        seed=model.metadata.seed if options.seed is None else options.seed,
        train_images=options.train_images,
        quantise=options.quantise,
        tone_curve=options.tone_curve,
        say=partial(print, flush=True),
    )
    print(f"wrote {load_model(options.to).reference} to {options.to}")


def _check_data(options: argparse.Namespace, model: "LoadedModel", dataset: "Dataset") -> None:
    """Check that the data are those that the model was trained on, and that --variations fits them.

    Raises:
        RunError: the model was trained on other data.
        UsageError: --variations was given for images that are not single digits.
    """
    if not is_training_data(model, dataset):
        raise RunError(
            f"{whose_images(model, dataset)}: D must learn from the images that G imitates; name them with --data"
        )
    if options.variations and dataset.digits != 1:
        raise UsageError(
            f"--variations is for mnist only: other images of {dataset.name} would no longer be real; leave it out"
        )


def _variations(given: float | None, dataset: "Dataset") -> float:
    """Return the share of varied digits: the default is for single handwritten digits only."""
    if dataset.digits != 1:
        return 0.0
    return VARIATIONS if given is None else given
