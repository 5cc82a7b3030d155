"""A run in progress: what its loop hands from one function to the next."""

import time
from dataclasses import dataclass, field

from training.checkpoint import Progress, save_checkpoint
from training.config import RunConfig
from training.game import Game
from training.monitor import Monitor
from training.reporter import Reporter
from training.run_folder import RunFolder


@dataclass
class Run:
    """The game of a run, where it stands, and where that is told and kept."""

    config: RunConfig
    folder: RunFolder
    reporter: Reporter
    game: Game
    monitor: Monitor | None
    progress: Progress
    _saved: float = field(default_factory=time.monotonic)

    def save(self) -> None:
        """Save the state to resume from; raises what `save_checkpoint` does."""
        save_checkpoint(self.folder.checkpoint_file, self.game, self.progress)
        self._saved = time.monotonic()

    def save_if_due(self) -> None:
        """Save if the last time is long enough ago."""
        if time.monotonic() - self._saved >= self.config.recipe.checkpoint_interval_s:
            self.save()
