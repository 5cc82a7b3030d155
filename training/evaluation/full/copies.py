"""Two tests for copies: are samples nearer to training images than to other real images, more than chance explains?

Both compare d, the distance of a sample to the nearest training image, with h, its distance to the nearest held-out
image, in pixels.

- The ratio d/h. A copy with small noise has a ratio near 0. A blurred sample is nearer to all images, so its ratio does
  not fall, which makes the ratio better than the distance alone (Meehan, Chaudhuri and Dasgupta 2020, arXiv
  2004.05675, compare the same two distances).
- The likelihood ratio. One hypothesis says that a sample is a training image with Gaussian noise added to its pixels,
  the other that it is a held-out image with such noise. If the noise is small, only the nearest image counts, and the
  logarithm of the ratio is (h² − d²)/2σ² plus a constant. No test of one hypothesis against the other finds more
  (Neyman and Pearson 1933). Which samples have the largest ratios does not depend on σ. Noise that a copier adds
  raises h² and d² alike, so this test still finds copies with much noise, when the ratio d/h is near 1. The first one
  finds more copies of images that have near neighbours, such as ones.

How large these values are for images that are no copies depends on the sizes of the two sets. They are therefore
compared with the values of real images that have the training images' distribution: a tenth of them, drawn at random,
is set aside as control, and copies are looked for among the others. (Held-out images of MNIST would not do as control:
they are of other writers than the training images, so they are farther from them than a perfect G's samples.)
"""

import math
from dataclasses import dataclass, replace

import torch

from training.evaluation.neighbours import Nearest, find_nearest
from training.evaluation.out_of_distribution import auroc

SEED = 2
"""The seed of the choice of the control."""

PERCENTILE = 0.01
CONTROL_SHARE = 0.1
MAX_CONTROL = 6000


@dataclass(frozen=True)
class Copies:
    """The result of both tests.

    Attributes:
        figures: `copy_ratio`, the median ratio; `copy_share`, the share of samples whose ratio is below the first
            percentile of one half of the control; `copy_auroc`, the chance that a ratio of this half is above a
            sample's; and `copy_likelihood_share`, the share of samples whose likelihood ratio is above the 99th
            percentile of this half. The same with `_real` for the other half of the control in place of the samples.
            `copy_p` and `copy_likelihood_p` are the chances of shares so far above those of the real images if the
            samples are no copies.
        ratios: [N] float32, the ratio of each sample.
        nearest: the nearest training image of each sample, among those that are not control; `rows` are those of all
            training images.
    """

    figures: dict[str, float]
    ratios: torch.Tensor
    nearest: Nearest


def find_copies(samples: torch.Tensor, trained: torch.Tensor, held_out: torch.Tensor) -> Copies:
    """Test samples for copies of training images by both tests; all images are [·, C, H, W] uint8.

    Args:
        samples: images of G.
        trained: the images that G was trained on.
        held_out: real images that G was not trained on.
    """
    control_images = max(4, min(MAX_CONTROL, int(len(trained) * CONTROL_SHARE)))
    order = torch.randperm(len(trained), generator=torch.Generator().manual_seed(SEED))
    kept = order[control_images:].sort().values
    control = trained[order[:control_images]]
    nearest, other = find_nearest(samples, trained, kept=kept), find_nearest(samples, held_out)
    control_nearest, control_other = find_nearest(control, trained, kept=kept), find_nearest(control, held_out)
    ratios, of_control = _ratio(nearest, other), _ratio(control_nearest, control_other)
    limits, others = of_control[::2], of_control[1::2]
    figures = _unusual("copy", ratios, of_control)
    for suffix, of_set in (("", ratios), ("_real", others)):
        figures[f"copy_ratio{suffix}"] = float(of_set.quantile(0.5))
        figures[f"copy_auroc{suffix}"] = auroc(limits.numpy(), of_set.numpy())
    figures |= _unusual("copy_likelihood", _unlikelihood(nearest, other), _unlikelihood(control_nearest, control_other))
    return Copies(figures, ratios, replace(nearest, rows=kept[nearest.rows]))


def _ratio(training: Nearest, held_out: Nearest) -> torch.Tensor:
    """Return the ratios of distances, [N] float32; the divisor is at least one grey level."""
    return training.distances / held_out.distances.clamp(min=1.0)


def _unlikelihood(training: Nearest, held_out: Nearest) -> torch.Tensor:
    """Return d² − h², [N] float32: the smaller, the larger is the likelihood ratio of a copy."""
    return training.distances.square() - held_out.distances.square()


def _unusual(name: str, values: torch.Tensor, control: torch.Tensor) -> dict[str, float]:
    """Return the share of `values` below the first percentile of one half of the control, and the chance of it.

    Args:
        name: the first part of the figures' names.
        values: [N], the values of the samples; those of copies are small.
        control: [C], the values of real images; the other half of them gives the figure with `_real`.
    """
    threshold = control[::2].quantile(PERCENTILE)
    below, below_real = (int((of_set < threshold).sum()) for of_set in (values, control[1::2]))
    n, n_real = len(values), len(control[1::2])
    return {
        f"{name}_share": below / n,
        f"{name}_share_real": below_real / n_real,
        f"{name}_p": fisher_p(below, n, below_real, n_real),
    }


def fisher_p(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Return the one-sided p-value of Fisher's exact test: is the rate hits/n above other_hits/other_n by chance?

    It is the hypergeometric chance of at least `hits` hits among the n, of the hits in both sets together.
    """
    together, all_hits = n + other_n, hits + other_hits

    def log_choices(of: int, chosen: int) -> float:
        return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)

    tail = (
        math.exp(log_choices(all_hits, x) + log_choices(together - all_hits, n - x) - log_choices(together, n))
        for x in range(max(hits, n - together + all_hits), min(n, all_hits) + 1)
    )
    return min(1.0, math.fsum(tail))
