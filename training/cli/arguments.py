"""Options that several commands share, and the types of their values."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  (argparse has no public name)
"""The object to which each command adds its own parser."""

MAX_THREADS = 1024
"""The limit of `--threads`; more would only wait for each other. At 100,000, PyTorch ends with a segmentation fault."""

MAX_NAME = 100
"""The most characters of a data set's name."""


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add the argument RUN. `options.run` is a Path."""
    parser.add_argument("run", metavar="RUN", type=path, help="the run folder that `fit` wrote")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the argument MODEL. `options.model` is a text for `training.cli.inputs.load_named_model`."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=not_empty,
        help="the path of a model folder, or the name of a bundled model, such as mnist-conv",
    )


def add_run_data(parser: argparse.ArgumentParser) -> None:
    """Add the option `--data`, for a run whose data have moved. `options.data` is None by default."""
    parser.add_argument(
        "--data",
        type=not_empty,
        help="where the run's images are now, if they have moved; they must be the same images (default: where they "
        "were when the run began)",
    )


def add_set(parser: argparse.ArgumentParser, *, help_text: str) -> None:
    """Add `--set KEY=VALUE …`, which may be repeated. `options.set` is a list of texts, empty by default."""
    parser.add_argument("--set", action="extend", nargs="+", default=[], metavar="KEY=VALUE", help=help_text)


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add `--strict`, an option of the commands that read images."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first file of an image folder that cannot be read (default: report the file and skip it)",
    )


def add_reading(parser: argparse.ArgumentParser, *, fit: bool) -> None:
    """Add the options that say how a person's own data are read; `training.cli.inputs.reading_of` takes them.

    Args:
        parser: the command's parser.
        fit: whether to add `--fit`; a run keeps its own.
    """
    if fit:
        parser.add_argument(
            "--fit",
            choices=["crop", "pad"],
            help="what becomes of pictures that are not square. crop: their middle is kept; pad: the whole is kept, "
            "with bars in the colour of its edge (default: crop if image_side is "
            "set; otherwise such pictures are refused)",
        )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        type=path,
        help="a CSV or JSON file with the class of each picture (default: labels.csv, labels.json or dataset.json in "
        "the folder or archive; without one, the sub-folders are the classes)",
    )
    cache = parser.add_mutually_exclusive_group()
    cache.add_argument(
        "--cache-dir",
        metavar="DIR",
        type=path,
        help="where decoded pictures are kept for the next start, if they are many (default: gan-service/pictures in "
        "$XDG_CACHE_HOME or ~/.cache)",
    )
    cache.add_argument("--no-cache", action="store_true", help="keep no decoded pictures, but read them into memory")


def data_name(text: str) -> str:
    """Take the name of a data set: printable UTF-8 text."""
    name = not_empty(text).strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise argparse.ArgumentTypeError(f"must be 1 to {MAX_NAME} printable characters, not {text!r}")
    return name


def class_names(text: str) -> tuple[str, ...]:
    """Take the names of classes, separated by commas: printable UTF-8 texts, all different."""
    from models.class_names import MAX_CLASS_NAME

    names = tuple(name.strip() for name in not_empty(text).split(","))
    for name in names:
        if not 1 <= len(name) <= MAX_CLASS_NAME or not name.isprintable():
            raise argparse.ArgumentTypeError(f"a name has 1 to {MAX_CLASS_NAME} printable characters, not {name!r}")
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"the names must differ, but one occurs twice: {text!r}")
    return names


def add_class_names(parser: argparse.ArgumentParser) -> None:
    """Add `--class-names A,B,…`. `options.class_names` is None by default."""
    parser.add_argument(
        "--class-names",
        metavar="A,B,…",
        type=class_names,
        help="the names of the classes, in the order of their numbers, for data that only number them, such as IDX "
        "files (default: the names in the data)",
    )


def add_train_images(parser: argparse.ArgumentParser) -> None:
    """Add `--train-images N`. `options.train_images` is None by default."""
    parser.add_argument(
        "--train-images",
        metavar="N",
        type=at_least_1,
        help="number of training images, from the first on, that the model was trained on; its card says this if "
        "they are not all (default: all)",
    )


def add_features(parser: argparse.ArgumentParser, *, more: Sequence[str] = (), more_help: str = "") -> None:
    """Add `--features NAME`, "auto" by default.

    Args:
        parser: the parser of the command.
        more: names that only this command has.
        more_help: what they are, for the help text.
    """
    parser.add_argument(
        "--features",
        choices=["auto", "wavelets", "classifier", "self-supervised", *more],
        default="auto",
        help="the features in which samples and real images are compared. wavelets: pixels and wavelet energies, which "
        "need no training; classifier: those of a small network that learns the classes of the data first, which takes "
        f"a few minutes; self-supervised: the same without labels{more_help}. auto takes the classifier if there are "
        "enough labelled images, and wavelets otherwise; MNIST always has the features of its digit classifier "
        "(default: auto)",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads N`. `options.threads` is None by default."""
    parser.add_argument(
        "--threads",
        metavar="N",
        type=threads,
        help=f"number of CPU threads that PyTorch computes with, 1 to {MAX_THREADS:,} (default: PyTorch's choice, "
        "usually one per core)",
    )


def at_least_1(text: str) -> int:
    """Parse an integer ≥ 1."""
    number = integer(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


def threads(text: str) -> int:
    """Parse a number of threads. A process that starts too many ends without a message, after its folder was made."""
    number = at_least_1(text)
    if number > MAX_THREADS:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_THREADS:,}, not {text}")
    return number


def at_least_0(text: str) -> int:
    """Parse an integer ≥ 0."""
    number = integer(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, not {text}")
    return number


def share(text: str) -> float:
    """Parse a number above 0 and at most 1."""
    number = _real(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, not {text}")
    return number


def share_or_none(text: str) -> float:
    """Parse a number from 0 to 1."""
    number = _real(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must be 0 to 1, not {text}")
    return number


def port(text: str) -> int:
    """Parse the number of a TCP port; 0 stands for any free port."""
    number = integer(text)
    if not 0 <= number < 65_536:
        raise argparse.ArgumentTypeError(f"must be 0 to 65535, not {text}")
    return number


def host(text: str) -> str:
    """Take an address to listen on. It must not be empty, because the system would take this for every address."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty; 127.0.0.1 is this machine only, 0.0.0.0 every network")
    return text


def seed(text: str) -> int:
    """Parse a seed, 0 ≤ seed < 2⁵³."""
    from models.latents import SEED_LIMIT

    number = integer(text)
    if not 0 <= number < SEED_LIMIT:
        raise argparse.ArgumentTypeError(f"must be 0 ≤ seed < 2**53, not {text}")
    return number


def positive(text: str) -> float:
    """Parse a finite number above 0."""
    number = _real(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a finite number above 0, not {text}")
    return number


def integer(text: str) -> int:
    """Parse an integer."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number in digits, such as 1000, not {text!r}") from None


def not_empty(text: str) -> str:
    """Take any text but the empty one, which `Path` would take for the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("must not be empty; give a name or a path, such as `.` for the current folder")
    return text


def path(text: str) -> Path:
    """Take a path, which must not be empty."""
    return Path(not_empty(text))


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}") from None
