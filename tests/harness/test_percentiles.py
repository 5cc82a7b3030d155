"""Percentiles by nearest rank."""

import math

from harness.percentiles import percentile


def test_percentiles() -> None:
    values = [float(k) for k in range(1, 101)]
    assert [percentile(values, share) for share in (0.01, 0.5, 0.99, 1)] == [1, 50, 99, 100]
    assert percentile([7], 0.5) == 7
    assert math.isnan(percentile([], 0.5))
