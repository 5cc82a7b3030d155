"""`training export RUN --to DIR`: write a run's model folder."""

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from training.cli.arguments import (
    Commands,
    add_class_names,
    add_reading,
    add_run,
    add_run_data,
    add_set,
    add_strict,
    path,
)
from training.cli.inputs import load_run_data, place_of_data, reading_of

if TYPE_CHECKING:
    from models.model_folder.loaded_model import LoadedModel
    from training.recipe import Recipe


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    from training.recipe import AFTER_THE_GAME

    parser = commands.add_parser(
        "export",
        help="write a model folder",
        description="Write a model folder from a saved state of a run: the best one, or the last one.",
    )
    parser.set_defaults(run_command=run)
    add_strict(parser)
    add_run(parser)
    add_run_data(parser)
    add_reading(parser, fit=False)
    parser.add_argument(
        "--to",
        metavar="DIR",
        type=path,
        required=True,
        help="the model folder to write (required); its name becomes the model's name. A model folder is replaced; any "
        "other folder must be new or empty",
    )
    add_set(
        parser,
        help_text=f"change a setting that only the export uses: {', '.join(AFTER_THE_GAME)} (default: the recipe's "
        "values). The first two are numbers of training steps, for D and for an encoder, and 0 leaves the step out; "
        "quantise=true gives G 8-bit weights; tone_curve=true gives its images the grey levels of the training images; "
        "judge_variations is the share of varied digits among D's real images "
        "(mnist only)",
    )
    parser.add_argument(
        "--state",
        choices=("best", "last"),
        default="best",
        help="best: the state with the smallest Fréchet distance, or the last one if the recipe does not measure it; "
        "last: the state after the last step (default: best)",
    )
    add_class_names(parser)
    parser.add_argument(
        "--half",
        action="store_true",
        help="store weights as float16, in half the bytes (default: float32)",
    )
    parser.add_argument(
        "--onnx",
        action="store_true",
        help="also write G and D into the folder as ONNX files, model.onnx and model-d.onnx, like the command `onnx`",
    )


def run(options: argparse.Namespace) -> None:
    """Write the model folder from a saved state of a run."""
    from models.lock import only_writer_of_model
    from models.model_folder.destination import check_destination

    if options.onnx:
        import training.onnx_export.write  # noqa: F401  (a missing package is told before the work of minutes)

    replaces = check_destination(options.to)
    with only_writer_of_model(options.to):
        _export(options, replaces=replaces)


def _export(options: argparse.Namespace, *, replaces: bool) -> None:
    import torch

    from models.model_folder.read import load_model
    from training.export.export import export
    from training.recipe import change_after_the_game
    from training.run.checkpoint import read_progress
    from training.run.folder import RunFolder

    folder = RunFolder(options.run)
    config = folder.read_config()
    config = config.model_copy(update={"recipe": change_after_the_game(config.recipe, options.set)})
    config = config.with_class_names(options.class_names)
    read_progress(folder.saved_state(options.state))  # whether there is one, and whether it is whole
    dtype = torch.float16 if options.half else torch.float32
    if replaces:
        print(f"{options.to} is a model folder already: it will be replaced", flush=True)
    print(_describe_work(config.recipe, folder.path, options.to), flush=True)
    data = options.data or place_of_data(config)
    dataset = load_run_data(config, options.data, strict=options.strict, reading=reading_of(options))
    export(
        folder,
        config,
        dataset,
        options.to,
        dtype=dtype,
        state=options.state,
        afterwards=tuple(options.set),
        data=data,
        say=partial(print, flush=True),
    )
    model = load_model(options.to)
    print(f"wrote {model.reference} to {options.to}", flush=True)
    if options.onnx:
        _write_onnx(model)


def _write_onnx(model: "LoadedModel") -> None:
    """Write G and D into the model folder as ONNX files. If that fails, the folder is there without them."""
    from models.model_folder.onnx_files import ONNX_FILES
    from training.onnx_export.write import write_onnx

    generator, discriminator = (model.path / name for name in ONNX_FILES)
    write_onnx(model, (generator, discriminator), say=partial(print, flush=True))
    print(f"wrote G and D as ONNX files, {generator} and {discriminator}")


def _describe_work(recipe: "Recipe", run: Path, to: Path) -> str:
    """Say what the export does, and about how long it takes."""
    stages = [
        *(["fine-tunes D"] if recipe.judge_steps else []),
        *(["trains an encoder"] if recipe.encoder_steps else []),
        "evaluates G and D",
        f"writes {to}",
    ]
    work = f"{', '.join(stages[:-1])} and {stages[-1]}"
    time = "about a minute" if len(stages) == 2 else "several minutes"
    return f"exporting {run}: this reads the images, {work}; it takes {time}, longer on a busy machine"
