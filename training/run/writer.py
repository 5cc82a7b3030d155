"""Writers: everything that a run writes and prints. Of several processes only the first one writes.

`open_writer` returns a `FolderWriter` in the first process, and a `RunWriter` that does nothing in the others. So the
loop calls the same methods in every process, and does not need to know which process it is in.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from models.model_folder.history import EpochRecord, TrainingEvent
from training.config import RunConfig
from training.gan.distributed import Processes
from training.gan.game import Game
from training.gan.transfer import StartingModel
from training.run.checkpoint import checked_state, save_checkpoint
from training.run.curves import draw_curves
from training.run.fixed_grid import draw_grid
from training.run.folder import RunFolder
from training.run.lock import only_writer
from training.run.progress import Progress
from training.run.reporter import Reporter
from training.run.starting_model import serialise_start


class RunWriter:
    """Receives everything that happens in a run; a context manager.

    This class writes and prints nothing: it is the writer of every process but the first. The first process uses its
    subclass `FolderWriter`, whose methods may raise an OSError if the disk is full or cannot be written.
    """

    def __enter__(self) -> Self:
        """Become the only writer of the run folder."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the lock, and close open files."""

    def create(self, start: StartingModel | None = None) -> None:
        """Make the folder of a new run, which begins from the model `start` or, without one, from random weights.

        Raises:
            RunError: the folder already holds a run, or other files.
        """

    def extend(self, description: Sequence[str]) -> None:
        """Write the run's new length into its configuration, and report it; an empty description means no new one."""

    def log(self, text: str) -> None:
        """Add a line to the log, and do not print it."""

    def say(self, text: str) -> None:
        """Add a line to the log, and print it on standard error."""

    def start(self, progress: Progress, *, total_steps: int) -> None:
        """Report that a run of `total_steps` steps of G begins, or continues from `progress`."""

    def rewrite(self, progress: Progress) -> None:
        """Make the folder agree with `progress`: remove pictures and records of later epochs."""

    def step(self, progress: Progress) -> None:
        """Report that one step of G is done."""

    def epoch(self, record: EpochRecord) -> None:
        """Report the figures of an epoch that is done."""

    def go_back(self, progress: Progress) -> None:
        """Remove everything about epochs after `progress`, because the run continues from this earlier state."""

    def finish(self, progress: Progress) -> None:
        """Report that the run has finished."""

    def write_stats(self, records: list[EpochRecord]) -> None:
        """Write the records of all epochs so far."""

    def write_events(self, events: list[TrainingEvent]) -> None:
        """Write all alarms so far."""

    def write_grid(self, epoch: int, game: Game) -> None:
        """Draw the fixed latents with G's EMA, and write the picture as that of epoch `epoch`."""

    def write_curves(self, records: Sequence[EpochRecord]) -> None:
        """Draw the curves of all epochs so far, and write the picture."""

    def save(self, game: Game, progress: Progress) -> None:
        """Save the state from which the run can be resumed.

        Raises:
            NotFiniteError: a weight or a moment is NaN or infinite. Every process holds and checks the same state, so
                either all of them raise this or none does.
        """
        checked_state(game, progress)

    def save_best(self, game: Game, progress: Progress) -> None:
        """Save the best state so far. This raises the errors of `save`."""
        checked_state(game, progress)


class FolderWriter(RunWriter):
    """Writes into the run folder, and reports on standard error.

    Args:
        config: configuration of the run.
        folder: the run folder. Entering the context makes and locks it.
    """

    def __init__(self, config: RunConfig, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        self._reporter = Reporter(config, folder)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Make the folder and lock it.

        Raises:
            RunError: another process is writing into it.
        """
        self._folder.path.mkdir(parents=True, exist_ok=True)
        self._open.enter_context(only_writer(self._folder.path))
        self._open.enter_context(self._reporter)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def create(self, start: StartingModel | None = None) -> None:
        self._folder.create(self._config, None if start is None else serialise_start(start))

    def extend(self, description: Sequence[str]) -> None:
        if description:
            self._folder.write_config(self._config)
        for line in description:
            self.say(line)

    def log(self, text: str) -> None:
        self._folder.log(text)

    def say(self, text: str) -> None:
        self._reporter.say(text)

    def start(self, progress: Progress, *, total_steps: int) -> None:
        self._reporter.start(progress, total_steps=total_steps)

    def rewrite(self, progress: Progress) -> None:
        self._folder.rewrite(progress)

    def step(self, progress: Progress) -> None:
        self._reporter.step(progress)

    def epoch(self, record: EpochRecord) -> None:
        self._reporter.epoch(record)

    def go_back(self, progress: Progress) -> None:
        self._reporter.went_back(progress)
        self._folder.rewrite(progress)

    def finish(self, progress: Progress) -> None:
        self._reporter.finish(progress)

    def write_stats(self, records: list[EpochRecord]) -> None:
        self._folder.write_stats(records)

    def write_events(self, events: list[TrainingEvent]) -> None:
        self._folder.write_events(events)

    def write_grid(self, epoch: int, game: Game) -> None:
        self._folder.write_grid(epoch, draw_grid(game.average.network, self._config, device=game.device))

    def write_curves(self, records: Sequence[EpochRecord]) -> None:
        title = f"{self._config.recipe_title} on {self._config.dataset}, seed {self._config.seed}"
        optimum = self._config.recipe.rules.optimum()
        self._folder.write_curves(draw_curves(records, title=title, game=self._config.game, optimum=optimum))

    def save(self, game: Game, progress: Progress) -> None:
        save_checkpoint(self._folder.checkpoint_file, game, progress, self._config)

    def save_best(self, game: Game, progress: Progress) -> None:
        save_checkpoint(self._folder.best_file, game, progress, self._config)


def open_writer(config: RunConfig, folder: RunFolder, processes: Processes) -> RunWriter:
    """Return this process's writer. In the first process it writes into `folder`; in the others it does nothing."""
    return FolderWriter(config, folder) if processes.first else RunWriter()
