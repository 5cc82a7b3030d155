"""`training resume RUN`: continue a run from its last saved state."""

import argparse

from training.cli.arguments import Commands, add_run, add_strict
from training.cli.inputs import load_run_data, log_data_notes


def add_parser(commands: Commands) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "resume",
        help="continue a run",
        description="Continue a run from its last saved state. On the same machine, the result is the same as without "
        "the interruption.",
    )
    parser.set_defaults(run_command=run)
    add_strict(parser)
    add_run(parser)


def run(options: argparse.Namespace) -> None:
    """Continue a run from its last saved state."""
    from training.gan.distributed import joined
    from training.run.folder import RunFolder
    from training.run.loop import train
    from training.run.writer import open_writer

    folder = RunFolder(options.run)
    config = folder.read_config()
    with joined(config.device) as processes, open_writer(config, folder, processes) as writer:
        dataset = load_run_data(config, strict=options.strict).first(config.recipe.train_images)
        log_data_notes(dataset, writer)
        train(config, dataset, folder, writer, processes)
