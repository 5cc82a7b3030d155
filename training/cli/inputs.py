"""Load the data sets and the models that a command line names."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from training.data.reading import READABLE_RULES, RULE, Reading
from training.errors import RunError, UsageError

if TYPE_CHECKING:
    from models.model_folder.loaded_model import LoadedModel
    from training.config import RunConfig
    from training.data.dataset import Dataset
    from training.run.writer import RunWriter

MAX_NAMED = 10
"""The most skipped files that are named; the others are only counted."""


def load_named_model(name_or_path: str) -> "LoadedModel":
    """Load a model by the path of its folder, or by the name of a bundled model.

    A folder that is no model, such as one of drawn images, does not hide the bundled model of the same name.

    Raises:
        ModelFolderError: the model does not exist, or is damaged.
    """
    from models import bundled_models_dir
    from models.model_folder.format import WEIGHTS_FILE
    from models.model_folder.read import load_model

    path, bundled = Path(name_or_path), bundled_models_dir() / name_or_path
    is_bundled = path.name == name_or_path and (bundled / WEIGHTS_FILE).exists()
    if path.is_dir() and not (is_bundled and not (path / WEIGHTS_FILE).exists()):
        return load_model(path)
    return load_model(bundled)


def reading_of(options: argparse.Namespace) -> Reading:
    """Return how a command reads data: its options of `training.cli.arguments.add_reading`, and `--name`."""
    from training.data.cache import default_folder

    return Reading(
        fit=getattr(options, "fit", None),
        labels=options.labels,
        name=getattr(options, "name", None),
        cache=None if options.no_cache else options.cache_dir or default_folder(),
    )


def reading_words(options: argparse.Namespace) -> list[str]:
    """Return the options that decide what is read, as words of a command line."""
    fit = getattr(options, "fit", None)
    return [*(["--fit", fit] if fit else []), *(["--labels", str(options.labels)] if options.labels else [])]


def load_model_data(
    model: "LoadedModel", source: str | None, *, strict: bool, reading: Reading | None = None
) -> "Dataset":
    """Load a data set with images of the shape that a model draws; see `load_data`.

    For a model that draws RGB, a folder of grey pictures is read as RGB. A model does not record how its pictures
    became square and by which rules they were read, but the fingerprint of all images: where there are several ways,
    the one that gives the model's fingerprint is taken.

    Args:
        model: the model.
        source: the data set; None: the embedded one that the model was trained on.
        strict: whether to stop at the first file that cannot be read.
        reading: how the data are read; None: by the defaults.

    Raises:
        DataError: the data cannot be read or used.
        RunError: the data set must be named with --data, or its images have another shape.
    """
    from training.data.dataset import EMBEDDED

    metadata = model.metadata
    if source is None and (metadata.dataset not in EMBEDDED or metadata.data_sha256 is not None):
        raise RunError(
            f"{model.name} was trained on {metadata.dataset!r}: name that data set, or its path, with --data"
        )
    place, reading = source or metadata.dataset, reading or Reading()

    def load(way: Reading, *, say: bool = True) -> "Dataset":
        found = load_data(place, metadata.image_shape.height, strict=strict, reading=way, say=say)
        return found.as_rgb() if metadata.image_shape.channels == 3 and place not in EMBEDDED else found

    dataset = load(reading)
    if metadata.data_sha256 is not None and not is_training_data(model, dataset):
        ways = []
        if dataset.not_square and reading.fit is None:
            ways.append(replace(reading, fit="pad"))
        if dataset.found_labels:
            ways.append(replace(reading, rule=min(READABLE_RULES)))
        others = (load(way, say=False) for way in ways)
        dataset = next((other for other in others if is_training_data(model, other)), dataset)
    if dataset.shape != metadata.image_shape:
        raise RunError(
            f"{model.name} makes images with {metadata.image_shape}, but the images of {dataset.name} have "
            f"{dataset.shape}: give data of the model's shape with --data"
        )
    return dataset


def is_training_data(model: "LoadedModel", dataset: "Dataset") -> bool:
    """Whether these are the data that the model was trained on, all of them and no others.

    Models of older releases, and of the embedded data sets, hold only the name of their data.
    """
    known = model.metadata.data_sha256
    return dataset.name == model.metadata.dataset if known is None else dataset.fingerprint() == known


def whose_images(model: "LoadedModel", dataset: "Dataset") -> str:
    """Return a sentence that says in what way these are not the data of `is_training_data`."""
    if dataset.name == model.metadata.dataset:
        return (
            f"the images of {dataset.name!r} are not those that {model.name} was trained on (others have the same "
            "name, or some were added, removed or changed since)"
        )
    return f"{model.name} was trained on {model.metadata.dataset!r}, not on {dataset.name!r}"


def check_train_images(train_images: int | None, model: "LoadedModel", dataset: "Dataset") -> None:
    """Check `--train-images`; None means all.

    Raises:
        UsageError: the number is out of range, or the model was not trained on these images.
    """
    from training.recipe import MIN_TRAIN_IMAGES

    if train_images is None:
        return
    if not MIN_TRAIN_IMAGES <= train_images <= len(dataset.images):
        raise UsageError(
            f"--train-images must be {MIN_TRAIN_IMAGES} to {len(dataset.images):,}, the number of training images of "
            f"{dataset.name}, not {train_images:,}"
        )
    if not is_training_data(model, dataset):
        raise UsageError(f"{whose_images(model, dataset)}: leave --train-images out, or give the data as they were")


def load_run_data(
    config: "RunConfig", source: str | None, *, strict: bool, reading: Reading | None = None
) -> "Dataset":
    """Load all data of a run, and check that they are those that the run began with; see `load_data`.

    Args:
        config: the run's configuration.
        source: the place where the data are now; None: the place that the configuration names.
        strict: whether to stop at the first file that cannot be read.
        reading: the cache, and the place where the file of labels is now; all else is as it was when the run began.

    Raises:
        DataError: the data cannot be read or used.
        RunError: there are no data at this place, or they are not those with which the run began.
    """
    place = source or place_of_data(config)
    reading = reading or Reading()
    reading = replace(
        reading,
        fit=config.picture_fit,
        labels=reading.labels or (Path(config.labels_path) if config.labels_path else None),
        name=config.dataset,
        rule=config.data_rule if config.data_rule in READABLE_RULES else RULE,
    )
    dataset = load_data(place, config.recipe.image_side, strict=strict, reading=reading)
    if len(config.class_names) == len(dataset.class_names):
        dataset = replace(dataset, class_names=config.class_names)  # `--class-names` may have given others
    if source is not None:  # otherwise the training or the export checks the data, and names them as they were given
        config.check_data(dataset.first(config.recipe.train_images), source=source)
    return dataset


def place_of_data(config: "RunConfig") -> str:
    """Return where the data of a run are: where they were when it began or, failing this, from the working directory.

    Raises:
        RunError: the data are in neither place.
    """
    from training.data.dataset import EMBEDDED
    from training.data.sources.shards import is_there

    if config.data in EMBEDDED:
        return config.data
    recorded = config.data if config.data_path is None else config.data_path
    as_given_first = Path(config.data).absolute() == Path(recorded)  # messages name the data as the person did
    for place in (config.data, recorded) if as_given_first else (recorded, config.data):
        if is_there(place):
            return place
    raise RunError(
        f"there is no data at {recorded!r}, where the run's images were when it began: if they have moved, name their "
        "new place with --data"
    )


def how_to_resume(path: Path, resume: str) -> str:
    """Return a text that says where a run that was interrupted will be resumed, and by which command.

    Args:
        path: the run folder.
        resume: the command.
    """
    from training.run.checkpoint import read_progress
    from training.run.folder import RunFolder

    folder, place = RunFolder(path), ""
    try:
        total = folder.read_config().total_steps
        if folder.checkpoint_file.exists():
            progress = read_progress(folder.checkpoint_file)
            place = f"`resume` will begin at epoch {progress.epoch}, step {progress.step:,} of {total:,}; "
        elif not folder.stats_file.exists() or not folder.stats_file.stat().st_size:
            place = "no state was saved yet, so `resume` will begin from the start; "
    except (RunError, OSError):  # `resume` itself says what is wrong
        place = ""
    return f"{place}to continue: {resume}"


def load_data(
    source: str, side: int | None, *, strict: bool, reading: Reading | None = None, say: bool = True
) -> "Dataset":
    """Load a data set, and print on standard error which files were skipped or changed.

    Args:
        source: the data set, in one of the forms that `training.data.dataset.load_dataset` takes.
        side: height and width in pixels to which images are resized; None keeps their size.
        strict: whether to stop at the first file that cannot be read, instead of skipping it.
        reading: how the data are read; None: by the defaults, without a cache.
        say: whether to print.

    Raises:
        DataError: the data cannot be read or used.
    """
    from training.data.dataset import load_dataset
    from training.gan.distributed import own_number

    first = own_number() == 0
    dataset = load_dataset(source, side=side, strict=strict, show_progress=first, reading=reading)
    for line in data_notes(dataset) if first and say else []:
        print(line, file=sys.stderr)
    return dataset


def take_first(dataset: "Dataset", train_images: int | None) -> "Dataset":
    """Take the first training images, and print on standard error what this leaves out; see `Dataset.first`."""
    from training.gan.distributed import own_number

    first = dataset.first(train_images)
    for note in first.notes if own_number() == 0 else ():
        if note not in dataset.notes:
            print(f"data: {note}", file=sys.stderr)
    return first


def log_data_notes(dataset: "Dataset", writer: "RunWriter") -> None:
    """Write into the run's log what was passed over, changed, or could not be stratified."""
    for line in data_notes(dataset):
        writer.log(line)


def data_notes(dataset: "Dataset") -> list[str]:
    """Return lines about the data, among them the names of the first `MAX_NAMED` skipped files."""
    return [*(f"data: {note}" for note in dataset.notes), *_skipped_lines(dataset)]


def _skipped_lines(dataset: "Dataset") -> list[str]:
    skipped = dataset.skipped
    if not skipped:
        return []
    more = [f"  … and {len(skipped) - MAX_NAMED:,} more"] if len(skipped) > MAX_NAMED else []
    head = f"skipped {len(skipped):,} file(s) that cannot be read as an image (`--strict` stops at the first):"
    return [head, *(f"  {text}" for text in skipped[:MAX_NAMED]), *more]
