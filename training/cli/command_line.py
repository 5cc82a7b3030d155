"""`python -m training COMMAND`: the parser of all commands, and the exit code that each ends with.

`fit` and `resume` may run in several processes, started by `python -m torch.distributed.run`: see
`training.gan.distributed`.
"""

import argparse
import errno
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from models.errors import DeviceError, LatentError, ModelFolderError
from models.files import naming
from training.cli import classifier, evaluate, export, fit, resume, sample, watch
from training.cli.missing_packages import explain_missing_package
from training.errors import TrainingError

COMMANDS = (fit, resume, watch, evaluate, sample, export, classifier)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: those of the command line; None takes the process's own.

    Returns:
        The exit code. 0: the command is done. 1: it failed, and standard error says why in one message. 2: a package
        that it needs is not installed. 130: it was interrupted.

    Raises:
        SystemExit: `--help` was asked for (code 0), or an argument is wrong (code 2).
    """
    command = "training"
    try:
        options = make_parser().parse_args(arguments)
        command = options.command
        options.run_command(options)
        with naming(Path("standard output")):
            sys.stdout.flush()  # a full disk is reported here, not at the interpreter's end
    except ModuleNotFoundError as error:
        explanation = explain_missing_package(error, command)
        if explanation is None:
            raise
        print(f"error: {explanation}", file=sys.stderr)
        return 2
    except (TrainingError, ModelFolderError, DeviceError, LatentError) as error:
        _print_error(str(error))
        return 1
    except OSError as error:
        _print_error(_describe(error))
        _drop_standard_output()
        return 1
    except KeyboardInterrupt:
        _print_interruption()
        return 130
    return 0


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; `run_command` of what it returns is the chosen command's `run`."""
    parser = argparse.ArgumentParser(prog="python -m training", description="Play the minimax game, and judge it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


def _print_error(text: str) -> None:
    from training.gan.distributed import number_of_processes, own_number

    process = f" (process {own_number()})" if number_of_processes() > 1 else ""
    print(f"error{process}: {text}", file=sys.stderr)


def _describe(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        place = error.filename or "while writing"
        return (
            f"the disk is full ({place}); what was saved before is whole: make room, and do it again (a run: `resume`)"
        )
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"


def _drop_standard_output() -> None:
    """Drop standard output if it cannot be written: the interpreter would report the same error again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        sys.stdout = io.StringIO()


def _print_interruption() -> None:
    from training.gan.distributed import own_number

    if own_number() == 0:
        print("interrupted; `resume` goes on (of `sample`: the same command)", file=sys.stderr)
