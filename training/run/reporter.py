"""Reports on a run while it trains: a progress bar, the log, and TensorBoard."""

import sys
from typing import Never, Self

from tqdm import tqdm

from models.model_folder.history import EpochRecord
from training.config import RunConfig
from training.run.folder import RunFolder
from training.run.progress import Progress
from training.run.tensorboard import EventFile

ADAPTED = ("augmentation", "overfitting")
"""The figures of adaptive augmentation among a record's metrics."""

FIGURES = ("loss_d", "loss_g", "d_real", "d_fake", "value")


class Reporter:
    """Reports on one run: messages go to the log and to standard error, and a terminal also gets a progress bar."""

    def __init__(self, config: RunConfig, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        self._bar: tqdm[Never] | None = None
        self._events: EventFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._events is not None:
            self._events.close()

    def start(self, progress: Progress, *, total_steps: int) -> None:
        """Open the progress bar and TensorBoard's file, and say that the run has started or is resumed."""
        self._started = (progress.images, progress.seconds)
        size = self._config.recipe.batch_size
        # Epochs after the saved state are trained again, so TensorBoard must drop their old figures.
        self._events = EventFile(self._folder.tensorboard)
        self._events.begin(purge_step=progress.epoch)
        self._bar = tqdm(
            total=total_steps * size,
            initial=progress.step * size,
            unit="img",
            unit_scale=True,
            dynamic_ncols=True,
            smoothing=0.05,
            disable=None,  # None: no bar if standard error is not a terminal
        )
        verb = "resumed" if progress.step else "started"
        self.say(f"{verb} at epoch {progress.epoch}, step {progress.step:,} of {total_steps:,}: {self._folder.path}")

    def went_back(self, progress: Progress) -> None:
        """Make TensorBoard drop the figures of epochs after `progress`: the run continues from this earlier state."""
        if self._events is not None:
            self._events.begin(purge_step=progress.epoch)
        self._started = (progress.images, progress.seconds)

    def step(self, progress: Progress) -> None:
        """Advance the progress bar after one step of G."""
        if self._bar is not None:
            self._bar.update(progress.images - self._bar.n)

    def epoch(self, record: EpochRecord) -> None:
        """Log an epoch's figures, and pass them to TensorBoard."""
        images, seconds = self._started
        rate = (record.images - images) / max(record.seconds - seconds, 1e-9)
        adapted = "".join(f"{name} {record.metrics[name]:.3f}  " for name in ADAPTED if name in record.metrics)
        self.say(
            f"epoch {record.epoch}/{self._config.planned_epochs}  loss D {record.loss_d:.3f}  G {record.loss_g:.3f}  "
            f"D(x) {record.d_real:.3f}  D(G(z)) {record.d_fake:.3f}  V {record.value:.3f}  "
            f"{adapted}{rate:,.0f} images/s  {record.seconds:,.0f} s"
        )
        if measured := [f"{name} {figure:.3f}" for name, figure in record.metrics.items() if name not in ADAPTED]:
            self.say("  ".join(["samples:", *measured]))
        if self._events is not None:
            self._events.add_scalars({name: getattr(record, name) for name in FIGURES} | record.metrics, record.epoch)

    def finish(self, progress: Progress) -> None:
        """Say that the run has finished."""
        self.say(f"finished: {len(progress.records)} epochs, {progress.images:,} images, {progress.seconds:,.0f} s")

    def say(self, text: str) -> None:
        """Add a line to the log, and print it on standard error."""
        self._folder.log(text)
        tqdm.write(text, file=sys.stderr)
