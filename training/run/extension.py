"""Extension of a run: a new number of epochs or minutes, set by `resume` at any time, also after the run has ended.

The rule for the learning rates: from the extension on, the rate of step s is the one that a run of the new length has
at step s. A rate that falls to 0 at the end (`learning_rate_final`) so begins again in the middle, and falls to 0 at
the new end. A constant rate, and those of SGD, do not depend on the length.
"""

import math

from training.config import Extension, RunConfig
from training.errors import UsageError
from training.recipe import MAX_EPOCHS
from training.run.alarm_response import ROLLBACK_RATE
from training.run.progress import Progress


def extend(config: RunConfig, progress: Progress, *, epochs: int | None, minutes: float | None) -> RunConfig:
    """Return the configuration of a run with a new length; both lengths are those of the whole run.

    `epochs` removes a limit of minutes. `minutes` sets one; if at the pace so far the epochs would end earlier, their
    number becomes the one that fits into the minutes. If this is the length already, nothing changes, so the same
    command can be given again after an interruption.

    Args:
        config: configuration of the run.
        progress: the saved progress of the run.
        epochs: the new number of epochs, or None.
        minutes: the new number of minutes, or None; at most one of both is given.

    Raises:
        UsageError: the run has already trained as long as this, or `epochs` is too large.
    """
    if epochs is not None:
        _check_epochs(epochs, progress)
        if (epochs, None) == (config.planned_epochs, config.planned_minutes):
            return config
        return _with(config, progress, epochs=epochs, minutes=None, asked=f"--epochs {epochs}")
    if minutes is not None:
        _check_minutes(minutes, progress)
        if minutes == config.planned_minutes and len(progress.records) < config.planned_epochs:
            return config
        longer = max(config.planned_epochs, _epochs_in(minutes, config, progress))
        return _with(config, progress, epochs=longer, minutes=minutes, asked=f"--minutes {minutes:g}")
    return config


def describe_extension(before: RunConfig, after: RunConfig, progress: Progress) -> list[str]:
    """Return lines for the log that say how long the run goes on, and with which learning rates; none if unchanged."""
    if before == after:
        return []
    limit = "" if after.planned_minutes is None else f", or to {after.planned_minutes:g} minutes if these end earlier"
    rates = ", ".join(
        f"{player} {_rate(before, progress, of):g} → {_rate(after, progress, of):g}"
        for player, of in (("G", "generator_optimiser"), ("D", "discriminator_optimiser"))
    )
    epochs = f"{after.planned_epochs:,}"
    length = f"the run goes on to epoch {epochs}{limit} (before: {before.planned_epochs:,})"
    return [
        f"extended after epoch {len(progress.records):,}: {length}",
        f"from step {progress.step:,} on, learning rates are those of a run of {epochs} epochs: {rates}",
    ]


def has_ended(config: RunConfig, progress: Progress) -> bool:
    """Whether a run has trained as long as its configuration says."""
    minutes = config.planned_minutes
    is_late = minutes is not None and progress.seconds >= 60 * minutes
    return is_late or len(progress.records) >= config.planned_epochs


def _check_epochs(epochs: int, progress: Progress) -> None:
    done = len(progress.records)
    if epochs <= done:
        raise UsageError(
            f"--epochs {epochs:,} is the length of the whole run, which has trained {done:,} epochs already: give "
            f"more than {done:,}"
        )
    if epochs > MAX_EPOCHS:
        raise UsageError(f"--epochs must be at most {MAX_EPOCHS:,}, not {epochs:,}")


def _check_minutes(minutes: float, progress: Progress) -> None:
    if 60 * minutes <= progress.seconds:
        raise UsageError(
            f"--minutes {minutes:g} is the length of the whole run, which has trained for {progress.seconds / 60:.2f} "
            "minutes already: give more"
        )


def _epochs_in(minutes: float, config: RunConfig, progress: Progress) -> int:
    """Return the number of epochs that fit into the minutes at the pace so far, rounded up; 0 if it is not known."""
    done = progress.epoch - 1 + progress.position / config.steps_per_epoch
    if not progress.step or not progress.seconds:
        return 0
    return min(MAX_EPOCHS, max(len(progress.records) + 1, math.ceil(done * 60 * minutes / progress.seconds)))


def _with(config: RunConfig, progress: Progress, *, epochs: int, minutes: float | None, asked: str) -> RunConfig:
    extension = Extension(
        after_epoch=len(progress.records), after_step=progress.step, epochs=epochs, minutes=minutes, asked=asked
    )
    return config.model_copy(update={"extensions": (*config.extensions, extension)})


def _rate(config: RunConfig, progress: Progress, optimiser: str) -> float:
    settings = getattr(config.recipe, optimiser)
    rate: float = settings.learning_rate_at(progress.step, steps=config.total_steps)
    return rate * ROLLBACK_RATE**progress.rollbacks
