"""A run in progress: what its loop hands from one function to the next."""

from dataclasses import dataclass, field

from training.config import RunConfig
from training.gan.game import Game
from training.run.checkpoint import save_checkpoint
from training.run.folder import RunFolder
from training.run.monitor import Monitor
from training.run.progress import Progress
from training.run.reporter import Reporter


@dataclass
class Run:
    """The game of a run, where it stands, and where that is told and kept.

    Of several processes each has a Run, whose game and progress are the same; the first alone writes and has a monitor.
    """

    config: RunConfig
    folder: RunFolder
    reporter: Reporter
    game: Game
    monitor: Monitor | None
    progress: Progress
    _saved_at_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._saved_at_s = self.progress.seconds

    def save(self) -> None:
        """Save the state to resume from; raises what `save_checkpoint` does."""
        save_checkpoint(self.folder.checkpoint_file, self.game, self.progress)
        self._saved_at_s = self.progress.seconds

    def save_if_due(self) -> None:
        """Save if the last time is long enough ago, by the run's own clock: several processes have that in common."""
        if self.progress.seconds - self._saved_at_s >= self.config.recipe.checkpoint_interval_s:
            self.save()
