"""`python -m training COMMAND`: the parser of all commands, and their exit codes.

`fit` and `resume` can run in several processes, which `python -m torch.distributed.run` starts: see
`training.gan.distributed`.
"""

import argparse
import errno
import io
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from models import __version__
from models.errors import DeviceError, LatentError, ModelFolderError
from models.files import naming
from training.cli import classifier, evaluate, export, fit, judge, onnx, resume, sample, watch
from training.cli.missing_packages import explain_missing_package
from training.commands import program
from training.errors import Terminated, TrainingError, UsageError

COMMANDS = (fit, resume, watch, evaluate, sample, export, judge, onnx, classifier)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the arguments of the command line; None takes them from `sys.argv`.

    Returns:
        The exit code. 0: the command succeeded. 1: it failed, and one message on standard error says why. 2: it needs a
        package that is not installed, or its options do not go together. 130: it was interrupted by Ctrl-C. 143: a
        training saved its state and ended because of SIGTERM.

    Raises:
        SystemExit: `--help` or `--version` was given (code 0), or an argument is wrong (code 2).
    """
    name, options = "training", None
    _print_every_character()
    try:
        with _interruptions_held():
            options = make_parser().parse_args(arguments)
        name = options.command
        options.run_command(options)
        with naming(Path("standard output")):
            sys.stdout.flush()  # report a full disk here, and not when the interpreter exits
    except ModuleNotFoundError as error:
        explanation = explain_missing_package(error, name)
        if explanation is None:
            raise
        print(f"error: {explanation}", file=sys.stderr)
        return 2
    except UsageError as error:
        _print_error(str(error))
        return 2
    except (TrainingError, ModelFolderError, DeviceError, LatentError) as error:
        _print_error(str(error))
        return 1
    except OSError as error:
        _print_error(_describe(error, options))
        _drop_standard_output()
        return 1
    except KeyboardInterrupt as error:
        _print_interruption(options)
        return 143 if isinstance(error, Terminated) else 130
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line; it puts the chosen command's `run` into `options.run_command`."""
    parser = argparse.ArgumentParser(
        prog=program(),
        description="Train GANs, evaluate them, and draw images. `COMMAND --help` explains the options of a command.",
    )
    parser.add_argument(
        "--version", action="version", version=f"gan-service {__version__}", help="print the version and exit"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        module.add_parser(commands)
    return parser


@contextmanager
def _interruptions_held() -> Iterator[None]:
    """Hold Ctrl-C back until PyTorch is imported.

    An import that Ctrl-C has broken off leaves half of PyTorch, with which the message about the interruption fails.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _print_every_character() -> None:
    """Print a character that the output's encoding lacks as an escape, and do not fail for it after hours of work.

    Latin-1, ASCII and the encodings of Windows lack "−" and "→", and every encoding lacks the bytes of a file's name
    that are not UTF-8. Python treats standard error in this way already.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _print_error(text: str) -> None:
    from training.gan.distributed import number_of_processes, own_number

    process = f" (process {own_number()})" if number_of_processes() > 1 else ""
    print(f"error{process}: {text}", file=sys.stderr)


def _describe(error: OSError, options: argparse.Namespace | None) -> str:
    if error.errno == errno.ENOSPC:
        place = error.filename or "while writing"
        advice = _how_to_continue(options) or "then run the same command again"
        return f"the disk is full ({place}); the files saved before are complete. Free some space; {advice}"
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


def _drop_standard_output() -> None:
    """Replace standard output if it cannot be written: the interpreter would report the error again on exit."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = io.StringIO()


def _print_interruption(options: argparse.Namespace | None) -> None:
    """Print how to continue."""
    from training.gan.distributed import own_number

    if own_number() != 0:
        return
    advice = _how_to_continue(options) or "nothing was written; the same command starts again"
    print(f"interrupted; {advice}", file=sys.stderr)


def _how_to_continue(options: argparse.Namespace | None) -> str | None:
    """Return what the command says about how to continue it; None if it leaves nothing that can be continued."""
    if options is None or "how_to_continue" not in options:
        return None
    advice: str | None = options.how_to_continue(options)
    return advice
