"""A run in progress: the object that the functions of the training loop pass to each other."""

import math
import time
from dataclasses import dataclass, field

from training.config import RunConfig
from training.gan.game import Game
from training.run.folder import RunFolder
from training.run.interruption import Interruption, stop
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
    interruption: Interruption
    _signal: int = field(init=False, default=0)
    _saved_at_s: float = field(init=False)
    _saved_step: int = field(init=False)

    def __post_init__(self) -> None:
        self._note_save()

    def clock_s(self) -> float:
        """Return the time by the clock of the first process, and hear whether any process got a signal.

        All processes must make this call, at the same point.
        """
        own = time.monotonic() if self.game.processes.first else -math.inf
        now_s, number = self.game.processes.greatest(own, self.interruption.number)
        self._signal = int(number)
        return now_s

    def save(self) -> None:
        """Save the state from which the run can be resumed. This raises the errors of `RunWriter.save`."""
        self.writer.save(self.game, self.progress)
        self._note_save()

    def save_before_the_first_record(self) -> None:
        """Save at the end of the first epoch, however short it was: so a folder that has records has a saved state."""
        if not self.progress.records and self.progress.step > self._saved_step:
            self.save()

    def save_if_due(self, now_s: float) -> None:
        """Save if `checkpoint_interval_s` have passed since the last save, or if a signal asks the run to end.

        The time counts by the clock, and not by `progress.seconds`: where the data are few, measuring, grids and curves
        take longer than the training.

        Args:
            now_s: what `clock_s` has just returned.

        Raises:
            KeyboardInterrupt: a signal came (`Terminated` if it was SIGTERM); the state is saved.
        """
        number = self._signal
        if number or now_s - self._saved_at_s >= self.config.recipe.checkpoint_interval_s:
            self.save()
        if number:
            stop(number)

    def _note_save(self) -> None:
        self._saved_at_s = self.clock_s()  # after the save, which may take long itself
        self._saved_step = self.progress.step
