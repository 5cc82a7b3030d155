"""Alarms: each on both sides of its limit, the text of each, and that each is raised once."""

import math

import pytest
import torch

from models.model_folder.game_rules import LossName
from models.model_folder.history import EpochRecord
from training.gan.losses import LOSSES
from training.run.alarms import Alarms, best_record, find_alarms, new_alarms

GOOD = {"frechet": 2.0, "coverage": 0.8, "smallest_share": 0.6}


def record(
    epoch: int,
    *,
    metrics: dict[str, float] | None = None,
    means: tuple[float, float] = (0.7, 0.3),
    loss_d: float = 0.3,
) -> EpochRecord:
    """Make a record; `means` are D(x) and D(G(z))."""
    return EpochRecord(
        epoch=epoch,
        images=100 * epoch,
        seconds=float(epoch),
        loss_d=loss_d,
        loss_g=0.9,
        d_real=means[0],
        d_fake=means[1],
        value=-1.2,
        metrics=metrics or {},
    )


def alarms(records: list[EpochRecord], loss: LossName = "non-saturating") -> Alarms:
    return find_alarms(records, loss=loss)


# --- Collapse -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("coverage", "fallen"), [(0.39, True), (0.4, False), (0.41, False)])
def test_coverage_below_half_of_the_best_states(coverage: float, fallen: bool):
    seen = alarms([record(1, metrics=GOOD), record(2, metrics=GOOD | {"frechet": 5.0, "coverage": coverage})])
    assert set(seen) == ({"collapse"} if fallen else set())
    if fallen:
        assert seen["collapse"] == "coverage fell from 0.800 in epoch 1 to 0.390"


@pytest.mark.parametrize(("share", "fallen"), [(0.29, True), (0.3, False), (0.31, False)])
def test_the_rarest_digit_below_half_of_the_best_states(share: float, fallen: bool):
    seen = alarms([record(3, metrics=GOOD), record(4, metrics=GOOD | {"frechet": 5.0, "smallest_share": share})])
    assert seen.get("collapse", "") == ("smallest_share fell from 0.600 in epoch 3 to 0.290" if fallen else "")


def test_both_figures_are_told():
    fallen = {"frechet": 90.0, "coverage": 0.01, "smallest_share": 0.0}
    seen = alarms([record(1, metrics=GOOD), record(2, metrics=fallen)])
    assert seen["collapse"] == (
        "coverage fell from 0.800 in epoch 1 to 0.010; smallest_share fell from 0.600 in epoch 1 to 0.000"
    )


def test_the_best_state_is_that_of_the_smallest_frechet_distance_wherever_it_was():
    records = [
        record(1, metrics=GOOD | {"frechet": 9.0, "coverage": 0.95}),
        record(2, metrics=GOOD | {"frechet": 1.0, "coverage": 0.5}),
        record(3),
        record(4, metrics=GOOD | {"frechet": 4.0, "coverage": 0.3}),
    ]
    best = best_record(records)
    assert best is not None
    assert best.epoch == 2
    assert alarms(records) == {}  # 0.3 is below half of 0.95, not of 0.5
    records.append(record(5, metrics=GOOD | {"frechet": 8.0, "coverage": 0.24}))
    assert alarms(records)["collapse"] == "coverage fell from 0.500 in epoch 2 to 0.240"


def test_nothing_measured_has_no_best_state_and_no_collapse():
    assert best_record([]) is None
    assert best_record([record(1), record(2)]) is None
    assert alarms([record(1), record(2)]) == {}


def test_the_first_of_equals_is_the_best():
    best = best_record([record(1), record(2, metrics=GOOD), record(3, metrics=GOOD)])
    assert best is not None
    assert best.epoch == 2


@pytest.mark.parametrize(("coverage", "fallen"), [(0.099, False), (0.1, True)])
def test_a_beginning_is_not_worth_falling_from(coverage: float, fallen: bool):
    start = {"frechet": 50.0, "coverage": coverage}
    seen = alarms([record(1, metrics=start), record(2, metrics={"frechet": 60.0, "coverage": 0.0})])
    assert set(seen) == ({"collapse"} if fallen else set())


def test_pictures_without_digits_have_no_rarest_one():
    plain = {"frechet": 1.0, "coverage": 0.5}
    assert alarms([record(1, metrics=plain), record(2, metrics={"frechet": 2.0, "coverage": 0.3})]) == {}
    assert "collapse" in alarms([record(1, metrics=plain), record(2, metrics={"frechet": 2.0, "coverage": 0.2})])


def test_an_epoch_that_was_not_measured_has_not_collapsed():
    fallen = GOOD | {"frechet": 90.0, "coverage": 0.0}
    assert alarms([record(1, metrics=GOOD), record(2, metrics=fallen), record(3)]) == {}


# --- D has won ------------------------------------------------------------------------------------

WON = (0.981, 0.019)


def test_d_that_tells_them_apart_for_three_epochs_has_won():
    assert alarms([record(1, means=WON), record(2, means=WON)]) == {}
    seen = alarms([record(1), *(record(epoch, means=WON) for epoch in (2, 3, 4))])
    assert seen == {
        "discriminator-won": "D(x) was above 0.98 and D(G(z)) below 0.02 for 3 epochs; they are now 0.9810 and 0.0190"
    }


@pytest.mark.parametrize("weak", [(0.98, 0.001), (0.999, 0.0201)])
@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_one_epoch_at_the_limit_and_d_has_not_won(weak: tuple[float, float], epoch: int):
    records = [record(k, means=weak if k == epoch else WON) for k in (1, 2, 3)]
    assert alarms(records) == {}


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_only_where_ds_output_is_a_probability(loss: LossName):
    seen = alarms([record(epoch, means=WON, loss_d=0.3) for epoch in (1, 2, 3)], loss)
    assert set(seen) == ({"discriminator-won"} if loss in {"non-saturating", "minimax"} else set())


def test_d_has_won_the_relativistic_game_by_its_loss():
    """Its loss is mean log(1 + exp(fake − real)), and −log 0.98 = 0.0202."""
    for at, kinds in ((0.0203, set()), (0.0202, {"discriminator-won"})):
        seen = alarms([record(epoch, loss_d=at) for epoch in (1, 2, 3)], "relativistic")
        assert set(seen) == kinds
    assert seen == {"discriminator-won": "D's loss was below 0.020 for 3 epochs; it is now 0.0202"}


# --- D has lost -----------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["non-saturating", "minimax", "relativistic"])
def test_d_has_lost_at_twice_log_2(loss: LossName):
    twice = 2 * math.log(2)
    assert alarms([record(epoch, loss_d=twice) for epoch in (1, 2)], loss) == {}
    seen = alarms([record(epoch, loss_d=twice) for epoch in (1, 2, 3)], loss)
    text = "D's loss was above 1.040 for 3 epochs, and a D that only guesses has 0.693; it is now 1.386"
    assert seen == {"discriminator-lost": text}


@pytest.mark.parametrize("loss", sorted(set(LOSSES) - {"wasserstein"}))
def test_each_game_has_a_limit_above_guessing(loss: LossName):
    """Equal logits, at the value that is best for the game, are a D that only guesses."""
    best = 0.5 if loss == "least-squares" else 0.0
    equal = torch.full((8,), best)
    guessing = float(LOSSES[loss].discriminator(equal, equal))
    assert alarms([record(epoch, loss_d=1.49 * guessing) for epoch in (1, 2, 3)], loss) == {}
    seen = alarms([record(epoch, loss_d=1.51 * guessing) for epoch in (1, 2, 3)], loss)
    assert set(seen) == {"discriminator-lost"}
    last_is_good = [*(record(epoch, loss_d=9.0) for epoch in (1, 2)), record(3, loss_d=1.49 * guessing)]
    assert alarms(last_is_good, loss) == {}


def test_a_critic_has_no_limit():
    assert alarms([record(epoch, loss_d=99.0) for epoch in (1, 2, 3)], "wasserstein") == {}


# --- Once ------------------------------------------------------------------------------------------


def told(records: list[EpochRecord]) -> list[list[str]]:
    """Return the kinds of alarm that are new after each epoch."""
    return [sorted(new_alarms(records[: k + 1], loss="non-saturating")) for k in range(len(records))]


def test_a_collapse_is_told_when_it_begins_and_again_after_a_recovery():
    fallen = GOOD | {"frechet": 90.0, "coverage": 0.1}
    states = [GOOD, None, fallen, None, fallen, GOOD, fallen]
    records = [record(epoch, metrics=metrics) for epoch, metrics in enumerate(states, start=1)]
    assert told(records) == [[], [], ["collapse"], [], [], [], ["collapse"]]


def test_a_victory_of_d_is_told_when_it_begins_and_again_after_a_recovery():
    wins = [True, True, True, True, False, True, True, True, True]
    records = [record(epoch, means=WON if won else (0.7, 0.3)) for epoch, won in enumerate(wins, start=1)]
    new = ["discriminator-won"]
    assert told(records) == [[], [], new, [], [], [], [], new, []]


def test_a_victory_is_told_again_although_the_last_measured_epoch_was_one():
    """Whether D has won does not depend on which epochs were measured."""
    wins = [True, True, True, False, True, True, True]
    records = [
        record(epoch, metrics=GOOD if epoch in (1, 3, 7) else None, means=WON if won else (0.7, 0.3))
        for epoch, won in enumerate(wins, start=1)
    ]
    new = ["discriminator-won"]
    assert told(records) == [[], [], new, [], [], [], new]


def test_after_a_rollback_only_later_epochs_show_that_d_has_won():
    """They have other learning rates. If D wins in three of them, it is told again, although it had won before."""
    won = [record(epoch, means=(0.99, 0.01)) for epoch in range(1, 8)]
    seen = [sorted(new_alarms(won[: k + 1], loss="non-saturating", since=3)) for k in range(3, 7)]
    assert seen == [[], [], ["discriminator-won"], []]


def test_two_kinds_at_once():
    fallen = GOOD | {"frechet": 90.0, "coverage": 0.1}
    records = [record(1, metrics=GOOD, means=WON), record(2, means=WON), record(3, metrics=fallen, means=WON)]
    assert told(records) == [[], [], ["collapse", "discriminator-won"]]


def test_the_first_epoch_alone():
    assert new_alarms([record(1, metrics=GOOD)], loss="non-saturating") == {}
