"""Calibration: it turns a logit of D into percentiles among the logits of real images and among those of G's samples.

Logits of two models cannot be compared, but percentiles can. A percentile of 30 among real images means that D rates
30 of 100 held-out real images as less real than this image.
"""

from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

QUANTILES = 201
"""Number of quantiles that `calibrate` keeps: one for every half per cent, both ends included."""

_Quantiles = Annotated[tuple[FiniteFloat, ...], Field(min_length=2, max_length=10_001)]


class Calibration(BaseModel):
    """Quantiles of D's logits, evenly spaced in probability from the smallest logit to the largest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    real: _Quantiles
    generated: _Quantiles

    @model_validator(mode="after")
    def _are_sorted(self) -> "Calibration":
        for name in ("real", "generated"):
            if any(low > high for low, high in pairwise(getattr(self, name))):
                raise ValueError(f"the quantiles of {name} images must not decrease")
        return self

    def percentiles(self, logit: float) -> dict[str, float]:
        """Return the percentage (0–100) of held-out real images, and of generated images, with a smaller logit."""
        return {"real": _percentile(logit, self.real), "generated": _percentile(logit, self.generated)}


def calibrate(real_logits: NDArray[np.float32], generated_logits: NDArray[np.float32]) -> Calibration:
    """Compute the calibration from D's logits of held-out real images and of G's samples, each [n] float32, n ≥ 1."""
    levels = np.linspace(0, 1, QUANTILES)
    return Calibration(
        real=tuple(np.quantile(real_logits.astype(np.float64), levels).tolist()),
        generated=tuple(np.quantile(generated_logits.astype(np.float64), levels).tolist()),
    )


def _percentile(logit: float, quantiles: tuple[float, ...]) -> float:
    """Return the empirical distribution function at `logit` in per cent, linear between quantiles; ties count half."""
    below = np.searchsorted(quantiles, logit, side="left")
    not_above = np.searchsorted(quantiles, logit, side="right")
    last = len(quantiles) - 1
    if below != not_above:  # the logit equals one quantile or several
        return float(100 * (below + not_above - 1) / 2 / last)
    if below in (0, len(quantiles)):
        return 0.0 if below == 0 else 100.0
    low, high = quantiles[below - 1], quantiles[below]
    return float(100 * (below - 1 + (logit - low) / (high - low)) / last)
