"""`training evaluate MODEL`: evaluate a model on held-out images."""

import argparse
import json
import shlex
import sys
import textwrap
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from training.cli.arguments import (
    Commands,
    add_features,
    add_model,
    add_reading,
    add_strict,
    add_threads,
    add_train_images,
    not_empty,
    path,
)
from training.cli.inputs import (
    check_train_images,
    is_training_data,
    load_model_data,
    load_named_model,
    reading_of,
    reading_words,
    whose_images,
)
from training.cli.output_file import HTML_PAGE, check_output_file
from training.errors import UsageError

if TYPE_CHECKING:
    from models.inference.sampler import Sampler
    from models.model_folder.loaded_model import LoadedModel
    from training.data.dataset import Dataset
    from training.evaluation.evaluate import Evaluation
    from training.evaluation.features import Extractor
    from training.evaluation.full.full_evaluation import FullEvaluation


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "evaluate",
        help="measure how good a model is",
        description="Compare 10,000 samples of a model with held-out images, and print the figures as a table.",
    )
    parser.set_defaults(run_command=run)
    add_strict(parser)
    add_model(parser)
    parser.add_argument(
        "--data",
        type=not_empty,
        help="the images to compare with: mnist, stacked-mnist, or a path as for `fit` (default: the "
        "embedded data set that the model was trained on; required if it was trained on other data)",
    )
    add_reading(parser, fit=True)
    add_train_images(parser)
    add_features(parser, more=["dinov2"], more_help="; dinov2: those of a DINOv2, whose weights --weights names")
    parser.add_argument(
        "--weights",
        metavar="FILE",
        type=path,
        help="the weights of the DINOv2, a safetensors file (required with --features dinov2)",
    )
    parser.add_argument(
        "--json", action="store_true", help="print one flat JSON object with every figure by name, instead of a table"
    )
    parser.add_argument(
        "--html",
        metavar="FILE",
        type=path,
        help="also write an HTML page with pictures, charts and figures to FILE (default: no page)",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="also compute the figures that take minutes: small networks that learn from samples or tell them from "
        "real images, clipped density and coverage, a distance for each class, and a test for copies",
    )
    add_threads(parser)


def run(options: argparse.Namespace) -> None:
    """Evaluate a model; print a table or JSON, and write a page if `--html` names one."""
    import torch

    from models.inference.sampler import Sampler
    from models.inference.scorer import Scorer
    from training.evaluation.evaluate import evaluate
    from training.evaluation.features import name_of
    from training.evaluation.few_images import warn_of_few_images

    _check_weights(options)
    if options.html:
        check_output_file("--html", options.html, HTML_PAGE)
    model = load_named_model(options.model)
    dataset = load_model_data(model, options.data, strict=options.strict, reading=reading_of(options))
    if warning := warn_of_few_images(len(dataset.held_out), which="held-out"):
        print(f"warning: {warning}", file=sys.stderr)
    check_train_images(options.train_images, model, dataset)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    started = time.monotonic()
    trained_on = is_training_data(model, dataset)
    if not trained_on:
        print(f"note: {_note_on_images(model, dataset)}", file=sys.stderr)
    sampler = Sampler.of_model(model)
    data = dataset.first(options.train_images)
    extractor = _extractor(options, model, data)
    if options.full:
        print("full: the usual figures come first, which takes a minute or two", file=sys.stderr)
    evaluation = evaluate(
        sampler,
        Scorer.of_model(model),
        dataset,
        prior=model.metadata.prior,
        trained_on=trained_on,
        train_images=options.train_images,
        extractor=extractor,
    )
    full = _evaluate_full(model, sampler, data, extractor, trained_on=trained_on) if options.full else None
    seconds = time.monotonic() - started
    if options.html:
        _write_report(options, model, dataset, evaluation, full, seconds)
    if options.json:
        facts: dict[str, str | float] = {
            "model": model.reference,
            "dataset": dataset.name,
            "samples": len(evaluation.samples),
            "seconds": round(seconds, 3),
            "features": name_of(evaluation.figures, digits=dataset.digits),
        }
        more = _flatten(full, threads=torch.get_num_threads()) if full else {}
        print(json.dumps({**facts, **evaluation.figures, **more}, indent=2))
    else:
        _print_table(model, dataset, evaluation, full, seconds, trained_on=trained_on)


def _check_weights(options: argparse.Namespace) -> None:
    """Check that `--weights` is given with the features that need it, and only with them.

    Raises:
        UsageError: it is not.
    """
    if options.features == "dinov2" and options.weights is None:
        raise UsageError("--features dinov2 needs the weights of a DINOv2: name their safetensors file with --weights")
    if options.features != "dinov2" and options.weights is not None:
        raise UsageError(f"--weights is only for --features dinov2, not for {options.features}: leave it out")


def _extractor(options: argparse.Namespace, model: "LoadedModel", data: "Dataset") -> "Extractor":
    """Return the features in which images are compared; those of a network are read or made, which takes minutes."""
    from models.model_folder.format import FEATURES_FILE
    from training.evaluation.learned.choice import choose_features
    from training.evaluation.learned.dinov2 import read_dinov2
    from training.evaluation.learned.obtain import obtain_features

    if options.features == "dinov2":
        return read_dinov2(options.weights)
    say = partial(print, file=sys.stderr, flush=True)
    choice = choose_features(options.features, data)
    if choice.reason:
        say(f"note: the features are pixels and wavelet energies, because {choice.reason}")
    return obtain_features(choice.kind, data, file=model.path / FEATURES_FILE, say=say)


def _evaluate_full(
    model: "LoadedModel", sampler: "Sampler", data: "Dataset", extractor: "Extractor", *, trained_on: bool
) -> "FullEvaluation":
    """Compute the figures of `--full`, and print the progress on standard error.

    Args:
        model: the model.
        sampler: the sampler that runs its G.
        data: the data set, with only the training images that G was trained on.
        extractor: the features in which images are compared.
        trained_on: whether G was trained on them.
    """
    from models.networks.conditional import ballots_of
    from training.evaluation.full.full_evaluation import evaluate_full
    from training.evaluation.full.plan import plan_full_evaluation

    head_starts = ballots_of(model.generator).head_starts if model.metadata.classes else None
    plan = plan_full_evaluation(data, head_starts=head_starts, trained_on=trained_on)
    say = partial(print, file=sys.stderr, flush=True)
    return evaluate_full(
        sampler, data, plan, prior=model.metadata.prior, head_starts=head_starts, say=say, extractor=extractor
    )


def _flatten(full: "FullEvaluation", *, threads: int) -> dict[str, float | str]:
    """Return the full evaluation as members of the flat JSON object; `x_missing` is the reason why x is left out."""
    reasons = {f"{name}_missing": reason for name, reason in full.missing.items()}
    return {"threads": threads, **full.figures, **reasons}


def _note_on_images(model: "LoadedModel", dataset: "Dataset") -> str:
    if dataset.name == model.metadata.dataset:
        return (
            f"{whose_images(model, dataset)}. The model may have been trained on some of the images "
            "that are held out now, so its figures may be too good. The distances to the nearest training images are "
            "left out"
        )
    return (
        f"{whose_images(model, dataset)}, so these images cannot show "
        "whether it copies its training images: the distances to the nearest ones are left out"
    )


def _print_table(
    model: "LoadedModel",
    dataset: "Dataset",
    evaluation: "Evaluation",
    full: "FullEvaluation | None",
    seconds: float,
    *,
    trained_on: bool,
) -> None:
    import torch

    from training.evaluation.features import explain, name_of
    from training.evaluation.table import MAX_WIDTH, describe_missing, format_text, group_figures

    head = f"{model.reference} on {dataset.name}: {len(evaluation.samples):,} samples, {seconds:.0f} s"
    kind = "training images" if trained_on else f"other images of {dataset.name}"
    legend = (
        f"Real images: the same figure, computed for {kind} instead of samples. At best: the best possible "
        "value or, for D, the value at the optimum of its game, where theory gives one. Distances, precision, density, "
        f"recall and coverage are computed in these features: {name_of(evaluation.figures, digits=dataset.digits)}."
    )
    for text in (head, f"{legend} {explain(evaluation.figures)}".rstrip()):
        print(textwrap.fill(text, MAX_WIDTH))
    figures = evaluation.figures | (full.figures if full else {})
    judge, optimum = bool(model.metadata.judge), model.metadata.optimum
    print(f"\n{format_text(group_figures(figures, judge=judge, optimum=optimum, class_names=dataset.class_names))}")
    if full:
        print()
        missing = [describe_missing(name, reason) for name, reason in full.missing.items()]
        threads = (
            f"PyTorch computed with {torch.get_num_threads()} thread(s); the networks that learn for a figure are "
            "trained with one, and with fixed seeds."
        )
        for text in (*missing, threads):
            print(textwrap.fill(text, MAX_WIDTH))


def _write_report(
    options: argparse.Namespace,
    model: "LoadedModel",
    dataset: "Dataset",
    evaluation: "Evaluation",
    full: "FullEvaluation | None",
    seconds: float,
) -> None:
    from training.evaluation.report import Origin, write_report
    from training.provenance import describe_machine, read_git_commit

    data = [] if options.data is None else ["--data", options.data]
    data += reading_words(options)
    data += [] if options.train_images is None else ["--train-images", str(options.train_images)]
    data += [] if options.features == "auto" else ["--features", options.features]
    data += [] if options.weights is None else ["--weights", str(options.weights)]
    data += ["--strict"] if options.strict else []
    data += ["--full"] if options.full else []
    data += [] if options.threads is None else ["--threads", str(options.threads)]
    origin = Origin(
        command=shlex.join(["python", "-m", "training", "evaluate", options.model, *data, "--html", str(options.html)]),
        commit=read_git_commit(),
        made=datetime.now(UTC),
        machine=describe_machine(),
        seconds=seconds,
    )
    write_report(
        options.html,
        evaluation,
        dataset,
        model=model.reference,
        origin=origin,
        full=full,
        judge=bool(model.metadata.judge),
        optimum=model.metadata.optimum,
    )
    print(f"wrote {options.html}", file=sys.stderr)
