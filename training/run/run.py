"""A run in progress: the object that the functions of the training loop pass to each other."""

from dataclasses import dataclass, field

from training.config import RunConfig
from training.gan.game import Game
from training.run.folder import RunFolder
from training.run.monitor import Monitor
from training.run.progress import Progress
from training.run.writer import RunWriter


@dataclass
class Run:
    """The game of a run, its progress, and the writer that saves both.

    With several processes, each has a Run. `game` and `progress` are the same in all of them. In every process but the
    first, `writer` does nothing and `monitor` is None.
    """

    config: RunConfig
    folder: RunFolder
    writer: RunWriter
    game: Game
    monitor: Monitor | None
    progress: Progress
    _saved_at_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._saved_at_s = self.progress.seconds

    def save(self) -> None:
        """Save the state from which the run can be resumed. This raises the errors of `RunWriter.save`."""
        self.writer.save(self.game, self.progress)
        self._saved_at_s = self.progress.seconds

    def save_before_the_first_record(self) -> None:
        """Save at the end of the first epoch, however short it was: so a folder that has records has a saved state."""
        if not self.progress.records and self.progress.seconds > self._saved_at_s:
            self.save()

    def save_if_due(self) -> None:
        """Save if `checkpoint_interval_s` have passed since the last save, by the clock that all processes share."""
        if self.progress.seconds - self._saved_at_s >= self.config.recipe.checkpoint_interval_s:
            self.save()
