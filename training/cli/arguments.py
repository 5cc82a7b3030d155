"""Options that several commands share, and the types of their values."""

import argparse
from pathlib import Path
from typing import TypeAlias

from models.files import check_file_destination
from training.errors import RunError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  (argparse has no public name)
"""The object to which each command adds its own parser."""


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add RUN: `options.run` is a Path."""
    parser.add_argument("run", metavar="RUN", type=Path, help="the run folder")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add MODEL: `options.model` is the text, for `training.cli.inputs.load_named_model`."""
    parser.add_argument("model", metavar="MODEL", help="a model folder, or the name of a bundled model")


def add_set(parser: argparse.ArgumentParser, *, help_text: str) -> None:
    """Add `--set KEY=VALUE …`, which may come several times: `options.set` is a list of texts, empty by default."""
    parser.add_argument("--set", action="extend", nargs="+", default=[], metavar="KEY=VALUE", help=help_text)


def add_strict(parser: argparse.ArgumentParser) -> None:
    """Add `--strict`, for commands that read images."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first image of a folder that cannot be read (default: name it, and go on without it)",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads N`: `options.threads` is None by default."""
    parser.add_argument("--threads", type=at_least_1, help="threads of PyTorch's operators (default: one a core)")


def at_least_1(text: str) -> int:
    """An integer ≥ 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return number


def port(text: str) -> int:
    """The number of a TCP port; 0 stands for any free one."""
    number = int(text)
    if not 0 <= number < 65_536:
        raise argparse.ArgumentTypeError(f"must be 0 to 65535, not {text}")
    return number


def seed(text: str) -> int:
    """A seed, 0 ≤ seed < 2⁵³."""
    from models.latents import SEED_LIMIT

    number = int(text)
    if not 0 <= number < SEED_LIMIT:
        raise argparse.ArgumentTypeError(f"must be 0 ≤ seed < 2**53, not {text}")
    return number


def positive(text: str) -> float:
    """A finite number above 0."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return number


def check_output(option: str, path: Path) -> None:
    """Check that the file which an option names can be written, before the work whose result it will hold.

    Args:
        option: the option's name, for the message.
        path: the file.

    Raises:
        RunError: it cannot.
    """
    try:
        check_file_destination(path)
    except OSError as error:
        raise RunError(f"{option} {path}: {error.strerror}") from error
