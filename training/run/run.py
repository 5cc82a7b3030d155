"""A run in progress: what the functions of the loop pass to each other."""

from dataclasses import dataclass, field

from training.config import RunConfig
from training.gan.game import Game
from training.run.folder import RunFolder
from training.run.monitor import Monitor
from training.run.progress import Progress
from training.run.writer import RunWriter


@dataclass
class Run:
    """The game of a run, its progress, and where both are kept.

    With several processes each has a Run: `game` and `progress` are the same in all, `writer` does nothing in all but
    the first, and `monitor` is None there.
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
        """Save the state to resume from; raises what `RunWriter.save` does."""
        self.writer.save(self.game, self.progress)
        self._saved_at_s = self.progress.seconds

    def save_if_due(self) -> None:
        """Save if the last time is long enough ago, by the run's own clock, which all processes share."""
        if self.progress.seconds - self._saved_at_s >= self.config.recipe.checkpoint_interval_s:
            self.save()
