"""`training evaluate MODEL`: judge a model on held-out images."""

import argparse
import json
import shlex
import sys
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from training.cli.arguments import Commands, add_model, add_strict, check_output
from training.cli.inputs import load_data, load_named_model
from training.errors import RunError

if TYPE_CHECKING:
    from models.model_folder.loaded_model import LoadedModel
    from training.data.dataset import Dataset
    from training.evaluation.evaluate import Evaluation


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser("evaluate", help="judge a model", description="Judge a model on held-out images.")
    parser.set_defaults(run_command=run)
    add_strict(parser)
    add_model(parser)
    parser.add_argument("--data", help="images to judge on (default: the model's own data set)")
    parser.add_argument("--json", action="store_true", help="print JSON: one flat object, every figure by name")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write a page of pictures, charts and figures too")


def run(options: argparse.Namespace) -> None:
    """Judge a model; print a table or JSON, and write a page if `--html` names one."""
    from models.inference.sampler import Sampler
    from models.inference.scorer import Scorer
    from training.evaluation.evaluate import evaluate

    if options.html:
        check_output("--html", options.html)
    model = load_named_model(options.model)
    dataset = _load_data(options, model)
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


def _load_data(options: argparse.Namespace, model: "LoadedModel") -> "Dataset":
    """The data set to judge on, whose images have the shape of the model's."""
    metadata = model.metadata
    if options.data is None and metadata.dataset != "mnist":
        raise RunError(f"{model.name} was trained on {metadata.dataset!r}: say where that is with --data")
    dataset = load_data(options.data or "mnist", metadata.image_shape.height, strict=options.strict)
    if dataset.shape != metadata.image_shape:
        raise RunError(f"{model.name} makes {metadata.image_shape}, the images of {dataset.name} are {dataset.shape}")
    return dataset


def _print_table(model: "LoadedModel", dataset: "Dataset", evaluation: "Evaluation", seconds: float) -> None:
    from training.evaluation.table import MAX_WIDTH, format_text, group_figures

    head = f"{model.reference} on {dataset.name}: {len(evaluation.samples):,} samples, {seconds:.0f} s"
    legend = (
        "Real images: the same figure with training images in the samples' place. At best: the best value, "
        "or the theory's where the game is over."
    )
    for text in (head, legend):
        print(textwrap.fill(text, MAX_WIDTH))
    print(f"\n{format_text(group_figures(evaluation.figures))}")


def _write_report(
    options: argparse.Namespace, model: "LoadedModel", dataset: "Dataset", evaluation: "Evaluation", seconds: float
) -> None:
    from training.evaluation.report import Origin, write_report
    from training.provenance import describe_machine, read_git_commit

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
