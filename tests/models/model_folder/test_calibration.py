"""Percentiles of D's logits, compared with counting."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from models.model_folder.calibration import QUANTILES, Calibration, calibrate


def test_against_counting() -> None:
    rng = np.random.default_rng(0)
    real, generated = rng.normal(1, 2, 5000).astype(np.float32), rng.normal(-1, 1, 5000).astype(np.float32)
    calibration = calibrate(real, generated)
    for logit in np.linspace(-6, 8, 57):
        percentiles = calibration.percentiles(float(logit))
        assert percentiles["real"] == pytest.approx(100 * (real < logit).mean(), abs=0.3)
        assert percentiles["generated"] == pytest.approx(100 * (generated < logit).mean(), abs=0.3)


def test_held_out_logits_are_uniform() -> None:
    rng = np.random.default_rng(1)
    calibration = calibrate(rng.gumbel(size=10_000).astype(np.float32), np.zeros(10, dtype=np.float32))
    fresh = [calibration.percentiles(float(logit))["real"] or 0 for logit in rng.gumbel(size=4000)]
    for quartile in (25, 50, 75):
        assert np.percentile(fresh, quartile) == pytest.approx(quartile, abs=2.5)


def test_ends() -> None:
    calibration = Calibration(real=(0, 1, 2), generated=(0, 1, 2))
    answers = {
        logit: calibration.percentiles(logit)["real"] for logit in (-1e30, -0.001, 0, 0.5, 1, 1.5, 2, 2.001, 1e30)
    }
    assert answers == {-1e30: 0, -0.001: 0, 0: 0, 0.5: 25, 1: 50, 1.5: 75, 2: 100, 2.001: 100, 1e30: 100}


def test_ties_count_half() -> None:
    calibration = Calibration(real=(0, 1, 1, 1, 2), generated=(3, 3))
    assert calibration.percentiles(1)["real"] == 50
    assert calibration.percentiles(3)["generated"] == 50
    assert calibration.percentiles(2.9)["generated"] == 0
    assert calibration.percentiles(3.1)["generated"] == 100


def brute_force(logit: float, logits: NDArray[np.float32]) -> float:
    """Compute the empirical distribution function in per cent by counting; ties count half."""
    return 100 * sum(1.0 if other < logit else 0.5 if other == logit else 0.0 for other in logits) / len(logits)


@pytest.mark.parametrize("values", [2, 5, 40])
def test_tied_logits_against_counting(values: int) -> None:
    rng = np.random.default_rng(values)
    real, generated = (rng.integers(0, values, 3000).astype(np.float32) for _ in range(2))
    calibration = calibrate(real, generated)
    for logit in (*range(values), -1, values):
        percentiles = calibration.percentiles(logit)
        assert percentiles["real"] == pytest.approx(brute_force(logit, real), abs=0.5)
        assert percentiles["generated"] == pytest.approx(brute_force(logit, generated), abs=0.5)


def test_the_sides_are_not_swapped() -> None:
    low, high = np.arange(0, 10, dtype=np.float32), np.arange(100, 110, dtype=np.float32)
    assert calibrate(high, low).percentiles(50) == {"real": 0, "generated": 100, "varied": None}


def test_float32_ends_stay_within_0_and_100() -> None:
    top = float(np.finfo(np.float32).max)
    calibration = Calibration(real=(-1.7e308, 1.7e308), generated=(-top, 0, top), varied=(-top, top))
    for logit in (-top, 0.0, top):
        for share in calibration.percentiles(logit).values():
            assert share is not None
            assert 0 <= share <= 100


def test_it_never_decreases() -> None:
    rng = np.random.default_rng(2)
    calibration = calibrate(rng.integers(0, 5, 100).astype(np.float32), rng.normal(size=3).astype(np.float32))
    for side in ("real", "generated"):
        values = [calibration.percentiles(float(logit))[side] or 0 for logit in np.linspace(-4, 6, 500)]
        assert (np.diff(values) >= 0).all()
        assert min(values) >= 0
        assert max(values) <= 100


def test_one_logit_is_enough() -> None:
    calibration = calibrate(np.ones(1, dtype=np.float32), np.full(1, 2, dtype=np.float32))
    assert len(calibration.real) == QUANTILES
    assert calibration.percentiles(1) == {"real": 50, "generated": 0, "varied": None}


def test_varied_digits_have_percentiles_of_their_own() -> None:
    rng = np.random.default_rng(3)
    real, generated, varied = (rng.normal(mean, 1, 5000).astype(np.float32) for mean in (1, -1, 0))
    calibration = calibrate(real, generated, varied)
    assert calibration.varied is not None
    assert len(calibration.varied) == QUANTILES
    for logit in (-1.5, 0.0, 0.3, 2.0):
        assert calibration.percentiles(logit)["varied"] == pytest.approx(100 * (varied < logit).mean(), abs=0.3)
    assert calibration.percentiles(0)["real"] == pytest.approx(16, abs=2)
    with pytest.raises(ValidationError, match="quantiles of varied images must not decrease"):
        Calibration(real=(0, 1), generated=(0, 1), varied=(1, 0))


@pytest.mark.parametrize("real", [(1.0, 0.0), (0.0,), (), (0.0, float("nan")), (0.0, float("inf"))])
def test_what_is_no_calibration(real: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Calibration(real=real, generated=(0, 1))


def test_percentiles_are_those_of_numpys_search_to_the_bit() -> None:
    def by_numpy(logit: float, quantiles: tuple[float, ...]) -> float:
        below = np.searchsorted(quantiles, logit, side="left")
        not_above = np.searchsorted(quantiles, logit, side="right")
        last = len(quantiles) - 1
        if below != not_above:
            return float(100 * (below + not_above - 1) / 2 / last)
        if below in (0, len(quantiles)):
            return 0.0 if below == 0 else 100.0
        low, high = quantiles[below - 1], quantiles[below]
        return float(100 * (below - 1 + (logit - low) / (high - low)) / last)

    rng = np.random.default_rng(5)
    calibration = calibrate(rng.normal(size=3000).astype(np.float32), np.repeat(np.array([-1, 0, 2], np.float32), 9))
    logits = [*rng.normal(scale=2, size=500).astype(np.float32).tolist(), *calibration.real, -1.0, 0.0, 2.0]
    for logit in [*logits, float("inf"), float("-inf"), float("nan")]:
        percentiles = calibration.percentiles(logit)
        assert percentiles["real"] == by_numpy(logit, calibration.real)
        assert percentiles["generated"] == by_numpy(logit, calibration.generated)
