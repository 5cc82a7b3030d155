"""`training resume RUN`: continue a run from its last saved state."""

import argparse
from typing import TYPE_CHECKING

from training.cli.arguments import Commands, add_reading, add_run, add_run_data, add_strict, at_least_1, positive
from training.cli.inputs import how_to_resume, load_run_data, log_data_notes, reading_of, reading_words
from training.commands import command
from training.errors import RunError

if TYPE_CHECKING:
    from training.config import RunConfig


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "resume",
        help="continue a run",
        description="Continue a run from its last saved state. On the same machine, the result is the same as without "
        "the interruption. With --epochs or --minutes the run gets a new length, also if it had ended: from there on, "
        "each step has the learning rate that a run of the new length has at that step, so a rate that falls to 0 at "
        "the end falls to 0 at the new end.",
    )
    parser.set_defaults(run_command=run, how_to_continue=how_to_continue)
    add_strict(parser)
    add_run(parser)
    add_run_data(parser)
    add_reading(parser, fit=False)
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs",
        metavar="N",
        type=at_least_1,
        help="the new length of the whole run, in passes over the data; it removes a limit of minutes (default: as "
        "before)",
    )
    length.add_argument(
        "--minutes",
        metavar="M",
        type=positive,
        help="the new length of the whole run, in minutes of training. If the epochs would end earlier, their number "
        "becomes what fits into M minutes at the pace so far (default: as before)",
    )


def run(options: argparse.Namespace) -> None:
    """Continue a run from its last saved state."""
    from training.gan.distributed import joined, number_of_processes
    from training.run.checkpoint import read_progress
    from training.run.extension import describe_extension, extend
    from training.run.folder import RunFolder
    from training.run.loop import train
    from training.run.progress import Progress
    from training.run.writer import open_writer

    folder = RunFolder(options.run)
    before = folder.read_config()
    progress = read_progress(folder.checkpoint_file) if folder.checkpoint_file.exists() else Progress()
    config = extend(before, progress, epochs=options.epochs, minutes=options.minutes)
    config.recipe.check_processes(number_of_processes(), begun=True)
    _check_device(config)
    with joined(config.device) as processes, open_writer(config, folder, processes) as writer:
        whole = load_run_data(config, options.data, strict=options.strict, reading=reading_of(options))
        dataset = whole.first(config.recipe.train_images)
        log_data_notes(dataset, writer)
        config.check_data(dataset)  # before the new length is written
        writer.extend(describe_extension(before, config, progress))
        train(config, dataset, folder, writer, processes)


def how_to_continue(options: argparse.Namespace) -> str:
    """Return a text that says how to continue after an interruption."""
    data = [] if options.data is None else ["--data", options.data]
    return how_to_resume(options.run, command("resume", options.run, *data, *reading_words(options)))


def _check_device(config: "RunConfig") -> None:
    """Check that this machine has the device of the run, which `resume` cannot change.

    Raises:
        RunError: this machine does not have the device.
    """
    from models.device import resolve_device
    from models.errors import DeviceError

    try:
        resolve_device(config.device)
    except DeviceError as error:
        raise RunError(
            f"the run began on the device {config.device!r}, and {error}. A run stays on its device: resume it on a "
            "machine that has one, or start a new run with `fit` and `--device cpu`"
        ) from error
