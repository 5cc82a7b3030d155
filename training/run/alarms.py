"""Alarms: signs in an epoch's record that training has gone wrong, although it still runs.

collapse            coverage, or the share of the rarest digit, fell below half of its value in the best state
discriminator-won   D distinguished real from fake almost without error for three epochs, so G no longer learns from it
discriminator-lost  D's loss was far above that of a D that only guesses for three epochs, so it misleads G
not-finite          a loss, a weight or a figure became NaN or infinite (the loop detects this, not this module)

This module only finds alarms. `training.run.alarm_response` records each one. With `--on-collapse rollback` it also
takes the run back to its best state; otherwise training continues, except that `not-finite` ends it.
"""

import math
from typing import Literal, TypeAlias

from models.model_folder.game_rules import LossName
from models.model_folder.history import EpochRecord

Alarms: TypeAlias = dict[Literal["collapse", "discriminator-won", "discriminator-lost", "not-finite"], str]

FALL = 0.5
"""There is a collapse alarm if a figure is below this share of its value in the best state."""

WON = 0.98
"""D has won if mean D(x) is above this, and mean D(G(z)) below 1 minus this, for `WON_EPOCHS` epochs in a row."""

WON_EPOCHS = 3
"""The number of epochs in a row after which D has won, or lost."""

WON_LOSS = -math.log(WON)
"""In the relativistic game, D has won if its loss is below this: it puts real images above fakes at odds of `WON`."""

GUESSING: dict[LossName, float] = {
    "non-saturating": math.log(2),
    "minimax": math.log(2),
    "relativistic": math.log(2),
    "hinge": 1.0,
    "least-squares": 0.25,
}
"""D's loss if it only guesses, so that all its logits are equal. The Wasserstein critic's loss has no scale."""

LOST = 1.5
"""D has lost if its loss is above this many times that of guessing, for `WON_EPOCHS` epochs in a row."""

MIN_COVERAGE = 0.1
"""There is no collapse alarm until the best state's coverage has reached this."""

PROBABILITIES: frozenset[LossName] = frozenset({"non-saturating", "minimax"})
"""The losses for which σ(logit) is D's probability that an image is real."""


def find_alarms(records: list[EpochRecord], *, loss: LossName, since: int = 0) -> Alarms:
    """Return the alarms of the last record: for each kind, a text with the figures; {} if there is no alarm.

    Args:
        records: the records of all epochs so far.
        loss: the loss of the recipe.
        since: the epoch to which the run went back last. D has won or lost only in epochs after it, which have other
            learning rates.
    """
    alarms: Alarms = {}
    if fallen := _fallen(records):
        alarms["collapse"] = fallen
    last = records[since:][-WON_EPOCHS:]
    if len(last) < WON_EPOCHS:
        return alarms
    if won := _won(last, loss):
        alarms["discriminator-won"] = won
    if lost := _lost(last, loss):
        alarms["discriminator-lost"] = lost
    return alarms


def new_alarms(records: list[EpochRecord], *, loss: LossName, since: int = 0) -> Alarms:
    """Return the alarms of the last record that the record before it did not have.

    For a collapse, the record before is the last one whose samples were measured. The arguments are those of
    `find_alarms`.
    """
    earlier = records[:-1]
    known = set(find_alarms(earlier, loss=loss, since=since))
    last_measured = max((n for n, record in enumerate(earlier, start=1) if "coverage" in record.metrics), default=0)
    if _fallen(earlier[:last_measured]):
        known.add("collapse")
    return {kind: text for kind, text in find_alarms(records, loss=loss, since=since).items() if kind not in known}


def best_record(records: list[EpochRecord]) -> EpochRecord | None:
    """Return the record with the smallest Fréchet distance; None if it was never measured."""
    measured = [record for record in records if "frechet" in record.metrics]
    return min(measured, key=lambda record: record.metrics["frechet"]) if measured else None


def _fallen(records: list[EpochRecord]) -> str:
    best = best_record(records)
    if best is None or "coverage" not in records[-1].metrics or best.metrics["coverage"] < MIN_COVERAGE:
        return ""
    return "; ".join(
        f"{name} fell from {best.metrics[name]:.3f} in epoch {best.epoch} to {records[-1].metrics[name]:.3f}"
        for name in ("coverage", "smallest_share")
        if name in best.metrics and records[-1].metrics[name] < FALL * best.metrics[name]
    )


def _won(last: list[EpochRecord], loss: LossName) -> str:
    """Return the figures if D has won in all of the last epochs; otherwise ""."""
    now = last[-1]
    if loss in PROBABILITIES and all(record.d_real > WON and record.d_fake < 1 - WON for record in last):
        return (
            f"D(x) was above {WON} and D(G(z)) below {1 - WON:.2f} for {WON_EPOCHS} epochs; they are now "
            f"{now.d_real:.4f} and {now.d_fake:.4f}"
        )
    if loss == "relativistic" and all(record.loss_d < WON_LOSS for record in last):
        return f"D's loss was below {WON_LOSS:.3f} for {WON_EPOCHS} epochs; it is now {now.loss_d:.4f}"
    return ""


def _lost(last: list[EpochRecord], loss: LossName) -> str:
    """Return the figures if D has lost in all of the last epochs; otherwise ""."""
    guessing = GUESSING.get(loss)
    if guessing is None or any(record.loss_d <= LOST * guessing for record in last):
        return ""
    return (
        f"D's loss was above {LOST * guessing:.3f} for {WON_EPOCHS} epochs, and a D that only guesses has "
        f"{guessing:.3f}; it is now {last[-1].loss_d:.3f}"
    )
