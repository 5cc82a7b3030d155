"""What a run tells while it goes: a progress bar, the log, TensorBoard."""

import sys
from typing import Never, Self

from tqdm import tqdm

from models.model_folder.history import EpochRecord
from training.config import RunConfig
from training.run.folder import RunFolder
from training.run.progress import Progress
from training.run.tensorboard import EventFile

FIGURES = ("loss_d", "loss_g", "d_real", "d_fake", "value")


class Reporter:
    """Tells of one run. The bar is for a terminal; where there is none, the log's lines are printed instead.

    Of several processes the first tells, and the others' reporters are `silent`.
    """

    def __init__(self, config: RunConfig, folder: RunFolder, *, silent: bool = False) -> None:
        self._config = config
        self._folder = folder
        self._silent = silent
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
        """A run begins, or goes on from where it stands."""
        self._started = (progress.images, progress.seconds)
        if self._silent:
            return
        size = self._config.recipe.batch_size
        # Events of steps that the saved state has not seen are marked as purged: they come once more.
        self._events = EventFile(self._folder.tensorboard)
        self._events.begin(purge_step=progress.epoch)
        self._bar = tqdm(
            total=total_steps * size,
            initial=progress.step * size,
            unit="img",
            unit_scale=True,
            dynamic_ncols=True,
            smoothing=0.05,
            disable=None,  # where standard error is no terminal
        )
        verb = "resumed" if progress.step else "started"
        self.say(f"{verb} at epoch {progress.epoch}, step {progress.step:,} of {total_steps:,}: {self._folder.path}")

    def went_back(self, progress: Progress) -> None:
        """The run goes on from an earlier state: what was told of later epochs has not happened."""
        if self._events is not None:
            self._events.begin(purge_step=progress.epoch)
        self._started = (progress.images, progress.seconds)

    def step(self, progress: Progress) -> None:
        """One step of G is done."""
        if self._bar is not None:
            self._bar.update(progress.images - self._bar.n)

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done."""
        images, seconds = self._started
        rate = (record.images - images) / max(record.seconds - seconds, 1e-9)
        self.say(
            f"epoch {record.epoch}/{self._config.recipe.epochs}  loss D {record.loss_d:.3f}  G {record.loss_g:.3f}  "
            f"D(x) {record.d_real:.3f}  D(G(z)) {record.d_fake:.3f}  V {record.value:.3f}  "
            f"{rate:,.0f} images/s  {record.seconds:,.0f} s"
        )
        if record.metrics:
            self.say("  ".join(["samples:", *(f"{name} {figure:.3f}" for name, figure in record.metrics.items())]))
        if self._events is not None:
            self._events.add_scalars({name: getattr(record, name) for name in FIGURES} | record.metrics, record.epoch)

    def finish(self, progress: Progress) -> None:
        """The run is at its end."""
        self.say(f"finished: {len(progress.records)} epochs, {progress.images:,} images, {progress.seconds:,.0f} s")

    def say(self, text: str) -> None:
        """A line for the log and for the person."""
        if self._silent:
            return
        self._folder.log(text)
        tqdm.write(text, file=sys.stderr)
