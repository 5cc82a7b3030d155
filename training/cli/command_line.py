"""The command line: `python -m training fit | resume | watch | evaluate | sample | export`.

`fit` and `resume` may be started several times over, by `python -m torch.distributed.run`: see
`training.gan.distributed`.
"""

import argparse
import errno
import io
import json
import shlex
import sys
import textwrap
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models import bundled_models_dir
from models.errors import ClassError, DeviceError, LatentError, ModelFolderError
from models.files import check_file_destination, naming, write_atomically
from models.grids import assemble_grid
from models.images import channels_first
from models.inference.sampler import Sampler
from models.inference.scorer import Scorer
from models.latents import SEED_LIMIT
from models.model_folder.loaded_model import LoadedModel
from models.model_folder.read import load_model
from models.model_folder.write import check_destination
from models.networks.conditional import check_class
from training.cli.environment import explain_missing_package
from training.config import RunConfig, resolve_config
from training.data.dataset import Dataset, load_dataset
from training.errors import BulkError, RunError, TrainingError
from training.gan.distributed import joined, number_of_processes, own_number
from training.recipe import AFTER_THE_GAME, change_after_the_game, load_recipe, recipe_names
from training.run.folder import RunFolder

if TYPE_CHECKING:
    from training.evaluation.evaluate import Evaluation
    from training.run.writer import RunWriter

MAX_GRID_IMAGES = 4096
BULK_OPTIONS = ("format", "shard_images", "processes", "ray")
"""Options of `sample --out DIR` alone."""
EXPORT_TO = (
    "the model folder; its name is the model's. It may be new, empty, or a model folder, which is replaced; a folder "
    "with other files is refused"
)
MAX_NAMED = 10
"""So many files that are skipped are named; the rest is counted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code.

    0: it is done. 1: an error, told in one message. 2: an argument is wrong, or a package is not installed. 130: it was
    interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run_command(options)
        with naming(Path("standard output")):
            sys.stdout.flush()  # a full disk is told of here, not at the interpreter's end
    except ModuleNotFoundError as error:
        explanation = explain_missing_package(error, options.command)
        if explanation is None:
            raise
        _tell_error(explanation)
        return 2
    except (TrainingError, ModelFolderError, DeviceError, LatentError) as error:
        _tell_error(str(error))
        return 1
    except OSError as error:
        _tell_error(_say(error))
        _drop_standard_output()
        return 1
    except KeyboardInterrupt:
        if own_number() == 0:
            print("interrupted; `resume` goes on (of `sample`: the same command)", file=sys.stderr)
        return 130
    return 0


def fit(options: argparse.Namespace) -> None:
    """Train a recipe from its start."""
    from training.run.loop import train  # noqa: PLC0415  (TensorBoard and Matplotlib take seconds; --help does not wait)
    from training.run.writer import open_writer  # noqa: PLC0415

    overrides = list(options.set)
    if options.epochs is not None:
        overrides.append(f"epochs={options.epochs}")
    recipe = load_recipe(options.recipe, overrides)
    dataset = _load_data(options.data, recipe.image_side, strict=options.strict).first(recipe.train_images)
    name = Path(options.recipe).stem
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
    folder = RunFolder(options.out or Path("runs") / name)
    if options.dry_run:
        if own_number() == 0:
            print(_describe(config, folder))
        return
    with joined(config.device) as processes, open_writer(config, folder, processes) as writer:
        writer.create()
        _log_skipped(dataset, writer)
        train(config, dataset, folder, writer, processes)
    if own_number() == 0:
        print(f"next: python -m training export {folder.path} --to models/{name}")


def resume(options: argparse.Namespace) -> None:
    """Go on with a run from its last saved state."""
    from training.run.loop import train  # noqa: PLC0415
    from training.run.writer import open_writer  # noqa: PLC0415

    folder = RunFolder(options.run)
    config = folder.read_config()
    with joined(config.device) as processes, open_writer(config, folder, processes) as writer:
        dataset = _run_data(config, strict=options.strict).first(config.recipe.train_images)
        _log_skipped(dataset, writer)
        train(config, dataset, folder, writer, processes)


def watch(options: argparse.Namespace) -> None:
    """Show a run on a page that follows it, until interrupted."""
    from training.run.watch import make_server  # noqa: PLC0415

    folder = RunFolder(options.run)
    with make_server(folder, host=options.host, port=options.port) as server:
        print(
            f"Watching {folder.path} on http://{options.host}:{server.server_port} (Ctrl-C ends it; the run goes on)",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def export_run(options: argparse.Namespace) -> None:
    """Write a model folder from a run."""
    from training.export.export import export  # noqa: PLC0415

    replaces = check_destination(options.to)
    folder = RunFolder(options.run)
    config = folder.read_config()
    config = config.model_copy(update={"recipe": change_after_the_game(config.recipe, options.set)})
    dtype = torch.float16 if options.half else torch.float32
    if replaces:
        print(f"{options.to} is a model folder already: it will be replaced", flush=True)
    export(
        folder, config, _run_data(config, strict=options.strict), options.to, dtype=dtype, afterwards=tuple(options.set)
    )
    print(f"wrote {load_model(options.to).reference} to {options.to}")


def evaluate_model(options: argparse.Namespace) -> None:
    """Judge a model on held-out images."""
    from training.evaluation.evaluate import evaluate  # noqa: PLC0415

    if options.html:
        _check_output("--html", options.html)
    model = _load(options.model)
    if options.data is None and model.metadata.dataset != "mnist":
        raise RunError(f"{model.name} was trained on {model.metadata.dataset!r}: say where that is with --data")
    dataset = _load_data(options.data or "mnist", model.metadata.image_shape.height, strict=options.strict)
    if dataset.shape != model.metadata.image_shape:
        raise RunError(
            f"{model.name} makes {model.metadata.image_shape}, the images of {dataset.name} are {dataset.shape}"
        )
    started = time.monotonic()
    evaluation = evaluate(Sampler.of_model(model), Scorer.of_model(model), dataset, prior=model.metadata.prior)
    seconds = time.monotonic() - started
    if options.html:
        _write_report(options, model, dataset, evaluation, seconds)
    if options.json:
        facts = {"model": model.reference, "dataset": dataset.name, "samples": len(evaluation.samples)}
        print(json.dumps({**facts, "seconds": round(seconds, 3), **evaluation.figures}, indent=2))
    else:
        _print_table(model, dataset, evaluation, seconds)


def _print_table(model: LoadedModel, dataset: Dataset, evaluation: "Evaluation", seconds: float) -> None:
    from training.evaluation.table import MAX_WIDTH, format_text, group_figures  # noqa: PLC0415

    head = f"{model.reference} on {dataset.name}: {len(evaluation.samples):,} samples, {seconds:.0f} s"
    legend = (
        "Real images: the same figure with training images in the samples' place. At best: the best value, "
        "or the theory's where the game is over."
    )
    for text in (head, legend):
        print(textwrap.fill(text, MAX_WIDTH))
    print(f"\n{format_text(group_figures(evaluation.figures))}")


def _write_report(
    options: argparse.Namespace, model: LoadedModel, dataset: Dataset, evaluation: "Evaluation", seconds: float
) -> None:
    from training.evaluation.report import Origin, write_report  # noqa: PLC0415
    from training.provenance import describe_machine, read_git_commit  # noqa: PLC0415

    data = [] if options.data is None else ["--data", options.data]
    data += ["--strict"] if options.strict else []
    origin = Origin(
        command=shlex.join(["python", "-m", "training", "evaluate", options.model, *data, "--html", str(options.html)]),
        commit=read_git_commit(),
        made=datetime.now(UTC),
        machine=describe_machine(),
        seconds=seconds,
    )
    write_report(options.html, evaluation, dataset, model=model.reference, origin=origin)
    print(f"wrote {options.html}", file=sys.stderr)


def sample(options: argparse.Namespace) -> None:
    """Draw a grid of a model's images, or a folder of any number of them."""
    if options.out is None:
        _sample_grid(options)
    else:
        _sample_in_bulk(options)


def _sample_grid(options: argparse.Namespace) -> None:
    from training.pictures import encode_png  # noqa: PLC0415

    given = [f"--{name.replace('_', '-')}" for name in BULK_OPTIONS if getattr(options, name)]
    if given:
        raise BulkError(f"{', '.join(given)}: of a folder of samples (--out DIR), not of one picture (-o FILE)")
    if not 1 <= options.n <= MAX_GRID_IMAGES:
        raise LatentError(f"n must be 1 to {MAX_GRID_IMAGES}, not {options.n}; --out DIR takes any number")
    _check_output("-o", options.output)
    model = _load(options.model)
    _check_digit(model, options.digit)
    latents = model.draw_latents(
        options.seed, options.first, options.n, truncation=options.truncation, label=options.digit
    )
    picture = assemble_grid(Sampler.of_model(model)(latents), padding=2)
    write_atomically(options.output, encode_png(picture))
    print(f"wrote {_describe_images(options)} to {options.output}")


def _sample_in_bulk(options: argparse.Namespace) -> None:
    from training.bulk.request import SHARD_IMAGES  # noqa: PLC0415
    from training.bulk.run import sample_in_bulk  # noqa: PLC0415

    model = _load(options.model)
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


def classifier(options: argparse.Namespace) -> None:
    """Train the judge's digit classifier on MNIST."""
    from training.data.mnist import read_mnist, read_mnist_labels  # noqa: PLC0415
    from training.evaluation import classifier as judge  # noqa: PLC0415

    _check_output("--to", options.to)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    (train, test), labels = map(channels_first, read_mnist()), read_mnist_labels()
    train_labels, test_labels = (torch.from_numpy(of_set.astype(np.int64)) for of_set in labels)
    network = judge.train_classifier(train, train_labels, epochs=options.epochs, seed=options.seed, say=print)
    test_accuracy = judge.accuracy(network, test, test_labels)
    judge.write_classifier(options.to, network, test_accuracy=test_accuracy, seed=options.seed, epochs=options.epochs)
    print(f"accuracy on the test images: {test_accuracy:.2%}; wrote {options.to}")


def _run_data(config: RunConfig, *, strict: bool) -> Dataset:
    return _load_data(config.data, config.recipe.image_side, strict=strict)


def _load_data(source: str, side: int | None, *, strict: bool) -> Dataset:
    """A data set; the files of it that were skipped are named on standard error."""
    dataset = load_dataset(source, side=side, strict=strict)
    for line in _skipped_lines(dataset) if own_number() == 0 else []:
        print(line, file=sys.stderr)
    return dataset


def _log_skipped(dataset: Dataset, writer: "RunWriter") -> None:
    for line in _skipped_lines(dataset):
        writer.log(line)


def _skipped_lines(dataset: Dataset) -> list[str]:
    """The files that were skipped, the first of them by name; no line where there are none."""
    skipped = dataset.skipped
    if not skipped:
        return []
    more = [f"  … and {len(skipped) - MAX_NAMED:,} more"] if len(skipped) > MAX_NAMED else []
    head = f"skipped {len(skipped):,} file(s) that cannot be read as an image (`--strict` stops at the first):"
    return [head, *(f"  {text}" for text in skipped[:MAX_NAMED]), *more]


def _load(name_or_path: str) -> LoadedModel:
    """A model by the path of its folder, or by the name of a bundled one."""
    path = Path(name_or_path)
    return load_model(path if path.is_dir() else bundled_models_dir() / name_or_path)


def _check_output(option: str, path: Path) -> None:
    """Refuse a file that could not be written, before the work whose result it is to hold."""
    try:
        check_file_destination(path)
    except OSError as error:
        raise RunError(f"{option} {path}: {error.strerror}") from error


def _check_digit(model: LoadedModel, digit: int | None) -> None:
    try:
        check_class(digit, classes=model.metadata.classes)
    except ClassError as error:
        if error.classes:
            text = f"--digit must be one of {model.name}'s classes, 0 to {error.classes - 1}, not {digit}"
        else:
            text = f"{model.name} is not conditional: it draws whatever digit a latent gives; leave --digit out"
        raise LatentError(text) from error


def _describe(config: RunConfig, folder: RunFolder) -> str:
    steps = config.steps_per_epoch
    return (
        f"{config.model_dump_json(indent=2)}\n"
        f"would train {config.recipe.epochs} epochs of {steps:,} steps in {folder.path}; "
        "nothing was written (--dry-run)"
    )


def _tell_error(text: str) -> None:
    process = f" (process {own_number()})" if number_of_processes() > 1 else ""
    print(f"error{process}: {text}", file=sys.stderr)


def _say(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        place = error.filename or "while writing"
        return (
            f"the disk is full ({place}); what was saved before is whole: make room, and do it again (a run: `resume`)"
        )
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


def _drop_standard_output() -> None:
    """If it cannot be written, it is not tried once more at the interpreter's end, where it would be told once more."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = io.StringIO()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Play the minimax game, and judge it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser(
        "fit", parents=[_strict()], help="train a recipe", description="Train a recipe into a new run folder."
    )
    command.set_defaults(run_command=fit)
    command.add_argument("recipe", metavar="RECIPE", help=f"{', '.join(recipe_names())}, or the path of a .toml")
    command.add_argument(
        "--data", default="mnist", help="mnist, a folder of images, an .npz or an IDX file (default: mnist)"
    )
    command.add_argument("--out", type=Path, help="the run folder (default: runs/RECIPE)")
    length = command.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, help="passes over the data (default: the recipe's)")
    length.add_argument("--minutes", type=_positive, help="stop after so many minutes of training")
    command.add_argument("--seed", type=_seed, default=0, help="of weights, latents and the data's order (default: 0)")
    command.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="change settings of the recipe",
    )
    command.add_argument(
        "--on-collapse",
        choices=["warn", "rollback"],
        default="warn",
        help="when G collapses, D wins or a loss is NaN: say so, or go back to the best state with another order of "
        "the data and half the learning rates (default: warn)",
    )
    command.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="default: auto")
    command.add_argument("--threads", type=_at_least_1, help="threads of PyTorch's operators (default: one a core)")
    command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")

    command = commands.add_parser(
        "resume", parents=[_strict()], help="go on with a run", description="Go on from a run's last saved state."
    )
    command.set_defaults(run_command=resume)
    command.add_argument("run", metavar="RUN", type=Path, help="the run folder")

    command = commands.add_parser(
        "watch",
        help="look at a run",
        description="Show a run on a page that follows it as it is trained; it only reads.",
    )
    command.set_defaults(run_command=watch)
    command.add_argument("run", metavar="RUN", type=Path, help="the run folder")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=_port, default=8001, help="port to listen on; 0: a free one (default: 8001)")

    command = commands.add_parser(
        "evaluate", parents=[_strict()], help="judge a model", description="Judge a model on held-out images."
    )
    command.set_defaults(run_command=evaluate_model)
    command.add_argument("model", metavar="MODEL", help="a model folder, or the name of a bundled model")
    command.add_argument("--data", help="images to judge on (default: the model's own data set)")
    command.add_argument("--json", action="store_true", help="print JSON: one flat object, every figure by name")
    command.add_argument("--html", metavar="FILE", type=Path, help="write a page of pictures, charts and figures too")

    _add_sample(commands)

    command = commands.add_parser(
        "export", parents=[_strict()], help="write a model folder", description="Write a run's model folder."
    )
    command.set_defaults(run_command=export_run)
    command.add_argument("run", metavar="RUN", type=Path, help="the run folder")
    command.add_argument("--to", metavar="DIR", type=Path, required=True, help=EXPORT_TO)
    command.add_argument(
        "--set",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help=f"other settings of what comes after the game: {', '.join(AFTER_THE_GAME)}",
    )
    command.add_argument("--half", action="store_true", help="weights as float16: half the bytes")

    command = commands.add_parser(
        "classifier", help="train the judge", description="Train the digit classifier whose features judge samples."
    )
    command.set_defaults(run_command=classifier)
    command.add_argument("--epochs", type=_at_least_1, default=20, help="passes over MNIST (default: 20)")
    command.add_argument("--seed", type=_seed, default=0, help="default: 0")
    command.add_argument("--threads", type=_at_least_1, help="threads of PyTorch's operators (default: one a core)")
    command.add_argument("--to", metavar="FILE", type=Path, required=True, help="the safetensors file to write")
    return parser


def _add_sample(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "sample",
        help="draw a grid, or millions",
        description="Draw a grid of a model's images, or any number of them into a folder of shards: the same command "
        "goes on with one that was stopped.",
    )
    command.set_defaults(run_command=sample)
    command.add_argument("model", metavar="MODEL", help="a model folder, or the name of a bundled model")
    command.add_argument("--n", type=int, default=64, help="images (default: 64)")
    command.add_argument("--seed", type=int, default=0, help="default: 0")
    command.add_argument("--first", type=int, default=0, help="index of the first image (default: 0)")
    command.add_argument("--digit", type=int, help="the class to draw; conditional models only (default: any)")
    command.add_argument(
        "--truncation", type=float, default=1.0, help="scale latents by this, above 0 and at most 1 (default: 1)"
    )
    place = command.add_mutually_exclusive_group(required=True)
    place.add_argument("-o", "--output", type=Path, help="the PNG to write: one grid")
    place.add_argument("--out", metavar="DIR", type=Path, help="the folder to write shards into")
    bulk = command.add_argument_group("options of --out DIR")
    bulk.add_argument("--format", choices=["npz", "png", "parquet", "webdataset"], help="of the shards (default: npz)")
    bulk.add_argument("--shard-images", metavar="N", type=int, help="images a shard (default: 10,000)")
    bulk.add_argument(
        "--processes",
        metavar="N",
        type=_at_least_1,
        help="write so many shards at once (default: 1; with --ray one a processor of the cluster)",
    )
    bulk.add_argument(
        "--ray", action="store_true", help="write by Ray Data: RAY_ADDRESS names the cluster (default: this machine)"
    )


def _strict() -> argparse.ArgumentParser:
    """The option of the commands that read images."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first image of a folder that cannot be read (default: name it, and go on without it)",
    )
    return parser


def _at_least_1(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65_536:
        raise argparse.ArgumentTypeError(f"must be 0 to 65535, not {text}")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < SEED_LIMIT:
        raise argparse.ArgumentTypeError(f"must be 0 ≤ seed < 2**53, not {text}")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return number
