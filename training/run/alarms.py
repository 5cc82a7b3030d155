"""Alarms: signs in an epoch's record that the game has gone wrong although it goes on.

collapse            coverage, or the share of the rarest digit, fell below half of what it was in the best state
discriminator-won   D told real from fake almost without error for three epochs, so G no longer learns from it
not-finite          a loss or a weight became NaN or infinite (the loop finds it, not this module)

This module only finds alarms. `training.run.alarm_response` records each and, with `--on-collapse rollback`, takes the
run back to its best state; otherwise training goes on, but for `not-finite`, which ends it.
"""

from typing import Literal, TypeAlias

from models.model_folder.history import EpochRecord
from training.recipe import LossName

Alarms: TypeAlias = dict[Literal["collapse", "discriminator-won", "not-finite"], str]

FALL = 0.5
"""A figure below this share of the best state's is an alarm."""

WON = 0.98
"""D has won when mean D(x) is above this and mean D(G(z)) is below 1 − this, for `WON_EPOCHS`."""

WON_EPOCHS = 3
"""Epochs in a row for which D must have won before there is an alarm."""

MIN_COVERAGE = 0.1
"""There is no collapse alarm until the best state's coverage has reached this."""

PROBABILITIES: frozenset[LossName] = frozenset({"non-saturating", "minimax"})
"""The losses under which σ(logit) is D's probability."""


def find_alarms(records: list[EpochRecord], *, loss: LossName) -> Alarms:
    """The alarms of the last record: a text with the figures for each kind; empty if all is well."""
    alarms: Alarms = {}
    if fallen := _fallen(records):
        alarms["collapse"] = fallen
    if loss in PROBABILITIES and _has_won(records):
        last = records[-1]
        alarms["discriminator-won"] = (
            f"D(x) was above {WON} and D(G(z)) below {1 - WON:.2f} for {WON_EPOCHS} epochs, now "
            f"{last.d_real:.4f} and {last.d_fake:.4f}"
        )
    return alarms


def new_alarms(records: list[EpochRecord], *, loss: LossName) -> Alarms:
    """The alarms of the last record that are new: the record before (for a collapse, the last measured) had none."""
    earlier = records[:-1]
    known = set(find_alarms(earlier, loss=loss))
    last_measured = max((n for n, record in enumerate(earlier, start=1) if record.metrics), default=0)
    if _fallen(earlier[:last_measured]):
        known.add("collapse")
    return {kind: text for kind, text in find_alarms(records, loss=loss).items() if kind not in known}


def best_record(records: list[EpochRecord]) -> EpochRecord | None:
    """The record with the smallest Fréchet distance; None where none was measured."""
    measured = [record for record in records if "frechet" in record.metrics]
    return min(measured, key=lambda record: record.metrics["frechet"]) if measured else None


def _fallen(records: list[EpochRecord]) -> str:
    best = best_record(records)
    if best is None or not records[-1].metrics or best.metrics["coverage"] < MIN_COVERAGE:
        return ""
    return "; ".join(
        f"{name} is {records[-1].metrics[name]:.3f}, it was {best.metrics[name]:.3f} in epoch {best.epoch}"
        for name in ("coverage", "smallest_share")
        if name in best.metrics and records[-1].metrics[name] < FALL * best.metrics[name]
    )


def _has_won(records: list[EpochRecord]) -> bool:
    last = records[-WON_EPOCHS:]
    return len(last) == WON_EPOCHS and all(record.d_real > WON and record.d_fake < 1 - WON for record in last)
