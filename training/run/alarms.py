"""Alarms: signs in an epoch's record that training has gone wrong, although it still runs.

collapse            coverage, or the share of the rarest digit, fell below half of its value in the best state
discriminator-won   D told real from fake almost without error for three epochs, so G no longer learns from it
not-finite          a loss, a weight or a figure became NaN or infinite (the loop detects this, not this module)

This module only finds alarms. `training.run.alarm_response` records each one. With `--on-collapse rollback` it also
takes the run back to its best state; otherwise training continues, except that `not-finite` ends it.
"""

from typing import Literal, TypeAlias

from models.model_folder.history import EpochRecord
from training.recipe import LossName

Alarms: TypeAlias = dict[Literal["collapse", "discriminator-won", "not-finite"], str]

FALL = 0.5
"""There is a collapse alarm if a figure is below this share of its value in the best state."""

WON = 0.98
"""D has won if mean D(x) is above this, and mean D(G(z)) below 1 minus this, for `WON_EPOCHS` epochs in a row."""

WON_EPOCHS = 3
"""The number of epochs in a row after which D has won."""

MIN_COVERAGE = 0.1
"""There is no collapse alarm until the best state's coverage has reached this."""

PROBABILITIES: frozenset[LossName] = frozenset({"non-saturating", "minimax"})
"""The losses for which σ(logit) is D's probability that an image is real."""


def find_alarms(records: list[EpochRecord], *, loss: LossName) -> Alarms:
    """Return the alarms of the last record: for each kind, a text with the figures; {} if there is no alarm."""
    alarms: Alarms = {}
    if fallen := _fallen(records):
        alarms["collapse"] = fallen
    if loss in PROBABILITIES and _has_won(records):
        last = records[-1]
        alarms["discriminator-won"] = (
            f"D(x) was above {WON} and D(G(z)) below {1 - WON:.2f} for {WON_EPOCHS} epochs; they are now "
            f"{last.d_real:.4f} and {last.d_fake:.4f}"
        )
    return alarms


def new_alarms(records: list[EpochRecord], *, loss: LossName) -> Alarms:
    """Return the alarms of the last record that the record before did not have.

    For a collapse, the record before is the last one whose samples were measured.
    """
    earlier = records[:-1]
    known = set(find_alarms(earlier, loss=loss))
    last_measured = max((n for n, record in enumerate(earlier, start=1) if record.metrics), default=0)
    if _fallen(earlier[:last_measured]):
        known.add("collapse")
    return {kind: text for kind, text in find_alarms(records, loss=loss).items() if kind not in known}


def best_record(records: list[EpochRecord]) -> EpochRecord | None:
    """Return the record with the smallest Fréchet distance; None if it was never measured."""
    measured = [record for record in records if "frechet" in record.metrics]
    return min(measured, key=lambda record: record.metrics["frechet"]) if measured else None


def _fallen(records: list[EpochRecord]) -> str:
    best = best_record(records)
    if best is None or not records[-1].metrics or best.metrics["coverage"] < MIN_COVERAGE:
        return ""
    return "; ".join(
        f"{name} fell from {best.metrics[name]:.3f} in epoch {best.epoch} to {records[-1].metrics[name]:.3f}"
        for name in ("coverage", "smallest_share")
        if name in best.metrics and records[-1].metrics[name] < FALL * best.metrics[name]
    )


def _has_won(records: list[EpochRecord]) -> bool:
    last = records[-WON_EPOCHS:]
    return len(last) == WON_EPOCHS and all(record.d_real > WON and record.d_fake < 1 - WON for record in last)
