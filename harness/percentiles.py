"""Percentiles of measured values."""

import math
from collections.abc import Sequence


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: the smallest value that at least `share` of the values do not exceed.

    Args:
        ordered: the values in ascending order.
        share: the share of the values, in (0, 1]; 0.99 gives the 99th percentile.

    Returns:
        The value; NaN if there are none.
    """
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else float("nan")
