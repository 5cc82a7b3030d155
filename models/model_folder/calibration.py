"""Calibration: it turns a logit of D into percentiles among the logits of real images and among those of G's samples.

Where D judges handwritten digits, it also gives the percentile among varied digits: real held-out digits as other pens,
hands and scanners would have drawn them.

Logits of two models cannot be compared, but percentiles can. A percentile of 30 among real images means that D rates
30 of 100 held-out real images as less real than this image.
"""

import math
from bisect import bisect_left, bisect_right
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

QUANTILES = 201
"""Number of quantiles that `calibrate` keeps: one for every half per cent, both ends included."""

_Quantiles = Annotated[tuple[FiniteFloat, ...], Field(min_length=2, max_length=10_001)]


class Calibration(BaseModel):
    """Quantiles of D's logits, evenly spaced in probability from the smallest logit to the largest.

    Attributes:
        real: of held-out real images.
        generated: of G's samples.
        varied: of held-out real digits that were varied; None if the model judges other images, or is older than this.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    real: _Quantiles
    generated: _Quantiles
    varied: _Quantiles | None = None

    @model_validator(mode="after")
    def _are_sorted(self) -> "Calibration":
        for name in ("real", "generated", "varied"):
            if any(low > high for low, high in pairwise(getattr(self, name) or ())):
                raise ValueError(f"the quantiles of {name} images must not decrease")
        return self

    def percentiles(self, logit: float) -> dict[str, float | None]:
        """Return the percentages (0–100) of real, of generated and of varied images with a smaller logit.

        "varied" is None if the calibration has no varied digits.
        """
        return {
            "real": _percentile(logit, self.real),
            "generated": _percentile(logit, self.generated),
            "varied": None if self.varied is None else _percentile(logit, self.varied),
        }


def calibrate(
    real_logits: NDArray[np.float32],
    generated_logits: NDArray[np.float32],
    varied_logits: NDArray[np.float32] | None = None,
) -> Calibration:
    """Compute the calibration from D's logits, each [n] float32, n ≥ 1.

    Args:
        real_logits: of held-out real images.
        generated_logits: of G's samples.
        varied_logits: of held-out digits that were varied; None if the images are not handwritten digits.
    """
    return Calibration(
        real=_quantiles(real_logits),
        generated=_quantiles(generated_logits),
        varied=None if varied_logits is None else _quantiles(varied_logits),
    )


def _quantiles(logits: NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(np.quantile(logits.astype(np.float64), np.linspace(0, 1, QUANTILES)).tolist())


def _percentile(logit: float, quantiles: tuple[float, ...]) -> float:
    """Return the empirical distribution function at `logit` in per cent, linear between quantiles; ties count half."""
    if math.isnan(logit):  # NumPy sorts it behind all numbers
        return 100.0
    # NumPy would make an array of the tuple first, which takes 20 times as long as the search.
    below, not_above = bisect_left(quantiles, logit), bisect_right(quantiles, logit)
    last = len(quantiles) - 1
    if below != not_above:  # the logit equals one quantile or several
        return float(100 * (below + not_above - 1) / 2 / last)
    if below in (0, len(quantiles)):
        return 0.0 if below == 0 else 100.0
    low, high = quantiles[below - 1], quantiles[below]
    return float(100 * (below - 1 + (logit - low) / (high - low)) / last)
